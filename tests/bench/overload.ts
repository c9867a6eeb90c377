// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench overload`: whole calls by 10, 50, 200 and 1,000 callers who do not pause, and by 10
 * again after the rush. Prints how many calls are completed and how late the latest answer is.
 * @module
 */

import postgres from "postgres";
import type { Running } from "../../supabase/tasks/task.ts";
import { findDoubles } from "../support/callers.ts";
import type { Heard } from "../support/load.ts";
import { isAnswered, type Measured, p95OfTools, startMeasured } from "../support/measured_stack.ts";

const restSeconds = 5;

/** How to run a bench of calls. */
export interface OverloadOptions {
  /** Seconds per rush. */
  readonly seconds: number;
  /** Folders of other checkouts, whose stacks are measured in turn with this one's. */
  readonly checkouts: readonly string[];
  readonly callers: readonly number[];
}

/** Runs the rushes and prints. @returns 1 if a time was booked twice */
export async function benchOverload(options: OverloadOptions, running: Running): Promise<number> {
  let doubles = 0;
  for (const checkout of [...options.checkouts, undefined]) {
    console.log(checkout ?? "This checkout");
    doubles += await measureStack(checkout, options, running);
  }
  return doubles === 0 ? 0 : 1;
}

async function measureStack(
  checkout: string | undefined,
  { seconds, callers }: OverloadOptions,
  running: Running,
): Promise<number> {
  const stack = await startMeasured({ checkout }, running);
  const measured: Measured[] = [];
  for (const count of callers) {
    measured.push(await stack.measure(count, seconds));
    printMeasured(measured.at(-1));
  }
  await new Promise((resolve) => setTimeout(resolve, restSeconds * 1000));
  console.log(`after ${restSeconds} s:`);
  printMeasured(await stack.measure(callers[0] ?? 10, seconds));
  const best = Math.max(...measured.map(({ rush: { completed } }) => completed));
  console.log(
    `of the best: ${
      measured.map(({ callers: count, rush: { completed } }) =>
        `${count} callers ${(100 * completed / best).toFixed(0)} %`
      ).join(", ")
    }`,
  );
  const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} });
  const doubles = await findDoubles(sql);
  await sql.end({ timeout: 5 });
  console.log(`double bookings: ${doubles.length}`);
  await stack.stop();
  return doubles.length;
}

function printMeasured(measured: Measured | undefined): void {
  if (!measured) return;
  const { callers, rush: { heard, completed, ended, seconds }, stackMs, databaseMs } = measured;
  const of = (part: (heard: Heard) => boolean) => heard.filter(part);
  const refused = of(({ outcome }) => outcome === "busy");
  const errors = of(({ outcome }) => outcome === "error" || outcome === "cut");
  const answered = of(isAnswered);
  const timesOf = (list: readonly Heard[]) => list.map(({ ms }) => ms).sort((a, b) => a - b);
  const p95 = p95OfTools(heard).map((ms) => ms.toFixed(0));
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
