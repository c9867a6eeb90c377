/** A clinic that texts the code with the hold: one text whatever is repeated, and never a lost slot. */
import assert from "node:assert/strict";
import holdSlot from "../../functions/hold-slot/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import vapiWebhook from "../../functions/vapi-webhook/index.ts";
import { claimSlot } from "../../shared/database/holds.ts";
import { beginSendAtHold } from "../../shared/database/passcodes.ts";
import { Fault } from "../../shared/errors.ts";
import { sendAtHold } from "../../shared/sending.ts";
import * as sentences from "../../shared/sentences.ts";
import type { Runtime } from "../../shared/runtime.ts";
import {
  aDay,
  aPhone,
  aPost,
  type Bench,
  type Clinic,
  codeTo,
  insist,
  type Said,
  testWithBench as test,
  withClaimFollowedBy,
  wrongCodes,
} from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";

/** A call to a clinic that texts with the hold. */
async function aCall(bench: Bench, clinic?: Clinic): Promise<PhoneCall> {
  return new PhoneCall(
    bench,
    clinic ?? await aTextingClinic(bench, { providers: 2, textsAtHold: true }),
  );
}

const nextOf = ({ outcome, text, nextTool }: Said) => [outcome, text, nextTool];
const texted = ["held", "sent", "verify_otp"];
const covered = ["held", "under_way", "verify_otp"];
/** The hold is kept, and send_otp has to text the code. */
const left = ["held", undefined, "send_otp"];

test("a time is held and its code texted by one request, and verify_otp is next", async (bench) => {
  const call = await aCall(bench);
  const held = await call.hold();
  assert.deepEqual(nextOf(held), texted);
  assert.equal(held.success, true);
  const ending = call.phone.slice(-2);
  assert.match(
    held.message,
    new RegExp(
      "^I'm holding .+ with Dr .+ for you\\. I've texted a six-digit code to the number ending " +
        `${ending}\\. Read it to me when it arrives\\.$`,
    ),
  );
  assert.deepEqual(bench.restCalls.map((path) => path.split("/").at(-1)), [
    "claim_slot_atomic",
    "get_org_credentials",
    "begin_send_at_hold",
    "complete_otp_send",
  ]);
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
  assert.equal(call.texts, 1);
  // The proof belongs to the call: a further hold needs no code, so none is texted.
  const further = await call.hold("11:00", { patientName: "Ben Brown" });
  assert.deepEqual(nextOf(further), left);
  assert.match(further.message, /won't need another code/);
  assert.equal(call.texts, 1);
});

test("a clinic that has not chosen it texts nothing with a hold", async (bench) => {
  const call = await aCall(bench, await aTextingClinic(bench));
  assert.deepEqual(nextOf(await call.hold()), left);
  assert.equal(call.texts, 0);
});

for (
  const [what, toolCallId] of [["one request", "call_1"], ["one question", undefined]] as const
) {
  test(`fifty deliveries of ${what} at once are one hold and one text`, async (bench) => {
    const call = await aCall(bench);
    const asked = toolCallId === undefined ? {} : { toolCallId };
    const said = await Promise.all(
      Array.from({ length: 50 }, () => insist(() => call.hold("10:00", {}, asked))),
    );
    for (const one of said) assert.deepEqual(nextOf(one), texted, one.message);
    assert.equal(new Set(said.map(({ holdId }) => holdId)).size, 1);
    assert.equal(new Set(said.map(({ message }) => message)).size, 1);
    assert.equal(bench.twilio.postCount, 1);
    assert.deepEqual(await call.counters(), { code_attempts: 0, attempts: 0, sends: 1 });
    assert.equal((await call.verify(call.code)).outcome, "confirmed");
  });
}

test("one code covers all patients of a call, at once or minutes later", async (bench) => {
  const call = await aCall(bench);
  const family = ["Ada", "Ben", "Cleo"].map((name) => ({ patientName: `${name} Brown` }));
  const said = await Promise.all(
    family.map((patient, index) => insist(() => call.hold(`1${index}:00`, patient))),
  );
  assert.deepEqual(said.map(nextOf).sort(), [texted, covered, covered].sort());
  const second = said.find(({ text }) => text === "under_way");
  assert.match(second?.message ?? "", /The code I've texted to .+ is good for this one too\. Read/);
  await call.pass(120);
  assert.deepEqual(nextOf(await call.hold("14:00", { patientName: "Dan Brown" })), covered);
  assert.equal(call.texts, 1);
  const confirmed = await call.verify(call.code);
  assert.equal(confirmed.outcome, "confirmed");
  assert.equal((confirmed["others"] as unknown[]).length, 3);
});

test("another time for the same patient is covered by the code, until it is about to expire", async (bench) => {
  const call = await aCall(bench);
  await call.hold("10:00");
  const moved = await call.hold("11:00");
  assert.deepEqual(nextOf(moved), covered);
  assert.match(moved.message, /, and I've let go of .+\. The code I've texted/);
  const old = call.code;
  await call.pass(280);
  assert.deepEqual(nextOf(await call.hold("12:00")), texted);
  assert.equal(call.texts, 2);
  assert.equal((await call.verify(old)).outcome, "wrong_code");
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
});

test("a repeated hold texts nothing, however late; send_otp does", async (bench) => {
  const call = await aCall(bench);
  const first = { toolCallId: "call_first" };
  const held = await call.hold("10:00", {}, first);
  for (const asked of [first, {}, first]) {
    const again = await call.hold("10:00", {}, asked);
    assert.deepEqual([again.holdId, ...nextOf(again)], [held.holdId, ...texted]);
    await call.pass(35);
  }
  // The code has expired, the hold has not.
  await call.pass(230);
  for (const asked of [first, {}]) {
    assert.deepEqual(nextOf(await call.hold("10:00", {}, asked)), left);
  }
  assert.equal(call.texts, 1);
  assert.equal((await call.send()).outcome, "sent");
  // After five wrong codes a repeated hold texts nothing; send_otp is next.
  for (const code of wrongCodes(call.code, 5)) await call.verify(code);
  for (const asked of [first, {}]) {
    assert.deepEqual(nextOf(await call.hold("10:00", {}, asked)), left);
  }
  assert.equal(call.texts, 2);
  await call.pass(35);
  assert.equal((await call.send()).outcome, "sent");
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
  for (const asked of [first, {}]) {
    assert.equal((await call.hold("10:00", {}, asked)).outcome, "already_confirmed");
  }
  assert.equal(call.texts, 3);
});

test("a corrected number is texted, and the code of the first one no longer counts", async (bench) => {
  const call = await aCall(bench);
  const { holdId } = await call.hold();
  const corrected = aPhone();
  const again = await call.hold("10:00", { patientPhone: corrected });
  assert.deepEqual([again.holdId, ...nextOf(again)], [holdId, ...texted]);
  assert.equal((await call.verify(call.code)).outcome, "wrong_code");
  assert.equal((await call.verify(codeTo(bench.twilio, corrected))).outcome, "confirmed");
});

test("after a text that did not arrive, the next patient's hold texts again and a repeated hold does not", async (bench) => {
  const call = await aCall(bench);
  bench.twilio.addFault("report_undelivered", { code: 30008 });
  await call.hold();
  await bench.twilio.sendReports();
  assert.deepEqual(nextOf(await call.hold()), left);
  const second = await call.hold("11:00", { patientName: "Ben Brown" });
  assert.deepEqual(nextOf(second), texted);
  assert.match(second.message, /The last text didn't arrive/);
  assert.equal(call.texts, 2);
});

/** What prevents a text, each at its own clinic. */
const obstacles: Readonly<Record<string, (bench: Bench, clinic: Clinic) => unknown>> = {
  "a landline": ({ twilio }) => twilio.addFault(21614),
  "a number that answered STOP": ({ twilio }) => twilio.addFault(21610),
  "a country that Twilio does not serve": ({ twilio }) => twilio.addFault(21408),
  "a sender that cannot text": ({ twilio }) => twilio.addFault(21606),
  "a Twilio that fails": ({ twilio }) => twilio.addFault("http_503"),
  "a connection that breaks off": ({ twilio }) => twilio.addFault("reset_before"),
  "a country that the clinic took out meanwhile": ({ database: { sql } }, { id }) =>
    sql`update public.organizations set sms_countries = '{US}' where id = ${id}`,
  "no texts left this hour": ({ database: { sql } }, { id }) =>
    sql`insert into public.sms_messages (org_id, id, origin, to_masked, status)
      select ${id}, gen_random_uuid(), 'other_number', '***11', 'accepted'
      from generate_series(1, 200)`,
  "no account": ({ database: { sql } }, { id }) =>
    sql`delete from public.org_credentials where org_id = ${id}`,
  "an account that does not decrypt": ({ database: { sql } }, { id }) =>
    sql`update public.org_credentials set key_id = 'gone' where org_id = ${id}`,
};

/** A text that cannot be sent, with the hold or by send_otp. */
async function obstructed(
  bench: Bench,
  obstruct: (bench: Bench, clinic: Clinic) => unknown,
  textsAtHold: boolean,
) {
  const clinic = await aTextingClinic(bench, { textsAtHold });
  const call = await aCall(bench, clinic);
  // After the claim, which would refuse a country that is not texted.
  const runtime = withClaimFollowedBy(
    bench.runtime,
    async () => await obstruct(bench, clinic),
    claimSlot.sqlName,
  );
  const held = await call.hold("10:00", {}, { runtime });
  assert.equal(await call.status(), "held");
  return textsAtHold ? held : await call.send();
}

test("if a text cannot be sent, the hold is kept, and the rest of the answer is that of send_otp", async (bench) => {
  for (const [what, obstruct] of Object.entries(obstacles)) {
    const held = await obstructed(bench, obstruct, true);
    const sent = await obstructed(bench, obstruct, false);
    assert.equal(sent.success, false, what);
    assert.deepEqual(
      [held.success, held.outcome, held["text"]],
      [true, "held", sent.outcome],
      what,
    );
    assert.ok(held.message.startsWith("I'm holding "), held.message);
    assert.ok(held.message.endsWith(`for you. ${sent.message}`), held.message);
    assert.deepEqual([held.action, held["fields"]], [sent.action, sent["fields"]], what);
    const next = sent["nextTool"] ?? (sent.action === "RETRY" ? "send_otp" : undefined);
    assert.equal(held["nextTool"], next, what);
    assert.equal(bench.twilio.messages.length, 0, what);
  }
});

test("a number that can have no more codes leaves the hold to the front desk, and is told so", async (bench) => {
  const call = await aCall(bench);
  await bench.database.sql`insert into public.phone_counts (phone_hash, wrong_at)
    values (private.hash_phone(${call.phone}), array_fill(now(), array[30]))`;
  const said = await call.hold("10:00");
  assert.deepEqual([said.outcome, said.action, said.holdId], ["locked", "ESCALATE", undefined]);
  assert.equal(call.texts, 0);
  const [row] = await bench.database.sql`
    select handed_over_at is not null as is_left from public.appointments`;
  assert.equal(row?.["is_left"], true);
});

test("another number after a landline is texted with the same hold", async (bench) => {
  const call = await aCall(bench);
  bench.twilio.addFault(21614);
  const first = await call.hold();
  assert.deepEqual(nextOf(first), ["held", "bad_destination", "hold_slot"]);
  const mobile = aPhone();
  const second = await call.hold("10:00", { patientPhone: mobile });
  assert.deepEqual([second.holdId, ...nextOf(second)], [first.holdId, ...texted]);
  assert.equal((await call.verify(codeTo(bench.twilio, mobile))).outcome, "confirmed");
});

test("while Twilio says nothing the caller gets an answer, the hold stays, and no repeat texts again", async (bench) => {
  const call = await aCall(bench);
  bench.deadlines.textMs = 1000;
  bench.twilio.addFault("lost_answer");
  const asked = { toolCallId: "call_silent" };
  const said = await Promise.all([1, 2, 3].map(() => insist(() => call.hold("10:00", {}, asked))));
  const failed = said.filter(({ text }) => text === "sms_timeout");
  assert.equal(failed.length, 1);
  assert.deepEqual([failed[0]?.action, failed[0]?.["nextTool"]], ["RETRY", "send_otp"]);
  assert.match(failed[0]?.message ?? "", /^I'm holding .+ Shall I try once more\?$/);
  assert.equal(await call.status(), "held");
  for (const again of [asked, {}]) {
    assert.deepEqual(nextOf(await call.hold("10:00", {}, again)), left);
  }
  assert.equal(bench.twilio.postCount, 1);
  assert.equal((await call.send()).outcome, "sent");
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
});

test("a text that certainly did not go out is tried again when the hold is asked for again", async (bench) => {
  const call = await aCall(bench);
  bench.twilio.addFault(21610);
  const asked = { toolCallId: "call_again" };
  assert.equal((await call.hold("10:00", {}, asked))["text"], "opted_out");
  assert.deepEqual(nextOf(await call.hold("10:00", {}, asked)), texted);
  assert.equal(call.texts, 1);
});

/** A runtime whose database fails at the beginning of a text. */
function withoutSends({ runtime }: Bench): Runtime {
  return {
    ...runtime,
    database: {
      within: (...given) => {
        const database = runtime.database.within(...given);
        return {
          call: (sqlName, args) =>
            sqlName === beginSendAtHold.sqlName
              ? Promise.reject(new Fault("database_timeout", "Cannot call it: no answer in time"))
              : database.call(sqlName, args),
        };
      },
    },
  };
}

test("a database that fails at the text costs no hold: send_otp tries again", async (bench) => {
  const call = await aCall(bench);
  const held = await call.hold("10:00", {}, { runtime: withoutSends(bench) });
  assert.deepEqual(nextOf(held), ["held", "text_failed", "send_otp"]);
  assert.deepEqual([held.success, held.action], [true, "RETRY"]);
  assert.ok(held.message.endsWith(sentences.textFailed));
  assert.equal(await call.status(), "held");
  const line = bench.lines.map((text) => JSON.parse(text))
    .find(({ event }) => event === "hold_text_failed");
  assert.equal(line?.fault?.code, "database_timeout");
  assert.equal((await call.send()).outcome, "sent");
});

Deno.test("with too little time left for a text, none is begun and the code is left to send_otp", async () => {
  const budget = { remainingMs: () => 1999 };
  // Touching anything else would throw.
  const tools: Parameters<typeof sendAtHold>[0] = Object.create({ budget });
  const call = { callId: "call", toolCallId: "", claims: {} };
  assert.deepEqual(await sendAtHold(tools, call, "hold"), { outcome: "send_otp_needed" });
});

const hangUp = async ({ bench, clinic, phone, callId }: PhoneCall) => {
  const message = {
    ...{ type: "status-update", status: "ended", endedReason: "customer-ended-call" },
    ...{ phoneNumber: { number: clinic.number }, customer: { number: phone } },
    call: { id: callId },
  };
  await vapiWebhook.using(bench.runtime).fetch(aPost(JSON.stringify({ message })));
};

test("a call that is cut off between the hold and its text gets none", async (bench) => {
  const call = await aCall(bench);
  const runtime = withClaimFollowedBy(bench.runtime, () => hangUp(call), claimSlot.sqlName);
  assert.equal((await call.hold("10:00", {}, { runtime })).outcome, "hold_not_found");
  assert.equal(bench.twilio.postCount, 0);
  assert.equal((await call.hold("10:00")).outcome, "held", "the time is free again");
});

test("a call that is cut off while its text goes out leaves no hold and no code that counts", async (bench) => {
  const call = await aCall(bench);
  const runtime = withClaimFollowedBy(bench.runtime, () => hangUp(call), beginSendAtHold.sqlName);
  const asked = { toolCallId: "call_cut", runtime };
  assert.equal((await call.hold("10:00", {}, asked)).outcome, "held");
  const [row] = await bench.database.sql`
    select status, (select count(*)::int from public.one_time_passcodes where mac is not null) as live
    from public.appointments`;
  assert.deepEqual({ ...row }, { status: "cancelled", live: 0 });
  assert.equal((await call.hold("10:00", {}, { toolCallId: "call_cut" })).outcome, "hold_expired");
  assert.equal(call.texts, 1);
});

test("a caller whose line dropped gets the hold and a text of the new call", async (bench) => {
  const dropped = await aCall(bench);
  const { holdId } = await dropped.hold();
  const call = new PhoneCall(bench, dropped.clinic, dropped.phone);
  const again = await call.hold();
  assert.deepEqual([again.holdId, ...nextOf(again)], [holdId, ...texted]);
  assert.equal(call.texts, 2);
  assert.equal((await call.verify(call.code)).outcome, "confirmed");
});

test("the new time of a move is not texted for: its code is that of the change", async (bench) => {
  const call = await aCall(bench);
  const slotId = `consultation/${aDay()}T15:00`;
  const moving = { patientName: "Ada Brown", slotId };
  assert.equal((await call.ask(rescheduleAppointment, moving)).outcome, "code_needed");
  assert.deepEqual(nextOf(await call.hold("15:00")), left);
  assert.equal((await call.send()).outcome, "sent");
  // The code of a change may be for an appointment that does not exist, so a hold has its own.
  assert.deepEqual(nextOf(await call.hold("16:00")), texted);
  assert.equal(call.texts, 1);
});

test("a second hold lasts as long as the code that covers it", async (bench) => {
  const call = await aCall(bench);
  await bench.database.sql`update public.organizations set hold_minutes = 1`;
  await call.hold("10:00");
  assert.deepEqual(nextOf(await call.hold("11:00", { patientName: "Ben Brown" })), covered);
  await call.pass(150);
  const confirmed = await call.verify(call.code);
  assert.equal(confirmed.outcome, "confirmed");
  assert.equal((confirmed["others"] as unknown[]).length, 1);
});

test("a hold that was refused texts nothing", async (bench) => {
  const clinic = await aTextingClinic(bench, { textsAtHold: true });
  await (await aCall(bench, clinic)).hold("10:00");
  const late = await aCall(bench, clinic);
  assert.equal((await late.hold("10:00")).outcome, "slot_taken");
  assert.equal(late.texts, 0);
  assert.equal((await bench.ask(holdSlot, { tool: "hold_slot" })).outcome, "invalid_arguments");
  assert.equal(bench.twilio.postCount, 1);
});
