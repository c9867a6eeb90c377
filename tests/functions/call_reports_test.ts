/** The one server URL: all tools, and the end of a call with its report, release and follow-up. */
import assert from "node:assert/strict";
import process from "node:process";
import { existsSync, readFileSync } from "node:fs";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import leaveMessage from "../../functions/leave-message/index.ts";
import metricsFunction from "../../functions/metrics/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import webhook from "../../functions/vapi-webhook/index.ts";
import { composeFollowUp } from "../../shared/texting.ts";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import { toGsmText } from "../../shared/gsm.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aPost,
  aRequest,
  type Bench,
  metricsToken,
  newestCode,
  readSaid,
  testWithBench as test,
} from "../support/clinic.ts";
import { readExposition, valueOf } from "../support/exposition.ts";

const post = (bench: Bench, message: object, secret?: string | null) =>
  webhook.using(bench.runtime).fetch(aPost(JSON.stringify({ message }), secret));

/** A call at a new clinic, by default with a hold and a passcode under way. */
async function aCall(bench: Bench, { followUps = false, sends = true, holds = true } = {}) {
  const { sql } = bench.database;
  const clinic = await aClinic(sql);
  await bench.provision(clinic);
  await sql`update public.organizations set follow_up_texts = ${followUps}
    where id = ${clinic.id}`;
  const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
  const envelope = {
    phoneNumber: { number: clinic.number },
    customer: { number: call.caller },
    call: { id: call.callId },
  };
  const slotId = `consultation/${aDay()}T10:00`;
  const hold = () =>
    bench.ask(holdSlot, { ...call, tool: "hold_slot", args: { slotId, patientName: "Ada" } });
  const holdId = holds ? (await hold()).holdId : undefined;
  if (holds && sends) await bench.ask(sendOtp, { ...call, tool: "send_otp" });
  const textsBefore = bench.twilio.messages.length;
  return {
    clinic,
    call,
    holdId,
    ended: (more: object = {}) =>
      post(bench, { type: "status-update", status: "ended", ...envelope, ...more }),
    report: (more: object = {}) =>
      post(bench, {
        type: "end-of-call-report",
        endedReason: "customer-ended-call",
        artifact: { transcript: "User: My mail is ada@example.com.\n" },
        analysis: { summary: "Wants a consultation." },
        ...envelope,
        ...more,
      }),
    verify: (code: string) => bench.ask(verifyOtp, { ...call, tool: "verify_otp", args: { code } }),
    status: async () => {
      const [row] = await sql`select status from public.appointments where id = ${holdId ?? null}`;
      return row?.["status"];
    },
    kept: async () => {
      const rows = await sql`select * from public.call_reports where org_id = ${clinic.id}`;
      assert.ok(rows.length <= 1);
      return rows[0];
    },
    audited: async (action: string) => {
      const rows = await sql`select outcome from public.audit_logs
        where org_id = ${clinic.id} and action = ${action} order by at`;
      return rows.map(({ outcome }) => outcome);
    },
    texts: () => bench.twilio.messages.slice(textsBefore),
  };
}

/** Every value of every table, as text. */
async function dump(bench: Bench): Promise<string> {
  const tables = await bench.database.admin<{ name: string }[]>`
    select format('%I.%I', schemaname, relname) as name from pg_stat_user_tables`;
  const texts = [];
  for (const { name } of tables) {
    const rows = await bench.database.admin.unsafe(`select t::text as row from ${name} as t`);
    texts.push(...rows.map(({ row }) => row));
  }
  return texts.join("\n");
}

test("the server URL answers every tool as the tool's own address does", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await bench.provision(clinic);
  const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
  const ask = async (tool: string, args: object = {}) =>
    await readSaid(await webhook.using(bench.runtime).fetch(aRequest({ ...call, tool, args })));
  const days = { date: aDay(), serviceType: "consultation" };
  const found = await ask("check_availability", days);
  assert.deepEqual(
    found,
    await bench.ask(checkAvailability, { ...call, tool: "check_availability", args: days }),
  );
  const hold = { slotId: found.slots?.[0]?.slotId, patientName: "Ada" };
  const held = await ask("hold_slot", hold);
  assert.deepEqual(held, await bench.ask(holdSlot, { ...call, tool: "hold_slot", args: hold }));
  assert.equal((await ask("send_otp")).outcome, "sent");
  assert.equal((await ask("verify_otp", { code: newestCode(bench.twilio) })).outcome, "confirmed");
  assert.match((await ask("drop_tables")).message, /^Unknown tool "drop_tables"/);
  const invalid = await ask("hold_slot", { patientName: "Ada" });
  assert.equal(invalid.outcome, "invalid_arguments");
});

test("without the right secret the server URL is a bare 401 for every message", async (bench) => {
  for (const type of ["end-of-call-report", "status-update", "assistant-request", "tool-calls"]) {
    for (const secret of ["wrong", "", null]) {
      const response = await post(bench, { type, status: "ended" }, secret);
      assert.equal(response.status, 401);
      assert.equal(await response.text(), "");
    }
  }
  assert.equal(bench.restCalls.length, 0);
});

test("a call that ends before the passcode releases its time, whether a status or a report says so", async (bench) => {
  for (const order of [["ended", "report"], ["report", "ended"]] as const) {
    const call = await aCall(bench);
    assert.equal((await call[order[0]]()).status, 200);
    assert.equal(await call.status(), "cancelled");
    const other = { called: call.clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
    const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Ben" };
    const taken = await bench.ask(holdSlot, { ...other, tool: "hold_slot", args });
    assert.equal(taken.outcome, "held");
    assert.equal((await call.verify(newestCode(bench.twilio))).outcome, "hold_not_found");
    for (let again = 0; again < 2; again++) {
      for (const tell of order) assert.equal((await call[tell]()).status, 200);
    }
    assert.deepEqual(await call.audited("end_call"), ["released"]);
    assert.deepEqual(await call.audited("file_report"), ["filed"]);
    assert.equal((await call.kept())?.["follow_up"], "switched_off");
    assert.equal(call.texts().length, 0);
  }
});

test("a report keeps neither the patient's name nor six digits of a call that was texted a code", async (bench) => {
  const call = await aCall(bench);
  const transcript = "AI: Your name?\nUser: Ada. My batch was 48.\nAI: Which digits?\n" +
    "User: four eight two, nine one three, says ada.";
  await call.report({ artifact: { transcript }, analysis: { summary: "Ada wants 30 mg." } });
  const kept = await call.kept();
  assert.equal(
    kept?.["transcript"],
    "AI: Your name?\nUser: [REDACTED: NAME]. My batch was 48.\nAI: Which digits?\n" +
      "User: [REDACTED: OTP], says [REDACTED: NAME].",
  );
  assert.equal(kept?.["summary"], "[REDACTED: NAME] wants 30 mg.");
  assert.deepEqual(kept?.["redactions"], { NAME: 3, OTP: 1 });
});

test("a report keeps neither name, number nor code of a call that only asked about an appointment", async (bench) => {
  const { call, report, kept } = await aCall(bench, { holds: false });
  const args = { patientName: "Zuleika Okoro", patientPhone: "+44 7700 900 987" };
  await bench.insist(cancelAppointment, { ...call, tool: "cancel_appointment", args });
  assert.equal((await bench.insist(sendOtp, { ...call, tool: "send_otp" })).outcome, "sent");
  const transcript = "User: zuleika, on 07700 900987.\nUser: four eight two, nine one three.";
  await report({ artifact: { transcript }, analysis: { summary: "Ms Okoro cancels." } });
  const row = await kept();
  assert.equal(
    row?.["transcript"],
    "User: [REDACTED: NAME], on [REDACTED: PHONE].\nUser: [REDACTED: OTP].",
  );
  assert.doesNotMatch(String(row?.["summary"]), /Okoro/);
});

test("a report keeps no name of a caller who left a message or whose requests were refused", async (bench) => {
  const { sql } = bench.database;
  const { clinic, call, report, kept } = await aCall(bench, { holds: false });
  await sql`update public.organizations set sms_countries = '{FR}' where id = ${clinic.id}`;
  const ask = (served: Parameters<Bench["ask"]>[0], tool: string, args: object) =>
    bench.insist(served, { ...call, tool, args });
  const slotId = `consultation/${aDay()}T10:00`;
  const outcomes = [
    await ask(holdSlot, "hold_slot", { slotId, patientName: "Zuleika Okoro" }),
    await ask(holdSlot, "hold_slot", {
      ...{ slotId: "nonsense", patientName: "Quentin Oyelaran", patientPhone: "+33 6 12 34 56 78" },
    }),
    await ask(cancelAppointment, "cancel_appointment", {
      ...{ patientName: "Ottoline Achterberg", appointmentDate: "the day of the moon" },
    }),
    await ask(leaveMessage, "leave_message", {
      ...{ callerName: "Barnaby Threlfall", callbackNumber: "020 7946 0999" },
      message: "call back",
    }),
  ];
  assert.deepEqual(outcomes.map(({ outcome }) => outcome), [
    ...["blocked_country", "invalid_slot", "date_unclear", "left"],
  ]);
  const refused = { patientName: "Wilhelmina Featherstone", patientPhone: "twelve" };
  const transcript = "User: I am zuleika, Quentin and Ottoline call too.\n" +
    "User: Threlfall here, and Wilhelmina.";
  await report({
    artifact: {
      transcript,
      messages: [
        { role: "user", message: "hi" },
        {
          role: "tool_calls",
          toolCalls: [{
            type: "function",
            function: { name: "hold_slot", arguments: JSON.stringify(refused) },
          }],
        },
      ],
    },
    analysis: { summary: "Okoro, Oyelaran, Achterberg, Barnaby and Ms Featherstone called." },
  });
  const row = await kept();
  assert.doesNotMatch(
    `${row?.["transcript"]} ${row?.["summary"]}`,
    /zuleika|quentin|ottoline|threlfall|wilhelmina|okoro|oyelaran|achterberg|barnaby|featherstone/i,
  );
  const [message] = await sql`select private.known_of_call(${clinic.id}, ${call.callId}) as known`;
  assert.ok(message?.["known"].phones.includes("+442079460999"));
});

test("an end that waits for the number of its hold has locked no row", async (bench) => {
  const call = await aCall(bench, { followUps: true });
  const { admin } = bench.database;
  const [reported] = await admin.begin(async (other) => {
    await other`select private.lock_phones(array[private.hash_phone(${call.call.caller})])`;
    const ending = call.ended();
    for (let waits = false; !waits;) {
      const [row] = await admin`select count(*)::int as n from pg_locks
        where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`;
      waits = row?.["n"] > 0;
    }
    // The owner of the number's lock goes on to its rows, for example to erase a patient.
    await other`select from public.appointments where call_id = ${call.call.callId}
      for update nowait`;
    await other`select from public.call_reports where call_id = ${call.call.callId}
      for update nowait`;
    return [ending];
  });
  assert.ok(((await reported)?.status ?? 0) > 0);
  await call.report();
  assert.equal(await call.status(), "cancelled");
});

test("a hold made while the end is being reported is released by the report that follows", async (bench) => {
  for (const holds of [false, true]) {
    const call = await aCall(bench, { followUps: true, holds });
    await call.ended();
    assert.equal(call.texts().length, holds ? 1 : 0);
    const args = { slotId: `consultation/${aDay()}T14:00`, patientName: "Ada" };
    const late = await bench.ask(holdSlot, { ...call.call, tool: "hold_slot", args });
    assert.equal(late.outcome, "held");
    await call.report();
    const live = await bench.database.sql`select from public.appointments where status = 'held'`;
    assert.equal(live.length, 0);
    assert.equal(call.texts().length, 1, "one text a call");
  }
});

test("other statuses do not end a call, and a confirmed appointment stays", async (bench) => {
  const call = await aCall(bench);
  for (const status of ["queued", "ringing", "in-progress", "forwarding", "", "ENDED?"]) {
    assert.equal((await call.ended({ status })).status, 200);
  }
  assert.equal(await call.status(), "held");
  assert.equal((await call.verify(newestCode(bench.twilio))).outcome, "confirmed");
  await call.ended();
  await call.report();
  assert.equal(await call.status(), "confirmed");
  assert.deepEqual(await call.audited("end_call"), []);
});

test("forty concurrent ends and reports cause one release, one report and one text", async (bench) => {
  const call = await aCall(bench, { followUps: true });
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => index % 2 ? call.report() : call.ended()),
  );
  assert.ok(answers.some(({ status }) => status === 200));
  // A report that waited too long was asked to be sent again.
  await call.report();
  assert.deepEqual(await call.audited("end_call"), ["released"]);
  assert.deepEqual(await call.audited("file_report"), ["filed"]);
  assert.deepEqual(await call.audited("follow_up"), ["claimed", "sent"]);
  const [text, ...more] = call.texts();
  assert.equal(more.length, 0);
  assert.equal(text?.to, call.call.caller);
  assert.ok(text?.body.includes(call.clinic.number));
  assert.equal((await call.kept())?.["follow_up"], "sent");
});

test("the right code and the end of the call at once: confirmed or released, never both", async (bench) => {
  for (let round = 0; round < 10; round++) {
    const call = await aCall(bench);
    const code = newestCode(bench.twilio);
    const [said] = await Promise.all([call.verify(code), call.ended()]);
    const isConfirmed = said.outcome === "confirmed";
    assert.equal(await call.status(), isConfirmed ? "confirmed" : "cancelled", said.outcome);
    assert.deepEqual(await call.audited("end_call"), isConfirmed ? [] : ["released"]);
  }
});

test("a caller who wants no texts, was put through, calls from another number, or is over a limit is sent no follow-up", async (bench) => {
  const { sql } = bench.database;
  const cases: [string, object, (orgId: string) => Promise<unknown>][] = [
    ["forwarded", { endedReason: "assistant-forwarded-call" }, () => Promise.resolve()],
    ["opted_out", {}, () => Promise.resolve(bench.twilio.addFault(21610))],
    [
      "org_send_limit",
      {},
      // Follow-ups may use a fifth of the limit.
      (org) =>
        sql`with few as (update public.organizations set sms_hourly_limit = 5 where id = ${org})
          insert into public.sms_messages (org_id, id, origin, to_masked, status)
          values (${org}, gen_random_uuid(), 'follow_up', '***11', 'accepted')`,
    ],
    [
      "phone_send_limit",
      {},
      () => sql`update public.phone_counts set followed_up_at = array[now()]`,
    ],
    [
      "other_number",
      {},
      (org) => sql`update public.calls set caller_hash = sha256('another') where org_id = ${org}`,
    ],
    [
      "blocked_country",
      {},
      (org) => sql`update public.organizations set sms_countries = '{FR}' where id = ${org}`,
    ],
  ];
  for (const [reason, more, arrange] of cases) {
    const call = await aCall(bench, { followUps: true, sends: false });
    if (reason === "opted_out") {
      await arrange(call.clinic.id);
      const said = await bench.ask(sendOtp, { ...call.call, tool: "send_otp" });
      assert.equal(said.outcome, "opted_out");
    } else {
      await bench.ask(sendOtp, { ...call.call, tool: "send_otp" });
      await arrange(call.clinic.id);
    }
    const before = bench.twilio.postCount;
    await call.ended(more);
    assert.equal((await call.kept())?.["follow_up"], reason);
    assert.equal(bench.twilio.postCount, before, reason);
    assert.equal(await call.status(), "cancelled");
  }
});

test("a follow-up that fails is not tried again, and is not counted", async (bench) => {
  const call = await aCall(bench, { followUps: true });
  bench.twilio.addFault(21610);
  assert.equal((await call.ended()).status, 200);
  await call.report();
  await call.ended();
  assert.equal(call.texts().length, 0);
  assert.equal((await call.kept())?.["follow_up"], "failed");
  const [row] = await bench.database.sql`select
    (select cardinality(sent_at) from public.phone_counts) as texts,
    (select count(*)::int from public.sms_opt_outs) as wishes`;
  assert.deepEqual({ ...row }, { texts: 1, wishes: 1 });
});

test("transcripts are stored without personal data and with counts by kind, never raw", async (bench) => {
  const call = await aCall(bench, { holds: false });
  const secrets = ["07700 900789", "zoe.quell@example.org", "4539 1488 0343 6467", "918273"];
  const [phone, email, card, code] = secrets;
  const transcript = `AI: What number should I text?\nUser: ${phone}.\n` +
    `AI: And your mail?\nUser: ${email}, and my card is ${card}.\n` +
    `AI: Please read the code.\nUser: The code is ${code}.\nUser: I take 10mg of lisinopril.\n`;
  const summary = `Asked for 2026-03-03; reach her at ${phone}.`;
  await call.report({
    artifact: {
      transcript,
      messages: [{ role: "user", message: transcript }, {
        role: "system",
        message: "You are called Quillfeather.",
      }],
      recordingUrl: `https://example.org/${email}`,
    },
    analysis: { summary, structuredData: { phone } },
    durationSeconds: 94.2,
    cost: 0.12,
  });
  const kept = await call.kept();
  assert.match(kept?.["transcript"], /User: \[REDACTED: PHONE\]\.\n[^]*10mg of lisinopril/);
  assert.match(kept?.["summary"], /2026-03-03; reach her at \[REDACTED: PHONE\]/);
  assert.deepEqual(kept?.["redactions"], { PHONE: 2, EMAIL: 1, CARD: 1, OTP: 1 });
  assert.equal(kept?.["duration_seconds"], 94.2);
  const everything = await dump(bench) + bench.lines.join("\n");
  for (const secret of [...secrets, "07700900789", "zoe", "4539148803436467", "Quillfeather"]) {
    assert.ok(!everything.includes(secret), `${secret} is in the database or the log`);
  }
});

test("a repeated or altered report changes nothing", async (bench) => {
  const call = await aCall(bench);
  await call.report({ analysis: { summary: "First." } });
  const first = await call.kept();
  await call.report({ analysis: { summary: "Second." } });
  await call.report({ artifact: null, analysis: null });
  assert.deepEqual(await call.kept(), first);
  assert.equal(first?.["summary"], "First.");
});

test("a report is deleted by its clinic's retention, and not a day earlier", async (bench) => {
  const { sql } = bench.database;
  const [old, young] = [await aCall(bench), await aCall(bench)];
  for (const [call, days] of [[old, 31], [young, 29]] as const) {
    await call.report();
    await sql`update public.organizations set retention_days = 30 where id = ${call.clinic.id}`;
    await sql`update public.call_reports set created_at = now() - make_interval(days => ${days})
      where org_id = ${call.clinic.id}`;
  }
  await sql`select public.apply_retention()`;
  assert.equal(await old.kept(), undefined);
  assert.ok((await young.kept())?.["transcript"]);
});

test("a report for an unknown number is dropped and counted", async (bench) => {
  await aCall(bench);
  const nobody = { phoneNumber: { number: "+442079460999" }, call: { id: crypto.randomUUID() } };
  for (const type of ["end-of-call-report", "status-update"]) {
    const response = await post(bench, { type, status: "ended", ...nobody });
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), {});
  }
  const [row] = await bench.database.sql`select count(*)::int as n from public.call_reports`;
  assert.equal(row?.["n"], 0);
  const headers = { authorization: `Bearer ${metricsToken}` };
  const request = new Request("http://f.test/", { headers });
  const text = await (await metricsFunction.using(bench.runtime).fetch(request)).text();
  const labels = { type: "end-of-call-report", outcome: "unknown_clinic" };
  const messages = "master_orchestrator_messages_total";
  assert.equal(valueOf(readExposition(text), messages, labels), 1);
});

test("reports of any shape are taken: without artifact, with wrong types, without a call", async (bench) => {
  const call = await aCall(bench);
  for (
    const odd of [
      { artifact: undefined, analysis: undefined },
      { artifact: "x", analysis: 5, durationSeconds: "9", cost: null, endedReason: 7 },
      { artifact: { transcript: 5, messages: [null, 5, { role: "user" }] } },
      { artifact: { transcript: "\u0000\ud800 a\u0007b", messages: [] } },
      { call: {} },
      { call: undefined, phoneNumber: undefined },
    ]
  ) {
    const response = await call.report(odd);
    assert.equal(response.status, 200, JSON.stringify(odd));
    assert.deepEqual(await response.json(), {});
  }
  const turns = [
    { role: "system", message: "Secret prompt" },
    { role: "bot", message: "Hello" },
    { role: "user", message: "Hi, I am on 07700 900123" },
    { role: "tool_calls", message: "hold" },
  ];
  const later = await aCall(bench, { holds: false });
  await later.report({ artifact: { messages: turns } });
  assert.equal(
    (await later.kept())?.["transcript"],
    "AI: Hello\nUser: Hi, I am on [REDACTED: PHONE]",
  );
});

test("a transcript of two megabytes is cut before it is redacted, so it costs no more than its stored part", async (bench) => {
  const turn = "User: my number is 07700 900789, I take 10mg of lisinopril twice a day.\n";
  const report = async (turns: number) => {
    const call = await aCall(bench, { holds: false });
    const before = process.cpuUsage();
    const response = await call.report({ artifact: { transcript: turn.repeat(turns) } });
    const { user, system } = process.cpuUsage(before);
    assert.equal(response.status, 200);
    return { call, ms: (user + system) / 1000 };
  };
  // The one that fits comes first, which also warms up.
  const short = await report(4000);
  const { call, ms } = await report(27_000);
  assert.ok(ms < 3 * short.ms, `${ms} ms, a seventh of it ${short.ms} ms`);
  const kept = await call.kept();
  assert.ok(kept?.["transcript"].length <= 300_000);
  assert.ok(kept?.["transcript"].endsWith("[CUT]"));
  assert.ok(!/\d{5}/.test(kept?.["transcript"]));
});

test("while the database is down, Vapi is asked to send reports again and the caller to call again", async (bench) => {
  const away = createRuntime(
    readConfig({ ...bench.environment, SUPABASE_URL: "http://127.0.0.1:9" }),
    openLog("error", () => {}),
  );
  const ask = (type: string) =>
    webhook.using(away).fetch(aPost(JSON.stringify({ message: { type, status: "ended" } })));
  assert.equal((await ask("end-of-call-report")).status, 503);
  assert.equal((await ask("status-update")).status, 503);
  const request = await ask("assistant-request");
  assert.equal(request.status, 200);
  assert.match((await request.json()).error, /try again/);
});

test("a call is answered by its clinic's assistant, registered or made on the spot; an unknown number hears a sentence", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const ask = async (number: string) => {
    const response = await post(bench, { type: "assistant-request", phoneNumber: { number } });
    return await response.json();
  };
  const { assistant } = await ask(clinic.number);
  assert.match(assistant.name, /^clinic-/);
  assert.match(assistant.model.messages[0].content, /You answer the phone of Sunrise Dental/);
  const server =
    assistant.model.tools.find((tool: { type: string }) => tool.type === "function").server;
  assert.match(server.url, /\/functions\/v1\/[a-z-]+$/);
  const [org] = await bench.database.sql`
    insert into public.assistants (org_id, greeting, voice)
    values (${clinic.id}, 'Good day, Sunrise.', 'elevenlabs') returning org_id`;
  assert.ok(org);
  const spoken = (await ask(clinic.number)).assistant;
  assert.equal(spoken.firstMessage, "Good day, Sunrise.");
  assert.equal(spoken.voice.provider, "11labs");
  const assistantId = crypto.randomUUID();
  await bench.database.sql`insert into public.org_channels (kind, value, org_id)
    values ('vapi_assistant', ${assistantId}, ${clinic.id})`;
  assert.deepEqual(await ask(clinic.number), { assistantId });
  assert.match((await ask("+442079460999")).error, /can't take calls/);
});

const fixture = new URL("../../../shared/fixtures/vapi/end-of-call-report.json", import.meta.url);
const hasFixture = existsSync(fixture);

test(
  "the captured report is kept without its spoken and its written number" +
    (hasFixture ? "" : " (not tested: ../shared/fixtures/vapi is absent)"),
  async (bench) => {
    if (!hasFixture) return;
    const clinic = await aClinic(bench.database.sql);
    const { message } = JSON.parse(readFileSync(fixture, "utf8"));
    await bench.database.sql`insert into public.org_channels (kind, value, org_id)
      values ('vapi_phone_number', ${message.phoneNumber.id}, ${clinic.id})`;
    assert.equal((await post(bench, message)).status, 200);
    const [kept] = await bench.database.sql`select * from public.call_reports`;
    assert.equal(kept?.["call_id"], message.call.id);
    assert.match(kept?.["transcript"], /my number is \[REDACTED: PHONE\], I take 10mg/);
    assert.match(kept?.["summary"], /\(\[REDACTED: PHONE\]\) asked .* on 2026-03-03/);
  },
);

Deno.test("a follow-up fits one segment whatever the clinic is called, and says nothing medical", () => {
  for (const name of ["Sunrise Dental", "Żółć & Ça", "💉", "x".repeat(200)]) {
    const body = composeFollowUp(name, "+442079460123");
    assert.ok(body.length <= 160, body);
    assert.equal(toGsmText(body, 160), body);
  }
});
