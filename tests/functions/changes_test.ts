/** Cancelling and moving appointments by phone: nothing is said or done before the passcode. */
import assert from "node:assert/strict";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import findAppointments from "../../functions/find-appointments/index.ts";
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
  find_appointments: findAppointments,
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
  /** Texts a code and verifies it. */
  prove(): Promise<Said>;
}

const slot = (time: string) => `consultation/${aDay()}T${time}`;
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
  await bench.database.sql`delete from public.phone_counts`;
  return confirmed.holdId;
}

async function rowsOf(bench: Bench) {
  const rows = await bench.database.sql<{ id: string; status: string; time: string }[]>`
    select a.id, a.status, to_char(a.starts_at at time zone o.timezone, 'HH24:MI') as time
    from public.appointments as a join public.organizations as o on o.id = a.org_id
    order by a.created_at`;
  return rows.map(({ id, status, time }) => ({ id, status, time }));
}

/** An answer without the number that the caller named and the seconds that have passed. */
const withoutNumber = (
  { message, phoneEnding: _, retryAfterSeconds: _seconds, ...said }: Said,
) => ({
  ...said,
  message: message.replace(/(ending|in) \d\d\b/, "$1 NN"),
});

const states = async (bench: Bench) =>
  (await rowsOf(bench)).map(({ status, time }) => `${time} ${status}`);

test("an appointment is cancelled by number, name and passcode, one database call a tool", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const before = bench.restCalls.length;
  const asked = await caller.ask("cancel_appointment", ada);
  assert.equal(bench.restCalls.length - before, 1);
  assert.equal(asked.outcome, "code_needed");
  assert.equal(asked.holdId, undefined);
  assert.doesNotMatch(JSON.stringify(withoutNumber(asked)), /10|Number|onsultation/);
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

test("an appointment is moved: the new time is held while the code is on its way, and the old one stays", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  assert.equal(asked.outcome, "code_needed");
  assert.equal(asked.holdId, undefined);
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
  await bench.database.sql`delete from public.phone_counts`;
  await next.ask("cancel_appointment", ada);
  assert.equal((await next.prove()).outcome, "cancelled");
});

test("an appointment moves to a time that overlaps it, once the number is proven", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await bench.database.sql`update public.services set step_min = 15`;
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:15") });
  assert.equal(asked.outcome, "slot_taken", "before the proof it is anybody's time");
  assert.match(asked.message, /your own appointment/);
  for (const time of ["09:45", "10:00", "10:15"]) {
    const other = await aCaller(bench, clinic).ask("hold_slot", {
      slotId: slot(time),
      patientName: "Ben",
    });
    assert.equal(other.outcome, "slot_taken", time);
  }
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "10:15 confirmed"]);
  // And back again, over itself: no further code.
  const back = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  assert.equal(back.outcome, "rescheduled");
  const free = await aCaller(bench, clinic).ask("hold_slot", {
    slotId: slot("10:30"),
    patientName: "Ben",
  });
  assert.equal(free.outcome, "held");
});

test("the new time of one appointment is not taken for the new time of another one", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "15:00", "Ada Brown");
  await bench.database.sql`update public.services set step_min = 15`;
  const caller = aCaller(bench, clinic, phone);
  const move = (time: string, to: string) =>
    caller.ask("reschedule_appointment", { ...ada, slotId: slot(to), appointmentTime: time });
  assert.equal((await move("10:00", "12:00")).outcome, "code_needed");
  assert.equal((await move("15:00", "12:00")).outcome, "code_needed", "the last word counts");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "15:00 cancelled", "12:00 confirmed"]);

  assert.equal((await move("10:00", "10:15")).outcome, "rescheduled");
  assert.equal((await move("12:00", "10:15")).outcome, "slot_taken");
});

test("the time held for a move stays with the move, even if another patient requests it", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  const eve = { patientName: "Eve Green", patientPhone: aPhone() };
  const other = await caller.ask("hold_slot", { ...eve, slotId: slot("12:00") });
  assert.equal(other.outcome, "slot_taken", "another patient's request does not take it");
  const again = await caller.ask("hold_slot", { ...ada, slotId: slot("12:00") });
  assert.equal(again.outcome, "held", "it is held, and is not a booking besides the move");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "12:00 confirmed"]);
});

test("a time held as a booking becomes the new time of a move, not a second appointment", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("hold_slot", { ...ada, slotId: slot("12:00") });
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.equal(asked.outcome, "code_needed");
  assert.equal((await caller.prove()).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "12:00 confirmed"]);
});

test("a move whose new time has expired gets it at the proof if it is still free, else others are offered", async (bench) => {
  for (const isFree of [true, false]) {
    const { clinic, phone } = await anAppointment(bench);
    const caller = aCaller(bench, clinic, phone);
    await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
    await caller.ask("send_otp");
    const code = newestCode(bench.twilio);
    await bench.database.sql`update public.appointments
      set expires_at = now() - interval '1 second' where status = 'held'`;
    if (!isFree) {
      const ben = { slotId: slot("11:00"), patientName: "Ben" };
      assert.equal((await aCaller(bench, clinic).ask("hold_slot", ben)).outcome, "held");
    }
    const said = await caller.ask("verify_otp", { code });
    assert.equal(said.outcome, isFree ? "rescheduled" : "slot_taken");
    assert.equal(said.slots?.length, isFree ? undefined : 3);
    const rows = await bench.database.sql`select status from public.appointments
      where org_id = ${clinic.id} and status = 'confirmed'`;
    assert.equal(rows.length, 1, "the old one or the new one");
  }
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

test("a caller may choose another new time, or cancel instead; the last request counts", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  const other = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.match(other.message, /let go of .*11 AM/);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "12:00 held"]);
  const cancel = await caller.ask("cancel_appointment", ada);
  assert.match(cancel.message, /let go of .*noon/);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "12:00 cancelled"]);
  assert.equal((await caller.prove()).outcome, "cancelled");
});

test("of two patients' requests the later one counts, and the caller is told to ask again for the other", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { name: "Anna Stone" });
  await book(bench, aCaller(bench, clinic, phone), "11:00", "Ben Stone");
  for (
    const [tool, args] of [["cancel_appointment", {}], ["reschedule_appointment", {
      slotId: slot("13:00"),
    }]] as const
  ) {
    const caller = aCaller(bench, clinic, phone);
    const anna = await caller.ask("cancel_appointment", { patientName: "Anna Stone" });
    assert.doesNotMatch(anna.message, /one appointment at a time/);
    const ben = await caller.ask(tool, { patientName: "Ben Stone", ...args });
    assert.deepEqual([ben.outcome, ben["postponed"]], ["code_needed", true]);
    assert.match(ben.message, /one appointment at a time: ask me again for the other/);
    const again = await caller.ask(tool, { patientName: "Ben Stone", ...args });
    assert.equal(again["postponed"], undefined);
  }
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("cancel_appointment", { patientName: "Ben Stone" });
  await caller.ask("cancel_appointment", { patientName: "Anna Stone" });
  assert.equal((await caller.prove()).outcome, "cancelled");
  const other = await caller.ask("cancel_appointment", { patientName: "Ben Stone" });
  assert.equal(other.outcome, "cancelled");
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
  const cancelled = await caller.ask("cancel_appointment", ada);
  assert.equal(cancelled.outcome, "cancelled", "no further code");
  assert.deepEqual(await caller.ask("cancel_appointment", ada), cancelled);
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 cancelled"]);
});

test("the code that settled a request and is read again has the same answer, whatever was asked", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { providers: 2 });
  const requests = [
    ["find_appointments", {}, "found"],
    // With the patient's own doctor: the time held first is released.
    ["reschedule_appointment", { slotId: slot("11:00") }, "rescheduled"],
    ["cancel_appointment", {}, "cancelled"],
  ] as const;
  for (const [tool, args, outcome] of requests) {
    await bench.database.sql`delete from public.phone_counts`;
    const caller = aCaller(bench, clinic, phone);
    await caller.ask(tool, { ...ada, ...args });
    const sent = await caller.ask("send_otp");
    assert.equal(sent.outcome, "sent");
    const read = { code: newestCode(bench.twilio) };
    const first = await caller.ask("verify_otp", read);
    assert.equal(first.outcome, outcome, first.message);
    assert.deepEqual(await caller.ask("verify_otp", read), first, tool);
  }
});

test("a wrong name, number, day, doctor or id, a past visit, another clinic's and none at all get the same answer", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const other = await aClinic(bench.database.sql);
  await bench.provision(other);
  const pastPhone = aPhone();
  const past = await book(bench, aCaller(bench, clinic, pastPhone), "12:00", "Past Person");
  await bench.database.sql`update public.appointments set
    starts_at = starts_at - interval '9 days', ends_at = ends_at - interval '9 days',
    busy = tstzrange(lower(busy) - interval '9 days', upper(busy) - interval '9 days')
    where id = ${past}`;
  const asks: [Clinic, string, object][] = [
    [clinic, phone, ada],
    [clinic, phone, { patientName: "Ada Browne" }],
    [clinic, phone, { patientName: "Brown" }],
    [clinic, aPhone(), ada],
    [clinic, phone, { ...ada, appointmentDate: aDay(3) }],
    [clinic, phone, { ...ada, appointmentTime: "11:00" }],
    [clinic, phone, { ...ada, appointmentId: crypto.randomUUID() }],
    [clinic, phone, { ...ada, appointmentId }],
    [clinic, phone, { ...ada, providerName: "Dr Nobody" }],
    [clinic, aPhone(), { ...ada, appointmentId }],
    [clinic, pastPhone, { patientName: "Past Person" }],
    [clinic, pastPhone, { patientName: "Past Person", appointmentId: past }],
    [other, phone, ada],
    [other, phone, { ...ada, appointmentId }],
  ];
  const texts = bench.twilio.messages.length;
  // Some ask about one number at the same time.
  await bench.database.sql`update public.organizations
    set phone_hourly_sends = 50, phone_daily_sends = 50`;
  for (const tool of ["cancel_appointment", "find_appointments"] as const) {
    await bench.database.sql`delete from public.phone_counts`;
    const conversations = await Promise.all(asks.map(async ([at, from, args]) => {
      const caller = aCaller(bench, at, from);
      const said = [
        await caller.ask(tool, args),
        await caller.ask("send_otp"),
        await caller.ask("send_otp"),
        await caller.ask("verify_otp", { code: "000000" }),
      ];
      return said.map(withoutNumber);
    }));
    assert.equal(conversations[0]?.[0]?.outcome, "code_needed");
    for (const conversation of conversations) assert.deepEqual(conversation, conversations[0]);
  }
  assert.ok(bench.twilio.messages.length > texts);
  assert.ok(
    bench.twilio.messages.slice(texts).every(({ to }) => to === phone),
    "a text goes to nobody whose name and number do not fit",
  );
});

test("a name is known without case, accents, titles and order; family on one phone is told apart", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { name: "Zoë O'Brien-Núñez" });
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ben O'Brien-Nunez");
  const found = async (patientName: string) => {
    await bench.database.sql`delete from public.phone_counts`;
    const texts = bench.twilio.messages.length;
    const caller = aCaller(bench, clinic, phone);
    assert.equal((await caller.ask("find_appointments", { patientName })).outcome, "code_needed");
    await caller.ask("send_otp");
    if (bench.twilio.messages.length === texts) return [];
    const said = await caller.ask("verify_otp", { code: newestCode(bench.twilio) });
    return (said["appointments"] as { startTime: string }[]).map(({ startTime }) =>
      startTime.slice(11, 16)
    );
  };
  for (
    const patientName of [
      "zoe obrien nunez",
      "Mrs. ZOE O'BRIEN NUÑEZ",
      "Dr. Núñez, Zoë O'Brien",
      "Zoë Maria O'Brien-Núñez",
      "Zoe Nunez",
    ]
  ) assert.deepEqual(await found(patientName), ["10:00"], patientName);
  assert.deepEqual(await found("Ben O’Brien Núñez"), ["12:00"]);
  for (
    const patientName of [
      ...["Nunez", "Zoe", "Zoe Zoe", "Tim O'Brien Nunez", "Mrs"],
      "Amy Zoe Ben Tom Smith Nunez Brown Jones OBrien",
    ]
  ) assert.deepEqual(await found(patientName), [], patientName);
});

test("after the code, who asks about a patient hears of that patient's appointments only", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ben Stone");
  const caller = aCaller(bench, clinic, phone);
  const times = (said: Said) =>
    ((said["appointments"] ?? []) as Said[]).map(({ startTime }) =>
      String(startTime).slice(11, 16)
    );
  const find = async (patientName: string) =>
    times(await caller.ask("find_appointments", { patientName }));
  assert.deepEqual(await find("Ada Brown"), []);
  assert.deepEqual(await find("Ben Stone"), []);
  assert.deepEqual(times(await caller.prove()), ["10:00", "12:00"], "both were asked about");
  assert.deepEqual(await find("Ben Stone"), ["12:00"]);
  assert.deepEqual(await find("Ada"), ["10:00"], "under another name that this call gave her");
  assert.deepEqual(await find("Tim Stone"), []);
});

test("a further request for another day is not answered with what was changed before", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  for (const isMove of [false, true]) {
    const caller = aCaller(bench, clinic, phone);
    const more = isMove ? { slotId: slot("12:00") } : {};
    const tool = isMove ? "reschedule_appointment" : "cancel_appointment";
    const ask = async (said: object) =>
      (await caller.ask(tool, { ...ada, ...more, ...said })).outcome;
    const said = { appointmentDate: aDay(), appointmentTime: "10:00" };
    assert.equal(await ask(said), "code_needed");
    const done = (await caller.prove()).outcome;
    assert.equal(done, isMove ? "rescheduled" : "cancelled");
    assert.equal(await ask(said), done, "the same again");
    assert.equal(await ask({ appointmentDate: aDay(3) }), "appointment_not_found");
    assert.equal(await ask({ appointmentTime: "16:00" }), "appointment_not_found");
    if (!isMove) await book(bench, aCaller(bench, clinic, phone), "10:00", "Ada Brown");
  }
});

test("a hold is confirmed also while nothing is left to ask about which appointment is meant", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "11:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  await caller.ask("cancel_appointment", ada);
  assert.equal((await caller.prove()).outcome, "which_appointment");
  await caller.ask("hold_slot", { slotId: slot("15:00"), patientName: "Ben Stone" });
  const said = await caller.ask("send_otp");
  assert.equal(said.outcome, "confirmed", said.message);
  assert.match(said.message, /3 PM .* can't tell which of those appointments/);
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 confirmed", "15:00 confirmed"]);
});

test("a new time that another request takes the place of is said to be let go, whatever the answer", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "11:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  const move = () =>
    caller.ask("reschedule_appointment", {
      ...ada,
      slotId: slot("15:00"),
      patientPhone: aPhone(),
    });
  assert.equal((await move()).outcome, "code_needed");
  const found = await caller.ask("find_appointments", ada);
  assert.match(found.message, /let go of .* at 3 PM/);
  assert.equal((await caller.prove()).outcome, "found");
  assert.equal((await move()).outcome, "code_needed");
  const which = await caller.ask("cancel_appointment", ada);
  assert.equal(which.outcome, "which_appointment");
  assert.match(which.message, /let go of .* at 3 PM/);
  assert.ok(which["released"]);
});

test("asking what is booked, while a move waits to hear which appointment is meant, keeps its new time", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "11:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  const move = (more = {}) =>
    caller.ask("reschedule_appointment", { ...ada, slotId: slot("15:00"), ...more });
  await move();
  assert.equal((await caller.prove()).outcome, "which_appointment");
  assert.equal((await caller.ask("find_appointments", ada)).outcome, "found");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 confirmed", "15:00 held"]);
  assert.equal((await move({ appointmentTime: "11:00" })).outcome, "rescheduled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled", "15:00 confirmed"]);
});

test("several appointments are named only after the code, and each question about them is asked once", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  await book(bench, aCaller(bench, clinic, phone), "12:00", "Ada Brown");
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("cancel_appointment", ada);
  assert.equal(asked.outcome, "code_needed");
  assert.doesNotMatch(JSON.stringify(withoutNumber(asked)), /10|12|Number|onsultation/);
  const which = await caller.prove();
  assert.deepEqual([which.outcome, which.action], ["which_appointment", "RETRY"]);
  assert.deepEqual(which["fields"], ["appointmentTime"]);
  assert.match(which.message, /10 AM with Dr Number 1 and .* noon with Dr Number 1\. Which time/);
  const again = await caller.ask("cancel_appointment", { ...ada, appointmentDate: aDay() });
  assert.deepEqual([again.outcome, again.action], ["which_appointment", "ESCALATE"]);
  const cancelled = await caller.ask("cancel_appointment", { ...ada, appointmentTime: "noon" });
  assert.equal(cancelled.outcome, "cancelled");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "12:00 cancelled"]);
});

test("day, time and doctor that were said are compared after the proof", async (bench) => {
  const said = [
    { appointmentDate: aDay(), appointmentTime: "12:00" },
    { appointmentTime: `${aDay()}T12:00:00+00:00` },
    { appointmentTime: "12 pm" },
  ];
  for (const args of said) {
    const { clinic, phone } = await anAppointment(bench);
    await book(bench, aCaller(bench, clinic, phone), "12:00", "Ada Brown");
    const caller = aCaller(bench, clinic, phone);
    assert.equal(
      (await caller.ask("cancel_appointment", { ...ada, ...args })).outcome,
      "code_needed",
    );
    assert.equal((await caller.prove()).outcome, "cancelled", JSON.stringify(args));
    const [row] = await bench.database.sql`select to_char(starts_at at time zone 'Europe/London',
      'HH24:MI') as time from public.appointments
      where org_id = ${clinic.id} and status = 'cancelled'`;
    assert.equal(row?.["time"], "12:00");
  }
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

test("a forged number alone changes nothing: the code goes to the patient and proves only its own call", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const forger = aCaller(bench, clinic, phone);
  await forger.ask("cancel_appointment", ada);
  await forger.ask("send_otp");
  const forgersCode = newestCode(bench.twilio);
  // The patient calls in the meantime; the forger learns nothing from that call.
  const patient = aCaller(bench, clinic, phone);
  await patient.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
  await patient.ask("send_otp");
  const code = newestCode(bench.twilio);
  assert.equal((await patient.ask("verify_otp", { code: forgersCode })).outcome, "wrong_code");
  assert.equal((await forger.ask("verify_otp", { code })).outcome, "wrong_code");
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

test("wrong codes are counted across changes and texts: ten in a call, then the front desk; the appointment stays", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const heard: Said[] = [];
  for (const round of [1, 2]) {
    const opened = round === 1
      ? await caller.ask("cancel_appointment", ada)
      : await caller.ask("reschedule_appointment", { ...ada, slotId: slot("11:00") });
    assert.equal(opened.outcome, "code_needed");
    assert.equal((await caller.ask("send_otp")).outcome, "sent");
    const wrong = newestCode(bench.twilio) === "000000" ? "111111" : "000000";
    for (let guess = 0; guess < 5; guess++) {
      heard.push(await caller.ask("verify_otp", { code: wrong }));
    }
  }
  const outcomes = [...Array(4).fill("wrong_code"), "code_locked"];
  assert.deepEqual(heard.map(({ outcome }) => outcome), [...outcomes, ...outcomes]);
  assert.deepEqual([heard[4]?.action, heard[9]?.action], ["RETRY", "ESCALATE"]);
  const code = newestCode(bench.twilio);
  assert.equal((await caller.ask("verify_otp", { code })).outcome, "code_locked");
  // The next call starts from zero: nothing is locked forever.
  const next = aCaller(bench, clinic, phone);
  await next.ask("cancel_appointment", ada);
  assert.equal((await next.prove()).outcome, "cancelled");
});

test("two texts go out for a request, then the front desk helps, whether or not there were any texts", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  for (const from of [phone, aPhone()]) {
    const caller = aCaller(bench, clinic, from);
    await caller.ask("cancel_appointment", ada);
    const heard: unknown[] = [];
    for (let text = 0; text < 3; text++) {
      const { outcome, action } = await caller.ask("send_otp");
      heard.push([outcome, action]);
      await bench.database.sql`update public.one_time_passcodes
        set claimed_at = claimed_at - interval '31 seconds'`;
    }
    assert.deepEqual(heard, [
      ["sent", undefined],
      ["sent", undefined],
      ["call_send_limit", "ESCALATE"],
    ]);
  }
});

test("an appointment moves to another doctor where its own is not free, and the caller is told at the proof", async (bench) => {
  const { clinic, phone } = await anAppointment(bench, { providers: 2 });
  const [row] = await bench.database.sql<{ slug: string; name: string }[]>`
    select p.slug, p.name from public.appointments as a
    join public.providers as p on p.id = a.provider_id where a.status = 'confirmed'`;
  await aCaller(bench, clinic).ask("hold_slot", {
    slotId: `${slot("12:00")}/${row?.slug}`,
    patientName: "Ben",
  });
  const caller = aCaller(bench, clinic, phone);
  const asked = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("12:00") });
  assert.doesNotMatch(
    JSON.stringify(withoutNumber(asked)),
    /Number/,
    "nor whose patient it would be",
  );
  const other = await caller.prove();
  assert.equal(other.outcome, "rescheduled");
  assert.match(other.message, row?.name === "Dr Number 1" ? /Dr Number 2/ : /Dr Number 1/);
});

test("the time that the appointment already has is taken before the proof; after it, nothing is moved", async (bench) => {
  const { clinic, appointmentId, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const same = await caller.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  const stranger = aCaller(bench, clinic);
  const other = await stranger.ask("reschedule_appointment", { ...ada, slotId: slot("10:00") });
  assert.deepEqual(same, other);
  const said = await caller.prove();
  assert.equal(said.outcome, "rescheduled");
  assert.equal(said.holdId, appointmentId);
  assert.deepEqual(await states(bench), ["10:00 confirmed"]);
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

test("a hold of the same call is released by its id without a code; another call's is not", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("10:00"), ...ada });
  const cancel = { ...ada, appointmentId: held.holdId };
  const other = aCaller(bench, clinic, caller.phone);
  assert.equal((await other.ask("cancel_appointment", cancel)).outcome, "code_needed");
  assert.equal((await caller.ask("cancel_appointment", cancel)).outcome, "hold_released");
  assert.deepEqual(await states(bench), ["10:00 cancelled"]);
});

test("a hold of the same call is released by number, name and day, also when asked twice", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  assert.equal(held.outcome, "held");
  const cancel = (more: object) =>
    caller.ask("cancel_appointment", { ...ada, appointmentDate: aDay(), ...more });
  for (const other of [{ patientName: "Ben Stone" }, { patientPhone: aPhone() }]) {
    assert.equal((await cancel(other)).outcome, "code_needed");
  }
  assert.equal((await cancel({ appointmentTime: "12:00" })).outcome, "code_needed");
  assert.equal((await cancel({ patientPhone: phone })).outcome, "code_needed");
  const released = await cancel({});
  assert.equal(released.outcome, "hold_released");
  assert.match(released.message, /let go of .*11 AM/);
  assert.equal((await cancel({})).outcome, "hold_released");
  assert.deepEqual(await states(bench), ["10:00 confirmed", "11:00 cancelled"]);
});

test("who asks again for the day of a released hold means the appointment on it", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  const cancel = async (more: object) =>
    (await caller.ask("cancel_appointment", { ...ada, ...more })).outcome;
  const day = { appointmentDate: aDay() };
  assert.deepEqual([await cancel(day), await cancel(day)], ["hold_released", "hold_released"]);
  assert.equal(await cancel(day), "code_needed");
  assert.equal((await caller.prove()).outcome, "cancelled");
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 cancelled"]);
  const next = await caller.ask("hold_slot", { slotId: slot("12:00"), ...ada });
  assert.notEqual(next.holdId, held.holdId);
  const named = { appointmentId: next.holdId };
  for (let times = 0; times < 4; times++) assert.equal(await cancel(named), "hold_released");
});

test("cancelling without a day leaves the call's own hold, and says so", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  for (const said of [{}, { appointmentTime: "11:00" }, { appointmentId: "my appointment" }]) {
    const asked = await caller.ask("cancel_appointment", { ...ada, ...said });
    assert.equal(asked.outcome, "code_needed");
    assert.match(asked.message, /still holding .*11 AM/);
    assert.ok(JSON.stringify(asked["kept"]).includes(held.holdId ?? "none"));
  }
  assert.equal((await caller.ask("cancel_appointment", ada)).outcome, "code_needed");
  const said = await caller.prove();
  assert.equal(said.outcome, "confirmed");
  assert.match(said.message, /10 AM .* is cancelled/);
  assert.deepEqual(await states(bench), ["10:00 cancelled", "11:00 confirmed"]);
  // The number is proven now: a hold stays too.
  await caller.ask("hold_slot", { slotId: slot("12:00"), patientName: "Ben Stone" });
  const ben = await caller.ask("cancel_appointment", { patientName: "Ben Stone" });
  assert.deepEqual([ben.outcome, (await states(bench)).at(-1)], [
    "appointment_not_found",
    "12:00 held",
  ]);
  assert.match(ben.message, /still holding .* at noon/);
});

test("what is held after a request is not what it cancels or moves", async (bench) => {
  const cancel = ["cancel_appointment", { ...ada, appointmentDate: aDay() }] as const;
  const move = ["reschedule_appointment", { ...ada, slotId: slot("14:00") }] as const;
  const cases = [
    [true, cancel, "cancelled", ["10:00 cancelled", "11:00 confirmed"]],
    [false, cancel, "appointment_not_found", ["11:00 confirmed"]],
    [true, move, "rescheduled", ["10:00 cancelled", "11:00 confirmed", "14:00 confirmed"]],
    [false, move, "appointment_not_found", ["11:00 confirmed", "14:00 cancelled"]],
  ] as const;
  for (const [isBooked, [tool, args], outcome, left] of cases) {
    const { clinic, phone } = await anAppointment(bench);
    const caller = aCaller(bench, clinic, isBooked ? phone : aPhone());
    assert.equal((await caller.ask(tool, args)).outcome, "code_needed");
    const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
    assert.equal(held.outcome, "held");
    const said = await caller.prove();
    assert.equal(said.outcome, "confirmed");
    assert.equal(Object(said["change"]).outcome, outcome, said.message);
    const rows = await bench.database.sql<{ state: string }[]>`
      select to_char(a.starts_at at time zone 'Europe/London', 'HH24:MI ') || a.status as state
      from public.appointments as a
      where a.org_id = ${clinic.id} and a.patient_phone = ${caller.phone} order by a.starts_at`;
    assert.deepEqual(rows.map(({ state }) => state), left);
  }
});

test("a code that confirms a hold and lists appointments says each time once", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  for (const isFirst of [true, false]) {
    const caller = aCaller(bench, clinic, isFirst ? aPhone() : phone);
    const time = isFirst ? "13:00" : "14:00";
    assert.equal((await caller.ask("hold_slot", { slotId: slot(time), ...ada })).outcome, "held");
    assert.equal((await caller.ask("find_appointments", ada)).outcome, "code_needed");
    const said = await caller.prove();
    assert.equal(said.outcome, "confirmed");
    assert.equal(said.message.match(/ at [12] PM/g)?.length, 1, said.message);
    assert.equal(/You also have .* at 10 AM/.test(said.message), !isFirst, said.message);
    assert.match(
      JSON.stringify(said["change"]),
      isFirst ? /T13:00/ : /T10:00.*T14:00/,
      "the facts",
    );
  }
});

/** The first hold of a call, as it was requested and repeated. */
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

test("a call hears which time it holds under another name, and corrects the name", async (bench) => {
  const { clinic } = await anAppointment(bench);
  const caller = aCaller(bench, clinic);
  const held = await caller.ask("hold_slot", { slotId: slot("11:00"), ...ada });
  const right = { slotId: slot("11:00"), patientName: "Ada Braun" };
  const refused = await caller.ask("hold_slot", right);
  assert.equal(refused.outcome, "slot_taken");
  assert.match(refused.message, /already holding .* 11 AM .* same patient\? If not, I could offer/);
  assert.equal(Object(refused["kept"]).holdId, held.holdId);
  const named = await caller.ask("hold_slot", { ...right, holdId: held.holdId });
  assert.deepEqual([named.outcome, named.holdId], ["held", held.holdId]);
  assert.equal((await caller.prove()).outcome, "confirmed");
  for (const time of ["10:00", "11:00"]) {
    const other = aCaller(bench, clinic, caller.phone);
    await other.ask("hold_slot", { slotId: slot("15:00"), patientName: "Eve Stone" });
    const taken = await other.ask("hold_slot", { slotId: slot(time), patientName: "Ben Stone" });
    assert.match(taken.message, /just been taken/, "by another call");
    assert.equal(taken["kept"], undefined);
  }
});

test("a call that holds one time twice hears so before the code, and can let go of one", async (bench) => {
  const { clinic } = await anAppointment(bench, { providers: 3 });
  const caller = aCaller(bench, clinic);
  const ask = (patientName: string, more = {}) =>
    caller.ask("hold_slot", { slotId: slot("11:00"), patientName, ...more });
  const first = await ask("Ada Brown");
  assert.equal(first["kept"], undefined);
  const second = await ask("Ada Braun");
  assert.equal(second.outcome, "held");
  assert.match(second.message, /still holding .* 11 AM with Dr Number \d under another name/);
  assert.equal(Object(second["kept"]).holdId, first.holdId);
  const other = await ask("Eve Stone", { patientPhone: aPhone() });
  assert.equal(other["kept"], undefined, "for another number");
  const later = await ask("Eve Stone", { slotId: slot("12:00") });
  assert.equal(later["kept"], undefined, "at another time");
  const gone = await caller.ask("cancel_appointment", { ...ada, appointmentId: first.holdId });
  assert.equal(gone.outcome, "hold_released");
  const again = await ask("Ada Braun");
  assert.deepEqual([again.outcome, again.holdId], ["held", second.holdId]);
  assert.equal(again["kept"], undefined);
});

test("a repeated hold request that arrives late undoes nothing that came after it", async (bench) => {
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
  assert.equal((await first.late()).holdId, back.holdId, "requested again, it is held again");

  const cancel = { ...ada, appointmentDate: aDay() };
  assert.equal((await caller.ask("cancel_appointment", cancel)).outcome, "hold_released");
  assert.equal((await first.late()).outcome, "hold_expired");
  await caller.ask("hold_slot", { slotId: slot("12:00"), ...ada });
  assert.equal((await caller.prove()).outcome, "confirmed");
  assert.equal((await first.late()).outcome, "already_confirmed");
  assert.deepEqual(await states(bench), [
    ...["10:00 cancelled", "11:00 cancelled", "10:00 cancelled", "12:00 confirmed"],
  ]);
});

test("a tool call with other arguments is not a repeat, and an expired hold is held again", async (bench) => {
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

test("a repeated change request that arrives late undoes nothing that came after it", async (bench) => {
  const { clinic, phone } = await anAppointment(bench);
  const caller = aCaller(bench, clinic, phone);
  const other = aCaller(bench, clinic);
  const taken = await other.ask("hold_slot", { slotId: slot("11:00"), patientName: "Ben" });
  const move = (time: string, id?: string) =>
    caller.ask("reschedule_appointment", { ...ada, slotId: slot(time) }, id);
  assert.match(
    (await move("13:07")).message,
    /^That time can't be booked\. I could offer [^.]*\.$/,
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
  assert.equal((await cancel()).outcome, "code_needed");
  await someone.ask("hold_slot", { slotId: slot("15:00"), patientName: "Cleo" });
  assert.equal((await cancel()).outcome, "code_needed");
  assert.ok((await states(bench)).includes("15:00 held"));
});

test("a failed text of a change is logged and audited, and the caller is not told", async (bench) => {
  for (const fault of [21614, 21610, "http_503", "report_undelivered"] as const) {
    const { clinic, phone } = await anAppointment(bench);
    const talk = async (from: string) => {
      const caller = aCaller(bench, clinic, from);
      bench.twilio.addFault(fault);
      const said = [await caller.ask("cancel_appointment", ada), await caller.ask("send_otp")];
      await bench.twilio.sendReports();
      said.push(await caller.ask("send_otp"), await caller.ask("verify_otp", { code: "000000" }));
      bench.twilio.clearFaults();
      return said.map(withoutNumber);
    };
    assert.deepEqual(await talk(phone), await talk(aPhone()), String(fault));
    if (fault === "report_undelivered") continue;
    assert.ok(
      bench.lines.some((line) => /"event":"change_text_failed",.*"callId":"/.test(line)),
      "the line leads to the call",
    );
    const [row] = await bench.database.sql`
      select count(*)::int as n from public.audit_logs
      where org_id = ${clinic.id} and action = 'send_otp' and outcome = 'cleared'`;
    assert.equal(row?.["n"], 1);
  }
});

test("bad arguments, a wrong secret and a database that is down are answered as in every tool", async (bench) => {
  const { clinic } = await anAppointment(bench);
  const caller = aCaller(bench, clinic);
  for (const args of [{}, { patientName: 7 }]) {
    const said = await caller.ask("cancel_appointment", args);
    assert.equal(said.outcome, "invalid_arguments", JSON.stringify(args));
    assert.doesNotMatch(said.message, /[a-z][A-Z]/, "a name to be read out has no capitals in it");
  }
  const unread = await caller.ask("cancel_appointment", { ...ada, appointmentTime: "later" });
  assert.equal(unread.outcome, "code_needed");
  assert.match(unread.message, /^I didn't get the time of the appointment/);
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
    "cancel_appointment code_needed",
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
