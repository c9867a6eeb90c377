/**
 * A stack in its own process that is called without pause: what its callers were answered, and how much
 * processor time that took.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readEnvFile } from "../../supabase/tasks/database.ts";
import { startStack } from "../../supabase/tasks/stack.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { aLoadClinic, type Heard, type Line, type Rush, rush } from "./load.ts";
import { processorMs, treeProcessorMs } from "./processor.ts";

/** Simulated latency of Twilio, in ms. */
const twilioMs = 250;

/** The answers to the callers, and their cost. */
export interface Measured {
  readonly callers: number;
  readonly rush: Rush;
  /** Processor time in ms of the stack's process, and of Postgres. */
  readonly stackMs: number;
  readonly databaseMs: number;
}

/** A running stack that can be measured. */
export interface MeasuredStack {
  /** Connects as the owner of the database. */
  readonly dbUrl: string;
  /** Runs this many callers for this many seconds. */
  measure(callers: number, seconds: number): Promise<Measured>;
  stop(): Promise<void>;
}

/**
 * Starts the stack of a checkout with an empty database, and lets ten callers warm it up.
 *
 * @param checkout Its folder; this one's if left out.
 * @param inspect The address for its inspector; no inspector if left out.
 */
export async function startMeasured(
  { checkout, inspect }: { readonly checkout?: string | undefined; readonly inspect?: string },
  running: Running,
): Promise<MeasuredStack> {
  const started = startStack(["--fresh"], `bench-${crypto.randomUUID().slice(0, 8)}`, {
    logLevel: "info",
    ...(checkout === undefined ? {} : { checkout }),
    ...(inspect === undefined ? {} : { inspect }),
  });
  const stack = await running.start(started, async ({ stop }) => {
    await stop();
  });
  // Older stacks only print the file's path.
  const envFile = await match(stack.output, /\S+functions\.env/);
  const env = await readEnvFile(envFile);
  const pidFile = join(dirname(envFile), "data", "postmaster.pid");
  const databasePid = Number(readFileSync(pidFile, "utf8").split("\n")[0]);
  const line = await aLoadClinic(env, stack.url);
  const measure = async (callers: number, seconds: number): Promise<Measured> => {
    await slowTwilio(line);
    const before = [processorMs(stack.pid), treeProcessorMs(databasePid)] as const;
    const played = await rush(line, callers, seconds);
    return {
      callers,
      rush: played,
      stackMs: processorMs(stack.pid) - before[0],
      databaseMs: treeProcessorMs(databasePid) - before[1],
    };
  };
  await measure(10, 2);
  return {
    dbUrl: env["SUPABASE_DB_URL"] ?? "",
    measure,
    stop: async () => {
      await stack.stop();
    },
  };
}

/** Waits until the output matches. */
async function match(output: () => string, pattern: RegExp): Promise<string> {
  for (const endsAt = performance.now() + 10_000; performance.now() < endsAt;) {
    const found = pattern.exec(output())?.[0];
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Nothing in the output fits ${pattern}:\n${output()}`);
}

async function slowTwilio({ url }: Line): Promise<void> {
  await fetch(`${url}/local/faults`, { method: "DELETE" });
  const order = { kind: "slow", ms: twilioMs, times: 10_000 };
  await fetch(`${url}/local/faults`, { method: "POST", body: JSON.stringify(order) });
}

/** The tools of a call, in order. */
export const tools = ["check_availability", "hold_slot", "send_otp", "verify_otp"] as const;

/** Whether the answer was a result, neither a fault nor `busy`. */
export const isAnswered = ({ outcome }: Heard): boolean =>
  !["busy", "error", "cut"].includes(outcome);

/** The 95th percentile of each tool's time in milliseconds, without refused calls. */
export function p95OfTools(heard: readonly Heard[]): number[] {
  return tools.map((tool) => {
    const times = heard.filter((one) => one.tool === tool && isAnswered(one))
      .map(({ ms }) => ms).sort((a, b) => a - b);
    return times[Math.floor(0.95 * (times.length - 1))] ?? NaN;
  });
}
