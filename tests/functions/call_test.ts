/** A whole call through the four functions: real Postgres, real gateway, fake Twilio over HTTP. */
import assert from "node:assert/strict";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import type { ServedTool } from "../../shared/request.ts";
import { aClinic, aDay, aPhone, testWithBench as test } from "../support/clinic.ts";
import { aHold, aTextingClinic, PhoneCall } from "../support/phone_call.ts";

test("a call books an appointment, one database call a tool (send-otp: three cold, two warm)", async (bench) => {
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  const counted = async (work: () => Promise<unknown>) => {
    const before = bench.restCalls.length;
    await work();
    return bench.restCalls.length - before;
  };
  let slotId = "";
  const first = await counted(async () => {
    const found = await call.ask(checkAvailability, {
      date: aDay(),
      serviceType: "consultation",
    });
    assert.equal(found.outcome, "available");
    slotId = found.slots?.[0]?.slotId ?? "";
  });
  assert.equal(first, 1);
  const args = { slotId, patientName: "Ada Brown" };
  assert.equal(await counted(() => call.ask(holdSlot, args)), 1);
  const cold = await counted(async () => {
    const sent = await call.send();
    assert.equal(sent.outcome, "sent");
  });
  assert.equal(cold, 3);
  const code = call.code;
  const verified = await counted(async () => {
    const said = await call.verify(code);
    assert.equal(said.outcome, "confirmed");
  });
  assert.equal(verified, 1);

  const second = await aHold(bench, { clinic: call.clinic, time: "15:00" });
  assert.equal(await counted(() => second.send()), 2);
  const written = bench.lines.join("\n");
  assert.ok(!written.includes(code), "the passcode is in the log");
  assert.ok(!written.includes(call.phone.slice(4)), "the phone number is in the log");
});

test("a booking is four tool calls, a second child two more, a change after the proof one, and all one code", async (bench) => {
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  const tools = { send_otp: sendOtp, verify_otp: verifyOtp };
  /** Follows the answers until none names a next tool; returns the tools and the last answer. */
  const follow = async (tool: ServedTool, args: object) => {
    const used: string[] = [tool.tool.name];
    let said = await call.ask(tool, args);
    for (
      let next = said["nextTool"];
      next === "send_otp" || next === "verify_otp";
      next = said["nextTool"]
    ) {
      used.push(next);
      said = await call.ask(tools[next], next === "verify_otp" ? { code: call.code } : {});
    }
    return { used, outcome: said.outcome };
  };
  const found = await call.ask(checkAvailability, { date: aDay(), serviceType: "consultation" });
  const [first, second] = (found.slots ?? []).map(({ slotId }) => slotId);
  assert.deepEqual(await follow(holdSlot, { slotId: first, patientName: "Jane Example" }), {
    used: ["hold_slot", "send_otp", "verify_otp"],
    outcome: "confirmed",
  });
  assert.deepEqual(await follow(holdSlot, { slotId: second, patientName: "Tim Example" }), {
    used: ["hold_slot", "send_otp"],
    outcome: "confirmed",
  });
  assert.deepEqual(await follow(cancelAppointment, { patientName: "Tim Example" }), {
    used: ["cancel_appointment"],
    outcome: "cancelled",
  });
  assert.equal(call.texts, 1);
});

test("hold-slot gives one slot to one of two hundred callers, the others hear alternatives", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const slotId = `consultation/${aDay()}T11:00`;
  const answers = await Promise.all(Array.from({ length: 200 }, () =>
    bench.insist(holdSlot, {
      tool: "hold_slot",
      called: clinic.number,
      caller: aPhone(),
      callId: crypto.randomUUID(),
      args: { slotId, patientName: "Ada" },
    })));
  const outcomes = Map.groupBy(answers, ({ outcome }) => outcome);
  assert.deepEqual(
    Object.fromEntries([...outcomes].map(([outcome, all]) => [outcome, all.length])),
    { held: 1, slot_taken: 199 },
  );
  assert.ok(outcomes.get("slot_taken")?.every(({ slots }) => slots?.length === 3));
  const [row] = await bench.database.sql`select count(*)::int as n from public.appointments`;
  assert.equal(row?.["n"], 1);
});

test("only a time that somebody else has is called taken, not one that was never bookable", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const ask = (time: string, callId: string = crypto.randomUUID(), day = aDay()) =>
    bench.insist(holdSlot, {
      ...{ tool: "hold_slot", called: clinic.number, caller: aPhone(), callId },
      args: { slotId: `consultation/${day}T${time}`, patientName: "Ada" },
    });
  const callId = crypto.randomUUID();
  assert.equal((await ask("11:00", callId)).outcome, "held");
  const asked = [
    { said: await ask("11:00"), taken: true },
    { said: await ask("10:07"), taken: false },
    { said: await ask("11:07", callId), taken: false },
    { said: await ask("23:30"), taken: false },
    { said: await ask("11:00", callId, aDay(-1)), taken: false },
    { said: await ask("11:00", callId, aDay(2000)), taken: false },
  ];
  for (const { said, taken } of asked) {
    assert.equal(said.outcome, "slot_taken");
    assert.match(
      said.message,
      taken ? /^That time has just been/ : /^That time can't be booked/,
    );
  }
});

test("forty repeats of one call are one hold and forty identical answers", async (bench) => {
  const clinic = await aClinic(bench.database.sql, { providers: 3 });
  const { facts } = new PhoneCall(bench, clinic);
  const args = { slotId: `consultation/${aDay()}T11:00`, patientName: "Ada" };
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => bench.insist(holdSlot, { ...facts, tool: "hold_slot", args })),
  );
  assert.equal(
    new Set(answers.map((answer) => JSON.stringify(answer))).size,
    1,
  );
  assert.equal(answers[0]?.outcome, "held");
});

test("a caller who changes their mind releases the first slot, even if the new one overlaps it", async (bench) => {
  const call = await aHold(bench);
  const [first] = await bench.database.sql`select id from public.appointments`;
  await bench.database
    .sql`update public.services set step_min = 15 where org_id = ${call.clinic.id}`;
  const moved = await call.hold("10:15");
  assert.equal(moved.outcome, "held");
  const [row] = await bench.database.sql`
    select status from public.appointments where id = ${first?.["id"]}`;
  assert.equal(row?.["status"], "cancelled");
  assert.equal((await call.hold("10:15"))["holdId"], moved.holdId);
});

test("fifty sends at once are one text, fifty right codes one confirmation", async (bench) => {
  const call = await aHold(bench);
  const sent = await Promise.all(
    Array.from({ length: 50 }, () => call.send()),
  );
  assert.equal(sent.filter(({ outcome }) => outcome === "sent").length, 1);
  assert.ok(sent.every(({ success }) => success));
  assert.equal(bench.twilio.postCount, 1);
  const { code } = call;
  const verified = await Promise.all(
    Array.from(
      { length: 50 },
      () => call.verify(code),
    ),
  );
  assert.equal(verified.filter(({ outcome }) => outcome === "confirmed").length, 1);
  assert.ok(verified.every(({ success }) => success));
});

test("a hundred wrong codes at once count five, then the code is locked and a new one works", async (bench) => {
  const call = await aHold(bench);
  await call.send();
  const code = call.code;
  const wrong = code === "000000" ? "111111" : "000000";
  const answers = await Promise.all(Array.from({ length: 100 }, () => call.verify(wrong)));
  const counted = answers.filter(({ outcome }) => outcome === "wrong_code").length;
  assert.equal(counted, 4, "four times wrong, the fifth locks the code");
  assert.equal((await call.verify(code)).outcome, "code_locked");
  const [row] = await bench.database.sql`
    select code_attempts, mac from public.one_time_passcodes`;
  assert.deepEqual({ ...row }, { code_attempts: 5, mac: null });
  await bench.database
    .sql`update public.one_time_passcodes set claimed_at = now() - interval '1 minute'`;
  await call.send();
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
  assert.equal(await call.status(), "confirmed");
});

test("the tenth wrong code leaves the hold to the front desk; new texts do not reset the count", async (bench) => {
  const call = await aHold(bench);
  let last = "";
  for (let round = 0; round < 2; round++) {
    await bench.database
      .sql`update public.one_time_passcodes set claimed_at = now() - interval '1 minute'`;
    await call.send();
    const wrong = call.code === "000000" ? "111111" : "000000";
    for (let guess = 0; guess < 5; guess++) last = (await call.verify(wrong)).outcome;
  }
  assert.equal(last, "locked");
  assert.equal(await call.status(), "held");
  const [row] = await bench.database.sql`
    select private.is_kept(a) as kept from public.appointments as a`;
  assert.equal(row?.["kept"], true);
});

for (
  const [kind, outcome, mayHaveGone] of [
    [21211, "bad_destination", false],
    [21610, "opted_out", false],
    [63038, "sms_misconfigured", false],
    ["http_500", "sms_provider_error", true],
    ["empty", "sms_provider_error", true],
    ["html", "sms_provider_error", true],
    ["failed", "sms_rejected", false],
    ["no_sid", "sms_provider_error", true],
    ["timeout", "sms_timeout", true],
  ] as const
) {
  test(`a text that fails with ${kind} leaves no code, one POST, and the next send works at once`, async (bench) => {
    const call = await aHold(bench);
    if (outcome === "sms_timeout") bench.deadlines.textMs = 300;
    bench.twilio.addFault(kind);
    const startedAt = performance.now();
    const failed = await call.send();
    assert.ok(performance.now() - startedAt < 30_000);
    assert.equal(failed.success, false);
    assert.equal(failed.outcome, outcome);
    assert.equal(bench.twilio.postCount, 1);
    const [row] = await bench.database.sql`
      select state, mac, sends from public.one_time_passcodes`;
    assert.deepEqual({ ...row }, { state: "cleared", mac: null, sends: mayHaveGone ? 1 : 0 });
    const line = bench.lines.find((one) => one.includes("rolling back OTP storage")) ?? "{}";
    assert.equal(JSON.parse(line).callId, call.callId, "the line leads to the call");
    assert.equal((await call.send()).outcome, "sent");
  });
}

test("another organization's hold answers like an unknown one, byte for byte", async (bench) => {
  const { holdId } = await aHold(bench);
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  for (const [tool, args] of [[sendOtp, {}], [verifyOtp, { code: "123456" }]] as const) {
    const ask = (id: unknown) => call.ask(tool, { ...args, holdId: id });
    assert.deepEqual(await ask(holdId), await ask(crypto.randomUUID()));
    assert.equal((await ask(holdId)).outcome, "hold_not_found");
  }
  assert.equal(bench.twilio.postCount, 0);
});

test("an expired hold stops blocking at once, without any job, and its caller is told", async (bench) => {
  const call = await aHold(bench);
  await call.send();
  await bench.database
    .sql`update public.appointments set expires_at = now() - interval '1 second'`;
  assert.equal((await call.verify(call.code)).outcome, "hold_expired");
  const taken = await new PhoneCall(bench, call.clinic).hold();
  assert.equal(taken.outcome, "held");
  assert.equal(await call.status(), "expired");
});

test("the same tool call delivered twice counts a wrong code once", async (bench) => {
  const call = await aHold(bench);
  await call.send();
  const wrong = call.code === "000000" ? "111111" : "000000";
  const once = { toolCallId: "call_once" };
  assert.deepEqual(await call.verify(wrong, once), await call.verify(wrong, once));
  const [row] = await bench.database.sql`
    select attempts from public.calls`;
  assert.equal(row?.["attempts"], 1);
});

test("cleanup_expired_holds turns expired holds to expired and returns how many", async (bench) => {
  const call = await aHold(bench);
  const clean = async () => {
    const [row] = await bench.database.sql`select public.cleanup_expired_holds() as n`;
    return row?.["n"];
  };
  assert.equal(await clean(), 0);
  await bench.database
    .sql`update public.appointments set expires_at = now() - interval '1 second'`;
  assert.equal(await clean(), 1);
  assert.equal(await call.status(), "expired");
});
