// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task test [FOLDER ...]`: format, lint, types, then every test, on one database cluster.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { clusterVariable, startTestCluster } from "./support/database.ts";

const folders = ["unit", "functions", "texting", "domain", "local", "tasks", "sql", "rest", "e2e"];
const asked = Deno.args.length > 0
  ? Deno.args
  : folders.filter((folder) => existsSync(`tests/${folder}`));
let passed = 0;
let failed = 0;

let running: Deno.ChildProcess | undefined;
const cluster = await startTestCluster();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, async () => {
    // The whole group: a test may have started a stack.
    if (running) Deno.kill(-running.pid, "SIGINT");
    await running?.status;
    await cluster.stop();
    Deno.exit(130);
  });
}
try {
  if (Deno.args.length === 0) {
    await check("format", ["fmt", "--check", "--quiet"]);
    await check("lint", ["lint", "--quiet"]);
    await check("types", ["check", "--quiet", "."]);
    await test("examples in comments", ["--doc", "shared", "functions", "supabase"]);
  }
  for (const folder of asked) {
    const path = existsSync(folder) ? folder : `tests/${folder}`;
    if (!existsSync(path)) {
      throw new Error(`Cannot test ${folder}: give one of ${folders.join(", ")}`);
    }
    await test(path, [path]);
  }
} finally {
  await cluster.stop();
}
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

async function check(name: string, args: string[]): Promise<void> {
  const success = await run(name, args);
  if (success) passed++;
  else failed++;
}

async function test(name: string, paths: string[]): Promise<void> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  const success = await run(name, [
    ...["test", "-A", "--unstable-no-legacy-abort", "--no-check", "--quiet"],
    ...[`--junit-path=${report}`, ...paths],
  ]);
  const xml = await readFile(report, "utf8");
  await rm(report);
  const suites = [
    ...xml.matchAll(/<testsuite [^>]*tests="(\d+)"[^>]*errors="(\d+)"[^>]*failures="(\d+)"/g),
  ];
  const sum = (group: number) => suites.reduce((total, match) => total + Number(match[group]), 0);
  const broken = sum(2) + sum(3);
  passed += sum(1) - broken;
  failed += broken;
  // A file that does not load fails without a case.
  if (!success && broken === 0) failed++;
}

async function run(name: string, args: string[]): Promise<boolean> {
  console.log(`\n== ${name}`);
  const startedAt = performance.now();
  running = new Deno.Command(Deno.execPath(), {
    args,
    env: { [clusterVariable]: String(cluster.port), NO_COLOR: "1" },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
    detached: true,
  }).spawn();
  const { success } = await running.status;
  running = undefined;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`== ${name}: ${success ? "ok" : "FAILED"}, ${seconds} s`);
  return success;
}
