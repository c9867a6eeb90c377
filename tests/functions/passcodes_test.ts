/** Passcodes: every number, every repeat, every reason. */
import assert from "node:assert/strict";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { readConfig } from "../../shared/config.ts";
import { clearOtpSend, completeOtpSend } from "../../shared/database/passcodes.ts";
import { startBudget } from "../../shared/deadline.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import {
  aClinic,
  aPhone,
  aRequest,
  type Bench,
  codeTo,
  type Said,
  testWithBench as test,
  withClaimFollowedBy,
  wrongCodes,
} from "../support/clinic.ts";
import { aHold, PhoneCall } from "../support/phone_call.ts";

test("a code is valid for five minutes, as the text and the answer say", async (bench) => {
  const caller = await aHold(bench);
  const sent = await caller.send();
  assert.equal(sent["expiresInSeconds"], 300);
  assert.match(bench.twilio.messages.at(-1)?.body ?? "", /Expires in 5 min\./);
  assert.equal(bench.twilio.messages.at(-1)?.validitySeconds, 300);
  const code = caller.code;
  await caller.pass(300);
  assert.equal((await caller.verify(code)).outcome, "code_expired");
  assert.deepEqual(await caller.counters(), { code_attempts: 0, attempts: 0, sends: 1 });
  assert.equal((await caller.send()).outcome, "sent");
  await caller.pass(240);
  assert.equal((await caller.verify(caller.code)).outcome, "confirmed");
});

test("a text extends its hold to its code's five minutes, within a limit, and a shorter life is mentioned", async (bench) => {
  const caller = await aHold(bench);
  await caller.pass(586);
  const sent = await caller.send();
  assert.equal(sent["expiresInSeconds"], 300);
  assert.match(bench.twilio.messages.at(-1)?.body ?? "", /Expires in 5 min\./);
  await caller.pass(250);
  const short = await caller.send();
  const seconds = Number(short["expiresInSeconds"]);
  assert.ok(seconds > 55 && seconds <= 65, `${seconds} s`);
  assert.match(short.message, new RegExp(`only good for ${seconds} seconds`));
  // Asking again extends the hold but not the code: the next text need not wait.
  assert.equal((await caller.hold()).outcome, "held");
  await bench.database.sql`update public.one_time_passcodes set expires_at = clock_timestamp()`;
  assert.equal((await caller.verify(caller.code)).outcome, "code_expired");
  assert.equal((await caller.send()).outcome, "sent");
});

test("anything but six digits costs no attempt and no database call", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const before = bench.restCalls.length;
  const given = ["12345", "1234567", "no idea", "482913 or 482931", "4829", 1234567, -1, 1.5];
  for (const code of given) {
    const said = await caller.verify(code);
    assert.equal(said.outcome, "malformed_code", String(code));
    assert.equal(said.action, "RETRY");
  }
  assert.equal(bench.restCalls.length, before);
  assert.deepEqual(await caller.counters(), { code_attempts: 0, attempts: 0, sends: 1 });
  assert.equal((await caller.verify(caller.code.split("").join(" "))).outcome, "confirmed");
});

test("the whole text read out confirms, because its other figures are not a code", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const text = bench.twilio.messages.at(-1)?.body ?? "";
  assert.match(text, /Expires in 5 min/);
  assert.equal((await caller.verify(`It says: ${text}`)).outcome, "confirmed");
});

test("there are thirty seconds between two texts, and a new code replaces the old one at once", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const first = caller.code;
  await caller.pass(28);
  const early = await caller.send();
  assert.equal(early.outcome, "cooldown");
  assert.ok(
    [1, 2].includes(Number(early["retryAfterSeconds"])),
    String(early["retryAfterSeconds"]),
  );
  await caller.pass(2);
  assert.equal((await caller.send()).outcome, "sent");
  const said = await caller.verify(first === caller.code ? "none" : first);
  assert.equal(said.outcome, "wrong_code");
  assert.equal(said["attemptsLeft"], 4);
  assert.equal((await caller.verify(caller.code)).outcome, "confirmed");
});

test("a call gets six texts, refused ones not counted, and then the front desk", async (bench) => {
  const caller = await aHold(bench);
  bench.twilio.addFault(21211, { times: 2 });
  for (let refused = 0; refused < 2; refused++) {
    assert.equal((await caller.send()).outcome, "bad_destination");
  }
  for (let text = 0; text < 6; text++) {
    assert.equal((await caller.send()).outcome, "sent");
    await caller.pass(31);
  }
  const seventh = await caller.send();
  assert.equal(seventh.outcome, "call_send_limit");
  assert.equal(seventh.action, "ESCALATE");
  assert.equal(caller.texts, 6);
  // The newest code still works.
  assert.equal((await caller.verify(caller.code)).outcome, "confirmed");
});

test("five wrong codes after the last text leave the hold to the front desk", async (bench) => {
  const caller = await aHold(bench);
  for (let text = 0; text < 6; text++) {
    await caller.send();
    await caller.pass(31);
  }
  const outcomes = [];
  for (const code of wrongCodes(caller.code, 5)) outcomes.push((await caller.verify(code)).outcome);
  assert.deepEqual(outcomes, ["wrong_code", "wrong_code", "wrong_code", "wrong_code", "locked"]);
  await caller.pass(3600);
  await bench.database.sql`select public.cleanup_expired_holds()`;
  assert.equal(await caller.status(), "requires_manual_followup");
  const after = await caller.verify(caller.code);
  assert.deepEqual([after.outcome, after.action], ["locked", "ESCALATE"]);
  assert.equal((await caller.send()).outcome, "locked");
});

test("a phone gets five texts an hour and ten a day, and a few more from its own calls, across organizations", async (bench) => {
  const phone = aPhone();
  await bench.database.sql`alter table public.organizations
    alter column phone_holds set default 50, alter column caller_hourly_sends set default 50`;
  const callers: PhoneCall[] = [];
  // Half of the calls come from other numbers.
  while (callers.length < 14) {
    const clinic = await aClinic(bench.database.sql);
    await bench.provision(clinic);
    const from = callers.length < 7 ? aPhone() : phone;
    const caller = new PhoneCall(bench, clinic, from);
    if (from === phone) {
      await bench.database.sql`update public.organizations set caller_holds = 50`;
    }
    assert.equal((await caller.hold("10:00", { patientPhone: phone })).outcome, "held");
    callers.push(caller);
  }
  const sendAll = async (some: readonly PhoneCall[]) =>
    Object.groupBy(await Promise.all(some.map((each) => each.send())), ({ outcome }) => outcome);
  const [others, own] = [callers.slice(0, 7), callers.slice(7)];
  const laterBy = async (minutes: number) => {
    await bench.database.sql`update public.phone_counts set
      sent_at = array(select t - make_interval(mins => ${minutes}) from unnest(sent_at) as t)`;
    await bench.database.sql`update public.one_time_passcodes set
      claimed_at = claimed_at - interval '31 seconds'`;
  };
  const first = await sendAll(others);
  assert.equal(first["sent"]?.length, 5);
  assert.equal(first["phone_send_limit"]?.length, 2);
  assert.ok(first["phone_send_limit"]?.every(({ action }) => action === "ESCALATE"));
  assert.equal((await sendAll(own))["sent"]?.length, 2);
  await laterBy(60);
  assert.equal((await sendAll(others))["sent"]?.length, 3, "ten a day");
  assert.equal((await sendAll(own))["sent"]?.length, 4, "four a day more");
  await laterBy(60);
  assert.equal((await sendAll(callers))["phone_send_limit"]?.length, 14);
  await laterBy(1320);
  assert.equal((await sendAll(others))["sent"]?.length, 3, "seven were less than a day ago");
  const [row] = await bench.database.sql`
    select count(*)::int as rows, max(octet_length(phone_hash)) as length
    from public.phone_counts where sent_at <> '{}'`;
  assert.deepEqual({ ...row }, { rows: 1, length: 32 });
});

test("an organization's texts an hour are capped where it is set, refused ones not counted", async (bench) => {
  const clinic = await aClinic(bench.database.sql, { providers: 6 });
  await bench.provision(clinic);
  await bench.database.sql`update public.organizations set sms_hourly_limit = 4`;
  const callers = await Promise.all(Array.from({ length: 6 }, () => aHold(bench, { clinic })));
  bench.twilio.addFault(21610);
  bench.twilio.addFault("empty");
  const [refused, unknown] = callers;
  assert.equal((await refused?.send())?.outcome, "opted_out");
  assert.equal((await unknown?.send())?.outcome, "sms_provider_error");
  const sent = await Promise.all(callers.slice(2).map((each) => each.send()));
  assert.deepEqual(sent.map(({ outcome }) => outcome).sort(), [
    "org_send_limit",
    "sent",
    "sent",
    "sent",
  ]);
  const elsewhere = await aHold(bench);
  assert.equal((await elsewhere.send()).outcome, "sent");
  await bench.database.sql`
    update public.sms_messages set created_at = created_at - interval '1 hour'`;
  assert.equal((await refused?.send())?.outcome, "sent");
});

/** A runtime with these peppers, the current one first. */
const withPeppers = (bench: Bench, ...ids: string[]) => {
  const peppers = ids.map((id) => `${id}:${btoa(id.padEnd(32, "-"))}`).join(",");
  const config = readConfig({ ...bench.environment, OTP_PEPPERS: peppers });
  const log = openLog("debug", (line) => bench.lines.push(line));
  return createRuntime(config, log, bench.deadlines);
};

test("codes made under the current and under earlier peppers verify", async (bench) => {
  for (const [sender, verifier] of [[["v1"], ["v3", "v2", "v1"]], [["v3", "v1"], ["v3"]]]) {
    const caller = await aHold(bench);
    await caller.send({ runtime: withPeppers(bench, ...sender ?? []) });
    const runtime = withPeppers(bench, ...verifier ?? []);
    assert.equal((await caller.verify(caller.code, { runtime })).outcome, "confirmed");
  }
});

test("a code whose pepper is gone does not count as wrong, and the next one is texted at once", async (bench) => {
  const caller = await aHold(bench);
  await caller.send({ runtime: withPeppers(bench, "v1") });
  const runtime = withPeppers(bench, "v2");
  const said = await caller.verify(caller.code, { runtime });
  assert.equal(said.outcome, "code_unreadable");
  assert.equal(said.message, "That code isn't valid any more. I'll send a new one.");
  assert.deepEqual(await caller.counters(), { code_attempts: 0, attempts: 0, sends: 1 });
  assert.equal((await caller.send({ runtime })).outcome, "sent");
  assert.equal((await caller.verify(caller.code, { runtime })).outcome, "confirmed");
});

test("correcting a number after the text makes the code that went to the old number unusable", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const corrected = aPhone();
  await caller.hold("10:00", { patientPhone: corrected });
  assert.equal((await caller.verify(caller.code)).outcome, "no_code");
  assert.equal((await caller.send()).outcome, "sent");
  assert.equal((await caller.verify(codeTo(bench.twilio, corrected))).outcome, "confirmed");
});

test("a verification delivered twenty times at once counts once and is answered once", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const [wrong = ""] = wrongCodes(caller.code, 1);
  const repeat = async (code: string, toolCallId: string) => {
    const said = await Promise.all(
      Array.from({ length: 20 }, () => caller.verify(code, { toolCallId })),
    );
    assert.equal(new Set(said.map((each) => JSON.stringify(each))).size, 1);
    return said[0]?.outcome;
  };
  assert.equal(await repeat(wrong, "call_wrong"), "wrong_code");
  assert.deepEqual(await caller.counters(), { code_attempts: 1, attempts: 1, sends: 1 });
  assert.equal(await repeat(caller.code, "call_right"), "confirmed");
  // The same id with another guess is not a repeat.
  const other = await aHold(bench);
  await other.send();
  for (const code of wrongCodes(other.code, 3)) await other.verify(code, { toolCallId: "call_1" });
  assert.equal((await other.counters())["attempts"], 3);
});

test("a verification that comes again after the next text is answered as before", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const old = caller.code;
  await caller.pass(300);
  const late = { toolCallId: "call_late" };
  assert.equal((await caller.verify(old, late)).outcome, "code_expired");
  await caller.send();
  assert.equal((await caller.verify(old, late)).outcome, "code_expired");
  assert.equal((await caller.counters())["attempts"], 0);
});

test("a send delivered again, at once or late, is one text and one answer", async (bench) => {
  const caller = await aHold(bench);
  const first = await Promise.all(
    Array.from({ length: 20 }, () => caller.send({ toolCallId: "call_first" })),
  );
  for (const said of first) assert.deepEqual(said, first[0]);
  assert.equal(first[0]?.outcome, "sent");
  await caller.pass(40);
  assert.deepEqual(await caller.send({ toolCallId: "call_first" }), first[0]);
  assert.equal((await caller.send({ toolCallId: "call_second" })).outcome, "sent");
  await caller.pass(40);
  assert.equal((await caller.send({ toolCallId: "call_first" })).outcome, "sent");
  assert.equal(caller.texts, 2);
  assert.equal(bench.twilio.postCount, 2);
  assert.equal((await caller.verify(caller.code)).outcome, "confirmed");
});

test("a failed send that is delivered again is tried again", async (bench) => {
  const caller = await aHold(bench);
  bench.twilio.addFault("http_503");
  const asked = { toolCallId: "call_again" };
  assert.equal((await caller.send(asked)).outcome, "sms_provider_error");
  assert.equal((await caller.send(asked)).outcome, "sent");
});

test("after the confirmation only its own call gets success again", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const { code, holdId } = caller;
  assert.equal((await caller.verify(code)).outcome, "confirmed");
  assert.equal((await caller.verify(code)).outcome, "already_confirmed");
  assert.equal((await caller.send()).outcome, "already_confirmed");
  const stranger = { callId: crypto.randomUUID() };
  const heard = await caller.verify(code, { ...stranger, holdId });
  const unknown = await caller.verify(code, { ...stranger, holdId: crypto.randomUUID() });
  assert.deepEqual(heard, unknown);
  assert.equal(heard.outcome, "hold_not_found");
  const [row] = await bench.database.sql`
    select count(*)::int as n from public.audit_logs where action = 'confirm_appointment'`;
  assert.equal(row?.["n"], 1);
});

test("a code proves nothing in another call, and a guess there costs this call nothing", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  const second = { callId: crypto.randomUUID(), holdId: caller.holdId };
  assert.equal((await caller.verify(caller.code, second)).outcome, "hold_not_found");
  assert.equal((await caller.send(second)).outcome, "hold_not_found");
  assert.deepEqual(await caller.counters(), { code_attempts: 0, attempts: 0, sends: 1 });
  assert.equal((await caller.verify(caller.code)).outcome, "confirmed");
});

test("a call whose first hold expired hears about the one it confirmed", async (bench) => {
  const caller = await aHold(bench);
  await caller.pass(601);
  await caller.hold("12:00");
  await caller.send();
  assert.equal((await caller.verify(caller.code)).outcome, "confirmed");
  assert.equal((await caller.verify(caller.code)).outcome, "already_confirmed");
});

test("another organization's hold answers as an unknown one, in every byte", async (bench) => {
  const victim = await aHold(bench);
  await victim.send();
  const other = await aHold(bench);
  const raw = async (tool: typeof sendOtp, name: string, holdId: string, code?: string) => {
    const request = aRequest({
      ...{ tool: name, called: other.clinic.number, caller: other.phone, callId: other.callId },
      ...{ toolCallId: "call_same", args: { holdId, ...(code ? { code } : {}) } },
    });
    const response = await tool.using(bench.runtime).fetch(request);
    return [response.status, [...response.headers], await response.text()];
  };
  const before = await victim.counters();
  const unknown = crypto.randomUUID();
  assert.deepEqual(
    await raw(verifyOtp, "verify_otp", victim.holdId, victim.code),
    await raw(verifyOtp, "verify_otp", unknown, victim.code),
  );
  assert.deepEqual(
    await raw(sendOtp, "send_otp", victim.holdId),
    await raw(sendOtp, "send_otp", unknown),
  );
  assert.deepEqual(await victim.counters(), before);
  assert.equal(bench.twilio.postCount, 1);
  const traces = await bench.database.sql`
    select action, outcome, subject_id from public.audit_logs
    where org_id = ${other.clinic.id} and outcome = 'hold_not_found' order by action`;
  assert.deepEqual(
    traces.map((trace) => [trace["action"], trace["subject_id"]]),
    [["send_otp", null], ["send_otp", null], ["verify_otp", null], ["verify_otp", null]],
  );
  assert.equal((await victim.verify(victim.code)).outcome, "confirmed");
});

test("a late failure of one text affects no other code, and is uncounted once", async (bench) => {
  const caller = await aHold(bench);
  await caller.send();
  await caller.pass(31);
  await caller.send();
  const database = bench.runtime.database.within(startBudget(5000));
  const [first] = await bench.database.sql<{ id: string }[]>`
    update public.sms_messages set status = 'sending', sid = null
    where id = (select id from public.sms_messages order by created_at limit 1) returning id`;
  const call = { toolCallId: "late", claims: {} };
  const late = { call, orgId: caller.clinic.id, sendId: first?.id ?? "" };
  await clearOtpSend(database, late, "timeout", false);
  await clearOtpSend(database, late, "timeout", false);
  await completeOtpSend(database, late, "SM1");
  assert.equal((await caller.counters())["sends"], 1);
  const [quota] = await bench.database.sql`
    select cardinality(sent_at) as texts from public.phone_counts`;
  assert.equal(quota?.["texts"], 1);
  assert.equal((await caller.verify(caller.code)).outcome, "confirmed");
});

test("a rollback that cannot get its lock is logged, and its send expires by itself", async (bench) => {
  const caller = await aHold(bench);
  const lock = await bench.database.sql.reserve();
  // The lock is waited for as long as the SQL says; a caller's deadlines could end first on a busy
  // machine.
  const runtime = withClaimFollowedBy(bench.runtime, async () => {
    await lock`begin`;
    await lock`select from public.one_time_passcodes for update`;
  });
  bench.twilio.addFault("http_503");
  assert.equal((await caller.send({ runtime })).outcome, "sms_provider_error");
  await lock`rollback`;
  lock.release();
  const line = bench.lines.map((text) => JSON.parse(text))
    .find(({ event }) => event === "otp_rollback_failed");
  assert.equal(line?.fault?.code, "database_timeout");
  assert.equal((await caller.send()).outcome, "cooldown");
  await caller.pass(31);
  assert.equal((await caller.send()).outcome, "sent");
});

test("a hundred guesses at once evaluate five, the right one is accepted once or not at all", async (bench) => {
  for (const place of [0, 4, 5, 99]) {
    const caller = await aHold(bench);
    await caller.send();
    const guesses = wrongCodes(caller.code, 99);
    guesses.splice(place, 0, caller.code);
    // In the order of the list: each is under way before the next one starts to wait for the lock.
    const answers: Said[] = [];
    if (place === 0 || place === 5) {
      for (const code of guesses.splice(0, place + 1)) answers.push(await caller.verify(code));
    }
    answers.push(
      ...await Promise.all(
        guesses.map((code) => caller.verify(code, { holdId: caller.holdId })),
      ),
    );
    const [row] = await bench.database.sql`
      select count(*) filter (where outcome = 'confirmed')::int as confirmed
      from public.audit_logs where subject_id = ${caller.holdId} and action = 'verify_otp'`;
    const confirmed = row?.["confirmed"];
    const told = answers.filter(({ outcome }) => outcome === "confirmed").length;
    assert.equal(told, confirmed);
    assert.equal(await caller.status(), confirmed === 1 ? "confirmed" : "held");
    const counted = Number((await caller.counters())["code_attempts"]);
    if (place === 0) assert.deepEqual([confirmed, counted], [1, 0]);
    if (place === 5) assert.deepEqual([confirmed, counted], [0, 5]);
    assert.ok(confirmed === 1 && counted < 5 || confirmed === 0 && counted === 5);
  }
});

test("every reason has a sentence for the caller and a name in the log and the audit trail", async (bench) => {
  const { sql } = bench.database;
  const heard = new Map<string, Said>();
  const note = (said: Said) => heard.set(said.outcome, said);
  const caller = await aHold(bench);
  note(await caller.verify("123456"));
  note(await caller.send());
  note(await caller.send());
  const [first = "", ...wrong] = wrongCodes(caller.code, 5);
  note(await caller.verify(first));
  for (const code of wrong) note(await caller.verify(code));
  note(await caller.send());
  await caller.pass(301);
  note(await caller.verify(caller.code));
  await caller.pass(300);
  note(await caller.verify(caller.code));
  await caller.hold("11:00");
  await sql`update public.organizations set sms_countries = '{US}'`;
  note(await caller.send());
  await sql`update public.organizations set sms_countries = '{GB}', sms_hourly_limit = 1`;
  note(await caller.send());
  await sql`update public.organizations set sms_hourly_limit = 200`;
  note(await caller.send({ holdId: crypto.randomUUID() }));
  for (let round = 0; round < 2; round++) {
    note(await caller.send());
    for (const code of wrongCodes(caller.code, 5)) note(await caller.verify(code));
    await caller.pass(31);
  }
  note(await caller.send());
  await sql`update public.organizations set sms_hourly_limit = 1000`;
  const again = await aHold(bench, { phone: caller.phone, clinic: caller.clinic });
  await sql`update public.phone_counts set
    sent_at = array_fill(clock_timestamp(), array[7])`;
  note(await again.send());
  await sql`update public.phone_counts set sent_at = '{}'`;
  for (let text = 0; text < 6; text++) {
    await again.send();
    await again.pass(31);
  }
  note(await again.send());
  note(await again.verify(again.code));
  note(await again.send());

  const expected = [
    ...["no_code", "sent", "cooldown", "wrong_code", "code_locked", "code_expired"],
    ...["hold_expired", "blocked_country", "org_send_limit", "hold_not_found", "locked"],
    ...["phone_send_limit", "call_send_limit", "confirmed", "already_confirmed"],
  ];
  assert.deepEqual([...heard.keys()].sort(), expected.sort());
  const logged = new Set(bench.lines.map((line) => JSON.parse(line).outcome));
  const rows = await sql`select distinct outcome from public.audit_logs`;
  const audited = new Set(rows.map((row) => row["outcome"]));
  for (const [outcome, said] of heard) {
    assert.ok(logged.has(outcome), `${outcome} is not in the log`);
    assert.ok(audited.has(outcome), `${outcome} is not in the audit trail`);
    assert.match(said.message, /^[A-Z][A-Za-z0-9' ,.:?-]{10,150}[.?]$/);
  }
});
