/** Patients answer reminders by text: what confirms, what cancels, and what changes nothing. */
import assert from "node:assert/strict";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import smsInbound from "../../functions/sms-inbound/index.ts";
import { sign } from "../../supabase/local/twilio/reports.ts";
import { Fault } from "../../shared/errors.ts";
import { aDay, type Bench, testWithBench as test, withClaimFollowedBy } from "../support/clinic.ts";
import type { PhoneCall } from "../support/phone_call.ts";
import { aMember, askAs } from "../support/staff.ts";
import {
  aBookingFor,
  anAnsweringClinic,
  aReminder,
  remind,
  sendDue,
  statesOf,
  text,
  twoReminders,
  webhookOf,
} from "../support/text_answers.ts";

const outcomesOf = async ({ database }: Bench) =>
  (await database.sql<{ outcome: string }[]>`
    select outcome from public.text_answers order by received_at`).map(({ outcome }) => outcome);

/** Moves the start of everything at the clinic into the past, with what was texted about it. */
async function letItBegin({ bench, clinic }: PhoneCall): Promise<void> {
  const { sql } = bench.database;
  await sql`update public.appointments set starts_at = starts_at - interval '60 hours',
    ends_at = ends_at - interval '60 hours',
    busy = tstzrange(lower(busy) - interval '60 hours', upper(busy) - interval '60 hours')
    where org_id = ${clinic.id}`;
  await sql`update public.appointment_texts set starts_at = starts_at - interval '60 hours'
    where org_id = ${clinic.id}`;
}

test("a reminder offers to answer it, in one segment, and C confirms", async (bench) => {
  const call = await aReminder(bench);
  const [, reminder] = bench.twilio.messages.filter(({ to }) => to === call.phone);
  assert.match(
    reminder?.body ?? "",
    /a reminder of .* at 10 AM with Dr .*\. Reply C to confirm, X to cancel\. Call us/,
  );
  assert.ok((reminder?.body.length ?? 161) <= 160);
  const [reply, ...more] = await text(call, "c.") as string[];
  assert.match(reply ?? "", /^Sunrise Dental: thank you\. We expect you on .* at 10 AM\.$/);
  assert.deepEqual(more, []);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed!"]);
  // Once.
  assert.match(String(await text(call, "Yes, please.")), /confirmed already/);
  assert.deepEqual(await text(call, "ok"), []);
  assert.deepEqual(await outcomesOf(bench), [
    "confirmed",
    "already_confirmed",
    "already_confirmed",
  ]);
  const audited = await bench.database.sql`
    select subject_id, outcome from public.audit_logs where action = 'answer_text' order by at`;
  assert.deepEqual(audited.map(({ subject_id, outcome }) => [subject_id, outcome]), [
    [call.holdId, "confirmed"],
    [null, "already_confirmed"],
    [null, "already_confirmed"],
  ]);
});

test("X cancels, also after C, and frees the time; C after X does not book again", async (bench) => {
  const call = await aReminder(bench);
  await text(call, "C");
  assert.match(String(await text(call, " x ")), /at 10 AM is cancelled\. Call us for a new one\.$/);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 cancelled!"]);
  assert.match(String(await text(call, "C")), /is cancelled already/);
  assert.deepEqual(await text(call, "X"), []);
  assert.deepEqual(await outcomesOf(bench), [
    "confirmed",
    "cancelled",
    "already_cancelled",
    "already_cancelled",
  ]);
  await aBookingFor(bench, call.clinic, "10:00");
});

test("a cancellation that the clinic texts about is told once", async (bench) => {
  const call = await aReminder(bench);
  await bench.database.sql`update public.organizations set cancellation_texts = true`;
  assert.deepEqual(await text(call, "X"), []);
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.match(bench.twilio.messages.at(-1)?.body ?? "", /your appointment on .* is cancelled/);
});

test("with several reminders the patient is asked which, and the next answer says it", async (bench) => {
  const { clinic, call } = await twoReminders(bench);
  assert.match(
    String(await text(call, "C")),
    /which appointment do you confirm\? 1: .* 10 AM, 2: .* 2:30 PM\. Reply with the number, or ALL\.$/,
  );
  // Asked again about the same, but for something else.
  assert.match(String(await text(call, "X")), /which appointment shall we cancel\? 1: /);
  // The last question was about cancelling, which no yes answers.
  assert.match(String(await text(call, "yes 2")), /only understand C .* or X/);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 confirmed", "14:30 confirmed"]);
  assert.match(String(await text(call, "X 2")), /at 2:30 PM is cancelled/);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 confirmed", "14:30 cancelled"]);
  assert.match(String(await text(call, "C")), /We expect you on .* at 10 AM/);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 confirmed!", "14:30 cancelled"]);
});

test("a choice without a question, or of what was not listed, changes nothing", async (bench) => {
  const { clinic, call } = await twoReminders(bench);
  assert.match(String(await text(call, "1")), /we only understand C .* or X/);
  await text(call, "X");
  assert.deepEqual(await text(call, "3"), []);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 confirmed", "14:30 confirmed"]);
  assert.match(String(await text(call, "both")), /10 AM and .* at 2:30 PM is cancelled/);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 cancelled", "14:30 cancelled"]);
});

test("an answered question waits for no further number", async (bench) => {
  const { clinic, call } = await twoReminders(bench);
  await text(call, "X");
  assert.match(String(await text(call, "1")), /at 10 AM is cancelled/);
  assert.match(String(await text(call, "2")), /only understand C .* or X/);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 cancelled", "14:30 confirmed"]);
});

test("a choice means what the question listed, whatever has changed since", async (bench) => {
  const { clinic, call, other } = await twoReminders(bench);
  await text(call, "X");
  const member = await aMember(bench.database.sql, clinic.id);
  const cancelled = await askAs(bench.database.sql, member, "staff_cancel", {
    ...{ p_org: clinic.id, p_appointment: call.holdId },
  });
  assert.equal(cancelled.outcome, "cancelled");
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 cancelled", "14:30 confirmed"]);
  assert.match(String(await text(call, "1")), /moved or cancelled after our reminder/);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 cancelled", "14:30 confirmed"]);
  assert.match(String(await text(other, "2")), /2:30 PM is cancelled/);
});

test("an appointment that was moved since its reminder is not cancelled by an answer to it", async (bench) => {
  const call = await aReminder(bench);
  const slotId = `consultation/${aDay()}T15:00`;
  const moved = await call.ask(rescheduleAppointment, { patientName: "Ada Brown", slotId });
  assert.equal(moved.outcome, "rescheduled");
  assert.match(String(await text(call, "X")), /at 10 AM was moved or cancelled after our reminder/);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 cancelled", "15:00 confirmed"]);
  // Its own reminder can be answered.
  await remind(bench, call.clinic);
  assert.match(String(await text(call, "C")), /at 3 PM/);
});

test("an answer after the start changes nothing and says so", async (bench) => {
  const call = await aReminder(bench);
  await letItBegin(call);
  assert.match(String(await text(call, "X")), /too late .* Please call us\.$/);
  assert.deepEqual(await outcomesOf(bench), ["too_late"]);
});

test("other texts get one polite answer for a reminder, and then none", async (bench) => {
  const call = await aReminder(bench);
  assert.match(
    String(await text(call, "I am driving and will read this later")),
    /only understand C/,
  );
  const texts = ["I am driving and will read this later", "please cancel it", "please x", "x?", ""];
  for (const body of texts) {
    assert.deepEqual(await text(call, body), [], body);
  }
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed"]);
});

test("without a reminder a text gets one answer a day, and a reminder that offers nothing is none", async (bench) => {
  const clinic = await anAnsweringClinic(bench);
  await bench.database.sql`update public.organizations set text_answers = false`;
  const call = await aReminder(bench, clinic);
  assert.doesNotMatch(bench.twilio.messages.at(-1)?.body ?? "", /Reply C/);
  assert.match(
    String(await text(call, "X")),
    /nobody reads texts to this number\. Please call us\.$/,
  );
  assert.deepEqual(await text(call, "C"), []);
  assert.deepEqual(await statesOf(bench, clinic), ["10:00 confirmed"]);
});

test("a text that is delivered again, also at once, gets its first answer and changes nothing", async (bench) => {
  const call = await aReminder(bench);
  const sid = `SM${"a".repeat(32)}`;
  const answers = await Promise.all(Array.from({ length: 6 }, () => text(call, "C", { sid })));
  for (const answer of answers) assert.match(String(answer), /We expect you/);
  assert.deepEqual(await outcomesOf(bench), ["confirmed"]);
  await text(call, "X");
  assert.match(String(await text(call, "C", { sid })), /We expect you/);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 cancelled!"]);
});

test("another phone, or another clinic's reminder of the same phone, is not answered for", async (bench) => {
  const call = await aReminder(bench);
  const other = await anAnsweringClinic(bench);
  const there = await aBookingFor(bench, other, "12:00", call.phone);
  await remind(bench, other);
  await text(call, "X", { from: "+447700900999" });
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed"]);
  await text(call, "X");
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 cancelled"]);
  assert.deepEqual(await statesOf(bench, other), ["12:00 confirmed"]);
  await text(there, "C");
  assert.deepEqual(await statesOf(bench, other), ["12:00 confirmed!"]);
});

test("STOP is respected: nothing more is texted, and CANCEL, which means the same, cancels nothing", async (bench) => {
  const call = await aReminder(bench);
  assert.deepEqual(await text(call, "CANCEL"), []);
  assert.deepEqual(await text(call, "cancel"), []);
  assert.deepEqual(await text(call, "hello"), []);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed"]);
  assert.deepEqual(await outcomesOf(bench), ["opted_out", "opted_out", "unclear"]);
  const messages = await bench.database.sql`select caller_name, message from public.desk_messages`;
  assert.equal(messages.length, 1);
  assert.equal(messages[0]?.["caller_name"], "Ada Brown");
  assert.match(messages[0]?.["message"], /^Answered CANCEL to the reminder of \w+ .*, 10:00\. /);
  const [row] = await bench.database.sql`select count(*)::int as count from public.sms_opt_outs`;
  assert.equal(row?.["count"], 1);
  // An answer still counts. Nothing is said.
  assert.deepEqual(await text(call, "C"), []);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed!"]);
  assert.deepEqual(await text(call, "START"), []);
  assert.equal((await bench.database.sql`select from public.sms_opt_outs`).length, 0);
  assert.match(String(await text(call, "what?")), /only understand/);
});

test("one number is listened to ten times an hour, and its STOP always", async (bench) => {
  const call = await aReminder(bench);
  for (let n = 0; n < 10; n++) await text(call, `hello ${n}`);
  assert.deepEqual(await text(call, "X"), []);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed"]);
  await text(call, "stop");
  assert.equal((await bench.database.sql`select from public.sms_opt_outs`).length, 1);
  assert.equal((await outcomesOf(bench)).length, 10);
});

/** Posts a form as it is. */
async function post(
  bench: Bench,
  form: Readonly<Record<string, string>>,
  {
    token = "token-of-the-clinic",
    signature = sign(token, webhookOf(bench), form),
    method = "POST",
  } = {},
): Promise<number> {
  const response = await smsInbound.using(bench.runtime).fetch(
    new Request("http://inside.test/sms-inbound", {
      method,
      headers: { "x-twilio-signature": signature },
      ...(method === "POST" ? { body: new URLSearchParams(form) } : {}),
    }),
  );
  await response.body?.cancel();
  return response.status;
}

const formOf = ({ clinic, phone }: PhoneCall, more: object = {}) => ({
  MessageSid: `SM${crypto.randomUUID().replaceAll("-", "")}`,
  AccountSid: `AC${clinic.id.replaceAll("-", "")}`,
  ...{ From: phone, To: clinic.number, Body: "X", NumMedia: "0" },
  ...more,
});

test("a forged text is refused, as is one signed by another clinic's account", async (bench) => {
  const call = await aReminder(bench);
  const other = await anAnsweringClinic(bench);
  await bench.provision(other, "token-of-another-clinic");
  const form = formOf(call);
  assert.equal(await post(bench, form, { token: "wrong" }), 403);
  assert.equal(await post(bench, form, { token: "token-of-another-clinic" }), 403);
  assert.equal(await post(bench, form, { signature: "" }), 403);
  assert.equal(await post(bench, formOf(call, { To: "+442079460999" })), 403);
  assert.equal(await post(bench, formOf(call, { MessageSid: "nonsense" })), 403);
  assert.equal(await post(bench, form, { method: "GET" }), 405);
  assert.deepEqual(await outcomesOf(bench), []);
  // Signed by the clinic's own token, but about another account; or not from a phone.
  assert.equal(await post(bench, formOf(call, { AccountSid: `AC${"0".repeat(32)}` })), 200);
  assert.equal(await post(bench, formOf(call, { From: "whatsapp:+447700900123" })), 200);
  assert.equal(await post(bench, formOf(call, { From: "72345" })), 200);
  assert.equal(await post(bench, formOf(call, { From: call.clinic.number })), 200);
  assert.deepEqual(await outcomesOf(bench), []);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed"]);
  assert.equal(await post(bench, form), 200);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 cancelled"]);
});

test("who could not be heard in time is told so, and a wish for no texts counts all the same", async (bench) => {
  const call = await aReminder(bench);
  const { sql } = bench.database;
  await sql`alter function public.answer_text set lock_timeout = '20ms'`;
  const line = await sql.reserve();
  try {
    await line`begin`;
    await line`select private.lock_phones(array[private.patient_key(${call.clinic.id}, ${call.phone})])`;
    assert.match(
      String(await text(call, "X")),
      /: sorry, your answer could not be taken\. Please send it again in a few minutes, or call us\.$/,
    );
    // Also if the database does not answer in time after that.
    let asked = 0;
    const runtime = withClaimFollowedBy(bench.runtime, () => {
      if (++asked === 1) return Promise.resolve();
      throw new Fault("database_timeout", "Cannot call answer_text: no answer in time");
    }, "answer_text");
    assert.equal(await post({ ...bench, runtime }, formOf(call)), 200);
    assert.equal(asked, 6);
    // Nobody is told anything, so Twilio asks the fallback URL.
    assert.equal(await text(call, "what?"), 503);
    assert.equal(await text(call, "STOP"), 503);
    assert.equal(await text(call, "X"), 503);
    assert.equal((await sql`select from public.sms_opt_outs`).length, 1);
    await line`rollback`;
  } finally {
    line.release();
  }
  assert.deepEqual(await outcomesOf(bench), []);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed"]);
  // The fallback URL gets the same text, with the error.
  assert.equal(
    await post(bench, formOf(call, { ErrorCode: "11200", ErrorUrl: "https://a.test" })),
    200,
  );
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 cancelled"]);
});

test("made-up messaging services cost a read each, and nothing that is kept", async (bench) => {
  const call = await aReminder(bench);
  for (const service of ["0", "1", "0"]) {
    const form = formOf(call, { MessagingServiceSid: `MG${service.repeat(32)}` });
    assert.equal(await post(bench, form, { token: "wrong" }), 403);
  }
  const reads = bench.restCalls.filter((path) => path.endsWith("/get_credentials_of_number"));
  assert.equal(reads.length, 3);
});

test("the clinic is found by what it texts from, before the number that is called", async (bench) => {
  const call = await aReminder(bench);
  const { sql } = bench.database;
  const service = `MG${"a".repeat(32)}`;
  await sql`update public.org_credentials set sender = ${service} where org_id = ${call.clinic.id}`;
  const form = formOf(call, { To: "+447700900777", MessagingServiceSid: service, Body: "C" });
  assert.equal(await post(bench, form), 200);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 confirmed!"]);
  const shortCode = formOf(call, { To: "72345", MessagingServiceSid: service, Body: "X" });
  assert.equal(await post(bench, shortCode), 200);
  assert.deepEqual(await statesOf(bench, call.clinic), ["10:00 cancelled!"]);
  // Two clinics that text from one sender cannot be told apart.
  const other = await anAnsweringClinic(bench);
  await sql`update public.org_credentials set sender = ${service} where org_id = ${other.id}`;
  const [row] = await sql`select private.takes_answers(o) as takes from public.organizations as o
    where o.id = ${other.id}`;
  assert.equal(row?.["takes"], false);
});

test("neither the words nor the number are logged or stored", async (bench) => {
  const call = await aReminder(bench);
  await text(call, "My secret is mauve");
  const [row] = await bench.database
    .sql`select to_jsonb(t)::text as row from public.text_answers as t`;
  for (const kept of [bench.lines.join("\n"), row?.["row"]]) {
    assert.doesNotMatch(kept, /mauve/);
    assert.ok(!kept.includes(call.phone.slice(1)));
  }
  assert.ok(bench.lines.some((line) => line.includes('"text_answer"')));
});

test("the clinic's language and its own words are used, in reminders and in answers to them", async (bench) => {
  const clinic = await anAnsweringClinic(bench);
  const words = { de: { confirmed: "{clinic}: bis dann, {time}!" } };
  const { sql } = bench.database;
  await sql`update public.organizations set text_language = 'de',
    text_words = ${sql.json(words)} where id = ${clinic.id}`;
  const call = await aReminder(bench, clinic);
  assert.match(
    bench.twilio.messages.at(-1)?.body ?? "",
    /Erinnerung an Ihren Termin am \w+, \d+\. .+ um 10:00 Uhr bei Dr .*Antworten Sie C für ja, X zum/,
  );
  assert.match(String(await text(call, "Ja")), /^Sunrise Dental: bis dann, \w+, .* um 10:00 Uhr!$/);
  assert.match(String(await text(call, "X")), /ist abgesagt\. Neuer Termin: diese Nummer\.$/);
});

test("a number that the clinic would not text is not answered", async (bench) => {
  const { clinic } = await aReminder(bench);
  // A premium number, an American mobile where only British ones are texted, a landline abroad.
  await bench.database.sql`update public.organizations set sms_countries = '{GB}'`;
  for (const phone of ["+449098790123", "+12025550143", "+8816123456789", "+5353123456"]) {
    assert.equal(await post(bench, formOf({ clinic, phone } as PhoneCall)), 200);
  }
  const told = await bench.database.sql`select from public.text_answers where is_replied`;
  assert.equal(told.length, 0);
  assert.equal((await outcomesOf(bench)).length, 4);
});
