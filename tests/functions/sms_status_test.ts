/** Twilio's delivery reports: signed, in any order, for one organization only, and what they change. */
import assert from "node:assert/strict";
import smsStatus from "../../functions/sms-status/index.ts";
import { readConfig } from "../../shared/config.ts";
import { readMetrics } from "../../shared/database/metrics.ts";
import { startBudget } from "../../shared/deadline.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime, type Runtime } from "../../shared/runtime.ts";
import { readTargets } from "../../shared/targets.ts";
import { errorClasses } from "../../shared/twilio.ts";
import { sign } from "../../supabase/local/twilio/reports.ts";
import { randomFrom } from "../../supabase/tasks/simulate/random.ts";
import { aHold } from "../support/phone_call.ts";
import {
  aClinic,
  type Bench,
  type Clinic,
  codeTo,
  letTimePass,
  testWithBench as test,
  wrongCodes,
} from "../support/clinic.ts";

const token = "token-of-the-clinic";

interface StoredText {
  readonly org_id: string;
  readonly id: string;
  readonly sid: string | null;
  readonly delivery: string | null;
  readonly error_code: number | null;
}

const textsOf = async ({ database }: Bench, clinic: Clinic): Promise<StoredText[]> => [
  ...await database.sql<StoredText[]>`
    select org_id, id, sid, delivery, error_code from public.sms_messages
    where org_id = ${clinic.id} order by created_at`,
];

/** The counts under a name, aggregated or not, in the order of their labels. */
async function countsOf({ runtime }: Bench, name: string) {
  await runtime.recorder.flush();
  const { totals } = await readMetrics(runtime.database.within(startBudget(5000)), 60);
  return totals.filter((counter) => counter.name === name)
    .map(({ labels, value }) => ({ labels, value }))
    .sort((one, other) => JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);
}

interface AskedReport {
  readonly form?: Readonly<Record<string, string>> | string;
  readonly query?: string;
  readonly signedWith?: string | null;
  readonly signature?: string;
  readonly method?: string;
  readonly runtime?: Runtime;
  /** The address that Twilio called, if it differs from the one that the function sees. */
  readonly publicUrl?: string;
}

/** Posts a report as Twilio would. */
async function report(bench: Bench, asked: AskedReport): Promise<number> {
  const { form = {}, query = "", signedWith = token, method = "POST" } = asked;
  const base = asked.publicUrl ?? `${bench.restUrl}/functions/v1`;
  const body = typeof form === "string" ? form : new URLSearchParams(form).toString();
  const fields = Object.fromEntries(new URLSearchParams(body));
  const headers = new Headers({ "content-type": "application/x-www-form-urlencoded" });
  if (signedWith !== null) {
    const signature = asked.signature ?? sign(signedWith, `${base}/sms-status${query}`, fields);
    headers.set("x-twilio-signature", signature);
  }
  const request = new Request(`http://inside.test/sms-status${query}`, {
    method,
    headers,
    ...(method === "GET" ? {} : { body }),
  });
  const response = await smsStatus.using(asked.runtime ?? bench.runtime).fetch(request);
  assert.equal(await response.text(), "");
  return response.status;
}

const queryOf = (text: StoredText | undefined) => `?org=${text?.org_id}&send_id=${text?.id}`;
const formOf = (text: StoredText | undefined, status: string) => ({
  MessageSid: text?.sid ?? "",
  MessageStatus: status,
  AccountSid: "AC",
});

test("reports are asked for with every text, and the text is delivered after them, once audited", async (bench) => {
  const { clinic, send } = await aHold(bench);
  await send();
  const before = bench.restCalls.length;
  const answered = (await bench.twilio.sendReports()).map(({ answered }) => answered);
  assert.deepEqual(answered, [204, 204]);
  // The account once, then one call per report.
  assert.deepEqual(
    bench.restCalls.slice(before).map((path) => path.split("/").at(-1)),
    ["get_credentials_of", "record_delivery_report", "record_delivery_report"],
  );
  const [text] = await textsOf(bench, clinic);
  assert.equal(text?.delivery, "delivered");
  assert.equal(text?.sid, bench.twilio.messages[0]?.sid);
  const repeat = { query: queryOf(text), form: formOf(text, "delivered") };
  assert.equal(await report(bench, repeat), 204);
  const audited = await bench.database.sql`
    select outcome from public.audit_logs where action = 'deliver_text'`;
  assert.deepEqual(audited.map(({ outcome }) => outcome), ["delivered"]);
  assert.deepEqual(await countsOf(bench, "sms"), [
    { labels: { result: "accepted" }, value: 1 },
    { labels: { result: "delivered" }, value: 1 },
  ]);
});

test("a report may come before the answer to the text: Twilio's id is kept, the code works", async (bench) => {
  const call = await aHold(bench);
  const { clinic, send, verify } = call;
  bench.twilio.addFault("report_early");
  assert.equal((await send()).outcome, "sent");
  assert.deepEqual(bench.twilio.reports.map(({ answered }) => answered), [204, 204]);
  const [text] = await textsOf(bench, clinic);
  assert.equal(text?.delivery, "delivered");
  assert.equal(text?.sid, bench.twilio.messages[0]?.sid);
  assert.equal((await verify(call.code)).outcome, "confirmed");
});

test("a report on a text whose answer was lost is stored too, and makes no code valid again", async (bench) => {
  const call = await aHold(bench);
  const { clinic, send, verify } = call;
  bench.twilio.addFault("reset_after");
  assert.equal((await send()).success, false);
  await bench.twilio.sendReports();
  const [text] = await textsOf(bench, clinic);
  assert.equal(text?.delivery, "delivered");
  assert.equal((await verify(call.code)).outcome, "no_code");
});

for (const kind of ["report_doubled", "report_unordered"] as const) {
  test(`${kind}: the text is delivered anyway`, async (bench) => {
    const { clinic, send } = await aHold(bench);
    bench.twilio.addFault(kind);
    await send();
    const sent = await bench.twilio.sendReports();
    assert.ok(sent.length >= 2 && sent.every(({ answered }) => answered === 204));
    assert.equal((await textsOf(bench, clinic))[0]?.delivery, "delivered");
  });
}

test("whatever the order and number of reports, the highest state is kept", async (bench) => {
  const seed = Number(Deno.env.get("SEED") ?? Math.trunc(Math.random() * 2 ** 31));
  const random = randomFrom(seed);
  const { clinic, send } = await aHold(bench);
  await send();
  const [text] = await textsOf(bench, clinic);
  const ranks = ["queued", "sending", "sent", "failed", "undelivered", "delivered"];
  const statuses = ["accepted", "read", "nonsense", ...ranks];
  for (let round = 0; round < 40; round++) {
    await bench.database.sql`update public.sms_messages set delivery = null, error_code = null`;
    const reports = Array.from(
      { length: 1 + Math.floor(random() * 7) },
      () => statuses[Math.floor(random() * statuses.length)] ?? "",
    );
    // Two at a time, so that some meet at the same row.
    for (let at = 0; at < reports.length; at += 2) {
      const pair = reports.slice(at, at + 2);
      const answered = await Promise.all(
        pair.map((status) => report(bench, { query: queryOf(text), form: formOf(text, status) })),
      );
      assert.ok(answered.every((status) => status === 204));
    }
    const highest = Math.max(
      ...reports.map((status) => ranks.indexOf(status === "accepted" ? "queued" : status)),
    );
    assert.equal(
      (await textsOf(bench, clinic))[0]?.delivery,
      ranks[highest] ?? null,
      `SEED=${seed}: ${reports.join(", ")}`,
    );
  }
});

test("a forged report is refused, logged and counted, and changes nothing", async (bench) => {
  const { clinic, send } = await aHold(bench);
  for (const kind of ["report_forged", "report_unsigned"] as const) {
    bench.twilio.addFault(kind);
  }
  await send();
  assert.deepEqual((await bench.twilio.sendReports()).map(({ answered }) => answered), [403]);
  const [text] = await textsOf(bench, clinic);
  const query = queryOf(text);
  const form = formOf(text, "undelivered");
  const unknown = crypto.randomUUID();
  const forged: AskedReport[] = [
    { query, form, signedWith: null },
    { query, form, signedWith: "" },
    { query, form, signedWith: "another-token" },
    { query, form, signature: "x" },
    { query, form, signature: "A".repeat(27) + "=" },
    { query, form, publicUrl: "https://elsewhere.test" },
    { query: `${query}&send_id=${unknown}`, form, signature: sign(token, query, form) },
    { query: `?org=${unknown}&send_id=${text?.id}`, form },
    { query: `?org=${clinic.id}`, form },
    { query: "?org=nonsense&send_id=nonsense", form },
    { query: "", form },
  ];
  for (const asked of forged) assert.equal(await report(bench, asked), 403);
  // Signed for one status, sent with another.
  const signature = sign(token, `${bench.restUrl}/functions/v1/sms-status${query}`, form);
  const changed = { query, form: { ...form, MessageStatus: "delivered" }, signature };
  assert.equal(await report(bench, changed), 403);
  assert.equal((await textsOf(bench, clinic))[0]?.delivery, null);
  const refused = bench.lines.filter((line) => line.includes('"function":"sms-status"'));
  assert.equal(refused.length, forged.length + 2);
  assert.ok(refused.every((line) => line.includes('"event":"authentication_failed"')));
  await bench.runtime.recorder.flush();
  assert.deepEqual(await countsOf(bench, "authentication_failures"), [
    { labels: { function: "sms-status" }, value: forged.length + 2 },
  ]);
});

test("a forged report writes nothing, whether or not the clinic has an account", async (bench) => {
  const { sql } = bench.database;
  const [without, unreadable] = [await aClinic(sql), await aClinic(sql)];
  await bench.provision(unreadable, token);
  await sql`update public.org_credentials set ciphertext = '\\x00' where org_id = ${unreadable.id}`;
  const withAccount = await aClinic(sql);
  await bench.provision(withAccount, token);
  const rows = async () => {
    const [row] = await sql<{ audited: number; counted: number }[]>`
      select (select count(*)::int from public.audit_logs) as audited,
        (select count(*)::int from public.metric_events) as counted`;
    return row;
  };
  const before = await rows();
  for (const clinic of [without, unreadable, withAccount]) {
    const query = `?org=${clinic.id}&send_id=${crypto.randomUUID()}`;
    for (let time = 0; time < 3; time++) {
      const status = await report(bench, { query, form: { a: "b" }, signedWith: "forged" });
      assert.equal(status, clinic === unreadable ? 503 : 403);
    }
  }
  assert.deepEqual(await rows(), before);
});

test("more fields than a report can have are refused unread, in time that grows as they do", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await bench.provision(clinic, token);
  const query = `?org=${clinic.id}&send_id=${crypto.randomUUID()}`;
  const fieldsOf = (count: number) =>
    Array.from({ length: count }, (_, index) => `${index}`).join("&");
  const signature = "A".repeat(27) + "=";
  const ask = (count: number) => report(bench, { query, form: fieldsOf(count), signature });
  assert.equal(await ask(50), 403);
  const before = bench.restCalls.length;
  const costOf = async (count: number) => {
    const costs: number[] = [];
    for (let time = 0; time < 3; time++) {
      const startedAt = performance.now();
      assert.equal(await ask(count), 413);
      costs.push(performance.now() - startedAt);
    }
    return Math.min(...costs);
  };
  assert.equal(await ask(51), 413);
  // Below a body of 64 KB. The factor allows for a busy machine: quadratic work took seconds.
  const [one, two] = [await costOf(5_000), await costOf(10_000)];
  assert.ok(two < 3 * one + 50, `5,000 fields took ${one} ms, 10,000 took ${two} ms`);
  assert.equal(bench.restCalls.length, before, "the database was not asked");
});

test("one organization's token says nothing about another's texts", async (bench) => {
  const mine = await aHold(bench);
  const other = await aClinic(bench.database.sql);
  await bench.provision(other, "token-of-the-other");
  await mine.send();
  const [text] = await textsOf(bench, mine.clinic);
  const form = formOf(text, "undelivered");
  // The other's token for this clinic's address; its own address with this clinic's text; this clinic's
  // text without a clinic.
  const asked: [AskedReport, number][] = [
    [{ query: queryOf(text), form, signedWith: "token-of-the-other" }, 403],
    [
      { query: `?org=${other.id}&send_id=${text?.id}`, form, signedWith: "token-of-the-other" },
      204,
    ],
    [{ query: `?org=${other.id}&send_id=${text?.id}`, form }, 403],
  ];
  for (const [which, status] of asked) assert.equal(await report(bench, which), status);
  assert.equal((await textsOf(bench, mine.clinic))[0]?.delivery, null);
  assert.ok(bench.lines.some((line) => line.includes('"outcome":"unknown_send"')));
  const audited = await bench.database.sql`
    select from public.audit_logs where action = 'deliver_text'`;
  assert.equal(audited.length, 0);
  // Another text's id under this send: not this text.
  const strange = { ...form, MessageSid: `SM${"0".repeat(32)}` };
  assert.equal(await report(bench, { query: queryOf(text), form: strange }), 204);
  assert.equal((await textsOf(bench, mine.clinic))[0]?.delivery, null);
});

test("every field is signed, whether known, repeated or unknown; without the two required ones the answer is 400", async (bench) => {
  const { clinic, send } = await aHold(bench);
  await send();
  const [text] = await textsOf(bench, clinic);
  const query = queryOf(text);
  const form = {
    ...formOf(text, "sent"),
    RawDlrDoneDate: "2611250931",
    Strange: "é ß & = +",
    Empty: "",
  };
  const hostile = `${new URLSearchParams(form)}&__proto__=x&constructor=y`;
  assert.equal(await report(bench, { query, form: hostile }), 204);
  assert.equal((await textsOf(bench, clinic))[0]?.delivery, "sent");
  // Twilio signs each different value of a repeated field once, in order.
  const address = `${bench.restUrl}/functions/v1/sms-status${query}`;
  const plain = formOf(text, "delivered");
  const signature = sign(token, address, { ...plain, Tag: "aTagb" });
  const repeated = `${new URLSearchParams(plain)}&Tag=b&Tag=a&Tag=b`;
  assert.equal(await report(bench, { query, form: repeated, signature }), 204);
  assert.equal((await textsOf(bench, clinic))[0]?.delivery, "delivered");
  assert.equal(await report(bench, { query, form: { ...plain, ErrorCode: "" } }), 204);
  const incomplete = [{}, { MessageSid: text?.sid ?? "" }, { MessageStatus: "sent" }];
  for (const fields of [...incomplete, { ...plain, MessageSid: "nonsense" }]) {
    assert.equal(await report(bench, { query, form: fields }), 400);
  }
  assert.equal(
    await report(bench, { query, form: { ...plain, ErrorCode: "x".repeat(70_000) } }),
    413,
  );
  for (const method of ["GET", "PUT", "DELETE"]) {
    assert.equal(await report(bench, { query, form: plain, method }), 405);
  }
});

test("behind a gateway the public address counts, not the one that the function sees", async (bench) => {
  const { clinic, send } = await aHold(bench);
  await send();
  const publicUrl = "https://clinic.example.com:8443/functions/v1";
  const runtime = createRuntime(
    readConfig({ ...bench.environment, FUNCTIONS_PUBLIC_URL: `${publicUrl}/` }),
    openLog("error", () => {}),
  );
  const [text] = await textsOf(bench, clinic);
  const asked = { query: queryOf(text), form: formOf(text, "sent"), runtime };
  assert.equal(await report(bench, asked), 403);
  assert.equal(await report(bench, { ...asked, publicUrl }), 204);
});

test("while the database is down a report is answered 503, and counts when it is sent again", async (bench) => {
  const { clinic, send } = await aHold(bench);
  await send();
  const [text] = await textsOf(bench, clinic);
  const asked = { query: queryOf(text), form: formOf(text, "delivered") };
  const lines: string[] = [];
  const runtime = createRuntime(
    readConfig({
      ...bench.environment,
      POSTGREST_URL: "http://127.0.0.1:1",
    }),
    openLog("error", (line) => lines.push(line)),
  );
  assert.equal(await report(bench, { ...asked, runtime }), 503);
  assert.ok(lines.some((line) => line.includes("delivery_report_failed")));
  assert.equal(await report(bench, asked), 204);
  assert.equal((await textsOf(bench, clinic))[0]?.delivery, "delivered");
});

for (const kind of ["report_undelivered", "report_failed"] as const) {
  test(
    `${kind}: the next text need not wait, the caller is told, and after a second failure ` +
      "asked for another number",
    async (bench) => {
      const call = await aHold(bench);
      const { clinic, send, verify } = call;
      // 30008: Twilio does not know the reason.
      bench.twilio.addFault(kind, { times: 2, code: 30008 });
      assert.equal((await send()).outcome, "sent");
      assert.equal((await send()).outcome, "cooldown");
      await bench.twilio.sendReports();
      const guess = await verify(wrongCodes(call.code, 1)[0] ?? "");
      assert.match(guess.message, /didn't accept the text/);

      const again = await send();
      assert.equal(again.outcome, "sent");
      assert.match(again.message, /The last text didn't arrive/);
      assert.equal(bench.twilio.postCount, 2);
      assert.equal((await send()).outcome, "cooldown");
      await bench.twilio.sendReports();
      const failed = await send();
      assert.equal(failed.outcome, "undelivered");
      assert.match(failed.message, /another mobile number/);
      assert.deepEqual(failed["fields"], ["patientPhone"]);
      assert.equal(bench.twilio.postCount, 2);
      const texts = await textsOf(bench, clinic);
      assert.ok(texts.every(({ error_code }) => error_code !== null));

      // After the usual pause the same number is tried once more.
      await letTimePass(bench.database.sql, clinic.id, 31);
      assert.equal((await send()).outcome, "sent");
      assert.equal(bench.twilio.postCount, 3);
    },
  );
}

for (const code of [30003, 30004, 30005, 30006]) {
  test(`a text that its number does not take (${code}) is not sent there again, and not held against delivery`, async (bench) => {
    const { sql } = bench.database;
    const call = await aHold(bench);
    bench.twilio.addFault("report_undelivered", { times: 2, code });
    assert.equal((await call.send()).outcome, "sent");
    await bench.twilio.sendReports();
    const refused = await call.send();
    assert.equal(refused.outcome, "bad_destination");
    assert.deepEqual(refused["fields"], ["patientPhone"]);
    assert.equal(bench.twilio.postCount, 1);
    assert.deepEqual(await countsOf(bench, "sms"), [
      { labels: { result: "accepted" }, value: 1 },
      { labels: { result: "refused" }, value: 1 },
    ]);
    const { recent, gauges, totals } = await readMetrics(
      bench.runtime.database.within(startBudget(5000)),
      60,
    );
    const rate = readTargets({ recent, gauges, totals })
      .find(({ metric }) => metric === "sms_delivery_rate");
    assert.equal(rate?.events, 0);

    // A phone that was off may be on by now; a landline stays a landline.
    await sql`update public.sms_messages set updated_at = updated_at - interval '31 seconds'`;
    assert.equal((await call.send()).outcome, code === 30003 ? "sent" : "bad_destination");
    const other = `${call.phone.slice(0, -2)}${(Number(call.phone.slice(-2)) + 1) % 90 + 10}`;
    assert.equal((await call.hold("10:00", { patientPhone: other })).outcome, "held");
    assert.equal((await call.send()).outcome, "sent");
    assert.equal((await call.verify(codeTo(bench.twilio, other))).outcome, "confirmed");
  });
}

test("the error codes that are a number's fault are those that Twilio refuses a number with", async (bench) => {
  const ofNumbers = async (code: number) => {
    const [row] = await bench.database.sql`select private.is_fault_of_number(${code}) as is`;
    return row?.["is"];
  };
  for (const [code, failure] of Object.entries(errorClasses)) {
    // Codes from 30000 on are reported for texts that had been accepted.
    const isReported = Number(code) >= 30_000 || Number(code) === 21610;
    const isFault = isReported && ["bad_destination", "opted_out"].includes(failure);
    assert.equal(await ofNumbers(Number(code)), isFault, code);
  }
  for (const code of [30007, 30008, 30034]) assert.equal(await ofNumbers(code), false, `${code}`);
});

test("after two texts that did not arrive another number of the same hold is texted at once", async (bench) => {
  const call = await aHold(bench);
  const { send, verify } = call;
  bench.twilio.addFault("report_undelivered", { times: 2, code: 30008 });
  for (let time = 0; time < 2; time++) {
    await send();
    await bench.twilio.sendReports();
  }
  assert.equal((await send()).outcome, "undelivered");
  const other = `${call.phone.slice(0, -2)}${(Number(call.phone.slice(-2)) + 1) % 90 + 10}`;
  assert.equal((await call.hold("10:00", { patientPhone: other })).outcome, "held");
  assert.equal((await send()).outcome, "sent");
  assert.equal((await verify(codeTo(bench.twilio, other))).outcome, "confirmed");
});

test("a text that was reported undelivered but did arrive still confirms", async (bench) => {
  const call = await aHold(bench);
  const { send, verify } = call;
  bench.twilio.addFault("report_undelivered");
  await send();
  await bench.twilio.sendReports();
  assert.equal((await verify(call.code)).outcome, "confirmed");
});
