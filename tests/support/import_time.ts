// deno-lint-ignore-file no-console -- a program whose output is read
/**
 * Prints how many milliseconds importing the given module took, in a process of its own.
 *
 * @module
 */

const startedAt = performance.now();
await import(Deno.args[0] ?? "");
console.log(performance.now() - startedAt);
