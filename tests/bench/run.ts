// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task bench rest | sql [...]`: measures one thing and prints it.
 *
 * Exit codes: 0 done, 1 something failed, 2 usage.
 *
 * @module
 */
const benches = new Map<string, () => Promise<(args: readonly string[]) => Promise<number | void>>>(
  [
    ["rest", async () => (await import("./rest.ts")).main],
    ["sql", async () => (await import("./sql.ts")).main],
  ],
);

const [name = "", ...args] = Deno.args;
const load = benches.get(name);
if (load === undefined) {
  console.error(`usage: deno task bench ${[...benches.keys()].join(" | ")}`);
  Deno.exit(2);
}
try {
  const main = await load();
  Deno.exitCode = await main(args) ?? 0;
} catch (thrown) {
  console.error(thrown instanceof Error ? thrown.message : thrown);
  Deno.exitCode = 1;
}
