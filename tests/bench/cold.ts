// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench cold`: the time from the start of a function's process to its first answer.
 *
 * Hosted Supabase starts an isolate, which reads one bundle. Here a process starts and reads every
 * module, so hosted functions should start faster.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { readSettings, useStack } from "../../supabase/tasks/stack.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { aToolCall } from "../support/clinic.ts";
import { median } from "./median.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = fileURLToPath(new URL("../support/cold_start.ts", import.meta.url));

/** The tools, with arguments that make each of them ask the database. */
const tools: Readonly<Record<string, object>> = {
  check_availability: { date: "tomorrow", serviceType: "consultation" },
  hold_slot: { slotId: "consultation/2030-01-01T09:00", patientName: "Ada Brown" },
  send_otp: {},
  verify_otp: { code: "123456" },
  find_appointments: { patientName: "Ada Brown" },
  cancel_appointment: { patientName: "Ada Brown" },
  reschedule_appointment: { patientName: "Ada Brown", slotId: "consultation/2030-01-01T09:00" },
  answer_question: { topic: "address" },
  leave_message: { callerName: "Ada Brown", message: "Please call back" },
};

/** Milliseconds from the start of the process. */
interface Start {
  readonly imported: number;
  readonly first?: number | undefined;
  /** How long the second request takes by itself. */
  readonly second?: number | undefined;
}

/** Measures and prints. @returns the exit code: 1 if a function gave no result */
export async function benchCold(
  { deno, rounds }: { readonly deno: string; readonly rounds: number },
  running: Running,
): Promise<0 | 1> {
  const stack = await useStack("http://127.0.0.1:9", running, "bench-cold");
  const env = await readSettings(stack);
  const names = ["twilio", ...Object.keys(tools)];
  const starts = new Map<string, Start[]>();
  let faults = 0;
  // In turn, because the machine's speed changes.
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const { start, hasResult } = await startOnce(deno, name, stack.url, env);
      if (!hasResult) faults++;
      starts.set(name, [...starts.get(name) ?? [], start]);
    }
  }
  console.log(`Medians of ${rounds} rounds, in ms from the start of the process`);
  console.log(`${"".padEnd(26)}imported  first answer  second, by itself`);
  for (const [name, all] of starts) {
    const cells = [
      format(all.map(({ imported }) => imported)).padStart(8),
      format(all.flatMap(({ first }) => first ?? [])).padStart(14),
      format(all.flatMap(({ second }) => second ?? [])).padStart(19),
    ];
    console.log(name.padEnd(26) + cells.join(""));
  }
  return faults === 0 ? 0 : 1;
}

async function startOnce(
  deno: string,
  tool: string,
  url: string,
  env: Readonly<Record<string, string>>,
): Promise<{ start: Start; hasResult: boolean }> {
  const body = aToolCall({
    ...{ tool, args: tools[tool], called: "+442079460123" },
    ...{ callId: "cold-ROUND", toolCallId: "call_ROUND" },
  });
  const name = tool.replaceAll("_", "-");
  const startedAt = Date.now();
  const { stdout, stderr, success } = await new Deno.Command(deno, {
    args: [
      ...["run", "-A", "--no-check", "--quiet", "--no-lock"],
      ...[program, name, url, body],
    ],
    cwd: root,
    env: { ...env, LOG_LEVEL: "error", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  if (!success) throw new Error(`${name} did not start:\n${new TextDecoder().decode(stderr)}`);
  const { importedAt, answeredAt: [first, second], heard } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  for (const body of heard) if (!body.includes('"result"')) console.log(`${name} answered ${body}`);
  return {
    start: {
      imported: importedAt - startedAt,
      first: first === undefined ? undefined : first - startedAt,
      second: first === undefined ? undefined : second - first,
    },
    hasResult: heard.every((body: string) => body.includes('"result"')),
  };
}

const format = (figures: readonly number[]): string =>
  figures.length === 0 ? "" : median(figures).toFixed(0);
