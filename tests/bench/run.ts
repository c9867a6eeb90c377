// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task bench rest | sql`: measures one thing and prints it.
 *
 * @module
 */
const benches = new Map([
  ["rest", () => import("./rest.ts")],
]);

const bench = benches.get(Deno.args[0] ?? "");
if (bench === undefined) {
  console.error(`deno task bench ${[...benches.keys()].join(" | ")}`);
  Deno.exit(2);
}
const { main } = await bench();
await main();
