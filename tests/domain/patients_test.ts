/** What is kept about a patient: all of it is shown, all of it is erased, and nothing of anybody else. */
import assert from "node:assert/strict";
import answerQuestion from "../../functions/answer-question/index.ts";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import leaveMessage from "../../functions/leave-message/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import webhook from "../../functions/vapi-webhook/index.ts";
import { patient } from "../../supabase/tasks/patient.ts";
import { aDay, aPost, type Bench, type Clinic, testWithBench as test } from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";
import { runHere } from "../support/terminal.ts";

const phone = "+447400987654";
const ada = "Ada Lovelace";
const ben = "Benjamin Button";

/** Runs the task as the owner of the database. */
async function runPatient(bench: Bench, args: readonly string[]) {
  const { code, said } = await runHere(patient, [...args, "--db", bench.database.url()]);
  return { code, output: `${said}\n` };
}

/** A call that books a time for somebody, proves the phone, asks for a change and is reported. */
async function aBooking(bench: Bench, clinic: Clinic, name: string, time: string) {
  const call = new PhoneCall(bench, clinic, phone);
  const slotId = `consultation/${aDay()}T${time}`;
  assert.equal((await call.ask(holdSlot, { slotId, patientName: name })).outcome, "held");
  await call.ask(sendOtp);
  assert.equal((await call.ask(verifyOtp, { code: call.code })).outcome, "confirmed");
  await bench.database.sql`delete from public.phone_counts`;
  return call;
}

/** Vapi's report at the end of a call; returns the status of the answer. */
async function report({ bench, clinic, callId }: PhoneCall, transcript: string, summary?: string) {
  const response = await webhook.using(bench.runtime).fetch(aPost(JSON.stringify({
    message: {
      type: "end-of-call-report",
      phoneNumber: { number: clinic.number },
      customer: { number: phone },
      call: { id: callId },
      artifact: { transcript },
      analysis: { summary },
    },
  })));
  return response.status;
}

/** Everything else that a call can store about somebody. */
async function aTrace(bench: Bench, clinic: Clinic, name: string, time: string) {
  const { sql } = bench.database;
  const call = new PhoneCall(bench, clinic, phone);
  const slotId = `consultation/${aDay()}T${time}`;
  await call.ask(holdSlot, { slotId, patientName: name });
  await call.ask(sendOtp);
  await call.ask(cancelAppointment, { patientName: name, appointmentTime: "23:00" });
  await call.ask(leaveMessage, { callerName: name, message: `${name} wants to be called` });
  assert.equal(await report(call, "User: I have a toothache."), 200);
  await sql`delete from public.phone_counts`;
  await sql`insert into public.sms_opt_outs (org_id, phone_hash)
    values (${clinic.id}, private.hash_phone(${phone})) on conflict do nothing`;
  return call;
}

/** The tables in which a text, a number's hash or a call can still be found. */
async function traces({ database: { sql } }: Bench, clinic: Clinic, wanted: readonly string[]) {
  const [row] = await sql`select encode(private.hash_phone(${phone}), 'hex') as hash`;
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
    order by 1`;
  const found: string[] = [];
  for (const { name } of tables) {
    for (const text of wanted.map((text) => text === "hash" ? String(row?.["hash"]) : text)) {
      const rows = await sql.unsafe(
        `select from ${name} as t where t.org_id = $1 and strpos(to_jsonb(t)::text, $2) > 0 limit 1`,
        [clinic.id, text],
      );
      if (rows.length > 0) found.push(`${name}: ${text}`);
    }
  }
  return found;
}

const ask = (clinic: Clinic, command: string, ...more: string[]) => [
  ...[command, "--org", clinic.slug, "--phone", phone, ...more],
];

test("a patient alone on a number is shown with everything, then erased from every table but the audit log", async (bench) => {
  const { sql } = bench.database;
  const [clinic, other] = [await aTextingClinic(bench), await aTextingClinic(bench)];
  const booking = await aBooking(bench, clinic, ada, "10:00");
  const trace = await aTrace(bench, clinic, ada, "11:00");
  await aBooking(bench, other, ada, "10:00");
  const left = [phone, ada, "Lovelace", "hash", "toothache"];
  const before = await traces(bench, clinic, left);
  for (
    const table of [
      ...["appointments", "appointment_changes", "calls", "call_reports", "contacts"],
      ...["desk_messages", "one_time_passcodes", "sms_messages", "sms_opt_outs"],
    ]
  ) assert.ok(before.some((found) => found.startsWith(`${table}:`)), `${table}: ${before}`);

  const counted = await runPatient(bench, ask(clinic, "export"));
  assert.deepEqual([counted.code, counted.output], [1, "The number has one name; give --name\n"]);
  const shown = await runPatient(bench, ask(clinic, "export", "--name", "ada lovelace"));
  assert.equal(shown.code, 0, shown.output);
  const data = JSON.parse(shown.output);
  for (
    const table of [
      ...["appointments", "appointment_changes", "call_reports", "contacts", "desk_messages"],
      ...["sms_messages", "one_time_passcodes", "sms_opt_outs", "tool_calls", "audit_logs"],
    ]
  ) assert.ok(data[`public.${table}`]?.length > 0, table);
  const answers = data["public.tool_calls"].filter((row: object) => "result" in row);
  assert.deepEqual(answers, [], "an answer can name others of the number");
  assert.doesNotMatch(shown.output, /\\\\x[0-9a-f]{10}/, "no hash of a number or a code");

  assert.equal(
    (await runPatient(bench, ask(clinic, "erase", "--name", ada))).code,
    2,
    "not agreed",
  );
  const erased = await runPatient(bench, ask(clinic, "erase", "--name", ada, "--yes"));
  assert.equal(erased.code, 0, erased.output);
  assert.match(erased.output, /1 confirmed appointment stays.*\n1 of them is still to come/);
  assert.deepEqual(await traces(bench, clinic, left), []);
  const callsLeft = await traces(bench, clinic, [booking.callId, trace.callId]);
  assert.deepEqual(
    callsLeft.filter((found) => !/^(audit_logs|calls|call_reports):/.test(found)),
    [],
    "what a call left is gone, but for its place in the audit log, its counts of a day and the mark \
that it gets no report",
  );
  const kept = await sql`select status, patient_name, patient_phone, contact_id
    from public.appointments where org_id = ${clinic.id}`;
  assert.deepEqual(kept.map((row) => ({ ...row })), [
    { status: "confirmed", patient_name: null, patient_phone: null, contact_id: null },
  ]);
  const [audited] = await sql`select actor, outcome, details from public.audit_logs
    where org_id = ${clinic.id} and action = 'erase_patient'`;
  assert.deepEqual([audited?.["actor"], audited?.["outcome"]], ["system", "erased"]);
  assert.doesNotMatch(JSON.stringify(audited), /Lovelace|987654|54/);
  assert.ok((await traces(bench, other, [phone, ada])).length > 0, "another clinic's is its own");

  const again = await runPatient(bench, ask(clinic, "erase", "--name", ada, "--yes"));
  assert.deepEqual([again.code, again.output], [1, "Nothing is stored with that number\n"]);
  // The time stays taken, and the number can be used again.
  const next = new PhoneCall(bench, clinic, phone);
  const slotId = `consultation/${aDay()}T10:00`;
  assert.equal((await next.ask(holdSlot, { slotId, patientName: ben })).outcome, "slot_taken");
  await aBooking(bench, clinic, ben, "12:00");
});

test("of a family's number one is erased and the other keeps everything", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  await aBooking(bench, clinic, ben, "09:00");
  await aTrace(bench, clinic, ben, "09:30");
  await aBooking(bench, clinic, ada, "10:00");
  await aTrace(bench, clinic, ada, "11:00");
  const rowsOf = async () => {
    const [row] = await sql`select
      (select count(*)::int from public.appointments where patient_name = ${ben}) as appointments,
      (select count(*)::int from public.desk_messages where caller_name = ${ben}) as messages,
      (select count(*)::int from public.call_reports as r
        join public.appointments as a using (org_id, call_id) where a.patient_name = ${ben}) as reports,
      (select count(*)::int from public.sms_messages as m
        join public.appointments as a on a.id = m.appointment_id
        where a.patient_name = ${ben}) as texts`;
    return { ...row };
  };
  const before = await rowsOf();
  const [contact] = await sql`select name from public.contacts where org_id = ${clinic.id}`;
  assert.equal(contact?.["name"], ada, "the newest proven name");

  const counted = await runPatient(bench, ask(clinic, "erase", "--yes"));
  assert.deepEqual([counted.code, counted.output], [1, "The number has 2 names; give --name\n"]);
  const wrong = await runPatient(bench, ask(clinic, "erase", "--name", "Ada Byron", "--yes"));
  assert.equal(wrong.code, 1);
  const shown = await runPatient(bench, ask(clinic, "export", "--name", ada));
  assert.doesNotMatch(shown.output, /Benjamin|Button/);
  const erased = await runPatient(bench, ask(clinic, "erase", "--name", ada, "--yes"));
  assert.equal(erased.code, 0, erased.output);
  assert.deepEqual(await traces(bench, clinic, ["Lovelace"]), []);
  assert.deepEqual(await rowsOf(), before);
  const contacts = await sql`select name, phone from public.contacts where org_id = ${clinic.id}`;
  assert.deepEqual(contacts.map((row) => ({ ...row })), [{ name: ben, phone }]);
  // The other one can still cancel by phone.
  const call = new PhoneCall(bench, clinic, phone);
  await call.ask(cancelAppointment, { patientName: ben, appointmentTime: "9 am" });
  await call.ask(sendOtp);
  assert.equal((await call.ask(verifyOtp, { code: call.code })).outcome, "cancelled");
});

test("a call cannot book when its patient is erased during the call", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const call = new PhoneCall(bench, clinic, phone);
  const slotId = `consultation/${aDay()}T10:00`;
  await call.ask(holdSlot, { slotId, patientName: ada });
  await call.ask(sendOtp);
  const erased = await runPatient(bench, ask(clinic, "erase", "--name", ada, "--yes"));
  assert.equal(erased.code, 0, erased.output);
  assert.equal((await call.ask(verifyOtp, { code: call.code })).outcome, "hold_not_found");
  assert.equal((await call.ask(holdSlot, { slotId, patientName: ben })).outcome, "held");
});

test("a report that arrives after its patient was erased stores nothing that was said", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  const unreported = await aBooking(bench, clinic, ada, "10:00");
  const reported = await aTrace(bench, clinic, ada, "11:00");
  const erased = await runPatient(bench, ask(clinic, "erase", "--name", ada, "--yes"));
  assert.equal(erased.code, 0, erased.output);
  const said = `User: It is Ada Lovelace, the code is ${unreported.code}.`;
  // The call still holds a time, and releases it when it ends.
  assert.equal((await unreported.hold("12:00", { patientName: ben })).outcome, "held");
  for (const call of [unreported, reported, unreported]) {
    assert.equal(await report(call, said, "Ada Lovelace has booked."), 200);
  }
  assert.deepEqual(await traces(bench, clinic, ["Lovelace", "It is", "has booked"]), []);
  const held = await sql`select status from public.appointments
    where org_id = ${clinic.id} and patient_name = ${ben}`;
  assert.deepEqual(held.map(({ status }) => status), ["cancelled"]);

  // Somebody else's call is reported as usual.
  const other = await aBooking(bench, clinic, ben, "13:00");
  assert.equal(await report(other, "User: I have a toothache."), 200);
  assert.deepEqual(await traces(bench, clinic, ["toothache"]), ["call_reports: toothache"]);
});

test("a question that names an erased patient goes with them, and another of the call stays", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const call = await aBooking(bench, clinic, ada, "10:00");
  const questions = [
    "Is Ada Lovelace allowed to park",
    "Where is Ada's locker",
    "Is there a piano",
  ];
  for (const question of questions) {
    assert.equal((await call.ask(answerQuestion, { question })).outcome, "not_found");
  }
  await runPatient(bench, ask(clinic, "erase", "--name", ada, "--yes"));
  const rows = await bench.database.sql`select question, call_id from public.open_questions`;
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { question: "Is there a piano", call_id: null },
  ]);
});

test("missing and invalid arguments are reported, with the task's exit code", async (bench) => {
  const clinic = await aTextingClinic(bench);
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[], 2, /Give one of export, erase/],
    [["export"], 2, /needs --org, and --phone or --without-phone/],
    [["erase", "--org", "nowhere", "--phone", phone], 1, /There is no clinic nowhere/],
    [["erase", "--org", clinic.slug, "--phone", "12"], 2, /cannot be read/],
    [
      ["export", "--org", clinic.slug, "--phone", "07400 987654", "--name", ada],
      1,
      /Nothing is stored/,
    ],
  ];
  for (const [args, code, output] of cases) {
    const ran = await runPatient(bench, args);
    assert.equal(ran.code, code, ran.output);
    assert.match(ran.output, output);
  }
});
