/** The audit log: who did what in a call, in the transaction that did it, whatever the outcome. */
import assert from "node:assert/strict";
import holdSlot from "../../functions/hold-slot/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import type { ServedTool } from "../../shared/request.ts";
import {
  aClinic,
  aDay,
  aPhone,
  type Bench,
  newestCode,
  testWithBench as test,
} from "../support/clinic.ts";

/** One call at a new clinic, and its audit rows. */
async function aCall(bench: Bench) {
  const clinic = await aClinic(bench.database.sql);
  await bench.provision(clinic);
  const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
  let count = 0;
  return {
    clinic,
    call,
    ask: (tool: ServedTool, args: object = {}) =>
      bench.ask(tool, {
        ...call,
        tool: tool.tool.name,
        toolCallId: `${tool.tool.name}-${++count}`,
        args,
      }),
    trail: () =>
      bench.database.sql`
        select action, outcome, actor, call_id, tool_call_id, caller_masked, subject_id, details
        from public.audit_logs where org_id = ${clinic.id} order by at`,
  };
}

test("a whole call is audited: every hold, send, attempt and confirmation, with who and what", async (bench) => {
  const { clinic, call, ask, trail } = await aCall(bench);
  const slotId = (time: string) => `consultation/${aDay()}T${time}`;
  await ask(holdSlot, { slotId: slotId("10:00"), patientName: "Ada" });
  const held = await ask(holdSlot, { slotId: slotId("14:00"), patientName: "Ada" });
  await ask(sendOtp);
  const code = newestCode(bench.twilio);
  await ask(verifyOtp, { code: code === "000000" ? "111111" : "000000" });
  await ask(verifyOtp, { code });
  await ask(verifyOtp, { code });

  const rows = await trail();
  assert.deepEqual(
    rows.map((row) => [row["action"], row["outcome"], row["tool_call_id"]]),
    [
      ["set_credentials", "stored", null],
      ["hold_slot", "held", "hold_slot-1"],
      ["hold_slot", "released", "hold_slot-2"],
      ["hold_slot", "held", "hold_slot-2"],
      // The account is read for the clinic; its cache serves many tool calls.
      ["read_credentials", "found", "send_otp-3"],
      ["send_otp", "claimed", "send_otp-3"],
      ["send_otp", "sent", "send_otp-3"],
      ["verify_otp", "wrong_code", "verify_otp-4"],
      ["confirm_appointment", "confirmed", "verify_otp-5"],
      ["verify_otp", "confirmed", "verify_otp-5"],
      ["verify_otp", "already_confirmed", "verify_otp-6"],
    ],
  );
  for (const row of rows.slice(1)) {
    assert.equal(row["actor"], "call");
    assert.equal(row["call_id"], call.callId);
    assert.equal(row["caller_masked"], `***${call.caller.slice(-2)}`);
  }
  const attempts = rows.filter(({ action }) => action === "verify_otp")
    .map(({ details }) => details.attempt ?? null);
  assert.deepEqual(attempts, [1, 2, null]);
  const subjects = rows.slice(3).filter(({ action }) => action !== "read_credentials");
  assert.ok(subjects.every(({ subject_id }) => subject_id === held.holdId));
  const text = JSON.stringify(rows);
  for (const secret of [code, call.caller, clinic.number, "Ada"]) {
    assert.ok(!text.includes(secret), `${secret} is in the audit log`);
  }
});

test("texts that fail, refusals and calls that name another clinic are audited too", async (bench) => {
  const { ask, trail } = await aCall(bench);
  const slotId = `consultation/${aDay()}T10:00`;
  await ask(holdSlot, { slotId, patientName: "Ada" });
  bench.twilio.addFault(21610);
  await ask(sendOtp);
  await ask(verifyOtp, { code: "123456" });
  await ask(verifyOtp, { code: "123456", holdId: crypto.randomUUID() });
  await ask(verifyOtp, { code: "123456", tenantId: crypto.randomUUID() });
  await bench.database.sql`update public.organizations set sms_countries = '{FR}'`;
  await ask(sendOtp);
  const rows = (await trail()).slice(2).filter(({ action }) => action !== "read_credentials");
  assert.deepEqual(
    rows.map(({ action, outcome, details }) => [action, outcome, details.reason ?? null]),
    [
      ["send_otp", "claimed", null],
      ["send_otp", "cleared", "opted_out"],
      ["verify_otp", "no_code", null],
      ["verify_otp", "hold_not_found", null],
      ["verify_otp", "cross_tenant_denied", null],
      ["send_otp", "blocked_country", null],
    ],
  );
  assert.equal(rows[1]?.["tool_call_id"], rows[0]?.["tool_call_id"]);
});

test("changes and expiry of a hold are audited: name, number, extension, expiry by claim and by job", async (bench) => {
  const { call, ask, trail } = await aCall(bench);
  const { sql } = bench.database;
  const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Ada" };
  const corrected = { ...args, patientName: "Ada Brown", patientPhone: "07700 900123" };
  await ask(holdSlot, args);
  await ask(holdSlot, args);
  await ask(holdSlot, { ...args, patientName: "Ada Brown" });
  await ask(holdSlot, corrected);
  await sql`update public.appointments set expires_at = now() + interval '1 minute'`;
  await ask(holdSlot, corrected);
  const expire = () =>
    sql`update public.appointments set expires_at = now() - interval '1 second'
      where status = 'held'`;
  await expire();
  const other = { ...call, callId: crypto.randomUUID(), caller: aPhone() };
  await bench.ask(holdSlot, { ...other, tool: "hold_slot", args });
  await expire();
  await sql`select public.cleanup_expired_holds()`;
  const rows = (await trail()).slice(1);
  assert.deepEqual(
    rows.map(({ action, outcome, actor }) => [action, outcome, actor]),
    [
      ["hold_slot", "held", "call"],
      ["hold_slot", "name_changed", "call"],
      ["hold_slot", "phone_changed", "call"],
      ["hold_slot", "extended", "call"],
      ["hold_slot", "expired", "system"],
      ["hold_slot", "held", "call"],
      ["cleanup_expired_holds", "expired", "system"],
    ],
  );
  await sql`select public.collect_metrics()`;
  const [counted] = await sql`select sum(value)::int as n from public.metric_totals
    where labels ->> 'outcome' = 'expired'`;
  assert.equal(counted?.["n"], 2);
});

test("a change that is rolled back leaves no audit row, and a row that cannot be written no change", async (bench) => {
  const { clinic, call, ask } = await aCall(bench);
  const { sql } = bench.database;
  const slotId = `consultation/${aDay()}T10:00`;
  const count = async () => {
    await sql`select public.collect_metrics()`;
    const [row] = await sql`select (select count(*)::int from public.appointments) as holds,
      (select count(*)::int from public.audit_logs where action = 'hold_slot') as rows,
      (select coalesce(sum(value), 0)::int from public.metric_totals
        where labels ->> 'action' = 'hold_slot') as counted`;
    return { ...row };
  };
  await assert.rejects(
    sql.begin(async (transaction) => {
      const [row] = await transaction`select public.claim_slot_atomic(${
        sql.json({ calledNumber: clinic.number, callId: call.callId, toolCallId: "1" })
      }, ${slotId}, 'Ada', ${call.caller}, 'GB') ->> 'outcome' as outcome`;
      assert.equal(row?.["outcome"], "held");
      throw new Error("rolled back");
    }),
    /rolled back/,
  );
  assert.deepEqual(await count(), { holds: 0, rows: 0, counted: 0 });

  await sql`revoke insert on public.audit_logs from postgres`;
  assert.equal((await ask(holdSlot, { slotId, patientName: "Ada" })).outcome, "error");
  assert.deepEqual(await count(), { holds: 0, rows: 0, counted: 0 });
  await sql`grant insert on public.audit_logs to postgres`;
  assert.equal((await ask(holdSlot, { slotId, patientName: "Ada" })).outcome, "held");
  assert.deepEqual(await count(), { holds: 1, rows: 1, counted: 1 });
});
