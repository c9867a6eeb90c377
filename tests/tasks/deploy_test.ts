/**
 * deno task deploy, before it changes anything: new settings, differences, and what it refuses. What it
 * changes is tested with Supabase's own CLI in tests/deploy.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { deploy } from "../../supabase/tasks/deploy.ts";
import { findOtherProject, makePlan } from "../../supabase/tasks/deploy/plan.ts";
import {
  compareSettings,
  foresee,
  makeSecrets,
  pickSettings,
  type Settings,
} from "../../supabase/tasks/deploy/settings.ts";
import type { SupabaseCli } from "../../supabase/tasks/deploy/cli.ts";
import { encryptWebhookSecret } from "../../shared/webhook.ts";
import { aClinic, testWithBench } from "../support/clinic.ts";
import { runHere } from "../support/terminal.ts";

const project = "abcdefghijklmnopqrst";
const url = `https://${project}.supabase.co`;
const digest = (value: string) => createHash("sha256").update(value).digest("hex");

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "deploy-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const run = (args: readonly string[], env = {}) => runHere(deploy, args, env);

Deno.test("new settings are complete, readable by their owner only, and never replace existing ones", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "settings");
    assert.equal((await run(["settings", "--env", file])).code, 0);
    const text = await readFile(file, "utf8");
    const settings = pickSettings(Object.fromEntries(
      Object.entries(parseEnv(text)).map(([name, value]) => [name, value ?? ""]),
    ));
    assert.ok("config" in foresee(settings, [], url), text);
    assert.doesNotMatch(text, /^SUPABASE_/m);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const again = await run(["settings", "--env", file]);
    assert.equal(again.code, 2);
    assert.match(again.said, /settings exists; new secrets would make what is stored unreadable/);
    assert.equal(await readFile(file, "utf8"), text);
    const lost = await run(["settings", "--env", join(folder, "missing", "settings")]);
    assert.equal(lost.code, 2);
    assert.match(lost.said, /Cannot write .*missing\/settings \(ENOENT\)/);
  });
});

Deno.test("settings are compared with a project's secrets by their digests", () => {
  const stored = [
    { name: "LOG_LEVEL", value: digest("info") },
    { name: "METRICS_TOKEN", value: digest("the one before") },
    { name: "OTP_PEPPERS", value: digest("unseen") },
    { name: "OF_ANOTHER_PROGRAM", value: digest("theirs") },
  ];
  const settings = { LOG_LEVEL: "info", METRICS_TOKEN: "the new one", VAPI_SECRETS: "new" };
  assert.deepEqual(compareSettings(settings, stored), {
    added: ["VAPI_SECRETS"],
    changed: ["METRICS_TOKEN"],
    same: ["LOG_LEVEL"],
    kept: ["OTP_PEPPERS"],
  });
  // The operator's own variables do not go to the functions.
  const file = { SUPABASE_DB_URL: "postgres://", VAPI_API_KEY: "key", LOG_LEVEL: "info" };
  assert.deepEqual(pickSettings(file), { LOG_LEVEL: "info" });
});

Deno.test("a secret that only the project has is not missing, and the others are named", () => {
  const { OTP_PEPPERS: _, ...settings } = makeSecrets();
  assert.ok("config" in foresee(settings, ["OTP_PEPPERS"], url));
  const foreseen = foresee(settings, [], url);
  assert.match("problem" in foreseen ? foreseen.problem : "", /OTP_PEPPERS/);
  assert.ok("problem" in foresee({}, ["OTP_PEPPERS", "CREDENTIAL_KEYS"], url));
  assert.ok("config" in foresee({}, ["OTP_PEPPERS", "CREDENTIAL_KEYS", "VAPI_HMAC_SECRETS"], url));
});

Deno.test("the database of another project is refused", async () => {
  const of = (db: string) => findOtherProject({ project, url, db });
  const other = "b".repeat(20);
  assert.equal(of(`postgres://postgres:p@db.${project}.supabase.co:5432/postgres`), undefined);
  assert.equal(of(`postgres://postgres.${project}:p@x.pooler.supabase.com/postgres`), undefined);
  assert.equal(of("postgres://postgres:p@127.0.0.1:5432/postgres"), undefined);
  assert.equal(of(`postgres://postgres:p@db.${other}.supabase.co:5432/postgres`), other);
  const pooler = `postgres://postgres.${other}:p@x.pooler.supabase.com:5432/postgres`;
  assert.equal(of(pooler), other);
  const { code, said } = await run(["--project", project, "--db", pooler, "--apply"]);
  assert.deepEqual([code, said], [
    2,
    `The database is that of project ${other}, not of ${project}`,
  ]);
});

Deno.test("a missing or old CLI, project or database is named, with what to do", async () => {
  const given = ["--project", project, "--db", "postgres://postgres@127.0.0.1:9/postgres"];
  const missing = await run(given, { SUPABASE_CLI: "/nowhere/supabase" });
  assert.equal(missing.code, 2);
  assert.match(missing.said, /CLI is not there: install it with npm install --global supabase@3/);
  await inFolder(async (folder) => {
    const old = join(folder, "supabase");
    await writeFile(old, "#!/bin/sh\necho 2.33.7\n");
    await chmod(old, 0o755);
    const { code, said } = await run(given, { SUPABASE_CLI: old });
    assert.equal(code, 2);
    assert.match(said, /is Supabase's CLI 2\.33\.7, and 3 or later is needed/);
  });
  assert.match((await run(["--project", "Sunrise", ...given.slice(2)])).said, /twenty letters/);
  assert.match((await run(["--project", project])).said, /Set SUPABASE_DB_URL or give --db/);
});

/** A project with these secrets, all functions and nothing else. */
function aCli(secrets: Settings, status = "ACTIVE_HEALTHY"): SupabaseCli {
  const answers: Readonly<Record<string, unknown>> = {
    projects: { projects: [{ ref: project, name: "Ours", region: "eu-west-1", status }] },
    secrets: {
      secrets: Object.entries(secrets).map(([name, value]) => ({ name, value: digest(value) })),
    },
    functions: { functions: [{ slug: "hold-slot", status: "ACTIVE", version: 1 }] },
  };
  return {
    read: ([what = ""], shape) => Promise.resolve(shape.parse(answers[what])),
    change: () => assert.fail("a plan changes nothing"),
  };
}

testWithBench("a plan says what is to come, and what must not happen", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aClinic(sql);
  await bench.provision(clinic);
  const target = { project, url, db: bench.database.url() };
  const settings = pickSettings(bench.environment);
  const plan = async (cli: SupabaseCli, given: Settings, isFunctionsOnly = false) => {
    const { checks } = await makePlan(cli, target, given, isFunctionsOnly);
    return {
      said: checks.map(({ name }) => name).join("\n"),
      wrong: checks.flatMap(({ problems }) => problems.map(({ what }) => what)).join("\n"),
    };
  };
  const { METRICS_TOKEN: _, ...before } = settings;
  const first = await plan(aCli(before), settings);
  assert.equal(first.wrong, "");
  assert.match(first.said, /^migrations: none to come$/m);
  assert.match(first.said, /^secrets: 1 to set \(METRICS_TOKEN\), none to change, \d+ stay$/m);
  assert.match(first.said, /^functions: \d+ to deploy, \d+ of them new \((?!.*hold-slot)/m);
  assert.match((await plan(aCli(settings, "INACTIVE"), settings)).wrong, /^it is INACTIVE$/);
  const { CREDENTIAL_KEYS: keys = "" } = makeSecrets();
  const others = { ...settings, CREDENTIAL_KEYS: keys.replace("v1:", "new:") };
  assert.match(
    (await plan(aCli(settings), others)).wrong,
    new RegExp(`^CREDENTIAL_KEYS does not decrypt the stored Twilio accounts of ${clinic.slug}$`),
  );
  const endpointId = crypto.randomUUID();
  const of = { orgId: clinic.id, endpointId };
  const secret = await encryptWebhookSecret(bench.runtime.config.credentialKeys, of, "whsec_");
  await sql`select public.add_webhook(${clinic.id}, ${endpointId}, 'https://hooks.example/', null,
    false, ${sql.json({ ...secret })})`;
  const wrong = (await plan(aCli(settings), others)).wrong.split("\n");
  assert.equal(
    wrong[1],
    `CREDENTIAL_KEYS does not decrypt the signing secrets of the webhooks of ${clinic.slug}`,
  );
  await sql`delete from public.org_credentials`;
  assert.deepEqual((await plan(aCli(settings), others)).wrong.split("\n"), wrong.slice(1));
  const both = `${others.CREDENTIAL_KEYS},${settings["CREDENTIAL_KEYS"]}`;
  assert.equal((await plan(aCli(settings), { ...settings, CREDENTIAL_KEYS: both })).wrong, "");
  await sql`insert into supabase_migrations.schema_migrations (version) values ('20990101000000')`;
  assert.match((await plan(aCli(settings), settings)).wrong, /later .*: 20990101000000$/);
  assert.equal((await plan(aCli(settings), {}, true)).wrong, "");
  await sql`delete from supabase_migrations.schema_migrations where version like '%001500'`;
  assert.match((await plan(aCli(settings), {}, true)).wrong, /not applied: \d+001500$/);
});
