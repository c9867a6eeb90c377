/** The validation task: every finding is answered, and one that is not fails the task. */
import assert from "node:assert/strict";
import { findings } from "../validate/findings.ts";
import { look } from "../validate/run.ts";
import { testWithBench as test } from "../support/clinic.ts";

const root = new URL("../../", import.meta.url);

async function validate(...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", "tests/validate/run.ts", ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test("deno task validate answers all findings, each with what it saw", async () => {
  const { code, output } = await validate();
  assert.equal(code, 0, output);
  for (const { name } of findings) {
    assert.match(output, new RegExp(`^ok +\\d+ ${name} +\\S.{20,}$`, "m"));
  }
  assert.match(output, new RegExp(`^${findings.length} findings answered, 0 not, `, "m"));
});

Deno.test("deno task validate takes no arguments", async () => {
  const { code, output } = await validate("--fast");
  assert.equal(code, 2);
  assert.match(output, /Unknown option '--fast'/);
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
