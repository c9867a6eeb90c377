// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task campaign [--seed N] [--runs N] [--mistakes]`: a fault campaign on a database of its own.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { withBench } from "../support/clinic.ts";
import { runCampaign } from "./campaign.ts";
import { make, mistakes } from "./mistakes.ts";

const usage = `deno task campaign [--seed N] [--runs N] [--mistakes]
  --seed N    draws the same sequences again; a random one when left out
  --runs N    how many sequences; 300 when left out
  --mistakes  breaks one function after the other on purpose: the campaign must find each
  exit code 0: every promise held, 1: one did not (its shortest sequence is printed), or a
  mistake was not found, 2: wrong arguments`;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(usage);
    return 0;
  }
  const options = readOptions(args);
  if (typeof options === "string") {
    console.error(`${options}\n${usage}`);
    return 2;
  }
  console.log(`Fault campaign: ${options.runs} sequences, --seed ${options.seed}`);
  return options.mistakes ? await findMistakes(options) : await keepPromises(options);
}

interface Options {
  readonly seed: number;
  readonly runs: number;
  readonly mistakes: boolean;
}

async function keepPromises(options: Options): Promise<0 | 1> {
  const startedAt = performance.now();
  let code: 0 | 1 = 0;
  await withBench(async (bench) => {
    const { runs, steps, unclear, findings } = await runCampaign(bench, options);
    for (const { problem, steps } of findings) {
      code = 1;
      console.log(`BROKEN: ${problem}`);
      for (const step of steps) console.log(`  ${JSON.stringify(step)}`);
    }
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(
      `${runs} sequences, ${steps} steps, ${findings.length} broken promises, ` +
        `${unclear} given up since the machine was too slow, ${seconds} s`,
    );
  });
  return code;
}

async function findMistakes(options: Options): Promise<0 | 1> {
  let code: 0 | 1 = 0;
  for (const mistake of mistakes) {
    await withBench(async (bench) => {
      await make(bench, mistake);
      const { findings } = await runCampaign(bench, { ...options, width: 4, isBrief: true });
      if (findings.length === 0) code = 1;
      console.log(`${mistake.name}: ${findings[0]?.problem ?? "NOT FOUND"}`);
    });
  }
  return code;
}

function readOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seed: { type: "string" },
        runs: { type: "string", default: "300" },
        mistakes: { type: "boolean", default: false },
      },
    });
    const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
    const runs = Number(values.runs);
    if (!Number.isInteger(seed)) return `--seed takes a whole number, not ${values.seed}`;
    if (!Number.isInteger(runs) || runs < 1) {
      return `--runs takes a number from 1, not ${values.runs}`;
    }
    return { seed, runs, mistakes: values.mistakes };
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
