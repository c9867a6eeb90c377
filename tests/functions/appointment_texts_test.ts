/**
 * Texts about appointments: written with the booking, sent at most once, and only while they are true.
 */
import assert from "node:assert/strict";
import appointmentTexts from "../../functions/appointment-texts/index.ts";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import { composeAppointmentText } from "../../shared/appointment_text.ts";
import { type ClaimedText, claimTexts } from "../../shared/database/appointment_texts.ts";
import { readMetrics } from "../../shared/database/metrics.ts";
import { startBudget } from "../../shared/deadline.ts";
import { toGsmText } from "../../shared/gsm.ts";
import { postQueue } from "../../supabase/local/requests.ts";
import {
  aDay,
  aPhone,
  type Bench,
  type Clinic,
  jobsSecret,
  testWithBench as test,
  withClaimFollowedBy,
} from "../support/clinic.ts";
import { aHold, aTextingClinic, type PhoneCall } from "../support/phone_call.ts";
import { someWait, start } from "../support/requests.ts";
import { sendDue, zoneAtNoon } from "../support/text_answers.ts";
import { aMember, askAs, asMember } from "../support/staff.ts";

/** A call that has booked, and the texts that its phone has got since. */
async function aBooking(bench: Bench, clinic?: Clinic, time?: string) {
  const call = await aHold(bench, {
    ...(clinic ? { clinic } : {}),
    ...(time ? { time } : {}),
  });
  await call.send();
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
  const seen = bench.twilio.messages.length;
  return Object.assign(call, {
    told: () =>
      bench.twilio.messages.slice(seen).filter(({ to }) => to === call.phone)
        .map(({ body }) => body),
  });
}

const statesOf = async (bench: Bench) =>
  (await bench.database.sql<{ kind: string; state: string; reason: string | null }[]>`
    select kind, state, reason from public.appointment_texts order by created_at`)
    .map(({ kind, state, reason }) => [kind, state, ...reason === null ? [] : [reason]].join(" "));

/** Makes waiting texts due, and texts that are being sent overdue. */
const passDue = ({ database }: Bench) =>
  database.sql`update public.appointment_texts set due_at = due_at - interval '1 hour'`;

/** By phone, in the call that has proven its number. */
const cancel = (call: PhoneCall) => call.ask(cancelAppointment, { patientName: "Ada Brown" });
const moveTo = (call: PhoneCall, time: string) =>
  call.ask(rescheduleAppointment, {
    patientName: "Ada Brown",
    slotId: `consultation/${aDay()}T${time}`,
  });

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

test("delivery reports are recorded, and no figure of the passcodes changes", async (bench) => {
  const clinic = await aTextingClinic(bench);
  await aBooking(bench, clinic);
  await bench.twilio.sendReports();
  const counted = async (name: string) => {
    await bench.runtime.recorder.flush();
    const { totals } = await readMetrics(bench.runtime.database.within(startBudget(5000)), 60);
    return totals.filter((counter) => counter.name === name).map(({ labels, value }) => ({
      ...labels,
      value,
    }));
  };
  const before = await counted("sms");
  await sendDue(bench);
  const reports = await bench.twilio.sendReports();
  assert.ok(reports.length > 0 && reports.every(({ answered }) => answered === 204));
  assert.deepEqual(await counted("sms"), before);
  assert.deepEqual(await counted("appointment_texts"), [
    { kind: "confirmation", result: "accepted", value: 1 },
    { kind: "confirmation", result: "delivered", value: 1 },
  ]);
  const [text] = await bench.database.sql`
    select delivery from public.sms_messages where origin = 'confirmation'`;
  assert.equal(text?.["delivery"], "delivered");
});

test("only the job's secret opens the function, and only for a POST", async (bench) => {
  await aBooking(bench);
  const ask = (method: string, given: string | undefined) =>
    appointmentTexts.using(bench.runtime).fetch(
      new Request("http://functions.test/", {
        method,
        headers: given === undefined ? {} : { authorization: `Bearer ${given}` },
      }),
    );
  for (const wrong of [undefined, "", "wrong", `${jobsSecret}x`, "test-vapi-secret"]) {
    assert.equal((await ask("POST", wrong)).status, 401, String(wrong));
  }
  assert.equal((await ask("GET", jobsSecret)).status, 405);
  assert.deepEqual(await statesOf(bench), ["confirmation waiting"]);
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

test("a sender that dies between claim and answer has sent once or never: it is not sent again", async (bench) => {
  const booking = await aBooking(bench);
  const dies = withClaimFollowedBy(
    bench.runtime,
    () => Promise.reject(new Error("killed")),
    claimTexts.sqlName,
  );
  assert.equal(await sendDue(bench, dies), 503);
  assert.deepEqual(await statesOf(bench), ["confirmation sending"]);
  await bench.database.sql`select public.send_appointment_texts()`;
  assert.deepEqual(await sendDue(bench), {});
  await passDue(bench);
  await bench.database.sql`select public.send_appointment_texts()`;
  await passDue(bench);
  assert.deepEqual(await sendDue(bench), {});
  assert.deepEqual(await statesOf(bench), ["confirmation unknown no_answer"]);
  assert.deepEqual(booking.told(), []);
});

test("concurrent senders send each text once", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 1 });
  const { holdId } = await aBooking(bench, clinic);
  // The same patient's, at other times.
  await sql`
    insert into public.appointments (org_id, provider_id, service_id, contact_id, patient_name,
      patient_phone, patient_country, status, starts_at, ends_at, busy, session_key)
    select a.org_id, a.provider_id, a.service_id, a.contact_id, a.patient_name, a.patient_phone,
      a.patient_country, a.status, t.at, t.at + interval '30 minutes',
      tstzrange(t.at, t.at + interval '30 minutes'), gen_random_uuid()
    from public.appointments as a, generate_series(1, 44) as n
    cross join lateral (select a.starts_at + n * interval '1 day' as at) as t
    where a.id = ${holdId}`;
  await sql`select private.queue_text(a.org_id, a.id, 'confirmation') from public.appointments as a`;
  const before = bench.twilio.messages.length;
  await Promise.all([sendDue(bench), sendDue(bench), sendDue(bench)]);
  const bodies = bench.twilio.messages.slice(before).map(({ body }) => body);
  assert.equal(bodies.length, 45);
  assert.equal(new Set(bodies).size, 45);
  assert.deepEqual(new Set(await statesOf(bench)), new Set(["confirmation sent"]));
});

for (
  const [fault, details, state, again] of [
    ["rate_limited", { ms: 90_000 }, "waiting rate_limited", true],
    ["http_500", {}, "unknown provider_error", false],
    ["reset_after", {}, "unknown unreachable", false],
    [20003, {}, "waiting unauthorized", true],
    [21211, {}, "failed bad_destination", false],
    [21610, {}, "failed opted_out", false],
  ] as const
) {
  test(`Twilio answers ${fault}: the text is ${state}${again ? ", and sent later" : ", for good"}`, async (bench) => {
    const booking = await aBooking(bench);
    const taken = booking.told().length;
    bench.twilio.addFault(fault, details);
    await sendDue(bench);
    assert.deepEqual(await statesOf(bench), [`confirmation ${state}`]);
    // Not at once.
    await sendDue(bench);
    assert.deepEqual(await statesOf(bench), [`confirmation ${state}`]);
    const posted = bench.twilio.postCount;
    await passDue(bench);
    await sendDue(bench);
    assert.equal(bench.twilio.postCount, posted + (again ? 1 : 0));
    assert.equal(booking.told().length, taken + (again || fault === "reset_after" ? 1 : 0));
  });
}

test("Twilio does not answer: the text may have been sent, and is not sent again", async (bench) => {
  const booking = await aBooking(bench);
  bench.deadlines.textMs = 300;
  bench.twilio.addFault("lost_answer");
  assert.deepEqual(await sendDue(bench), { unknown: 1 });
  await passDue(bench);
  assert.deepEqual(await sendDue(bench), {});
  assert.equal(booking.told().length, 1);
});

test("a text that can never be sent is given up after ten attempts", async (bench) => {
  await aBooking(bench);
  bench.twilio.addFault(20003, { times: 20 });
  const posted = bench.twilio.postCount;
  for (let attempt = 0; attempt < 12; attempt++) {
    await sendDue(bench);
    await passDue(bench);
  }
  assert.equal(bench.twilio.postCount, posted + 10);
  assert.deepEqual(await statesOf(bench), ["confirmation failed unauthorized"]);
});

test("a clinic at its hourly limit still texts passcodes, and texts about appointments wait", async (bench) => {
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const booking = await aBooking(bench, clinic);
  await bench.database.sql`update public.organizations set sms_hourly_limit = 1`;
  assert.deepEqual(await sendDue(bench), {});
  assert.deepEqual(await statesOf(bench), ["confirmation waiting org_send_limit"]);
  await booking.pass(3700);
  await passDue(bench);
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  // That text does not count as a passcode's.
  const next = await aHold(bench, { clinic, time: "12:00" });
  assert.equal((await next.send()).outcome, "sent");
});

test("each clinic's texts come from its own number and account, and its staff see its own", async (bench) => {
  const clinics = [await aTextingClinic(bench), await aTextingClinic(bench)];
  for (const clinic of clinics) await aBooking(bench, clinic);
  const before = bench.twilio.messages.length;
  assert.deepEqual(await sendDue(bench), { sent: 2 });
  assert.deepEqual(
    bench.twilio.messages.slice(before).map(({ from }) => from).sort(),
    clinics.map(({ number }) => number).sort(),
  );
});

test("an erased patient's text is not sent", async (bench) => {
  const booking = await aBooking(bench);
  const [row] = await bench.database.sql`
    select public.erase_patient(${booking.clinic.id}, ${booking.phone}, 'Ada Brown') as answer`;
  assert.equal(row?.["answer"].outcome, "erased");
  assert.deepEqual(await statesOf(bench), []);
  assert.deepEqual(await sendDue(bench), {});
});

for (
  const [event, said] of [["has its result stored", "known"], ["is given up", "false"]] as const
) {
  test(`a clinic can be deleted while a text of it ${event}`, async (bench) => {
    const { clinic } = await aBooking(bench);
    const { sql, admin } = bench.database;
    const claimed = await claimTexts(bench.runtime.database.within(startBudget(5000)), 10);
    assert.ok(claimed.outcome === "claimed");
    const [{ sendId } = { sendId: "" }] = claimed.texts;
    await sql`update public.appointments set status = 'cancelled'`;
    await passDue(bench);
    const waiting = await admin.begin(async (tx) => {
      await tx`select from public.sms_messages where id = ${sendId} for update`;
      const deletion = start(() =>
        sql`select public.delete_clinic(${clinic.id}) ->> 'outcome' as said`
      );
      await someWait(bench, 1, deletion.isOver);
      const text = start(() =>
        said === "known"
          ? sql`select public.settle_appointment_text(${clinic.id}, ${sendId}, 'SM1', null, true)
              ->> 'outcome' as said`
          : sql`select public.send_appointment_texts()::text as said`
      );
      await someWait(bench, 2, text.isOver);
      return [deletion, text];
    });
    const answers = await Promise.all(waiting.map(({ done }) => done));
    assert.deepEqual(answers.map(([row]) => row?.["said"]), ["deleted", said]);
  });
}

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

test("the job asks the function only when a text is due, and knows where it is", async (bench) => {
  const { sql } = bench.database;
  const asks = async () => {
    const [row] = await sql`select public.send_appointment_texts() as asked`;
    return row?.["asked"];
  };
  await aBooking(bench);
  // Nobody has set the functions' address.
  assert.equal(await asks(), false);
  const paths: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    paths.push(new URL(request.url).pathname);
    return appointmentTexts.using(bench.runtime).fetch(request);
  });
  try {
    const url = `http://127.0.0.1:${server.addr.port}/functions/v1`;
    await sql`select public.set_functions_target(${url}, ${jobsSecret})`;
    await assert.rejects(sql`select public.set_functions_target(${url}, 'short')`, /16 characters/);
    assert.equal(await asks(), true);
    await postQueue(sql);
    assert.deepEqual(paths, ["/functions/v1/appointment-texts"]);
    assert.deepEqual(await statesOf(bench), ["confirmation sent"]);
    assert.equal(await asks(), false);
  } finally {
    await server.shutdown();
  }
});

test("where the project has Vault, the secret is there and not in the table", async (bench) => {
  const { sql, admin } = bench.database;
  await admin.unsafe(`
    create schema vault;
    create table vault.decrypted_secrets (id uuid default gen_random_uuid(), name text,
      decrypted_secret text);
    create function vault.create_secret(new_secret text, new_name text) returns void language sql
      as 'insert into vault.decrypted_secrets (name, decrypted_secret) values ($2, $1)';
    create function vault.update_secret(secret_id uuid, new_secret text) returns void language sql
      as 'update vault.decrypted_secrets set decrypted_secret = $2 where id = $1';
    grant usage on schema vault to postgres;
    grant all on vault.decrypted_secrets to postgres`);
  for (const secret of ["the-first-secret-of-jobs", "the-second-secret-of-jobs"]) {
    await sql`select public.set_functions_target('https://a.test/functions/v1', ${secret})`;
    const [row] = await sql`select private.read_functions_target() as target,
      (select count(*)::int from vault.decrypted_secrets) as kept,
      (select secret from private.functions_target) as open`;
    assert.deepEqual({ ...row }, {
      target: { url: "https://a.test/functions/v1", secret },
      kept: 1,
      open: null,
    });
  }
});

test("patients are reminded the day before, each once, and not of what was booked too late", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const early = await aBooking(bench, clinic);
  const late = await aBooking(bench, clinic, "11:00");
  await sendDue(bench);
  await sql`update public.appointments set created_at = created_at - interval '3 days'
    where id = ${early.holdId}`;
  await sql`update public.organizations set reminder_min = 600, reminder_notice_hours = 60`;
  const remind = (day = aDay()) =>
    sql`select private.queue_reminders(o, ${day}, now()) from public.organizations as o`;
  // Another day's are not this day's.
  await remind(aDay(1));
  assert.equal((await statesOf(bench)).length, 2);
  await Promise.all([remind(), remind(), remind()]);
  // Whatever the time is at the clinic.
  await sql`update public.organizations set timezone = ${zoneAtNoon()}`;
  await sendDue(bench);
  await remind();
  await sendDue(bench);
  assert.equal(early.told().length, 2);
  assert.match(early.told()[1] ?? "", /: a reminder of your appointment on .* with Dr Number/);
  assert.equal(late.told().length, 1);
});

test("a reminder's appointment that moves or is cancelled, or one booked since, is not reminded of", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 2 });
  const moved = await aBooking(bench, clinic);
  const cancelled = await aBooking(bench, clinic, "11:00");
  await sendDue(bench);
  await sql`update public.organizations set reminder_min = 600, reminder_notice_hours = 0`;
  await sql`select private.queue_reminders(o, ${aDay()}, now()) from public.organizations as o`;
  await moveTo(moved, "15:00");
  await cancel(cancelled);
  await aBooking(bench, clinic, "16:00");
  await sql`select private.queue_reminders(o, ${aDay()}, now()) from public.organizations as o`;
  await sql`update public.organizations set timezone = ${zoneAtNoon()}`;
  assert.deepEqual(await sendDue(bench), { sent: 1 });
  assert.deepEqual((await statesOf(bench)).filter((state) => state.startsWith("reminder")), [
    "reminder dropped outdated",
    "reminder dropped outdated",
  ]);
});

test("the time of the reminder is the clinic's own, whatever the clocks do, and never at night", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  await sql`update public.organizations set reminder_min = 1020 where id = ${clinic.id}`;
  const cases: [at: string, day: string | null][] = [
    ["2027-03-26T16:59:59Z", null],
    ["2027-03-26T17:00:00Z", "2027-03-27"],
    ["2027-03-26T20:59:59Z", "2027-03-27"],
    ["2027-03-26T21:00:00Z", null],
    // The clocks go forward in the night before: five o'clock is an hour earlier.
    ["2027-03-28T15:59:59Z", null],
    ["2027-03-28T16:00:00Z", "2027-03-29"],
    ["2027-10-30T16:00:00Z", "2027-10-31"],
    ["2027-10-31T16:59:59Z", null],
    ["2027-10-31T17:00:00Z", "2027-11-01"],
  ];
  for (const [at, day] of cases) {
    const [row] = await sql`
      select private.reminder_day(o, ${at})::text as day from public.organizations as o`;
    assert.equal(row?.["day"], day, at);
  }
  const nights: [at: string, wakes: string][] = [
    ["2027-03-27T22:30:00Z", "2027-03-28T07:00:00.000Z"],
    ["2027-03-28T06:59:00Z", "2027-03-28T07:00:00.000Z"],
    ["2027-03-28T12:00:00Z", "2027-03-28T12:00:00.000Z"],
  ];
  for (const [at, wakes] of nights) {
    const [row] = await sql`select private.wake_time('Europe/London', ${at}) as wakes`;
    assert.equal(row?.["wakes"].toISOString(), wakes, at);
  }
});

test("a job that did not run reminds in the morning of what is still to come, if it is not too late", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench, { providers: 3, zone: zoneAtNoon() });
  const bookings = [await aBooking(bench, clinic), await aBooking(bench, clinic)];
  await sendDue(bench);
  // About noon: in three hours, and in one.
  for (const [index, hours] of [3, 1].entries()) {
    await sql`update public.appointments as a
      set starts_at = n.at, ends_at = n.at + interval '30 minutes', session_key = gen_random_uuid(),
        busy = tstzrange(n.at, n.at + interval '30 minutes'), created_at = n.at - interval '3 days'
      from (select now() + make_interval(hours => ${hours}) as at) as n
      where a.id = ${bookings[index]?.holdId ?? ""}`;
  }
  await sql`update public.organizations set reminder_min = 1200`;
  // A clinic that has never reminded begins with the next day.
  await sql`select public.send_appointment_texts()`;
  assert.equal((await statesOf(bench)).length, 2);
  await sql`insert into private.reminded_days (org_id, day)
    select id, (now() at time zone timezone)::date - 1 from public.organizations`;
  await sql`select public.send_appointment_texts()`;
  await sql`select public.send_appointment_texts()`;
  await sendDue(bench);
  assert.deepEqual((await statesOf(bench)).slice(2).sort(), [
    "reminder dropped late",
    "reminder sent",
  ]);
  assert.equal(bookings[0]?.told().length, 2);
});

test("a clinic that reminds from eight on also catches up what was missed on the day before", async (bench) => {
  const { sql } = bench.database;
  await aTextingClinic(bench, { zone: zoneAtNoon() });
  await sql`update public.organizations set reminder_min = 480`;
  await sql`insert into private.reminded_days (org_id, day)
    select id, (now() at time zone timezone)::date - 1 from public.organizations`;
  const days: number[] = [];
  for (let run = 0; run < 3; run++) {
    await sql`select public.send_appointment_texts()`;
    const [row] = await sql<{ ahead: number }[]>`
      select r.day - (now() at time zone o.timezone)::date as ahead
      from private.reminded_days as r join public.organizations as o on o.id = r.org_id`;
    days.push(row?.ahead ?? NaN);
  }
  assert.deepEqual(days, [0, 1, 1]);
});

test("a clinic that is being moved does not stop the reminders of the others", async (bench) => {
  const [moving, other] = [await aTextingClinic(bench), await aTextingClinic(bench)];
  const { sql, admin } = bench.database;
  const noon = 12 - new Date().getUTCHours();
  await sql`update public.organizations set reminder_min = 480,
    timezone = ${`Etc/GMT${noon > 0 ? "-" : "+"}${Math.abs(noon)}`}`;
  await admin.begin(async (tx) => {
    await tx`select from public.organizations where id = ${moving.id} for update`;
    await sql`select public.send_appointment_texts()`;
  });
  const reminded = await sql<{ org: string }[]>`select org_id as org from private.reminded_days`;
  assert.deepEqual(reminded.map(({ org }) => org), [other.id]);
});

test("a reminder that would go out at night waits for the morning", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aTextingClinic(bench);
  const booking = await aBooking(bench, clinic);
  await sendDue(bench);
  await sql`update public.organizations set reminder_min = 600, reminder_notice_hours = 0`;
  await sql`select private.queue_reminders(o, ${aDay()}, now()) from public.organizations as o`;
  const hours = new Date().getUTCHours() - 2;
  await sql`update public.organizations
    set timezone = ${hours > 0 ? `Etc/GMT+${Math.min(12, hours)}` : `Etc/GMT-${-hours}`}`;
  const [{ isNight } = { isNight: false }] = await sql<{ isNight: boolean }[]>`
    select private.wake_time(timezone, now()) > now() as "isNight" from public.organizations`;
  await sendDue(bench);
  assert.equal(booking.told().length, isNight ? 1 : 2);
  assert.equal((await statesOf(bench))[1], isNight ? "reminder waiting night" : "reminder sent");
});

test("the job writes the reminders of each clinic whose time has come, once a day", async (bench) => {
  const { sql } = bench.database;
  const clinics = [await aTextingClinic(bench), await aTextingClinic(bench)];
  await sql`update public.organizations set timezone = ${zoneAtNoon()}, reminder_notice_hours = 0,
    reminder_min = 480 where id = ${clinics[0]?.id ?? ""}`;
  await sql`update public.organizations set timezone = ${zoneAtNoon()}, reminder_min = 1200
    where id = ${clinics[1]?.id ?? ""}`;
  const days = async () =>
    (await sql`select org_id from private.reminded_days`).map((row) => row["org_id"]);
  await sql`select public.send_appointment_texts()`;
  await sql`select public.send_appointment_texts()`;
  assert.deepEqual(await days(), [clinics[0]?.id]);
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
