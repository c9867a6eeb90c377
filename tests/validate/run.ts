/**
 * `deno task validate`: exercises the behaviour that answers each finding of the code review that this
 * project began with, and prints the results.
 *
 * Starts its own database, gateway and fake Twilio, and removes them again.
 *
 * @module
 */

import { defineTask, main } from "../../supabase/tasks/task.ts";
import { type Bench, withBench } from "../support/clinic.ts";
import { type Finding, findings } from "./findings.ts";

const usage = `deno task validate
  checks every finding of the code review that this project began with, and prints what it observed
  exit code 0: all are answered, 1: one is not, 2: wrong arguments`;

/** The task. */
export const validate = defineTask({
  usage,
  options: {},
  run: async (_, { terminal }) => {
    const startedAt = performance.now();
    let failed = 0;
    await withBench(async (bench) => {
      for (const [index, finding] of findings.entries()) {
        const { holds, saw } = await look(finding, bench);
        if (!holds) failed++;
        const number = String(index + 1).padStart(2);
        terminal.print(
          `${holds ? "ok    " : "FAILED"} ${number} ${finding.name.padEnd(36)} ${saw}`,
        );
      }
    });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    terminal.print(`${findings.length - failed} findings answered, ${failed} not, ${seconds} s`);
    return failed === 0 ? 0 : 1;
  },
});

/** Checks one finding: whether it is answered, and what was seen. */
export async function look(
  finding: Finding,
  bench: Bench,
): Promise<{ holds: boolean; saw: string }> {
  try {
    return { holds: true, saw: await finding.check(bench) };
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return { holds: false, saw: message.replace(/\s+/g, " ") };
  }
}

if (import.meta.main) await main(validate);
