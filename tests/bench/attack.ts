// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench attack`: 200 callers attack one clinic for a minute. Prints what they achieve and
 * what a patient experiences in the meantime.
 *
 * @module
 */

import { attack } from "../support/attack.ts";
import { withBench } from "../support/clinic.ts";

/** Runs the attack and prints its result. */
export async function benchAttack(isQuick: boolean): Promise<void> {
  const size = {
    ...{ attackers: 200, seconds: isQuick ? 10 : 60, patients: isQuick ? 5 : 30, doctors: 3 },
  };
  await withBench(async (bench) => {
    const report = await attack(bench, size);
    const { requests, numbers, held, starts, texts, guessed, patients, waits, moved } = report;
    const sorted = waits.toSorted((a, b) => a - b);
    const seconds = (share: number) =>
      ((sorted[Math.floor(share * (sorted.length - 1))] ?? 0) / 1000).toFixed(1);
    console.log(
      `${size.attackers} callers from ${numbers} numbers and without one, ${size.seconds} s, ${requests} tool calls:
  times held     ${held} of a day of ${starts} starts (${4 * numbers + 10} allowed)
  texts          ${texts}
  codes guessed  ${guessed}
Meanwhile ${patients.length} patients booked with four tool calls each:
  ${count(patients)}
  waited         ${seconds(0.5)} s at the median, ${
        seconds(0.95)
      } s at the 95th percentile, for all answers
  the patient whose name and number they know, moving the appointment: ${moved}
What they heard: ${
        count(
          [...report.heard].flatMap(([key, times]) => Array<string>(times).fill(key)),
        )
      }`,
    );
  });
}

function count(values: readonly string[]): string {
  const counts = [...Map.groupBy(values, (value) => value)]
    .map(([value, all]) => [value, all.length] as const)
    .toSorted(([, a], [, b]) => b - a);
  return counts.map(([value, times]) => `${value} ${times}`).join(", ");
}
