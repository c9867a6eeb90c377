// deno-lint-ignore-file no-console -- a program whose output is read
/**
 * Prints how many milliseconds of processor time importing the given module took, in a process of
 * its own; what else the machine does counts little in them.
 *
 * @module
 */

import process from "node:process";

const before = process.cpuUsage();
await import(Deno.args[0] ?? "");
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1000);
