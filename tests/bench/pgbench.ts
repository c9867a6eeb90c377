/**
 * Runs scripts with pgbench and measures warm connections only. A pool keeps its connections, while
 * each new connection of pgbench first compiles every function and plans every statement.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import postgres from "postgres";

/** The result of one run. */
export interface Measured {
  /** Transactions a second. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Transactions that PostgreSQL aborted because of a deadlock or serialization failure. */
  readonly failed: number;
}

/** The size of a run. */
export interface Load {
  readonly clients: number;
  /** Measured transactions per client, after warming up. */
  readonly transactions: number;
  /** Warm-up transactions per client; {@linkcode warmUpTurns} if left out. */
  readonly warmUp?: number;
}

/**
 * Warm-up transactions per client: PostgreSQL can keep a statement's plan from the sixth execution on.
 * In a script, `:turn` is the number of the transaction, from 1.
 */
export const warmUpTurns = 7;

/** @throws {Error} If it is missing; the message says what to install. */
export function findPgbench(): string {
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "pgbench")).find((path) => existsSync(path));
  if (found) return found;
  throw new Error(
    "Cannot find pgbench: install PostgreSQL's (Debian and Ubuntu: apt-get install postgresql; " +
      "macOS: brew install postgresql) and put it on the PATH",
  );
}

/** The key of an advisory lock that nothing else uses. */
const gate = 20261101;

/**
 * Runs a script against a database. Every client warms up and waits until all are warm. The measured
 * time runs from then until the first client is done.
 *
 * @param script Statements and backslash commands of pgbench.
 * @throws {Error} With pgbench's message, if a statement failed for another reason.
 */
export async function runPgbench(
  url: string,
  script: string,
  { clients, transactions, warmUp = warmUpTurns }: Load,
): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "bench-sql-"));
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await writeFile(
      join(folder, "script.sql"),
      [
        "\\set turn :turn + 1",
        `\\if :turn = ${warmUp + 1}`,
        `select pg_advisory_xact_lock_shared(${gate});`,
        "\\else",
        script.trim(),
        "\\endif\n",
      ].join("\n"),
    );
    await sql`select pg_advisory_lock(${gate})`;
    const process = new Deno.Command(findPgbench(), {
      args: [
        ...["-n", "-M", "prepared", "-c", `${clients}`, "-j", `${Math.min(clients, 2)}`],
        ...["-t", `${warmUp + 1 + transactions}`, "-D", "turn=0", "-f", "script.sql"],
        ...["-l", "--log-prefix=log", url],
      ],
      cwd: folder,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = process.output();
    let isRunning = true;
    output.finally(() => isRunning = false);
    for (let waiting = 0; isRunning && waiting < clients;) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const [row] = await sql<{ n: number }[]>`
        select count(*)::int as n from pg_locks
        where locktype = 'advisory' and objid = ${gate} and not granted`;
      waiting = row?.n ?? 0;
    }
    await sql`select pg_advisory_unlock(${gate})`;
    const { code, stdout, stderr } = await output;
    const text = new TextDecoder().decode(stdout);
    const errors = new TextDecoder().decode(stderr);
    if (code !== 0 || errors.includes("aborted")) {
      throw new Error(`Cannot bench: ${errors.trim().split("\n").slice(0, 3).join(" | ")}`);
    }
    return {
      ...measure(await readTurns(folder), warmUp),
      failed: Number(/failed transactions: (\d+)/.exec(text)?.[1] ?? 0),
    };
  } finally {
    await sql.end({ timeout: 5 });
    await rm(folder, { recursive: true });
  }
}

/** One transaction in the log. */
interface Turn {
  readonly client: string;
  /** The number of the client's transaction, from 1. */
  readonly turn: number;
  readonly ms: number;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
}

/** Reads the logs, one per thread: client, turn, microseconds, script, seconds, microseconds. */
async function readTurns(folder: string): Promise<Turn[]> {
  const logs = (await readdir(folder)).filter((name) => name.startsWith("log"));
  const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), "utf8")));
  return texts.join("").split("\n").flatMap((line) => {
    const [client = "", turn, us, , seconds, rest] = line.split(" ");
    const ms = Number(us) / 1000;
    // A failed transaction has a word in place of the time.
    return rest === undefined || Number.isNaN(ms)
      ? []
      : [{ client, turn: Number(turn), ms, endedAt: Number(seconds) * 1000 + Number(rest) / 1000 }];
  });
}

function measure(turns: readonly Turn[], warmUp: number): Omit<Measured, "failed"> {
  const endOf = (own: readonly Turn[]) => Math.max(...own.map(({ endedAt }) => endedAt));
  const gates = turns.filter(({ turn }) => turn === warmUp + 1);
  const beginsAt = Math.min(...gates.map(({ endedAt }) => endedAt));
  const endsAt = Math.min(...Map.groupBy(turns, ({ client }) => client).values().map(endOf));
  const measured = turns.filter(({ turn, endedAt }) => turn > warmUp + 1 && endedAt <= endsAt);
  const times = measured.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (part: number) => times[Math.floor(part * (times.length - 1))] ?? Number.NaN;
  return {
    rate: measured.length / (endsAt - beginsAt) * 1000,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
  };
}
