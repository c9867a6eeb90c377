/** Texts about appointments: who is told what, and only while it is true. */
import assert from "node:assert/strict";
import { composeAppointmentText } from "../../shared/appointment_text.ts";
import type { ClaimedText } from "../../shared/database/appointment_texts.ts";
import { toGsmText } from "../../shared/gsm.ts";
import { aBooking, cancel, moveTo, statesOf } from "../support/appointment_texts.ts";
import { aDay, aPhone, type Bench, type Clinic, testWithBench as test } from "../support/clinic.ts";
import { aHold, aTextingClinic } from "../support/phone_call.ts";
import { sendDue } from "../support/text_answers.ts";
import { aMember, askAs, asMember } from "../support/staff.ts";

const tellOf = (bench: Bench, clinic: Clinic, kinds: readonly string[]) =>
  bench.database.sql`
    update public.organizations set change_texts = ${kinds.includes("change")},
      cancellation_texts = ${kinds.includes("cancellation")} where id = ${clinic.id}`;

test("a booking is confirmed by one text, which says when, with whom and where, and not why", async (bench) => {
  const clinic = await aTextingClinic(bench);
  await bench.database.sql`update public.organizations set address = '12 High Street, London'`;
  const booking = await aBooking(bench, clinic);
  assert.deepEqual(booking.told(), []);
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.deepEqual(await sendDue(bench), {});
  const [body = ""] = booking.told();
  assert.equal(booking.told().length, 1);
  assert.match(
    body,
    /^Sunrise Dental: you are booked for \w+ \d+ \w+ at 10 AM with Dr Number 1\. /,
  );
  assert.match(body, / 12 High Street, London\. Call us to change it\. STOP to end texts\.$/);
  assert.doesNotMatch(body, /consultation|Ada/i);
  assert.deepEqual(await statesOf(bench), ["confirmation sent"]);
});

test("a booking that is rolled back leaves no text", async (bench) => {
  const call = await aHold(bench);
  const { sql } = bench.database;
  await sql.begin(async (tx) => {
    await tx`select private.confirm_hold(a.org_id, a, now(), now())
      from public.appointments as a where a.id = ${call.holdId}`;
    const texts = await tx`select from public.appointment_texts`;
    assert.equal(texts.length, 1);
    throw new Error("undone");
  }).catch(({ message }) => assert.equal(message, "undone"));
  assert.deepEqual(await statesOf(bench), []);
});

test("a caller who cancels before the text is sent is not told about a booking", async (bench) => {
  const booking = await aBooking(bench);
  assert.equal((await cancel(booking)).outcome, "cancelled");
  assert.deepEqual(await sendDue(bench), {});
  assert.deepEqual(booking.told(), []);
  assert.deepEqual(await statesOf(bench), ["confirmation dropped outdated"]);
});

test("a caller who moves before the text is sent is told only the new time", async (bench) => {
  const booking = await aBooking(bench);
  assert.equal((await moveTo(booking, "15:00")).outcome, "rescheduled");
  assert.equal((await moveTo(booking, "16:30")).outcome, "rescheduled");
  await sendDue(bench);
  assert.equal(booking.told().length, 1);
  assert.match(booking.told()[0] ?? "", /you are booked for .* at 4:30 PM/);
});

test("moves and cancellations are texted only if the clinic wants that", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const quiet = await aBooking(bench, clinic);
  await sendDue(bench);
  await moveTo(quiet, "12:00");
  await cancel(quiet);
  assert.deepEqual(await sendDue(bench), {});

  await tellOf(bench, clinic, ["change", "cancellation"]);
  const told = await aBooking(bench, clinic);
  await sendDue(bench);
  assert.equal((await moveTo(told, "15:00")).outcome, "rescheduled");
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.match(told.told()[1] ?? "", /: your appointment is now on .* at 3 PM with /);
  assert.equal((await cancel(told)).outcome, "cancelled");
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.match(told.told()[2] ?? "", /: your appointment on .* at 3 PM with .* is cancelled\. /);
  assert.equal(told.told().length, 3);
});

test("the desk's bookings are texted to proven numbers, and to others if the desk asks for it", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 2 });
  await tellOf(bench, clinic, ["change", "cancellation"]);
  const { sql } = bench.database;
  const member = await aMember(sql, clinic.id, "desk");
  const ask = asMember(sql, member, clinic);
  const book = (time: string, phone: string | null, more: object = {}) =>
    ask("staff_book", {
      p_slot_id: `consultation/${aDay()}T${time}`,
      ...{ p_patient_name: "Ben Gray", p_patient_phone: phone },
      ...more,
    });
  const stranger = aPhone();
  assert.equal((await book("09:00", null)).outcome, "booked");
  assert.equal((await book("09:30", stranger)).outcome, "booked");
  assert.deepEqual(await statesOf(bench), []);
  const booked = await book("11:00", stranger, { p_texts: true });
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  const moved = await ask("staff_move", {
    p_appointment: booked["appointmentId"],
    p_slot_id: `consultation/${aDay()}T14:00`,
  });
  assert.equal(moved.outcome, "moved");
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  await ask("staff_cancel", { p_appointment: moved["appointmentId"] });
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.deepEqual(
    bench.twilio.messages.map(({ to, body }) => [to, / (booked|now|cancelled)/.exec(body)?.[1]]),
    [[stranger, "booked"], [stranger, "now"], [stranger, "cancelled"]],
  );
  // A passcode has proven this one.
  const patient = await aBooking(bench, clinic, "17:00");
  await sendDue(bench);
  assert.equal((await book("18:00", patient.phone)).outcome, "booked");
  assert.deepEqual(await sendDue(bench), { sent: 1 });
});

test("what staff entered is texted only if it is a phone in one of the clinic's countries", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 4 });
  const { sql } = bench.database;
  const member = await aMember(sql, clinic.id, "desk");
  for (const phone of ["+447012345678", "+4930123456", "+18005550123"]) {
    await askAs(sql, member, "staff_book", {
      ...{ p_org: clinic.id, p_slot_id: `consultation/${aDay()}T09:00`, p_texts: true },
      ...{ p_patient_name: "Ben Gray", p_patient_phone: phone },
    });
  }
  assert.deepEqual(await sendDue(bench), { failed: 3 });
  assert.equal(bench.twilio.postCount, 0);
  assert.deepEqual((await statesOf(bench)).sort(), [
    "confirmation failed bad_destination",
    "confirmation failed bad_destination",
    "confirmation failed blocked_country",
  ]);
});

test("a number that has opted out, or that the desk has blocked, is not texted", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 3 });
  const { sql } = bench.database;
  const bookings = [];
  for (let n = 0; n < 3; n++) bookings.push(await aBooking(bench, clinic));
  const [stopped, blocked] = bookings;
  await sql`insert into public.sms_opt_outs (org_id, phone_hash)
    values (${clinic.id}, sha256(convert_to(${stopped?.phone ?? ""}, 'UTF8')))`;
  await sql`insert into public.blocked_numbers (org_id, phone_hash, phone_masked, blocked_by)
    values (${clinic.id}, sha256(convert_to(${blocked?.phone ?? ""}, 'UTF8')), '***00',
      gen_random_uuid())`;
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.deepEqual(bookings.map((booking) => booking.told().length), [0, 0, 1]);
  assert.deepEqual(await statesOf(bench), [
    "confirmation dropped opted_out",
    "confirmation dropped blocked",
    "confirmation sent",
  ]);
});

test("an erased patient's text is not sent", async (bench) => {
  const booking = await aBooking(bench);
  const [row] = await bench.database.sql`
    select public.erase_patient(${booking.clinic.id}, ${booking.phone}, 'Ada Brown') as answer`;
  assert.equal(row?.["answer"].outcome, "erased");
  assert.deepEqual(await statesOf(bench), []);
  assert.deepEqual(await sendDue(bench), {});
});

test("neither logs nor the audit log contain the number or the words of a text", async (bench) => {
  const booking = await aBooking(bench);
  const before = bench.lines.length;
  await sendDue(bench);
  const [{ said } = { said: "" }] = await bench.database.sql<{ said: string }[]>`
    select string_agg(to_jsonb(l)::text, ' ') as said from public.audit_logs as l
    where l.action = 'text_appointment'`;
  assert.match(said, /"outcome": ?"sent"/);
  for (const text of [said, bench.lines.slice(before).join("\n")]) {
    assert.ok(!text.includes(booking.phone.slice(-9)) && !/booked for/.test(text));
  }
});

const claimed: ClaimedText = {
  orgId: "",
  sendId: "",
  kind: "confirmation",
  phone: "+447700900123",
  countries: ["GB"],
  clinic: "Sunrise Dental",
  address: null,
  offersAnswer: false,
  language: "en",
  words: {},
  startTime: "2027-03-02T14:30:00+00:00",
  secondsLeft: 3600,
  doctor: "Dr Amara Patel",
  callBack: "+442079460123",
};

Deno.test("a text is one segment of GSM-7, however long the names are, and keeps the time", () => {
  const long = "Zahnärztezentrum Überlingen-Süd „am Ümläutplatz“ ".repeat(3);
  for (const kind of ["confirmation", "change", "cancellation", "reminder"] as const) {
    for (const address of [null, "12 High Street, London", long.slice(0, 80)]) {
      for (const name of ["Dr Ng", long, "日本太郎"]) {
        for (const startTime of [claimed.startTime, "2027-09-29T00:00:00+01:00"]) {
          const text = { ...claimed, kind, address, clinic: name, doctor: name, startTime };
          const body = composeAppointmentText(text, undefined);
          assert.ok(body.length <= 160, body);
          assert.equal(toGsmText(body, 160), body);
          assert.match(body, /Tuesday 2 March at 2:30 PM|start of Wednesday 29 September/);
        }
      }
    }
  }
  assert.equal(
    composeAppointmentText(claimed, undefined),
    "Sunrise Dental: you are booked for Tuesday 2 March at 2:30 PM with Dr Amara Patel. " +
      "Call +442079460123 to change it. STOP to end texts.",
  );
});
