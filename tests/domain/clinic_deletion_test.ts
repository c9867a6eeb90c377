/** A clinic leaves: everything is deleted except its audit log, and nothing while somebody is booked. */
import assert from "node:assert/strict";
import sendOtp from "../../functions/send-otp/index.ts";
import { clinic as clinicTask } from "../../supabase/tasks/clinic.ts";
import { type Bench, testWithBench as test } from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";
import { runHere } from "../support/terminal.ts";

const runDeletion = (bench: Bench, slug: string, more: readonly string[] = ["--yes"]) =>
  runHere(clinicTask, ["delete", "--org", slug, ...more, "--db", bench.database.url()]);

test("a clinic without future appointments is deleted, and its audit log stays", async (bench) => {
  const { sql } = bench.database;
  const [clinic, other] = [await aTextingClinic(bench), await aTextingClinic(bench)];
  for (const each of [clinic, other]) {
    const call = new PhoneCall(bench, each);
    await call.hold("10:00");
    await call.ask(sendOtp);
    assert.equal((await call.verify(call.code)).outcome, "confirmed");
  }
  const refused = await runDeletion(bench, clinic.slug);
  assert.deepEqual([refused.code, /has 1 future appointments or holds/.test(refused.said)], [
    1,
    true,
  ]);
  await sql`update public.appointments set status = 'cancelled' where org_id = ${clinic.id}`;
  assert.equal((await runDeletion(bench, clinic.slug, [])).code, 2, "not agreed");
  await sql`select public.add_calendar_feed(${clinic.id}, null, 'Desk', ${"00".repeat(32)})`;
  await sql`select public.set_busy_calendar(${clinic.id}, 'doctor-1', 'https://calendar.example/')`;
  await sql`insert into public.time_off (org_id, provider_id, calendar_id, span)
    select org_id, provider_id, id, tstzrange(now(), now() + interval '1 hour')
    from public.busy_calendars where org_id = ${clinic.id}`;
  // A row waits for the transactions before it, also those of other tests on the same server.
  for (let sealed = 0; sealed === 0;) {
    await sql`select public.seal_audit()`;
    sealed = (await sql`select from private.audit_seals where org_id = ${clinic.id}`).length;
  }
  const deleted = await runDeletion(bench, clinic.slug);
  assert.equal(deleted.code, 0, deleted.said);

  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)`;
  const left: string[] = [];
  for (const { name } of tables) {
    const [row] = await sql.unsafe(`select from ${name} where org_id = $1 limit 1`, [clinic.id]);
    if (row) left.push(name);
  }
  assert.deepEqual(left.sort(), ["audit_logs", "private.audit_seals"]);
  const audited = await sql`select outcome from public.audit_logs
    where org_id = ${clinic.id} and action = 'delete_clinic'`;
  assert.equal(audited.length, 1);
  const [verified] = await sql`select public.verify_audit(${clinic.id}) as answer`;
  assert.equal(verified?.["answer"].outcome, "intact");
  assert.equal((await new PhoneCall(bench, clinic).hold("11:00")).outcome, "unknown_clinic");
  assert.equal((await new PhoneCall(bench, other).hold("11:00")).outcome, "held");
  assert.equal((await runDeletion(bench, clinic.slug)).code, 1, "it is gone");
});
