// deno-lint-ignore-file no-console -- a program whose output is read
/**
 * Prints how much processor time, in milliseconds, it takes to import the given module in a new
 * process. Other load on the machine hardly affects it.
 *
 * @module
 */

import process from "node:process";

const before = process.cpuUsage();
await import(Deno.args[0] ?? "");
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1000);
