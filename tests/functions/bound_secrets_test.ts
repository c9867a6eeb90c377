/** A secret that is bound to one clinic opens no other, at any address and in any form. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import metrics from "../../functions/metrics/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import webhook from "../../functions/vapi-webhook/index.ts";
import { tools } from "../../functions/vapi-webhook/tools.ts";
import { createAccountCache } from "../../shared/accounts.ts";
import { readConfig } from "../../shared/config.ts";
import { getCredentials } from "../../shared/database/accounts.ts";
import { startBudget } from "../../shared/deadline.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime, type ServedFunction } from "../../shared/runtime.ts";
import {
  aClinic,
  aDay,
  aPhone,
  type Bench,
  type Clinic,
  metricsToken,
  testWithBench as test,
} from "../support/clinic.ts";

const leaked = "secret-of-one-clinic-alone";
const signing = "signing-of-one-clinic-alone";
const open = "secret-that-opens-every-clinic";
const nobody = "+442079460000";

/** Arguments that take each tool as far as possible. */
const good: Readonly<Record<string, object>> = {
  check_availability: { date: aDay(), serviceType: "consultation" },
  hold_slot: {
    slotId: `consultation/${aDay()}T10:00`,
    patientName: "Ada Brown",
    patientPhone: "+447700900123",
  },
  send_otp: {},
  verify_otp: { code: "123456" },
  find_appointments: { patientName: "Ada Brown" },
  cancel_appointment: { patientName: "Ada Brown" },
  reschedule_appointment: {
    patientName: "Ada Brown",
    newSlotId: `consultation/${aDay()}T11:00`,
    slotId: `consultation/${aDay()}T11:00`,
  },
  leave_message: { callerName: "Ada Brown", message: "Please call me about my bill." },
  answer_question: { question: "Where can I park?" },
};

/** What Vapi can send about a number, with the function that receives it. */
async function everyMessage(called: string): Promise<[string, ServedFunction, object][]> {
  const about = {
    phoneNumber: { number: called },
    customer: { number: "+447700900456" },
    call: { id: "one-call" },
  };
  const messages: [string, ServedFunction, object][] = [
    ["assistant-request", webhook, { type: "assistant-request", ...about }],
    ["status-update", webhook, { type: "status-update", status: "ended", ...about }],
    ["end-of-call-report", webhook, {
      type: "end-of-call-report",
      endedReason: "customer-ended-call",
      artifact: { transcript: "User: my name is Ada Brown" },
      ...about,
    }],
  ];
  for (const { name } of tools) {
    const call = { id: "call_1", function: { name, arguments: good[name] } };
    assert.ok(good[name], `Say what ${name} is asked here`);
    const message = { type: "tool-calls", toolCallList: [call], ...about };
    const folder = name.replaceAll("_", "-");
    const { default: own } = await import(`../../functions/${folder}/index.ts`);
    messages.push([name, own, message], [`${name} at the webhook`, webhook, message]);
  }
  return messages;
}

function bound(bench: Bench, clinic: Clinic, lines: string[] = []) {
  return createRuntime(
    readConfig({
      ...bench.environment,
      VAPI_SECRETS: `@${clinic.slug}:${leaked},${open}`,
      VAPI_HMAC_SECRETS: `@${clinic.id}:${signing}`,
    }),
    openLog("info", (line) => lines.push(line)),
    bench.runtime.deadlines,
  );
}

const proofs: Readonly<Record<string, (body: string) => Record<string, string>>> = {
  secret: () => ({ "x-vapi-secret": leaked }),
  bearer: () => ({ authorization: `Bearer ${leaked}` }),
  signature: (body) => {
    const timestamp = String(Date.now());
    const signature = createHmac("sha256", signing).update(`${timestamp}.${body}`).digest("hex");
    return { "x-timestamp": timestamp, "x-signature": signature };
  },
};

const post = (headers: Record<string, string>, body: string) =>
  new Request("http://functions.test/", { method: "POST", headers, body });

/** The number of an organization's rows in each table except the audit log. */
async function countRows({ database: { sql } }: Bench, { id }: Clinic) {
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attname = 'org_id'
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
      and c.relname <> 'audit_logs' order by 1`;
  const counts: Record<string, unknown> = {};
  for (const { name } of tables) {
    const [row] = await sql.unsafe(`select count(*)::int from ${name} where org_id = '${id}'`);
    counts[name] = row?.["count"];
  }
  return counts;
}

const denialsOf = async ({ database: { sql } }: Bench, { id }: Clinic) => {
  const rows = await sql`select action from public.audit_logs
    where org_id = ${id} and outcome = 'cross_tenant_denied'
      and details ->> 'reason' = 'secret_of_others'`;
  return rows.length;
};

test("a bound secret is answered about another clinic as about a number that nobody has", async (bench) => {
  const { sql } = bench.database;
  const [one, other] = [await aClinic(sql), await aClinic(sql)];
  await bench.provision(other);
  const lines: string[] = [];
  const runtime = bound(bench, one, lines);
  const before = await countRows(bench, other);
  const [ofOther, ofNobody] = [await everyMessage(other.number), await everyMessage(nobody)];
  let asked = 0;
  for (const [proof, headersOf] of Object.entries(proofs)) {
    for (const [index, [what, edge, message]] of ofOther.entries()) {
      const ask = async (given: object) => {
        const body = JSON.stringify({ message: given });
        const response = await edge.using(runtime).fetch(post(headersOf(body), body));
        return { status: response.status, body: await response.text() };
      };
      const denials = await denialsOf(bench, other);
      assert.deepEqual(
        await ask(message),
        await ask(ofNobody[index]?.[2] ?? {}),
        `${what} with a ${proof}`,
      );
      assert.equal(
        await denialsOf(bench, other),
        denials + 1,
        `${what} with a ${proof} is audited`,
      );
      asked++;
    }
  }
  assert.deepEqual(await countRows(bench, other), before, "nothing was done");
  assert.equal(bench.twilio.messages.length, 0);

  const warned = lines.filter((line) => line.includes('"event":"cross_tenant_denied"'));
  assert.equal(warned.length, asked);
  assert.ok(warned.every((line) => line.includes(other.id)));
  assert.ok(!lines.join().includes(leaked) && !lines.join().includes(signing));
  const request = new Request("http://functions.test/?format=json", {
    headers: { authorization: `Bearer ${metricsToken}` },
  });
  const { targets } = await (await metrics.using(bench.runtime).fetch(request)).json();
  const standing = targets.find(({ metric }: { metric: string }) =>
    metric === "cross_tenant_denials"
  );
  assert.equal(standing.value, asked);
});

test("a bound secret opens its own clinic, and an unbound one every clinic", async (bench) => {
  const { sql } = bench.database;
  const [one, other] = [await aClinic(sql), await aClinic(sql)];
  const runtime = bound(bench, one);
  const knows = async (clinic: Clinic, headersOf: (body: string) => Record<string, string>) => {
    for (const [what, edge, message] of await everyMessage(clinic.number)) {
      const body = JSON.stringify({ message });
      const response = await edge.using(runtime).fetch(post(headersOf(body), body));
      const text = await response.text();
      assert.equal(response.status, 200, what);
      assert.doesNotMatch(text, /unknown_clinic|"error"/, what);
    }
  };
  for (const headersOf of Object.values(proofs)) await knows(one, headersOf);
  await knows(other, () => ({ "x-vapi-secret": open }));
  assert.equal(await denialsOf(bench, one) + await denialsOf(bench, other), 0);
});

test("the first channel that finds a clinic decides, whatever else the request names", async (bench) => {
  const { sql } = bench.database;
  const [one, other] = [await aClinic(sql), await aClinic(sql)];
  await sql`insert into public.org_channels (kind, value, org_id)
    values ('vapi_phone_number', 'phone-of-the-other', ${other.id}),
      ('vapi_assistant', 'assistant-of-the-other', ${other.id})`;
  const runtime = bound(bench, one);
  const { tool, ...own } = sendOtp;
  const ask = async (about: object) => {
    const call = { id: "call_1", function: { name: tool.name, arguments: { tenantId: one.id } } };
    const body = JSON.stringify({
      // What a request says about its own secret is ignored.
      message: { type: "tool-calls", toolCallList: [call], boundTo: [other.id], ...about },
      boundTo: [other.id],
    });
    return await (await own.using(runtime).fetch(post({ "x-vapi-secret": leaked }, body))).text();
  };
  const boundTo = [other.id, other.slug];
  for (
    const about of [
      { call: { id: "1", boundTo, phoneNumberId: "phone-of-the-other" } },
      { phoneNumber: { id: "phone-of-the-other", number: one.number } },
      { assistant: { id: "assistant-of-the-other" }, call: { id: "2", boundTo } },
    ]
  ) assert.match(await ask(about), /unknown_clinic/);
  assert.doesNotMatch(await ask({ phoneNumber: { number: one.number } }), /unknown_clinic/);
});

test("a denied read of an account is not shared with the clinic's own calls", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await bench.provision(clinic);
  const accounts = createAccountCache(bench.runtime.config.credentialKeys);
  const database = bench.runtime.database.within(startBudget(30_000));
  const call = { calledNumber: clinic.number, callId: "1", toolCallId: "1", claims: {} };
  const denied = accounts.get(database, { ...call, boundTo: ["another-clinic"] });
  const own = accounts.get(database, { ...call, boundTo: [clinic.slug] });
  const unbound = accounts.get(database, call);
  assert.equal((await denied).outcome, "unknown_clinic");
  assert.deepEqual([(await own).outcome, (await unbound).outcome], ["found", "found"]);
  // The reverse holds too: what is cached for the clinic is not given away.
  const later = await accounts.get(database, { ...call, boundTo: ["another-clinic"] });
  assert.equal(later.outcome, "unknown_clinic");
  const read = await getCredentials(database, { ...call, boundTo: ["another-clinic"] });
  assert.deepEqual(read, { outcome: "unknown_clinic" });
});

test("a request with two secrets opens what either of them opens", async (bench) => {
  const { sql } = bench.database;
  const [one, other, third] = [await aClinic(sql), await aClinic(sql), await aClinic(sql)];
  const second = "secret-of-the-other-clinic";
  const runtime = createRuntime(
    readConfig({
      ...bench.environment,
      VAPI_SECRETS: `@${one.slug}:${leaked},@${other.slug}:${second},${open}`,
    }),
    openLog("error", () => {}),
    bench.deadlines,
  );
  const isServed = async ({ number }: Clinic, shown: string, bearer: string) => {
    const headers = { "x-vapi-secret": shown, authorization: `Bearer ${bearer}` };
    const message = { type: "assistant-request", phoneNumber: { number } };
    const request = post(headers, JSON.stringify({ message }));
    return !("error" in await (await webhook.using(runtime).fetch(request)).json());
  };
  for (const [shown, bearer] of [[leaked, second], [second, leaked]] as const) {
    const served = [];
    for (const clinic of [one, other, third]) served.push(await isServed(clinic, shown, bearer));
    assert.deepEqual(served, [true, true, false]);
  }
  assert.ok(await isServed(third, leaked, open));
  assert.ok(!await isServed(other, leaked, "a-secret-that-nobody-has"));
});

test("no secret of Vapi's opens the metrics", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const runtime = bound(bench, clinic);
  for (const secret of [leaked, signing, open, `@${clinic.slug}:${leaked}`, ""]) {
    const headers = { authorization: `Bearer ${secret}`, "x-vapi-secret": secret };
    const response = await metrics.using(runtime).fetch(
      new Request("http://functions.test/", { headers }),
    );
    assert.equal(response.status, 401);
  }
});

test("the binding is not part of the secret, and a bound secret must be right like any other", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const runtime = bound(bench, clinic);
  const body = JSON.stringify({
    message: { type: "assistant-request", phoneNumber: { number: clinic.number } },
  });
  const statusOf = async (secret: string) =>
    (await webhook.using(runtime).fetch(post({ "x-vapi-secret": secret }, body))).status;
  assert.equal(await statusOf(leaked), 200);
  for (
    const secret of [`@${clinic.slug}:${leaked}`, `${clinic.slug}:${leaked}`, signing, aPhone()]
  ) {
    assert.equal(await statusOf(secret), 401, secret);
  }
});
