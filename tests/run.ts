/**
 * `deno task test`: every test file, a few at a time on one database cluster.
 *
 * A file that measures processor time, or changes the environment or something global, runs in a separate
 * process, so that it does not affect the others. The others share processes: after the first file of a
 * process, each costs about half.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { relative } from "node:path";
import { defineTask, main, Misuse, readNumber, type Running } from "../supabase/tasks/task.ts";
import { clusterVariable, startTestCluster } from "./support/database.ts";
import { fullVariable } from "./support/length.ts";

const usage = `deno task test [--full] [--jobs N] [FOLDER | FILE ...]
  without arguments: examples in comments and every test, some of them brief and the longest left
  out; not those of the browser, which need Chromium: deno task test browser. Format, lint and
  types: deno task check
  FOLDER, FILE  only these tests: a folder of tests/ such as domain, or a path
  --full        at full length; without paths, only the files that have a full length
  --jobs N      how many files run at once; if left out, as many as there are processors,
                and without --full one more
  exit code 0: everything passed, 1: something failed, 2: wrong arguments`;

/** The folders with the slowest files come first, so that no processor idles at the end. */
const longestFirst = [
  "sql",
  "e2e",
  "domain",
  "functions",
  "tasks",
  "auth",
  "rest",
  "texting",
  "local",
];

/**
 * How many files run at once by default: one more than there are processors, since a file often waits
 * for a lock, a disk or another process. At full length none waits for long: as many as processors.
 */
const defaultJobs = (full: boolean) =>
  String(Math.min(navigator.hardwareConcurrency + (full ? 0 : 1), 8));

/**
 * A file that runs longer than this hangs and is killed; several times what the slowest needs at full
 * length.
 */
const limitMs = 20 * 60_000;

/** One process: its name, and what `deno test` is given. */
interface Job {
  readonly name: string;
  readonly args: readonly string[];
}

interface Result {
  readonly passed: number;
  readonly failed: number;
}

/** The task. */
export const test = defineTask({
  usage,
  options: {
    full: { type: "boolean", default: false },
    jobs: { type: "string" },
  },
  allowPositionals: true,
  run: async (
    { values: { full, jobs = defaultJobs(full) }, positionals },
    { terminal, running },
  ) => {
    const lanes = readNumber("--jobs", jobs, { from: 1, to: 64 });
    const files = positionals.length > 0
      ? (await Promise.all(positionals.map(findTests))).flat()
      : await everyTest(full);
    const queue: Job[] = positionals.length > 0 || full
      ? files.map((file) => ({ name: file, args: [file] }))
      : [...await joinFiles(files), examples];
    const cluster = await running.start(startTestCluster(), (started) => started.stop());
    const shared = { NO_COLOR: "1", ...(full ? { [fullVariable]: "1" } : {}) };
    let [passed, failed] = [0, 0];
    const broken: string[] = [];
    await Promise.all(Array.from({ length: lanes }, async () => {
      for (let job = queue.shift(); job && !running.isStopping; job = queue.shift()) {
        const env = { ...shared, [clusterVariable]: String(cluster.port) };
        const startedAt = performance.now();
        const { output, ...result } = await runJob(job, env, running);
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        passed += result.passed;
        failed += result.failed;
        if (result.failed > 0) broken.push(job.name);
        const verdict = result.failed > 0 ? "FAILED" : "ok";
        terminal.print(`\n== ${job.name}: ${verdict}, ${seconds} s\n${output.trimEnd()}`);
      }
    }));
    if (broken.length > 0) terminal.print(`\nFAILED: ${broken.join(" ")}`);
    terminal.print(`${passed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  },
});

const examples: Job = {
  name: "examples in comments",
  args: ["--doc", "shared", "functions", "supabase"],
};

/** Every test file, or every one with a full length. The browser's tests are a leg of the gate. */
async function everyTest(full: boolean): Promise<string[]> {
  const files = (await testsBelow("tests")).filter((file) => !file.startsWith("tests/browser/"));
  const rank = (file: string) => {
    const found = longestFirst.indexOf(file.split("/")[1] ?? "");
    return found < 0 ? longestFirst.length : found;
  };
  files.sort((one, other) => rank(one) - rank(other));
  if (!full) return files;
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return files.filter((_, index) => texts[index]?.includes("support/length.ts"));
}

/** A file with one of these needs a separate process. */
const needsProcess = /Deno\.env\.(?:set|delete)\b|cpuUsage|globalThis|prototype/;
/** More files in a process save little, and leave a processor idle at the end. */
const filesOfProcess = 8;

/** The jobs of a whole run, in the order of the files. */
async function joinFiles(files: readonly string[]): Promise<Job[]> {
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  const kindOf = (file: string, text: string) =>
    needsProcess.test(text) ? file : file.split("/")[1] ?? file;
  const kinds = Map.groupBy(files, (file, index) => kindOf(file, texts[index] ?? ""));
  return [...kinds].flatMap(([kind, members]) => {
    const count = Math.ceil(members.length / filesOfProcess);
    return Array.from({ length: count }, (_, group) => {
      const together = members.filter((_, index) => index % count === group);
      return together.length === 1 ? { name: together.join(), args: together } : {
        name: `${kind}: ${together.join(" ")}`,
        args: ["tests/support/together.ts", "--", ...together],
      };
    });
  });
}

/** The test files that match. @throws {Misuse} if there are none */
async function findTests(asked: string): Promise<string[]> {
  const path = [`tests/${asked}`, asked].find((path) => existsSync(path));
  const found = path === undefined
    ? []
    : (await stat(path)).isFile()
    ? [relative(".", path)]
    : await testsBelow(path);
  if (found.length > 0) return found;
  const folders = new Set((await testsBelow("tests")).map((file) => file.split("/")[1]));
  const why = path === undefined ? "there is no such folder or file" : "it has no tests";
  throw new Misuse(
    `Cannot test ${asked}: ${why}; give a path, or one of ${[...folders].sort().join(", ")}`,
  );
}

async function testsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith("_test.ts"))
    .map((entry) => relative(".", `${entry.parentPath}/${entry.name}`))
    .sort();
}

/** Runs one job until it or this process ends. */
async function runJob(
  { args }: Job,
  env: Readonly<Record<string, string>>,
  running: Running,
): Promise<Result & { readonly output: string }> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--frozen", "--unstable-no-legacy-abort", "--no-check", "--quiet"],
      ...[`--junit-path=${report}`, ...args],
    ],
    env: { ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  let hasEnded = false;
  const ended = child.output().finally(() => hasEnded = true);
  await running.start(Promise.resolve(child), async () => {
    // The whole group, since a test may have started a stack.
    if (!hasEnded) Deno.kill(-child.pid, "SIGINT");
    await ended;
  });
  let hung = "";
  const signals = (["SIGINT", "SIGKILL"] as const).map((signal, index) =>
    setTimeout(() => {
      hung = `\nEnded after ${limitMs / 60_000} minutes, since it hung\n`;
      Deno.kill(-child.pid, signal);
    }, limitMs + index * 10_000)
  );
  const { success, stdout, stderr } = await ended;
  for (const signal of signals) clearTimeout(signal);
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("") + hung;
  const counted = countTests(await readFile(report, "utf8").catch(() => ""));
  await rm(report);
  // A file that cannot be loaded fails without a test.
  return !success && counted.failed === 0
    ? { ...counted, failed: 1, output }
    : { ...counted, output };
}

/** The counts in a JUnit report. */
function countTests(xml: string): Result {
  const suites = [
    ...xml.matchAll(/<testsuite [^>]*tests="(\d+)"[^>]*errors="(\d+)"[^>]*failures="(\d+)"/g),
  ];
  const sum = (group: number) => suites.reduce((total, match) => total + Number(match[group]), 0);
  const failed = sum(2) + sum(3);
  return { passed: sum(1) - failed, failed };
}

if (import.meta.main) await main(test);
