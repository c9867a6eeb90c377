// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench overload`: whole calls by 10, 50, 200 and 1,000 callers who do not pause, and by 10
 * again when the rush is over. How many come to their end, and how late the latest answer is.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { readSettings } from "../../supabase/tasks/stack.ts";
import { startStack } from "../../supabase/tasks/stack.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { findDoubles } from "../support/callers.ts";
import { aLoadClinic, type Heard, type Line, type Rush, rush } from "../support/load.ts";
import { processorMs, treeProcessorMs } from "../support/processor.ts";

/** How long Twilio takes, in ms. */
const twilioMs = 250;
const restSeconds = 5;

/** How a bench of calls is run. */
export interface OverloadOptions {
  /** Seconds of each rush. */
  readonly seconds: number;
  /** Folders of other checkouts, whose stacks are measured in turn with this one's. */
  readonly checkouts: readonly string[];
  readonly callers: readonly number[];
}

interface Measured {
  readonly callers: number;
  readonly rush: Rush;
  /** Processor time in ms of the stack's process, and of Postgres. */
  readonly stackMs: number;
  readonly databaseMs: number;
}

/** Rushes and prints. @returns 1 when a time was booked twice */
export async function benchOverload(options: OverloadOptions, running: Running): Promise<number> {
  let doubles = 0;
  for (const [index, checkout] of [...options.checkouts, undefined].entries()) {
    console.log(checkout ?? "This checkout");
    doubles += await measureStack(checkout, index, options, running);
  }
  return doubles === 0 ? 0 : 1;
}

async function measureStack(
  checkout: string | undefined,
  index: number,
  { seconds, callers }: OverloadOptions,
  running: Running,
): Promise<number> {
  const started = startStack(["--fresh"], `bench-${index}`, {
    logLevel: "info",
    ...(checkout === undefined ? {} : { checkout }),
  });
  const stack = await running.start(started, async ({ stop }) => {
    await stop();
  });
  const health = await (await fetch(`${stack.url}/health`)).json();
  const env = await readSettings({ url: stack.url, envFile: health.envFile });
  const databasePid = Number(
    readFileSync(join(dirname(health.envFile), "data", "postmaster.pid"), "utf8").split("\n")[0],
  );
  const line = await aLoadClinic(env, stack.url);
  const measure = async (count: number, length: number): Promise<Measured> => {
    await slowTwilio(line);
    const before = [processorMs(stack.pid), treeProcessorMs(databasePid)] as const;
    const played = await rush(line, count, length);
    const stackMs = processorMs(stack.pid) - before[0];
    return {
      callers: count,
      rush: played,
      stackMs,
      databaseMs: treeProcessorMs(databasePid) - before[1],
    };
  };
  await measure(10, 2);
  const measured: Measured[] = [];
  for (const count of callers) {
    measured.push(await measure(count, seconds));
    printMeasured(measured.at(-1));
  }
  await new Promise((resolve) => setTimeout(resolve, restSeconds * 1000));
  console.log(`after ${restSeconds} s:`);
  printMeasured(await measure(callers[0] ?? 10, seconds));
  const best = Math.max(...measured.map(({ rush: { completed } }) => completed));
  console.log(
    `of the best: ${
      measured.map(({ callers: count, rush: { completed } }) =>
        `${count} callers ${(100 * completed / best).toFixed(0)} %`
      ).join(", ")
    }`,
  );
  const sql = postgres(env["SUPABASE_DB_URL"] ?? "", { max: 1, onnotice: () => {} });
  const doubles = await findDoubles(sql);
  await sql.end({ timeout: 5 });
  console.log(`double bookings: ${doubles.length}`);
  await stack.stop();
  return doubles.length;
}

async function slowTwilio({ url }: Line): Promise<void> {
  await fetch(`${url}/local/faults`, { method: "DELETE" });
  const order = { kind: "slow", ms: twilioMs, times: 10_000 };
  await fetch(`${url}/local/faults`, { method: "POST", body: JSON.stringify(order) });
}

const tools = ["check_availability", "hold_slot", "send_otp", "verify_otp"];

function printMeasured(measured: Measured | undefined): void {
  if (!measured) return;
  const { callers, rush: { heard, completed, ended, seconds }, stackMs, databaseMs } = measured;
  const of = (part: (heard: Heard) => boolean) => heard.filter(part);
  const refused = of(({ outcome }) => outcome === "busy");
  const errors = of(({ outcome }) => outcome === "error" || outcome === "cut");
  const answered = of(({ outcome }) => !["busy", "error", "cut"].includes(outcome));
  const timesOf = (list: readonly Heard[]) => list.map(({ ms }) => ms).sort((a, b) => a - b);
  const p95 = tools.map((tool) => {
    const times = timesOf(answered.filter((one) => one.tool === tool));
    return (times[Math.floor(0.95 * (times.length - 1))] ?? NaN).toFixed(0);
  });
  const latest = (list: readonly Heard[]) => (timesOf(list).at(-1) ?? 0).toFixed(0);
  const others = [...ended].map(([outcome, count]) => `${outcome} ${count}`).join(", ");
  console.log(
    `${String(callers).padStart(5)} callers: ${(completed / seconds).toFixed(1)} calls a second` +
      `, p95 ms ${p95.join(" / ")}, answered ${answered.length}, refused ${refused.length}` +
      ` (latest ${latest(refused)} ms), errors ${errors.length}, latest ${latest(heard)} ms, ` +
      `processor a call ${(stackMs / completed).toFixed(1)} + ${
        (databaseMs / completed).toFixed(1)
      } ms${others === "" ? "" : `, ended otherwise: ${others}`}`,
  );
}
