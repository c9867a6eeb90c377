/** The validation task: every finding is answered, and one that is not fails the task. */
import assert from "node:assert/strict";
import { findings } from "../validate/findings.ts";
import { look } from "../validate/run.ts";
import { testWithBench as test } from "../support/clinic.ts";
import { runApart } from "../support/terminal.ts";

const validate = (...args: string[]) =>
  runApart(["run", "-A", "--no-check", "--quiet", "tests/validate/run.ts", ...args]);

Deno.test("deno task validate answers all findings, each with what it saw", async () => {
  const { code, said } = await validate();
  assert.equal(code, 0, said);
  for (const { name } of findings) {
    assert.match(said, new RegExp(`^ok +\\d+ ${name} +\\S.{20,}$`, "m"));
  }
  assert.match(said, new RegExp(`^${findings.length} findings answered, 0 not, `, "m"));
});

Deno.test("deno task validate takes no arguments", async () => {
  const { code, said } = await validate("--fast");
  assert.equal(code, 2);
  assert.match(said, /Unknown option '--fast'/);
});

test("a finding counts as unanswered once its behaviour is gone", async (bench) => {
  const { sql } = bench.database;
  // Nothing is rolled back, kept or cleaned up.
  await sql.unsafe(`
    create or replace function public.cleanup_expired_holds(p_batch integer default 1000)
    returns integer language sql set search_path = '' as 'select 0';
    create or replace function public.apply_retention(
      p_dry_run boolean default false, p_batch integer default 1000)
    returns jsonb language sql set search_path = '' as 'select null::jsonb';
    revoke execute on function public.clear_otp_send from service_role`);
  const concerned = ["Passcode cleared on failure", "Clean-up", "Retention", "Metrics"];
  const failed = [];
  for (const finding of findings.filter(({ name }) => concerned.includes(name))) {
    const { holds } = await look(finding, bench);
    if (!holds) failed.push(finding.name);
  }
  assert.deepEqual(failed, ["Passcode cleared on failure", "Clean-up", "Retention"]);
});
