/** The fault campaign: every promise holds, and a mistake is found. */
import assert from "node:assert/strict";
import { runCampaign } from "../campaign/campaign.ts";
import { make, type Mistake, mistakes } from "../campaign/mistakes.ts";
import { testWithBench as test } from "../support/clinic.ts";
import { leaveOnly, legs } from "../support/guarantee.ts";
import { atLength, isFull } from "../support/length.ts";

const runs = atLength({ short: 10, full: 200 });
// The gate plays the same sequences each time; `deno task campaign` draws others.
const seed = 244853297;

test(`${runs} calls with faults, crashes and races keep every promise (seed ${seed})`, async (bench) => {
  const { findings, texts, unclear } = await runCampaign(bench, { seed, runs });
  assert.deepEqual(findings, [], `deno task campaign --seed ${seed} --runs ${runs}`);
  assert.ok(unclear < runs / 2, `${unclear} sequences were given up`);
  assert.ok(texts > runs / 2, `${texts} texts`);
});

if (isFull) {
  for (const leg of legs) {
    const some = runs / 4;
    test(`with ${leg} alone, ${some} calls keep every promise (seed ${seed})`, async (bench) => {
      await leaveOnly(leg, bench.database.sql);
      const { findings } = await runCampaign(bench, { seed, runs: some });
      assert.deepEqual(findings, []);
    });
  }
}

const findsMistake = (mistake: Mistake) =>
  test(`the campaign finds ${mistake.name} (seed ${seed})`, async (bench) => {
    await make(bench, mistake);
    const { findings } = await runCampaign(bench, { seed, runs: 300, width: 4, isBrief: true });
    assert.notDeepEqual(findings, []);
  });

// Briefly: the mistake that is found soonest; at full length: the first three, and the last. All of
// them: deno task campaign --mistakes
const [first, last] = atLength({ short: [1, 2], full: [0, 3] });
for (const mistake of mistakes.slice(first, last)) findsMistake(mistake);
for (const mistake of isFull ? mistakes.slice(-1) : []) findsMistake(mistake);
