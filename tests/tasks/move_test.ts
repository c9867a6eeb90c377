/**
 * deno task move: a clinic moves from one project to another with everything, or does not move at all.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type postgres from "postgres";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import leaveMessage from "../../functions/leave-message/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import { readConfig } from "../../shared/config.ts";
import { claimWebhooks } from "../../shared/database/webhooks.ts";
import {
  createWebhookSecret,
  decryptWebhookSecret,
  encryptWebhookSecret,
} from "../../shared/webhook.ts";
import { claimTexts } from "../../shared/database/appointment_texts.ts";
import { startBudget } from "../../shared/deadline.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import { leftBehind, move } from "../../supabase/tasks/move.ts";
import { type Bench, testWithBench as test, withBench } from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";
import { someWait, start } from "../support/requests.ts";
import { aMember } from "../support/staff.ts";
import { runHere } from "../support/terminal.ts";

const keysThere = `v9:${btoa("n".repeat(32))}`;

interface Projects {
  readonly here: Bench;
  readonly there: Bench;
  run(slug: string, more?: readonly string[]): Promise<{ code: number; said: string }>;
}

/** Two projects with different keys. */
function testWithProjects(name: string, work: (projects: Projects) => Promise<void>): void {
  test(name, (here) =>
    withBench(async (there) => {
      const folder = await mkdtemp(join(tmpdir(), "move-test-"));
      const file = join(folder, "there.env");
      await writeFile(
        file,
        `SUPABASE_DB_URL=${there.database.url()}\nCREDENTIAL_KEYS=${keysThere}\n`,
      );
      const env = {
        SUPABASE_DB_URL: here.database.url(),
        CREDENTIAL_KEYS: here.environment["CREDENTIAL_KEYS"] ?? "",
      };
      try {
        await work({
          here,
          there,
          run: (slug, more = ["--yes"]) =>
            runHere(move, ["--org", slug, "--to", file, ...more], env),
        });
      } finally {
        await rm(folder, { recursive: true });
      }
    }));
}

/** The secret of the clinic's endpoint. */
const signing = createWebhookSecret();

/** A clinic with an endpoint, an appointment, an opt-out, a message and a member. */
async function aBusyClinic(bench: Bench) {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  const endpointId = crypto.randomUUID();
  const of = { orgId: clinic.id, endpointId };
  const secret = await encryptWebhookSecret(bench.runtime.config.credentialKeys, of, signing);
  // An old secret that cannot be read was replaced.
  await sql`select public.add_webhook(${clinic.id}, ${endpointId}, 'https://hooks.example/', null,
    false, ${sql.json({ ...secret, keyId: "lost" })})`;
  await sql`select public.change_webhook(${clinic.id}, ${endpointId}, 'rotated',
    ${sql.json({ ...secret })})`;
  const call = new PhoneCall(bench, clinic);
  await call.hold("10:00");
  await call.ask(sendOtp);
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
  const message = { callerName: "Ada Brown", callbackNumber: call.phone, message: "Call me back" };
  assert.equal((await call.ask(leaveMessage, message)).outcome, "left");
  await sql`insert into public.sms_opt_outs (org_id, phone_hash)
    values (${clinic.id}, private.hash_phone('+447700900999'))`;
  const member = await aMember(sql, clinic.id, "manager");
  return { clinic, call, member };
}

/** Every row of a clinic by table. */
async function rowsOf(sql: postgres.Sql, id: string): Promise<Record<string, string[]>> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
    where c.relkind in ('r', 'p') and n.nspname in ('public', 'private') order by 1`;
  const found: Record<string, string[]> = {};
  for (const { name } of tables) {
    const rows = await sql.unsafe(
      `select to_jsonb(t)::text as row from ${name} as t where org_id = $1 order by 1`,
      [id],
    );
    if (rows.length > 0) found[name] = rows.map(({ row }) => row);
  }
  return found;
}

/** The texts that a project would send now. */
async function claimedOf({ runtime }: Bench): Promise<string[]> {
  const claimed = await claimTexts(runtime.database.within(startBudget(5000)), 10);
  return claimed.outcome === "claimed" ? claimed.texts.map(({ kind }) => kind) : [claimed.outcome];
}

const moving = (rows: Record<string, string[]>) =>
  Object.fromEntries(
    Object.entries(rows).filter(([name]) =>
      !(name in leftBehind) &&
      !["public.org_credentials", "public.webhook_endpoints"].includes(name)
    ),
  );

testWithProjects(
  "a clinic arrives with all its rows, and works there",
  async ({ here, there, run }) => {
    const { clinic, call, member } = await aBusyClinic(here);
    const neighbour = await aTextingClinic(here);
    const before = await rowsOf(here.database.sql, clinic.id);
    const asked = await run(clinic.slug, ["--dry-run"]);
    assert.deepEqual([asked.code, /appointments 1.*\nNothing was moved/.test(asked.said)], [
      0,
      true,
    ]);
    assert.deepEqual(await rowsOf(here.database.sql, clinic.id), before);

    const moved = await run(clinic.slug);
    assert.equal(moved.code, 0, moved.said);
    assert.match(moved.said, new RegExp(`deno task vapi sync --org ${clinic.slug}`));
    assert.match(moved.said, new RegExp(`--email ${member.email} --role manager`));
    assert.ok(!moved.said.includes(call.phone));
    assert.deepEqual(moving(await rowsOf(there.database.sql, clinic.id)), moving(before));
    assert.deepEqual(Object.keys(await rowsOf(here.database.sql, clinic.id)), [
      "public.audit_logs",
    ]);

    const runtime = createRuntime(
      readConfig({ ...there.environment, CREDENTIAL_KEYS: keysThere }),
      openLog("error", () => {}),
      there.deadlines,
    );
    const sent = await claimWebhooks(runtime.database.within(startBudget(5000)), 10);
    assert.ok(sent.outcome === "claimed" && sent.messages.length === 2);
    for (const { secrets: [stored], ...one } of sent.messages) {
      assert.ok(stored);
      const { credentialKeys } = runtime.config;
      assert.equal(await decryptWebhookSecret(credentialKeys, one, stored), signing);
    }
    const again = new PhoneCall(there, clinic, call.phone);
    const patient = { patientName: "Ada Brown" };
    const asking = await again.ask(cancelAppointment, patient, { runtime });
    assert.equal(asking.outcome, "code_needed", asking.message);
    assert.equal((await again.ask(sendOtp, {}, { runtime })).outcome, "sent");
    const cancelled = await again.verify(again.code, { runtime });
    assert.equal(cancelled.outcome, "cancelled", cancelled.message);

    assert.equal((await new PhoneCall(here, clinic).hold("11:00")).outcome, "unknown_clinic");
    assert.equal((await new PhoneCall(here, neighbour).hold("11:00")).outcome, "held");
    for (const { database: { sql } } of [here, there]) {
      await sql`select public.seal_audit()`;
      const [row] = await sql`select public.verify_audit(${clinic.id}) as answer`;
      assert.equal(row?.["answer"].outcome, "intact");
    }
  },
);

testWithProjects(
  "what changes while the clinic is read goes with it, and what comes later is refused",
  async ({ here, there, run }) => {
    const { clinic } = await aBusyClinic(here);
    const { sql } = here.database;
    const desk = await sql.reserve();
    await desk`begin`;
    await desk`update public.appointments set status = 'no_show' where org_id = ${clinic.id}`;
    const moved = start(() => run(clinic.slug));
    await someWait(here, 1, moved.isOver);
    const late = start(() => new PhoneCall(here, clinic).hold("12:00"));
    await someWait(here, 2, late.isOver);
    await desk`commit`;
    desk.release();
    assert.equal((await moved.done).code, 0, (await moved.done).said);
    assert.notEqual((await late.done).outcome, "held");
    const arrived = await there.database.sql`
    select status from public.appointments where org_id = ${clinic.id}`;
    assert.deepEqual([...arrived], [{ status: "no_show" }]);
  },
);

testWithProjects("a clinic that cannot be moved stays as it was", async ({ here, there, run }) => {
  const { clinic } = await aBusyClinic(here);
  const { sql } = here.database;
  const before = await rowsOf(sql, clinic.id);
  const refused = async (reason: RegExp) => {
    const { code, said } = await run(clinic.slug);
    assert.equal(code, 1, said);
    assert.match(said, reason);
    assert.deepEqual(moving(await rowsOf(sql, clinic.id)), moving(before));
    assert.deepEqual(await rowsOf(there.database.sql, clinic.id), {});
  };
  // Another clinic in the other project has its number or its slug.
  const other = await aTextingClinic(there);
  await there.database.sql`
    update public.org_channels set value = ${clinic.number} where value = ${other.number}`;
  await refused(/belongs to the clinic .* in the other project; nothing was moved/);
  await there.database.sql`delete from public.org_channels where org_id = ${other.id}`;
  await there.database.sql`
    update public.organizations set slug = ${clinic.slug} where id = ${other.id}`;
  await refused(/has another clinic/);
  await there.database.sql`delete from public.organizations where id = ${other.id}`;

  const spoil = (from: string, to: string) =>
    sql`update public.webhook_endpoints set secrets = jsonb_set(secrets, '{0,keyId}', to_jsonb(${to}::text))
      where org_id = ${clinic.id} and secrets #>> '{0,keyId}' = ${from} returning id`;
  assert.equal((await spoil("v1", "gone")).length, 1);
  await refused(/The secret of an endpoint of .* cannot be read .* deno task webhooks rotate/);
  assert.equal((await spoil("gone", "v1")).length, 1);

  await sql`update public.org_credentials set ciphertext = '\\x00'
    where org_id = ${clinic.id}`;
  await refused(/cannot be read with this project's CREDENTIAL_KEYS/);

  const holding = new PhoneCall(here, clinic);
  assert.equal((await holding.hold("15:00")).outcome, "held");
  const { code, said } = await run(clinic.slug);
  assert.deepEqual([code, /1 callers of .* are booking; nothing was moved/.test(said)], [1, true]);
  assert.equal((await holding.send()).outcome, "sent");
});

testWithProjects("a clinic is not moved to the project in which it is", async ({ here, run }) => {
  const { clinic } = await aBusyClinic(here);
  const before = await rowsOf(here.database.sql, clinic.id);
  const folder = await mkdtemp(join(tmpdir(), "move-test-"));
  const file = join(folder, "here.env");
  await writeFile(file, `SUPABASE_DB_URL=${here.database.url()}\nCREDENTIAL_KEYS=${keysThere}\n`);
  try {
    const { code, said } = await run(clinic.slug, ["--to", file, "--yes"]);
    assert.match(said, /is the project that already has the clinic/);
    assert.equal(code, 2);
  } finally {
    await rm(folder, { recursive: true });
  }
  assert.deepEqual(await rowsOf(here.database.sql, clinic.id), before);
});

testWithProjects(
  "projects of different versions are refused, and so is anything that is not a project",
  async ({ here, there, run }) => {
    const { slug } = await aTextingClinic(here);
    const { sql } = there.database;
    await sql`update supabase_migrations.schema_migrations set version = '20991231'
    where version = (select max(version) from supabase_migrations.schema_migrations)`;
    assert.match((await run(slug)).said, /different migrations: deploy the same version to both/);
    await sql`alter table supabase_migrations.schema_migrations rename to others`;
    assert.match((await run(slug)).said, /The other database has no migrations/);
    assert.match((await run("nowhere")).said, /has no migrations|There is no clinic nowhere/);
  },
);

testWithProjects(
  "a copy that nobody used is replaced, one in use is not",
  async ({ here, there, run }) => {
    const { clinic } = await aBusyClinic(here);
    const before = moving(await rowsOf(here.database.sql, clinic.id));
    // The old project could not be written: simulated by bringing the clinic back here.
    const away = here.database.sql;
    await away`create function public.refuse() returns trigger language plpgsql as
    $$ begin raise exception 'the connection broke'; end $$`;
    await away`create constraint trigger refuse after delete on public.organizations
    deferrable initially deferred for each row execute function public.refuse()`;
    const broken = await run(clinic.slug);
    assert.deepEqual([broken.code, /takes its calls here as before/.test(broken.said)], [1, true]);
    assert.deepEqual(moving(await rowsOf(away, clinic.id)), before);
    assert.deepEqual(moving(await rowsOf(there.database.sql, clinic.id)), before);
    // The copy texts nobody: the clinic still does.
    assert.deepEqual(await claimedOf(there), []);
    await away`drop trigger refuse on public.organizations`;

    await there.database
      .sql`select private.audit(${clinic.id}, null, 'set_limits', null, 'changed')`;
    const used = await run(clinic.slug);
    assert.match(used.said, /is in the other project and in use there; nothing was moved/);
    await there.database.sql`
    delete from public.audit_logs where org_id = ${clinic.id} and action = 'set_limits'`;
    // A job of that project has cleaned up an expired hold.
    await there.database.sql`
    select private.audit(${clinic.id}, null, 'cleanup_expired_holds', null, 'expired')`;
    assert.equal((await run(clinic.slug)).code, 0);
    assert.deepEqual(moving(await rowsOf(there.database.sql, clinic.id)), before);
    assert.deepEqual(await claimedOf(there), ["confirmation"]);
  },
);

testWithProjects(
  "a move whose end was not written in the other project is completed by the next run",
  async ({ here, there, run }) => {
    const { clinic, member } = await aBusyClinic(here);
    const { sql } = there.database;
    await sql`create function public.refuse() returns trigger language plpgsql as
      $$ begin raise exception 'the connection broke'; end $$`;
    await sql`create trigger refuse before delete on private.arriving_clinics
      for each row execute function public.refuse()`;
    const broken = await run(clinic.slug);
    assert.equal(broken.code, 1);
    assert.match(
      broken.said,
      new RegExp(`--email ${member.email}[^]*texts about appointments wait`),
    );
    assert.deepEqual(await claimedOf(there), []);
    await sql`drop trigger refuse on private.arriving_clinics`;

    assert.match((await run(clinic.slug, ["--dry-run"])).said, /There is no clinic/);
    assert.deepEqual(await claimedOf(there), []);
    const ended = await run(clinic.slug);
    assert.deepEqual([ended.code, /is in the other project/.test(ended.said)], [0, true]);
    assert.deepEqual(await claimedOf(there), ["confirmation"]);
    assert.match((await run(clinic.slug)).said, /There is no clinic/);
  },
);

test("what is left behind is named, and nothing that moves refers to it", async ({ database: { sql } }) => {
  const known = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname in ('public', 'private')`;
  const names = known.map(({ name }) => name);
  assert.deepEqual(Object.keys(leftBehind).filter((name) => !names.includes(name)), []);
  const references = await sql<{ from: string; to: string }[]>`
    select k.conrelid::regclass::text as "from", k.confrelid::regclass::text as "to"
    from pg_constraint as k where k.contype = 'f'`;
  const full = (name: string) => name.includes(".") ? name : `public.${name}`;
  const broken = references.filter(({ from, to }) =>
    !(full(from) in leftBehind) && full(to) in leftBehind
  );
  assert.deepEqual([...broken], []);
});
