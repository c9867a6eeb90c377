/** A tool call that is delivered again, late: the caller's newer wishes stay. */
import assert from "node:assert/strict";
import {
  aCaller,
  type Caller,
  type Line,
  readCode,
  sendCode,
  statesOf,
  testWithLines as test,
} from "../support/callers.ts";
import { aClinic, aDay, letTimePass } from "../support/clinic.ts";
import { anAppointment, code, complete, envelope, hold, send, slot } from "../support/requests.ts";

const verify = (line: Line, caller: Caller, toolCallId: string) =>
  line.ask("verify_otp_and_confirm", caller, {
    ...envelope(caller, toolCallId),
    p_macs: [{ keyId: "v1", mac: code.padStart(64, "0") }],
  });

test("a late hold_slot for the time that was held already does not undo the next choice", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00", "t1");
  assert.equal((await hold(one, caller, "10:00", "t2")).outcome, "held");
  await hold(one, caller, "12:00", "t3");
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "12:00 held"]);
  await hold(one, caller, "10:00", "t2");
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "12:00 held"]);
});

test("the newer choice is what the code confirms", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00", "t1");
  await hold(one, caller, "10:00", "t2");
  assert.equal((await hold(one, caller, "12:00", "t3")).outcome, "held");
  await sendCode(one, caller, code);
  await hold(one, caller, "10:00", "t2");
  assert.equal((await readCode(one, caller, code)).outcome, "confirmed");
  assert.equal((await statesOf(bench)).find((state) => /confirmed/.test(state)), "12:00 confirmed");
});

test("a late hold_slot does not hold again what the caller has given up", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00", "t1");
  await hold(one, caller, "10:00", "t2");
  const given = await one.ask("cancel_appointment", caller, { p_date: { date: aDay() } });
  assert.equal(given.outcome, "hold_released");
  await hold(one, caller, "10:00", "t2");
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled"]);
});

test("a late hold_slot that was refused does not undo the next choice", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const other = aCaller(clinic);
  await hold(one, other, "10:00");
  assert.equal((await hold(one, caller, "10:00", "t1")).outcome, "slot_taken");
  await hold(one, caller, "12:00", "t2");
  await hold(one, other, "14:00");
  await hold(one, caller, "10:00", "t1");
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "12:00 held", "14:00 held"]);
});

test("a hold_slot that was refused is decided again while its patient has no time", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const other = aCaller(clinic);
  await hold(one, other, "10:00");
  assert.equal((await hold(one, caller, "10:00", "t1")).outcome, "slot_taken");
  await hold(one, other, "12:00");
  assert.equal((await hold(one, caller, "10:00", "t1")).outcome, "held");
});

test("a late hold_slot whose hold has expired does not undo the next choice", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00", "t1");
  await sql`update public.appointments set expires_at = now() - interval '1 s'`;
  await hold(one, caller, "12:00", "t2");
  await hold(one, caller, "10:00", "t1");
  assert.equal((await statesOf(bench)).at(-1), "12:00 held");
});

test("a late send_otp that has texted does not confirm a later hold", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const id = crypto.randomUUID();
  await hold(one, caller, "10:00");
  assert.equal((await send(one, caller, "s1", id)).outcome, "claimed");
  await complete(one, caller, id);
  assert.equal((await readCode(one, caller, code)).outcome, "confirmed");
  await hold(one, caller, "12:00");
  const late = await send(one, caller, "s1", crypto.randomUUID());
  assert.deepEqual([late.outcome, await statesOf(bench)], ["already_sent", [
    "10:00 confirmed",
    "12:00 held",
  ]]);
});

test("a late send_otp that has texted texts no other number", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const { holdId } = await hold(one, caller, "10:00");
  const late = (named: string | null, corrected: Caller) =>
    one.ask("begin_otp_send", corrected, {
      ...envelope(corrected, named === null ? "s1" : "s2"),
      ...{ p_hold: named, p_key_id: "v1", p_mac: code.padStart(64, "0"), p_sender: null },
      ...{ p_send_id: crypto.randomUUID(), p_expected_org: clinic.id },
    });
  const named = String(holdId);
  assert.equal((await late(null, caller)).outcome, "claimed");
  await letTimePass(sql, clinic.id, 31);
  assert.equal((await late(named, caller)).outcome, "claimed");
  // The patient gives another number, and takes another time.
  const corrected = { ...caller, phone: "+447700900777", from: caller.phone };
  assert.equal((await hold(one, corrected, "12:00")).outcome, "held");
  assert.deepEqual(await statesOf(bench), ["10:00 cancelled", "12:00 held"]);
  for (const id of [null, named]) {
    const { outcome, phoneEnding } = await late(id, corrected);
    assert.deepEqual([outcome, phoneEnding], ["already_sent", caller.phone.slice(-2)]);
  }
  assert.equal((await send(one, corrected, "s3")).outcome, "claimed");
});

test("a late send_otp that was told to wait does not confirm a later hold", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const id = crypto.randomUUID();
  await hold(one, caller, "10:00");
  await send(one, caller, "s1", id);
  await complete(one, caller, id);
  assert.equal((await send(one, caller, "s2", crypto.randomUUID())).outcome, "cooldown");
  assert.equal((await readCode(one, caller, code)).outcome, "confirmed");
  await hold(one, caller, "12:00");
  const late = await send(one, caller, "s2", crypto.randomUUID());
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "12:00 held"]);
  assert.equal(late.outcome, "already_confirmed");
  assert.match(String(late["startTime"]), /T10:00/);
});

test("a late send_otp that was told to wait replaces no code", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  assert.equal((await send(one, caller, "s1")).outcome, "claimed");
  assert.equal((await send(one, caller, "s2")).outcome, "cooldown");
  await letTimePass(sql, clinic.id, 31);
  assert.equal((await sendCode(one, caller, "777777")).outcome, "claimed");
  await letTimePass(sql, clinic.id, 31);
  assert.equal((await send(one, caller, "s2")).outcome, "cooldown");
  assert.equal((await readCode(one, caller, "777777")).outcome, "confirmed");
});

test("a late hold_slot for the new time of a move does not hold again what was given up", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, clinic, "10:00");
  await one.ask("reschedule_appointment", caller, slot("11:00"));
  assert.equal((await hold(one, caller, "11:00", "h1")).outcome, "held");
  assert.equal((await one.ask("cancel_appointment", caller)).outcome, "code_needed");
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "11:00 cancelled"]);
  await hold(one, caller, "11:00", "h1");
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "11:00 cancelled"]);
});

test("a late send_otp for a move that was told to wait hears of the move", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, clinic, "10:00");
  const id = crypto.randomUUID();
  await one.ask("reschedule_appointment", caller, slot("11:00"));
  await send(one, caller, "s1", id);
  await complete(one, caller, id);
  assert.equal((await send(one, caller, "s2")).outcome, "cooldown");
  assert.equal((await readCode(one, caller, code)).outcome, "rescheduled");
  await hold(one, caller, "15:00");
  const late = await send(one, caller, "s2");
  assert.deepEqual([late.outcome, await statesOf(bench)], ["rescheduled", [
    "10:00 cancelled",
    "11:00 confirmed",
    "15:00 held",
  ]]);
});

test("a late verify_otp that found nothing to do does not confirm a later hold", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await sendCode(one, caller, code);
  assert.equal((await verify(one, caller, "v1")).outcome, "confirmed");
  assert.equal((await verify(one, caller, "v2")).outcome, "already_confirmed");
  await hold(one, caller, "12:00");
  await verify(one, caller, "v1");
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "12:00 held"], "v1");
  await verify(one, caller, "v2");
  assert.deepEqual(await statesOf(bench), ["10:00 confirmed", "12:00 held"], "v2");
});

test("a late verify_otp that came after its hold costs the next code no attempt", async ({ sql, one }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  await hold(one, caller, "10:00");
  await sendCode(one, caller, code);
  await sql`update public.appointments set expires_at = clock_timestamp()`;
  const first = await verify(one, caller, "v1");
  assert.equal(first.outcome, "hold_expired");
  await hold(one, caller, "12:00");
  await sql`update public.one_time_passcodes set claimed_at = now() - interval '1 minute'`;
  await sendCode(one, caller, "777777");
  assert.equal((await verify(one, caller, "v1")).outcome, "hold_expired");
});
