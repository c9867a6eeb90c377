/**
 * Requests to cancel or move an appointment: the proof, repeats, limits, and what is written down.
 */
import assert from "node:assert/strict";
import {
  aPhone,
  aRequest,
  newestCode,
  type Said,
  testWithBench as test,
} from "../support/clinic.ts";
import {
  aCaller,
  ada,
  anAppointment,
  book,
  slot,
  states,
  tools,
  withoutNumber,
} from "../support/patient.ts";

test("the later of two patients' requests counts, and the caller is told to ask again for the other", async (bench) => {
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

test("the same tool call, the same request and the same code, repeated, give the first answer", async (bench) => {
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

test("the code that settled a request, read out again, gives the same answer, whatever was asked", async (bench) => {
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

test("a caller whose number is withheld says the number of the booking, which gets the code", async (bench) => {
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

test("after two texts for a request the front desk helps, whether or not a text really went out", async (bench) => {
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
