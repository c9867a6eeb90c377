/** The fault campaign: every promise holds, and a mistake is found. */
import assert from "node:assert/strict";
import { runCampaign } from "../campaign/campaign.ts";
import { make, mistakes } from "../campaign/mistakes.ts";
import { withBench } from "../support/clinic.ts";

const options = { sanitizeOps: false, sanitizeResources: false };
const seed = Math.floor(Math.random() * 1e9);

Deno.test({
  name: `sixty calls with faults, crashes and races keep every promise (seed ${seed})`,
  ...options,
  fn: () =>
    withBench(async (bench) => {
      const { findings, texts, unclear } = await runCampaign(bench, { seed, runs: 60 });
      assert.deepEqual(findings, [], `deno task campaign --seed ${seed} --runs 60`);
      assert.ok(unclear < 30, `${unclear} sequences were given up`);
      assert.ok(texts > 30, `${texts} texts`);
    }),
});

// All of them: deno task campaign --mistakes.
for (const mistake of mistakes.slice(0, 3)) {
  Deno.test({
    name: `the campaign finds ${mistake.name} (seed ${seed})`,
    ...options,
    fn: () =>
      withBench(async (bench) => {
        await make(bench, mistake);
        const { findings } = await runCampaign(bench, { seed, runs: 300, width: 4, isBrief: true });
        assert.notDeepEqual(findings, []);
      }),
  });
}
