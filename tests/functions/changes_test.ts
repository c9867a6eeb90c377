/** Cancelling and moving appointments by phone: nothing is told or done before the passcode. */
import assert from "node:assert/strict";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  type Clinic,
  newestCode,
  type Said,
  testWithBench as test,
} from "../support/clinic.ts";

const tools = {
  hold_slot: holdSlot,
  cancel_appointment: cancelAppointment,
  reschedule_appointment: rescheduleAppointment,
  send_otp: sendOtp,
  verify_otp: verifyOtp,
};

/** One phone call to one clinic. */
interface Caller {
  readonly phone: string;
  readonly callId: string;
  ask(tool: keyof typeof tools, args?: object, toolCallId?: string): Promise<Said>;
  /** Texts a code and reads it out. */
  prove(): Promise<Said>;
}

const slot = (time: string, day = aDay()) => `consultation/${day}T${time}`;
const ada = { patientName: "Ada Brown" };

function aCaller(
  bench: Bench,
  clinic: Clinic,
  phone = aPhone(),
  caller: string | null = phone,
): Caller {
  const callId = crypto.randomUUID();
  const ask: Caller["ask"] = (tool, args = {}, toolCallId) =>
    bench.insist(tools[tool], {
      ...{ tool, called: clinic.number, caller, callId, args },
      ...(toolCallId ? { toolCallId } : {}),
    });
  return {
    phone,
    callId,
    ask,
    prove: async () => {
      const sent = await ask("send_otp");
      assert.equal(sent.outcome, "sent", JSON.stringify(sent));
      return await ask("verify_otp", { code: newestCode(bench.twilio) });
    },
  };
}

/** A clinic where Ada Brown has a confirmed appointment at ten, made in an earlier call. */
async function anAppointment(
  bench: Bench,
  { providers = 1, capacity = 1, time = "10:00", name = "Ada Brown" } = {},
) {
  const clinic = await aClinic(bench.database.sql, { providers, capacity });
  await bench.provision(clinic);
  const appointmentId = await book(bench, aCaller(bench, clinic), time, name);
  const [row] = await bench.database.sql<{ patient_phone: string }[]>`
    select patient_phone from public.appointments where id = ${appointmentId}`;
  return { clinic, appointmentId, phone: row?.patient_phone ?? "" };
}

async function book(bench: Bench, caller: Caller, time: string, patientName: string) {
  await caller.ask("hold_slot", { slotId: slot(time), patientName });
  const confirmed = await caller.prove();
  assert.equal(confirmed.outcome, "confirmed");
  assert.ok(confirmed.holdId);
  await bench.database.sql`update public.sms_phone_quota set sent_at = '{}'`;
  return confirmed.holdId;
}

async function rowsOf(bench: Bench) {
  const rows = await bench.database.sql<{ id: string; status: string; time: string }[]>`
    select a.id, a.status, to_char(a.starts_at at time zone o.timezone, 'HH24:MI') as time
    from public.appointments as a join public.organizations as o on o.id = a.org_id
    order by a.created_at`;
  return rows.map(({ id, status, time }) => ({ id, status, time }));
}

const states = async (bench: Bench) =>
  (await rowsOf(bench)).map(({ status, time }) => `${time} ${status}`);

test("an appointment is cancelled by number, name and passcode, one database call a tool", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const before = bench.restCalls.length;
  const asked = await caller.ask("cancel_appointment", ada);
  assert.equal(bench.restCalls.length - before, 1);
  assert.equal(asked.outcome, "code_needed");
  assert.equal(asked.holdId, appointmentId);
  assert.deepEqual(await states(bench), ["10:00 confirmed"], "nothing is done before the code");
  const said = await caller.prove();
  assert.equal(said.outcome, "cancelled");
  assert.match(said.message, /10 AM with Dr Number 1 is cancelled/);
  assert.match(bench.twilio.messages.at(-1)?.body ?? "", /code to change your appointment/);
  assert.deepEqual(await states(bench), ["10:00 cancelled"]);
  const again = aCaller(bench, clinic);
  const taken = await again.ask("hold_slot", { slotId: slot("10:00"), patientName: "Ben" });
  assert.equal(taken.outcome, "held", "the time is free again");
});

test("an appointment is moved: the new time is held while the code is under way, the old one stays", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  assert.equal(asked.outcome, "code_needed");
  assert.equal(asked.holdId, appointmentId);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 held"]);
  for (const time of ["10:00", "11:00"]) {
    const other = await aCaller(bench, clinic).ask("hold_slot", {
      slotId: slot(time),
      patientName: "Ben",
    });
    assert.equal(other.outcome, "slot_taken", `${time} is nobody else's`);
  }
  const said = await caller.prove();
  assert.equal(said.outcome, "rescheduled");
  assert.match(said.message, /11 AM with Dr Number 1/);
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 confirmed"]);
  const [moved] = (await rowsOf(bench)).filter(({ status }) => status === "confirmed");
  assert.equal(said.holdId, moved?.id);
  // The moved appointment can be moved and cancelled like any other.
  const next = aCaller(bench, clinic, phone);
  await bench.database.sql`update public.sms_phone_quota set sent_at = '{}'`;
  await next.ask("cancel_appointment", ada);
  assert.equal((await next.prove()).outcome, "cancelled");
});

test("an appointment moves to a time that overlaps it, and nobody gets in between", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await bench.database.sql`update public.services set step_min = 15`;
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:15") });
  assert.equal(asked.outcome, "code_needed");
  for (const time of ["09:45", "10:00", "10:15", "10:30"]) {
    const other = await aCaller(bench, clinic).ask("hold_slot", {
      slotId: slot(time),
      patientName: "Ben",
    });
    assert.equal(other.outcome, "slot_taken", time);
  }
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "10:15 confirmed"]);
  // And back again, over itself.
  const back = aCaller(bench, clinic, phone);
  await back.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  assert.equal((await back.prove()).outcome, "rescheduled");
  const free = await aCaller(bench, clinic).ask("hold_slot", {
    slotId: slot("10:30"),
    patientName: "Ben",
  });
  assert.equal(free.outcome, "held");
});

test("a time held for moving one appointment is not the new time of another that stays beside it", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "15:00", "Ada Brown");
  await bench.database.sql`update public.services set step_min = 15`;
  const caller = aCaller(bench, clinic, phone);
  const move = (time: string) =>
    caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:15"), appointmentTime: time });
  assert.equal((await move("10:00")).outcome, "code_needed");
  assert.equal((await move("15:00")).outcome, "slot_taken");

  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "15:00 confirmed", "10:15 confirmed"]);
});

test("the time held for a move, asked for again for somebody else, is a booking and moves nothing", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  const eve = { patientName: "Eve Green", patientPhone: aPhone() };
  const held = await caller.ask("hold_slot", { ...eve, slotId: slot("12:00") });
  assert.equal(held.outcome, "held");

  const sent = await caller.ask("send_otp", { holdId: held.holdId });
  assert.equal(sent.phoneEnding, eve.patientPhone.slice(-2));
  const code = newestCode(bench.twilio);
  const said = await caller.ask("verify_otp", { holdId: held.holdId, code });
  assert.equal(said.outcome, "confirmed");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "12:00 cancelled", "12:00 confirmed"]);
});

test("a lapsed move leaves the old appointment and frees the new time, also where both overlap", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await bench.database.sql`update public.services set step_min = 15`;
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:15") });
  await caller.ask("send_otp");
  await bench.database.sql`update public.appointments
    set expires_at = now() - interval '1 second' where status = 'held'`;
  await bench.database.sql`update public.appointment_changes
    set expires_at = now() - interval '1 second'`;
  const code = newestCode(bench.twilio);
  assert.equal((await caller.ask("verify_otp", { code })).outcome, "change_expired");
  assert.equal((await caller.ask("send_otp")).outcome, "change_expired");
  const hold = (time: string) =>
    aCaller(bench, clinic).ask("hold_slot", { slotId: slot(time), patientName: "Ben" });
  assert.equal((await hold("10:30")).outcome, "held");
  assert.equal((await hold("10:00")).outcome, "slot_taken");
  assert.equal((await hold("10:15")).outcome, "slot_taken");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "10:15 expired", "10:30 held"]);
});

test("a move to a taken time offers others and keeps the appointment and the earlier new time", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await aCaller(bench, clinic).ask("hold_slot", { slotId: slot("12:00"), patientName: "Ben" });
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  const taken = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.equal(taken.outcome, "slot_taken");
  assert.equal(taken.slots?.length, 3);
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "12:00 held", "11:00 confirmed"]);
});

test("a caller may choose another new time, or to cancel instead; the last word counts", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "12:00 held"]);
  await caller.ask("cancel_appointment", ada);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "12:00 cancelled"]);
  assert.equal((await caller.prove()).outcome, "cancelled");
});

test("the same tool call again, the same call again and the same code again give the first answer", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const move = { ...ada, slotId: slot("11:00") };
  const first = await caller.ask("reschedule_appointment", move, "call_move");
  const repeats = await Promise.all(
    Array.from(
      { length: 20 },
      (_, n) => caller.ask("reschedule_appointment", move, n % 2 ? "call_move" : undefined),
    ),
  );
  for (const repeat of repeats) assert.deepEqual(repeat, first);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 held"]);
  const moved = await caller.prove();
  const code = { code: newestCode(bench.twilio) };
  assert.deepEqual(await caller.ask("verify_otp", code), moved);
  assert.deepEqual(await caller.ask("reschedule_appointment", move), moved);
  assert.deepEqual(await caller.ask("reschedule_appointment", move, "call_move"), first);
  await bench.database
    .sql`update public.one_time_passcodes set claimed_at = now() - interval '1 hour'`;
  await caller.ask("cancel_appointment", ada);
  const cancelled = await caller.prove();
  assert.equal(cancelled.outcome, "cancelled");
  assert.deepEqual(await caller.ask("cancel_appointment", ada), cancelled);
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 cancelled"]);
});

test("a wrong name, number, day or id, a past visit, another clinic's and none at all answer alike", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const other = await aClinic(bench.database.sql);
  const [past] = [await book(bench, aCaller(bench, clinic), "12:00", "Past Person")];
  await bench.database.sql`update public.appointments set
    starts_at = starts_at - interval '9 days', ends_at = ends_at - interval '9 days',
    busy = tstzrange(lower(busy) - interval '9 days', upper(busy) - interval '9 days')
    where id = ${past}`;
  const [pastRow] = await bench.database.sql<{ patient_phone: string }[]>`
    select patient_phone from public.appointments where id = ${past}`;
  const asks: [Clinic, string, object][] = [
    [clinic, phone, { patientName: "Ada Browne" }],
    [clinic, phone, { patientName: "Brown" }],
    [clinic, aPhone(), ada],
    [clinic, phone, { ...ada, appointmentDate: aDay(3) }],
    [clinic, phone, { ...ada, appointmentTime: "11:00" }],
    [clinic, phone, { ...ada, appointmentId: crypto.randomUUID() }],
    [clinic, aPhone(), { ...ada, appointmentId }],
    [clinic, pastRow?.patient_phone ?? "", { patientName: "Past Person" }],
    [clinic, pastRow?.patient_phone ?? "", { patientName: "Past Person", appointmentId: past }],
    [other, phone, ada],
    [other, phone, { ...ada, appointmentId }],
  ];
  for (const tool of ["cancel_appointment", "reschedule_appointment"] as const) {
    const answers = await Promise.all(
      asks.map(([at, from, args]) =>
        aCaller(bench, at, from).ask(tool, { ...args, slotId: slot("15:00") })
      ),
    );
    assert.equal(answers[0]?.outcome, "appointment_not_found");
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
  }
  assert.deepEqual((await states(bench)).filter((state) => state.includes("held")), []);
});

test("a name is known without case, accents, titles and order; family on one phone is told apart", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { name: "Zoë O'Brien-Núñez" });
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ben Nunez");
  for (
    const patientName of [
      "zoe obrien nunez",
      "Mrs. ZOE O'BRIEN NUÑEZ",
      "Dr. Núñez, Zoë O'Brien",
      "Zoë Maria O'Brien-Núñez",
    ]
  ) {
    const said = await aCaller(bench, clinic, phone).ask("cancel_appointment", { patientName });
    assert.equal(said.outcome, "code_needed", patientName);
  }
  for (const patientName of ["Nunez", "Zoe", "Ben O'Brien", "Mrs", "!"]) {
    const said = await aCaller(bench, clinic, phone).ask("cancel_appointment", { patientName });
    assert.equal(said.outcome, "appointment_not_found", patientName);
  }
  const unnamed = await aCaller(bench, clinic, phone).ask("cancel_appointment", {
    patientName: "...",
  });
  assert.deepEqual(unnamed["fields"], ["patientName"]);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("cancel_appointment", { patientName: "Ben Nunez" });
  assert.equal((await caller.prove()).outcome, "cancelled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "12:00 cancelled"]);
});

test("of several appointments the day and time are asked for and none is told before the code", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("cancel_appointment", ada);
  assert.equal(asked.outcome, "which_appointment");
  assert.doesNotMatch(JSON.stringify(asked), /10|12|Number|onsultation/);
  assert.equal((await caller.ask("send_otp")).outcome, "hold_not_found");
  for (const appointmentTime of ["12:00", "noon", "12 pm", `${aDay()}T12:00:00+00:00`]) {
    const found = await caller.ask("cancel_appointment", {
      ...ada,
      appointmentDate: aDay(),
      appointmentTime,
    });
    assert.equal(found.outcome, "code_needed", appointmentTime);
    assert.doesNotMatch(JSON.stringify(found), /12:00|Number|onsultation/);
  }
  assert.equal((await caller.prove()).outcome, "cancelled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "12:00 cancelled"]);
});

test("a caller without number, or with another one, says the number of the booking, which gets the code", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const withheld = aCaller(bench, clinic, phone, null);
  assert.equal((await withheld.ask("cancel_appointment", ada)).outcome, "phone_needed");
  const asked = await withheld.ask("cancel_appointment", { ...ada, patientPhone: phone });
  assert.equal(asked.outcome, "code_needed");
  assert.equal((await withheld.prove()).outcome, "cancelled");
  assert.equal(bench.twilio.messages.at(-1)?.to, phone);
});

test("a forged number alone changes nothing: the code goes to the patient and counts only in its call", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const forger = aCaller(bench, clinic, phone);
  await forger.ask("cancel_appointment", ada);
  await forger.ask("send_otp");
  const forgersCode = newestCode(bench.twilio);
  // The patient calls meanwhile: the change goes over to that call, the forger's code dies.
  const patient = aCaller(bench, clinic, phone);
  await patient.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  const tried = [
    await patient.ask("verify_otp", { code: forgersCode }),
    await forger.ask("verify_otp", { code: forgersCode }),
    await forger.ask("verify_otp", { code: forgersCode, holdId: appointmentId }),
  ];
  assert.deepEqual(tried.map(({ outcome }) => outcome), [
    "no_code",
    "hold_not_found",
    "hold_not_found",
  ]);
  await patient.ask("send_otp");
  const code = newestCode(bench.twilio);
  assert.equal((await forger.ask("verify_otp", { code })).outcome, "hold_not_found");
  assert.equal((await patient.ask("verify_otp", { code })).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 confirmed"]);
});

test("a patient whose line dropped takes the change and the held time over in the next call", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const move = { ...ada, slotId: slot("11:00") };
  const dropped = aCaller(bench, clinic, phone);
  await dropped.ask("reschedule_appointment", move);
  const caller = aCaller(bench, clinic, phone);
  assert.equal((await caller.ask("reschedule_appointment", move)).outcome, "code_needed");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 held"]);
  assert.equal((await caller.prove()).outcome, "rescheduled");
});

test("wrong codes are counted across changes and calls: ten in all, then the front desk", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  let last = "";
  let wrongCodes = 0;
  for (let round = 0; round < 4 && last !== "locked"; round++) {
    const caller = aCaller(bench, clinic, phone);
    const opened = round % 2
      ? await caller.ask("cancel_appointment", ada)
      : await caller.ask("reschedule_appointment", { ...ada, slotId: slot(`1${round + 1}:00`) });
    assert.equal(opened.outcome, "code_needed");
    await bench.database.sql`update public.sms_phone_quota set sent_at = '{}'`;
    assert.equal((await caller.ask("send_otp")).outcome, "sent");
    const wrong = newestCode(bench.twilio) === "000000" ? "111111" : "000000";
    for (let guess = 0; guess < 4 && last !== "locked"; guess++) {
      last = (await caller.ask("verify_otp", { code: wrong })).outcome;
      wrongCodes++;
    }
  }
  assert.equal(last, "locked");
  assert.equal(wrongCodes, 10);
  const caller = aCaller(bench, clinic, phone);
  assert.equal((await caller.ask("cancel_appointment", ada)).outcome, "locked");
  assert.ok((await states(bench)).includes("10:00 confirmed"), "the appointment stays");
});

test("three texts a day go out for one appointment however often its change is opened", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const outcomes: string[] = [];
  for (let call = 0; call < 4; call++) {
    await bench.database.sql`update public.sms_phone_quota set sent_at = '{}'`;
    const caller = aCaller(bench, clinic, phone);
    await caller.ask("cancel_appointment", ada);
    outcomes.push((await caller.ask("send_otp")).outcome);
  }
  assert.deepEqual(outcomes, ["sent", "sent", "sent", "hold_send_limit"]);
  await bench.database.sql`update public.one_time_passcodes
    set claimed_at = claimed_at - interval '25 hours'`;
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("cancel_appointment", ada);
  assert.equal((await caller.prove()).outcome, "cancelled");
});

test("an appointment moves to another doctor where its own is not free, and the caller is told", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { providers: 2 });
  const caller = aCaller(bench, clinic, phone);
  const same = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  assert.equal(same["sameDoctor"], true, "patients keep their doctor");
  const [row] = await bench.database.sql<{ slug: string }[]>`
    select p.slug from public.appointments as a join public.providers as p on p.id = a.provider_id
    where a.status = 'confirmed'`;
  await aCaller(bench, clinic).ask("hold_slot", {
    slotId: `${slot("12:00")}/${row?.slug}`,
    patientName: "Ben",
  });
  const other = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.equal(other["sameDoctor"], false);
  assert.match(other.message, /another doctor/);
  assert.equal((await caller.prove()).outcome, "rescheduled");
});

test("the time an appointment has already is no leak: the code is needed, then it is told", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const same = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  const elsewhere = await aCaller(bench, clinic, phone).ask("reschedule_appointment", {
    ...ada,
    slotId: slot("11:00"),
  });
  assert.deepEqual(Object.keys(same), Object.keys(elsewhere));
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  const said = await caller.prove();
  assert.equal(said.outcome, "rescheduled");
  assert.equal(said.holdId, appointmentId);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled"]);
});

test("a seat of a group session moves to another session and frees the old seat", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { capacity: 2 });
  await aCaller(bench, clinic).ask("hold_slot", { slotId: slot("10:00"), patientName: "Ben" });
  await aCaller(bench, clinic).ask("hold_slot", { slotId: slot("11:00"), patientName: "Cleo" });
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  const hold = (time: string) =>
    aCaller(bench, clinic).ask("hold_slot", { slotId: slot(time), patientName: "Dan" });
  assert.equal((await hold("11:00")).outcome, "slot_taken");
  assert.equal((await hold("10:00")).outcome, "slot_taken");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.equal((await hold("10:00")).outcome, "held");
});

test("a hold of the same call is let go without a code when it is named, another call's is not", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("10:00"), ...ada });
  const cancel = { ...ada, appointmentId: held.holdId };
  const other = aCaller(bench, clinic, caller.phone);
  assert.equal((await other.ask("cancel_appointment", cancel)).outcome, "appointment_not_found");
  assert.equal((await caller.ask("cancel_appointment", cancel)).outcome, "hold_released");
  assert.deepEqual(await states(bench), ["10:00 cancelled"]);
});

test("a hold of the same call is let go by number and name when the patient has no appointment, and asked again", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  assert.equal(held.outcome, "held");
  const cancel = (more: object) => caller.ask("cancel_appointment", { ...ada, ...more });
  for (const other of [{ patientName: "Ben Stone" }, { patientPhone: aPhone() }]) {
    assert.equal((await cancel(other)).outcome, "appointment_not_found");
  }
  assert.equal((await cancel({ appointmentTime: "12:00" })).outcome, "appointment_not_found");
  assert.equal((await cancel({ patientPhone: phone })).outcome, "code_needed");
  assert.equal((await cancel({})).outcome, "hold_released");
  assert.equal((await cancel({})).outcome, "hold_released");
  assert.equal((await cancel({ patientName: "A B" })).outcome, "appointment_not_found");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled"]);
});

/** The first hold of a call, as it was asked for, and asked again. */
async function aFirstHold(bench: Bench, caller: Caller) {
  const ask = (more = {}) =>
    caller.ask("hold_slot", { slotId: slot("10:00"), ...ada, ...more }, "call_first");
  assert.equal((await ask()).outcome, "held");
  return { late: ask, phones: () => phonesOf(bench) };
}

const phonesOf = async ({ database }: Bench) => {
  const rows = await database.sql<{ phone: string }[]>`
    select patient_phone as phone from public.appointments where status = 'held'`;
  return rows.map(({ phone }) => phone);
};

test("a hold that is asked for again late, by the same request, undoes nothing that came after it", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await bench.provision(clinic);
  const caller = aCaller(bench, clinic);
  const first = await aFirstHold(bench, caller);
  const [corrected, third] = [aPhone(), aPhone()];
  await caller.ask(
    "hold_slot",
    { slotId: slot("10:00"), ...ada, patientPhone: corrected },
    "call_2",
  );
  assert.equal((await first.late()).phoneEnding, corrected.slice(-2));
  await caller.ask("hold_slot", { slotId: slot("10:00"), ...ada, patientPhone: third }, "call_3");
  await caller.ask(
    "hold_slot",
    { slotId: slot("10:00"), ...ada, patientPhone: corrected },
    "call_2",
  );
  assert.deepEqual(await first.phones(), [third], "a corrected number stays");

  const moved = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  const late = await first.late();
  assert.deepEqual([late.outcome, late.holdId], ["held", moved.holdId], "what is held now");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 held"]);
  const back = await caller.ask("hold_slot", { slotId: slot("10:00"), ...ada });
  assert.equal((await first.late()).holdId, back.holdId, "asked for anew, it is held anew");

  assert.equal((await caller.ask("cancel_appointment", ada)).outcome, "hold_released");
  assert.equal((await first.late()).outcome, "hold_expired");
  await caller.ask("hold_slot", { slotId: slot("12:00"), ...ada });
  assert.equal((await caller.prove()).outcome, "confirmed");
  assert.equal((await first.late()).outcome, "already_confirmed");
  assert.deepEqual(await states(bench), [
    ...["10:00 cancelled", "11:00 cancelled", "10:00 cancelled", "12:00 confirmed"],
  ]);
});

test("a tool call of other arguments is no repeat, and a hold that lapsed is held anew", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const first = await aFirstHold(bench, aCaller(bench, clinic));
  const corrected = aPhone();
  await first.late({ patientPhone: corrected });
  assert.deepEqual(await first.phones(), [corrected]);
  await first.late({ slotId: slot("11:00") });
  await first.late({ slotId: slot("12:00") });
  assert.deepEqual((await states(bench)).slice(-1), ["12:00 held"]);
  await bench.database.sql`update public.appointments set expires_at = now() - interval '1 second'
    where status = 'held'`;
  assert.equal((await first.late({ slotId: slot("12:00") })).outcome, "held");
  assert.deepEqual((await states(bench)).slice(-2), ["12:00 expired", "12:00 held"]);
});

test("a change that is asked for again late, by the same request, undoes nothing that came after it", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const other = aCaller(bench, clinic);
  const taken = await other.ask("hold_slot", { slotId: slot("11:00"), patientName: "Ben" });
  const move = (time: string, id?: string) =>
    caller.ask("reschedule_appointment", { ...ada, slotId: slot(time) }, id);
  assert.match(
    (await move("10:07")).message,
    /^That time can't be booked/,
    "its own time is nobody's",
  );
  assert.equal((await move("11:00", "call_first")).outcome, "slot_taken");
  await other.ask("cancel_appointment", { patientName: "Ben", appointmentId: taken.holdId });
  assert.equal((await move("12:00", "call_second")).outcome, "code_needed");
  assert.equal((await move("11:00", "call_first")).outcome, "slot_taken", "though it is free now");
  assert.equal((await move("13:00")).outcome, "code_needed");
  assert.equal((await move("12:00", "call_second")).outcome, "code_needed");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual((await states(bench)).filter((state) => state.includes("confirmed")), [
    "13:00 confirmed",
  ]);

  const someone = aCaller(bench, clinic);
  const cancel = () => someone.ask("cancel_appointment", { patientName: "Cleo" }, "call_first");
  assert.equal((await cancel()).outcome, "appointment_not_found");
  await someone.ask("hold_slot", { slotId: slot("15:00"), patientName: "Cleo" });
  assert.equal((await cancel()).outcome, "appointment_not_found");
  assert.ok((await states(bench)).includes("15:00 held"));
});

test("no other number is asked for where the number of the booking takes no texts", async (bench) => {
  for (const fault of [21614, 21610, "report_undelivered"] as const) {
    const { clinic, phone } = await anAppointment(bench);
    const caller = aCaller(bench, clinic, phone);
    await caller.ask("cancel_appointment", ada);
    bench.twilio.addFault(fault, { times: fault === "report_undelivered" ? 2 : 1 });
    let sent = await caller.ask("send_otp");
    if (fault === "report_undelivered") {
      await bench.twilio.sendReports();
      await caller.ask("send_otp");
      await bench.twilio.sendReports();
      const wrong = await caller.ask("verify_otp", { code: "000000" });
      assert.doesNotMatch(wrong.message, /number/);
      sent = await caller.ask("send_otp");
    }
    assert.match(sent.outcome, /^(bad_destination|opted_out|undelivered)$/);
    assert.equal(sent.action, "ESCALATE");
    assert.match(sent.message, /booked with.* front desk/);
  }
});

test("bad arguments, a wrong secret and a database that is down are answered as in every tool", async (bench) => {
  const { clinic } = await anAppointment(bench);
  const caller = aCaller(bench, clinic);
  for (const args of [{}, { patientName: 7 }, { ...ada, appointmentDate: "tomorrow" }]) {
    const said = await caller.ask("cancel_appointment", args);
    assert.equal(said.outcome, "invalid_arguments", JSON.stringify(args));
    assert.doesNotMatch(said.message, /[a-z][A-Z]/, "a name to be read out has no capitals in it");
  }
  const unread = await caller.ask("cancel_appointment", { ...ada, appointmentTime: "later" });
  assert.match(unread.message, /a time such as 14:30/);
  assert.equal((await caller.ask("reschedule_appointment", ada)).outcome, "invalid_arguments");
  for (const tool of ["cancel_appointment", "reschedule_appointment"] as const) {
    const denied = await tools[tool].using(bench.runtime).fetch(aRequest({ tool, secret: "no" }));
    assert.equal(denied.status, 401);
    const crossed = await caller.ask(tool, {
      ...{ ...ada, slotId: slot("11:00"), tenantId: crypto.randomUUID() },
    });
    assert.equal(crossed.outcome, "cross_tenant_denied");
  }
  await bench.database.admin.unsafe("alter schema private rename to away");
  const down = await caller.ask("cancel_appointment", ada);
  assert.equal(down.outcome, "error");
});

test("every step of a change is in the audit log, without number, name or code", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("cancel_appointment", { patientName: "Eve Black" });
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  await caller.prove();
  const rows = await bench.database.sql`
    select action || ' ' || outcome as step, details::text, caller_masked from public.audit_logs
    where call_id = ${caller.callId} order by at`;
  assert.deepEqual(rows.map(({ step }) => step), [
    "cancel_appointment appointment_not_found",
    "reschedule_appointment held",
    "reschedule_appointment code_needed",
    "send_otp claimed",
    "send_otp sent",
    "reschedule_appointment rescheduled",
    "verify_otp rescheduled",
  ]);
  const written = JSON.stringify(rows) + bench.lines.join("\n");
  for (const secret of [phone.slice(4), "Brown", "Black", newestCode(bench.twilio)]) {
    assert.ok(!written.includes(secret), `${secret} was written down`);
  }
});
