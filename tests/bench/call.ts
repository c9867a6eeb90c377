// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench call`: how much processor time a whole call takes, and where it goes.
 *
 * The totals are the operating system's, for the stack's process and for Postgres. Checkouts are
 * measured in turn: on a shared machine the speed changes every minute, so only figures measured side
 * by side can be compared. Where the time goes is measured afterwards, in this checkout alone, because
 * that measuring costs time too: the stack by V8's profiler, each SQL function by `track_functions`.
 *
 * @module
 */

import type postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import {
  type Measured,
  type MeasuredStack,
  p95OfTools,
  startMeasured,
  tools,
} from "../support/measured_stack.ts";
import { type OwnTime, profile } from "../support/profile.ts";
import { median } from "./median.ts";

/** How to measure a call. */
export interface CallOptions {
  readonly callers: number;
  /** Seconds of each round. */
  readonly seconds: number;
  readonly rounds: number;
  /** Folders of other checkouts, whose stacks are measured in turn with this one's. */
  readonly checkouts: readonly string[];
  /** Whether to show where the time goes. */
  readonly tells: boolean;
}

/** Measures and prints. @returns the exit code: 1 if callers were answered with faults */
export async function benchCall(options: CallOptions, running: Running): Promise<0 | 1> {
  const { callers, seconds, rounds, checkouts } = options;
  const stacks: (readonly [name: string, stack: MeasuredStack])[] = [];
  for (const checkout of [...checkouts, undefined]) {
    stacks.push([checkout ?? "this checkout", await startMeasured({ checkout }, running)]);
  }
  const measured = new Map<string, Figures[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, stack] of stacks) {
      const figures = figuresOf(await stack.measure(callers, seconds));
      measured.set(name, [...measured.get(name) ?? [], figures]);
    }
  }
  for (const [, stack] of stacks) await stack.stop();
  printTable(callers, measured);
  if (options.tells) await tell(options, running);
  return [...measured.values()].flat().some(({ faults }) => faults > 0) ? 1 : 0;
}

interface Figures {
  readonly faults: number;
  /** The figures by name; a call counts if it was completed. */
  readonly of: ReadonlyMap<string, number>;
}

function figuresOf(
  { rush: { heard, completed, seconds }, stackMs, databaseMs }: Measured,
): Figures {
  const p95 = p95OfTools(heard);
  return {
    faults: heard.filter(({ outcome }) => outcome === "error" || outcome === "cut").length,
    of: new Map([
      ["calls a second", completed / seconds],
      ["processor a call, ms", (stackMs + databaseMs) / completed],
      ["  of the stack", stackMs / completed],
      ["  of Postgres", databaseMs / completed],
      ...tools.map((tool, index) => [`p95 of ${tool}, ms`, p95[index] ?? NaN] as const),
    ]),
  };
}

/** The median of each figure, and its ratio to the first checkout's, round by round. */
function printTable(callers: number, measured: ReadonlyMap<string, readonly Figures[]>): void {
  const all = [...measured];
  const [first] = all;
  console.log(`${callers} callers, medians of ${first?.[1].length ?? 0} rounds in turn`);
  console.log(["".padEnd(30), ...all.map(([name]) => name.slice(-24).padStart(26))].join(""));
  for (const what of first?.[1][0]?.of.keys() ?? []) {
    const cells = all.map(([, rounds]) => {
      const ratios = rounds.map(({ of }, round) =>
        (of.get(what) ?? NaN) / (first?.[1][round]?.of.get(what) ?? NaN)
      );
      const times = rounds === first?.[1] ? "" : ` (${median(ratios).toFixed(2)} times)`;
      return `${median(rounds.map(({ of }) => of.get(what) ?? NaN)).toFixed(1)}${times}`;
    });
    console.log([what.padEnd(30), ...cells.map((cell) => cell.padStart(26))].join(""));
  }
}

async function tell({ callers, seconds }: CallOptions, running: Running): Promise<void> {
  const inspect = `127.0.0.1:${9300 + Math.floor(Math.random() * 600)}`;
  const stack = await startMeasured({ inspect }, running);
  let calls = 0;
  const times = await profile(inspect, async () => {
    calls = (await stack.measure(callers, seconds)).rush.completed;
  });
  printProfile(times, calls);
  await printFunctions(stack, callers, seconds);
  await stack.stop();
}

/** The part that a file or package belongs to; the first match counts. */
const parts: readonly (readonly [part: string, where: RegExp])[] = [
  ["our functions", /\/functions\/|\/shared\/(?!redaction|logging|database|tokens|admission)/],
  ["log and redaction", /\/shared\/(redaction|logging|tokens)/],
  ["admission", /\/shared\/admission/],
  ["calls of the database", /\/shared\/database/],
  ["validation (zod)", /\/zod/],
  ["supabase-js", /@supabase/],
  [
    "Twilio's library and what it uses",
    /\/(twilio|axios|follow-redirects|form-data|qs|jsonwebtoken)/,
  ],
  ["REST stand-in", /\/local\/rest\//],
  ["driver (pg)", /\/(pg|pg-[a-z]+|postgres[a-z-]*)[@/]/],
  ["fake Twilio", /\/local\/twilio\//],
  ["phone numbers", /libphonenumber/],
  ["local server", /\/supabase\/local\//],
  ["HTTP: server and fetch", /^ext:.*(http|fetch|26_|23_|22_|20_|21_)/],
  ["streams, events, timers", /^ext:.*(streams|event|abort|timers|web\/)/],
  ["node:net, node:http, node:stream", /^(ext:.*node|node:)/],
  ["Deno: other", /^ext:/],
];

function printProfile(times: readonly OwnTime[], calls: number): void {
  const sums = new Map<string, number>();
  const functions = new Map<string, number>();
  for (const { name, url, line, ms } of times) {
    const part = url === ""
      ? name === "(garbage collector)" ? "garbage collection" : "native code (sockets, JSON, ...)"
      : parts.find(([, where]) => where.test(url))?.[0] ?? "other packages";
    sums.set(part, (sums.get(part) ?? 0) + ms);
    const place = `${name} ${url.split("/").slice(-2).join("/")}:${line}`;
    functions.set(place, (functions.get(place) ?? 0) + ms);
  }
  console.log(`\nThe stack's JavaScript thread by V8's profiler, ms a call (${calls} calls)`);
  printSorted(sums, calls, Infinity);
  console.log("\nThe functions with the most own time, ms a call");
  printSorted(functions, calls, 30);
}

function printSorted(sums: ReadonlyMap<string, number>, calls: number, limit: number): void {
  for (const [name, ms] of [...sums].sort(([, a], [, b]) => b - a).slice(0, limit)) {
    console.log(`${(ms / calls).toFixed(3).padStart(8)}  ${name}`);
  }
}

/** Calls and self time of each SQL function; inlined functions count for their caller. */
async function printFunctions(
  stack: MeasuredStack,
  callers: number,
  seconds: number,
): Promise<void> {
  const admin = new URL(stack.dbUrl);
  admin.username = "supabase_admin";
  await withConnection(admin.href, async (sql) => {
    await sql`alter system set track_functions = 'all'`;
    await sql`select pg_reload_conf()`;
    await stack.measure(10, 1);
    await sql`select pg_stat_reset()`;
    const [before] = await sql<Written[]>`${written(sql)}`;
    const { rush: { completed } } = await stack.measure(callers, seconds);
    // A backend reports at most once a second, and only when it is idle.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const [after] = await sql<Written[]>`${written(sql)}`;
    const rows = await sql<{ name: string; calls: number; own: number; total: number }[]>`
      select schemaname || '.' || funcname as name, calls::float8, self_time as own, total_time as total
      from pg_stat_user_functions order by self_time desc limit 40`;
    const each = (value: number) => (value / completed).toFixed(3).padStart(8);
    console.log(`\nThe SQL functions, a call (${completed} calls): own ms, all ms, times`);
    for (const { name, calls, own, total } of rows) {
      console.log(`${each(own)}${each(total)}${each(calls)}  ${name}`);
    }
    if (before && after) {
      console.log(
        `commits ${each(after.commits - before.commits).trim()}, ` +
          `bytes of the write-ahead log ${each(after.bytes - before.bytes).trim()}, a call`,
      );
    }
  });
}

interface Written {
  readonly commits: number;
  readonly bytes: number;
}

const written = (sql: postgres.Sql) =>
  sql`select d.xact_commit::float8 as commits, pg_current_wal_lsn() - '0/0'::pg_lsn as bytes
    from pg_stat_database as d where d.datname = current_database()`;
