/**
 * `deno task campaign [--seed N] [--runs N] [--mistakes]`: a fault campaign on its own database.
 *
 * @module
 */

import { defineTask, main, readNumber } from "../../supabase/tasks/task.ts";
import type { Terminal } from "../../supabase/tasks/terminal.ts";
import { withBench } from "../support/clinic.ts";
import { runCampaign } from "./campaign.ts";
import { make, mistakes } from "./mistakes.ts";

const usage = `deno task campaign [--seed N] [--runs N] [--mistakes]
  plays random calls with faults, crashes, races and late writes, and compares each step with a model
  --seed N    draw the same sequences again; a random seed if left out
  --runs N    how many sequences; 300 if left out
  --mistakes  break one function after another on purpose: the campaign must find each
  exit code 0: every promise held, 1: one did not (its shortest sequence is printed), or a
  mistake was not found, 2: wrong arguments`;

/** The task. */
export const campaign = defineTask({
  usage,
  options: {
    seed: { type: "string" },
    runs: { type: "string", default: "300" },
    mistakes: { type: "boolean", default: false },
  },
  run: async ({ values: { seed, runs, mistakes } }, { terminal }) => {
    const largest = 999_999_999;
    const options = {
      seed: seed === undefined
        ? Math.floor(Math.random() * largest)
        : readNumber("--seed", seed, { from: 0, to: largest }),
      runs: readNumber("--runs", runs, { from: 1, to: 1_000_000 }),
    };
    terminal.print(`Fault campaign: ${options.runs} sequences, --seed ${options.seed}`);
    return await (mistakes ? findMistakes : keepPromises)(options, terminal);
  },
});

interface Options {
  readonly seed: number;
  readonly runs: number;
}

async function keepPromises(options: Options, terminal: Terminal): Promise<0 | 1> {
  const startedAt = performance.now();
  let code: 0 | 1 = 0;
  await withBench(async (bench) => {
    const { runs, steps, unclear, findings } = await runCampaign(bench, options);
    for (const { problem, steps } of findings) {
      code = 1;
      terminal.print(`BROKEN: ${problem}`);
      for (const step of steps) terminal.print(`  ${JSON.stringify(step)}`);
    }
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    terminal.print(
      `${runs} sequences, ${steps} steps, ${findings.length} broken promises, ` +
        `${unclear} given up because the machine was too slow, ${seconds} s`,
    );
  });
  return code;
}

async function findMistakes(options: Options, terminal: Terminal): Promise<0 | 1> {
  let code: 0 | 1 = 0;
  for (const mistake of mistakes) {
    await withBench(async (bench) => {
      await make(bench, mistake);
      const { findings } = await runCampaign(bench, { ...options, width: 4, isBrief: true });
      if (findings.length === 0) code = 1;
      terminal.print(`${mistake.name}: ${findings[0]?.problem ?? "NOT FOUND"}`);
    });
  }
  return code;
}

if (import.meta.main) await main(campaign);
