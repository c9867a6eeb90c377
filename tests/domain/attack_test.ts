/** An attack by many callers at once: what it can reach is bounded, and patients can still book. */
import assert from "node:assert/strict";
import { attack } from "../support/attack.ts";
import { testWithBench as test } from "../support/clinic.ts";
import { atLength } from "../support/length.ts";

const size = atLength({
  short: { attackers: 4, seconds: 2, patients: 4, doctors: 3 },
  full: { attackers: 4, seconds: 20, patients: 15, doctors: 3 },
});

test(`${size.attackers} callers attack for ${size.seconds} s: every patient books, and theirs is bounded`, async (bench) => {
  const report = await attack(bench, size);
  const { held, texts, guessed, patients, moved, numbers } = report;
  assert.deepEqual(patients, Array(size.patients).fill("confirmed"), JSON.stringify(report));
  assert.equal(guessed, 0);
  // Four for each number, ten for all callers who withhold theirs.
  assert.ok(held > 0 && held <= 4 * numbers + 10, `${held} times are held`);
  // Ten an hour for each number, and a tenth of the clinic's 200 for calls without one.
  assert.ok(texts > 0 && texts <= 10 * numbers + 20, `${texts} texts`);
  assert.equal(moved, "rescheduled", "the patient whom they know");
});
