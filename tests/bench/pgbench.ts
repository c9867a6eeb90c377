/**
 * Runs scripts by pgbench and reads what it measured.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** What one run measured. */
export interface Measured {
  /** Transactions a second. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Transactions that PostgreSQL ended with a deadlock or a serialization failure. */
  readonly failed: number;
}

/** How long and with how many. */
export interface Load {
  readonly clients: number;
  /** Of each client. */
  readonly transactions: number;
}

/** @throws {Error} That says what to install. */
export function findPgbench(): string {
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "pgbench")).find((path) => existsSync(path));
  if (found) return found;
  throw new Error(
    "Cannot find pgbench: install PostgreSQL's (Debian and Ubuntu: apt-get install postgresql; " +
      "macOS: brew install postgresql) and put it on the PATH",
  );
}

/**
 * Runs a script against a database.
 *
 * @param script Statements and backslash commands of pgbench.
 * @throws {Error} With what pgbench said, when a statement failed otherwise.
 */
export async function runPgbench(
  url: string,
  script: string,
  { clients, transactions }: Load,
): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "bench-sql-"));
  try {
    await writeFile(join(folder, "script.sql"), script);
    const { code, stdout, stderr } = await new Deno.Command(findPgbench(), {
      args: [
        ...["-n", "-M", "prepared", "-c", `${clients}`, "-j", `${Math.min(clients, 2)}`],
        ...["-t", `${transactions}`, "-f", "script.sql", "-l", "--log-prefix=log", url],
      ],
      cwd: folder,
      stdout: "piped",
      stderr: "piped",
    }).output();
    const text = new TextDecoder().decode(stdout);
    const errors = new TextDecoder().decode(stderr);
    if (code !== 0 || errors.includes("aborted")) {
      throw new Error(`Cannot bench: ${errors.trim().split("\n").slice(0, 3).join(" | ")}`);
    }
    const times = (await readTimes(folder)).sort((a, b) => a - b);
    const at = (part: number) => times[Math.floor(part * (times.length - 1))] ?? Number.NaN;
    return {
      rate: Number(/tps = ([\d.]+)/.exec(text)?.[1]),
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      failed: Number(/failed transactions: (\d+)/.exec(text)?.[1] ?? 0),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Latencies in ms: the third column of the logs, one log a thread. */
async function readTimes(folder: string): Promise<number[]> {
  const logs = (await readdir(folder)).filter((name) => name.startsWith("log"));
  const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), "utf8")));
  return texts.join("").split("\n").flatMap((line) => {
    const microseconds = Number(line.split(" ")[2]);
    return Number.isFinite(microseconds) ? [microseconds / 1000] : [];
  });
}
