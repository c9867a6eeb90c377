/** Webhooks: who is told what, signed and at least once, whatever the receiver does. */
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import webhooksFunction from "../../functions/webhooks/index.ts";
import { claimWebhooks, settleWebhook } from "../../shared/database/webhooks.ts";
import { startBudget } from "../../shared/deadline.ts";
import type { Network } from "../../shared/exchange.ts";
import {
  createWebhookSecret,
  encryptWebhookSecret,
  sendWebhook,
  signWebhook,
} from "../../shared/webhook.ts";
import { sendDueWebhooks } from "../../shared/webhooks.ts";
import { aCaller, readCode, sendCode, withLine } from "../support/callers.ts";
import {
  aClinic,
  aDay,
  type Bench,
  type Clinic,
  jobsSecret,
  testWithBench as test,
} from "../support/clinic.ts";
import { answerWith } from "../support/network.ts";
import { someWait, start } from "../support/requests.ts";
import { aMember, asMember } from "../support/staff.ts";

interface Delivery {
  readonly host: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** The internet: every host answers the same, and what was sent to it. */
function anInternet() {
  const seen = {
    answer: "HTTP/1.1 204 No Content\r\n\r\n",
    /** An address that is not answered at all. */
    hangs: false,
    deliveries: [] as Delivery[],
    addresses: ["93.184.216.34"],
    meanwhile: () => Promise.resolve(),
  };
  const network: Network = {
    resolve: () => Promise.resolve(seen.addresses),
    connect: (_address, _port, host) => {
      const connection = answerWith(seen.answer, async (asked) => {
        const [head = "", body = ""] = asked.split("\r\n\r\n");
        const lines = head.split("\r\n").slice(1).map((line) => line.split(": "));
        const headers = lines.map(([name = "", value = ""]) => [name.toLowerCase(), value]);
        seen.deliveries.push({ host, headers: Object.fromEntries(headers), body });
        await seen.meanwhile();
      });
      let close = () => {};
      const closed = new Promise<null>((resolve) => close = () => resolve(null));
      return Promise.resolve({
        ...connection,
        read: async (buffer) => {
          const length = await connection.read(buffer);
          return seen.hangs ? await closed : length;
        },
        close,
      });
    },
  };
  return { seen, network };
}

/** Adds an endpoint, as the task does. */
async function anEndpoint(
  { runtime, database: { sql } }: Bench,
  { id: orgId }: Clinic,
  { types = null, tellsNames = false, host = "hooks.example" }: {
    types?: string[] | null;
    tellsNames?: boolean;
    host?: string;
  } = {},
) {
  const endpointId = crypto.randomUUID();
  const secret = createWebhookSecret();
  const { credentialKeys } = runtime.config;
  const stored = await encryptWebhookSecret(credentialKeys, { orgId, endpointId }, secret);
  const [row] = await sql`select public.add_webhook(${orgId}, ${endpointId},
    ${`https://${host}/T0/secret-path`}, ${types}, ${tellsNames}, ${sql.json({ ...stored })})
    ->> 'outcome' as outcome`;
  assert.equal(row?.["outcome"], "added");
  return { endpointId, secret };
}

const tools = ({ runtime }: Bench, network: Network) => {
  const budget = startBudget(3_600_000);
  const database = runtime.database.within(budget);
  return { config: runtime.config, database, budget, log: runtime.log, network };
};

const run = (bench: Bench, network: Network, timeoutMs?: number) =>
  sendDueWebhooks({ ...tools(bench, network), ...timeoutMs ? { timeoutMs } : {} });

/** Makes everything due, as if the pauses after failures were over. */
const wait = ({ database: { sql } }: Bench) =>
  sql.begin(async (tx) => {
    await tx`update public.webhook_endpoints set due_at = '-infinity'`;
    await tx`update public.webhook_messages set due_at = now() - interval '1 second'`;
  });

const stateOf = async ({ database: { sql } }: Bench) =>
  (await sql`select type, state, attempts, reason from public.webhook_messages
    order by created_at, type`).map((row) => ({ ...row }));

const slot = (time: string) => ({ p_slot_id: `consultation/${aDay()}T${time}` });

/** A clinic that is listened to: an endpoint, the internet that it is on, and somebody at the desk. */
async function aListener(bench: Bench, options: Parameters<typeof anEndpoint>[2] = {}) {
  const { sql } = bench.database;
  const clinic = await aClinic(sql);
  const endpoint = await anEndpoint(bench, clinic, options);
  const ask = asMember(sql, await aMember(sql, clinic.id), clinic);
  return { sql, clinic, ...endpoint, ...anInternet(), ask };
}

/** Books at the desk; returns the appointment's id. */
async function book(ask: ReturnType<typeof asMember>, time: string): Promise<string> {
  const booked = await ask("staff_book", {
    ...slot(time),
    p_patient_name: "Ada Lovelace",
    p_patient_phone: "+447700900777",
    p_patient_country: "GB",
  });
  assert.equal(booked.outcome, "booked");
  return String(booked["appointmentId"]);
}

const bodiesOf = (deliveries: readonly Delivery[]) =>
  deliveries.map(({ body }) => JSON.parse(body) as Record<string, unknown>)
    .map(({ type, data }) => ({ type, data: data as Record<string, unknown> }));

test("a call's booking, move and cancellation are told with ids and times, signed, and nothing else", async (bench) => {
  const { sql, clinic, secret, seen, network } = await aListener(bench);
  const caller = aCaller(clinic);
  const began = Date.now();
  await withLine(bench.database, async (line) => {
    await line.ask("claim_slot_atomic", caller, slot("10:00"));
    await sendCode(line, caller, "482913");
    assert.equal((await readCode(line, caller, "482913")).outcome, "confirmed");
    assert.equal(
      (await line.ask("reschedule_appointment", caller, slot("11:00"))).outcome,
      "rescheduled",
    );
    assert.equal((await line.ask("cancel_appointment", caller)).outcome, "cancelled");
  });
  assert.deepEqual(await run(bench, network), { delivered: 3 });
  const verified = seen.deliveries.map(({ headers, body }) =>
    new Webhook(secret).verify(body, headers) as { type: string; timestamp: string }
  );
  assert.deepEqual(
    verified.map(({ type }) => type).sort(),
    ["booking.cancelled", "booking.changed", "booking.created"],
  );
  const [row] =
    await sql`select id, starts_at from public.appointments where starts_at = ${`${aDay()} 10:00 Europe/London`}::text::timestamptz`;
  const changed = bodiesOf(seen.deliveries).find(({ type }) => type === "booking.changed")?.data;
  assert.equal(changed?.["orgId"], clinic.id);
  assert.equal(changed?.["previousAppointmentId"], row?.["id"]);
  assert.equal(Date.parse(String(changed?.["previousStartTime"])), row?.["starts_at"].getTime());
  for (const { timestamp } of verified) {
    const at = Date.parse(timestamp);
    assert.ok(at >= began - 1 && at <= Date.now() + 1, timestamp);
  }
  assert.equal(new Set(seen.deliveries.map(({ headers }) => headers["webhook-id"])).size, 3);
  const told = JSON.stringify(seen.deliveries);
  for (const personal of ["Ada", caller.phone, caller.phone.slice(-4), "482913"]) {
    assert.ok(!told.includes(personal), personal);
  }
  assert.ok(!told.includes("patientName"));
  // Nobody gets it again.
  assert.deepEqual(await run(bench, network), {});
});

test("what needs a person is told: a follow-up, a message, an alarm", async (bench) => {
  const { sql, clinic, seen, network } = await aListener(bench);
  await sql`update public.organizations set call_attempts = 1 where id = ${clinic.id}`;
  await anEndpoint(bench, clinic, { tellsNames: true, host: "named.example" });
  const caller = aCaller(clinic);
  await withLine(bench.database, async (line) => {
    await line.ask("claim_slot_atomic", caller, slot("10:00"));
    await sendCode(line, caller, "482913");
    assert.equal((await readCode(line, caller, "000000")).outcome, "locked");
  });
  const call = sql.json({ calledNumber: clinic.number, callId: crypto.randomUUID() });
  await sql`select public.leave_message(${call}, 'Grace Hopper', '+447700900555', 'tomorrow',
    'Please call about a bill')`;
  await sql`select private.raise_alarm(${clinic.id}, 'wrong_codes', 50, now(), now())`;
  assert.deepEqual(await run(bench, network), { delivered: 6 });
  const of = (host: string) => seen.deliveries.filter((one) => one.host === host);
  const plain = bodiesOf(of("hooks.example"));
  assert.deepEqual(plain.map(({ type }) => type).sort(), [
    "alarm.raised",
    "followup.needed",
    "message.left",
  ]);
  const followUp = plain.find(({ type }) => type === "followup.needed")?.data;
  assert.ok(Date.parse(String(followUp?.["keptUntil"])) > Date.now());
  assert.equal(plain.find(({ type }) => type === "alarm.raised")?.data["kind"], "wrong_codes");
  assert.doesNotMatch(JSON.stringify(of("hooks.example")), /Ada|Grace|bill|\+44|900555/);
  const named = JSON.stringify(of("named.example"));
  assert.match(named, /Ada Brown/);
  assert.match(named, /Grace Hopper/);
  assert.match(named, /Please call about a bill/);
  assert.doesNotMatch(named, /\+44|900555|482913/, "numbers and codes are never told");
});

test("the desk's bookings are told too, and a patient who was erased is not named", async (bench) => {
  const { sql, clinic, seen, network, ask } = await aListener(bench, { tellsNames: true });
  const first = await book(ask, "10:00");
  const moved = await ask("staff_move", { p_appointment: first, ...slot("12:00") });
  await ask("staff_cancel", { p_appointment: moved["appointmentId"] });
  assert.deepEqual((await stateOf(bench)).map((one) => one["type"]), [
    "booking.created",
    "booking.changed",
    "booking.cancelled",
  ]);
  await sql`update public.appointments set patient_name = null, patient_phone = null,
    contact_id = null where org_id = ${clinic.id}`;
  assert.deepEqual(await run(bench, network), { delivered: 3 });
  assert.doesNotMatch(JSON.stringify(seen.deliveries), /Lovelace/);
});

test("what was rolled back is not told, and an endpoint of another clinic or for other events hears nothing", async (bench) => {
  const { sql, clinic, endpointId, seen, network, ask } = await aListener(bench);
  const other = await aClinic(sql);
  await anEndpoint(bench, clinic, { types: ["alarm.raised"], host: "alarms.example" });
  await anEndpoint(bench, other, { host: "other.example" });
  await assert.rejects(sql.begin(async (tx) => {
    await tx`select private.raise_alarm(${clinic.id}, 'wrong_codes', 50, now(), now())`;
    throw new Error("rolled back");
  }));
  assert.deepEqual(await stateOf(bench), []);
  await book(ask, "10:00");
  assert.deepEqual(await run(bench, network), { delivered: 1 });
  assert.deepEqual(seen.deliveries.map(({ host }) => host), ["hooks.example"]);
  // A secret that is moved to another endpoint signs nothing.
  await sql`update public.webhook_endpoints as e set secrets = o.secrets
    from public.webhook_endpoints as o where o.org_id = ${other.id} and e.id = ${endpointId}`;
  await book(ask, "12:00");
  assert.deepEqual(await run(bench, network), { waiting: 1 });
  assert.equal(seen.deliveries.length, 1);
  assert.equal((await stateOf(bench)).at(-1)?.["reason"], "secret_unreadable");
});

for (
  const [what, answer, reason] of [
    ["500", "HTTP/1.1 500 No\r\n\r\n", "http_500"],
    ["404", "HTTP/1.1 404 No\r\n\r\n", "http_404"],
    ["redirects", "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n", "moved"],
    ["nonsense", "SSH-2.0-OpenSSH\r\n\r\n", "answer_malformed"],
    ["a huge head", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}\r\n\r\n`, "answer_malformed"],
    ["nothing", "", "answer_malformed"],
  ] as const
) {
  test(`an endpoint that answers ${what} is asked again later, with the same id`, async (bench) => {
    const { seen, network, ask } = await aListener(bench);
    await book(ask, "10:00");
    seen.answer = answer;
    assert.deepEqual(await run(bench, network), { waiting: 1 });
    assert.deepEqual(await stateOf(bench), [
      { type: "booking.created", state: "waiting", attempts: 1, reason },
    ]);
    assert.deepEqual(await run(bench, network), {}, "not before its time");
    await wait(bench);
    seen.answer = `HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n${"x".repeat(1000)}`;
    assert.deepEqual(await run(bench, network), { delivered: 1 });
    const ids = seen.deliveries.map(({ headers }) => headers["webhook-id"]);
    assert.equal(new Set(ids).size, 1);
  });
}

test("a private address and one that hangs are not delivered", async (bench) => {
  const { seen, network, ask } = await aListener(bench);
  await book(ask, "10:00");
  for (const addresses of [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::1"]]) {
    seen.addresses = addresses;
    await wait(bench);
    assert.deepEqual(await run(bench, network), { waiting: 1 });
    assert.equal((await stateOf(bench))[0]?.["reason"], "address_not_public");
  }
  assert.equal(seen.deliveries.length, 0);
  seen.addresses = ["93.184.216.34"];
  seen.hangs = true;
  await wait(bench);
  assert.deepEqual(await run(bench, network, 200), { waiting: 1 });
  assert.equal((await stateOf(bench))[0]?.["reason"], "too_slow");
});

test("an endpoint that fails is tried with one message at a time, and another one does not wait", async (bench) => {
  const { clinic, seen, network, ask } = await aListener(bench);
  for (const time of ["09:00", "10:00", "11:00"]) await book(ask, time);
  seen.answer = "HTTP/1.1 503 No\r\n\r\n";
  assert.deepEqual(await run(bench, network), { waiting: 3 });
  await wait(bench);
  assert.deepEqual(await run(bench, network), { waiting: 1 });
  await anEndpoint(bench, clinic, { host: "well.example" });
  await book(ask, "12:00");
  seen.answer = "HTTP/1.1 204 No Content\r\n\r\n";
  assert.deepEqual(await run(bench, network), { delivered: 1 });
  await wait(bench);
  assert.deepEqual(await run(bench, network), { delivered: 4 });
});

test("a message is given up after twelve attempts, with one alarm, and is sent again when asked for", async (bench) => {
  const { sql, clinic, seen, network, ask } = await aListener(bench, {
    types: ["booking.created"],
  });
  await book(ask, "10:00");
  seen.answer = "HTTP/1.1 500 No\r\n\r\n";
  const results = [];
  for (let attempt = 0; attempt < 12; attempt++) {
    await wait(bench);
    results.push(...Object.keys(await run(bench, network)));
  }
  assert.deepEqual(results, [...Array.from({ length: 11 }, () => "waiting"), "failed"]);
  await wait(bench);
  assert.deepEqual(await run(bench, network), {});
  await book(ask, "12:00");
  for (let attempt = 0; attempt < 12; attempt++) {
    await wait(bench);
    await run(bench, network);
  }
  const alarms = await sql`select kind from public.alarms`;
  assert.deepEqual(alarms.map(({ kind }) => kind), ["webhook_failed"]);
  const [braked] = await sql`select private.is_braked(${clinic.id}, now()) as yes`;
  assert.equal(braked?.["yes"], false, "it slows no texts down");
  const [listed] = await sql`select public.list_webhooks(${clinic.id}) as answer`;
  assert.equal(listed?.["answer"].failed.length, 2);
  assert.doesNotMatch(JSON.stringify(listed), /secret-path|ciphertext/);
  const [resent] = await sql`select public.resend_webhooks(${clinic.id}) as answer`;
  assert.equal(resent?.["answer"].messages, 2);
  seen.answer = "HTTP/1.1 200 OK\r\n\r\n";
  await wait(bench);
  assert.deepEqual(await run(bench, network), { delivered: 2 });
});

test("an outage with many messages raises one alarm in time, and one failure of several at once counts once", async (bench) => {
  const { sql, seen, network, ask } = await aListener(bench, { types: ["booking.created"] });
  for (const time of ["09:00", "10:00", "11:00", "12:00"]) await book(ask, time);
  seen.answer = "HTTP/1.1 500 No\r\n\r\n";
  assert.deepEqual(await run(bench, network), { waiting: 4 });
  const failures = async () => {
    const [row] = await sql`select failures, (select count(*)::int from public.alarms) as alarms,
      round(extract(epoch from due_at - clock_timestamp()) / 60)::int as pause
      from public.webhook_endpoints`;
    return { ...row };
  };
  assert.deepEqual(await failures(), { failures: 1, alarms: 0, pause: 1 });
  // The messages take turns, so that none is given up before the alarm.
  const next = () =>
    sql.begin(async (tx) => {
      await tx`update public.webhook_endpoints set due_at = '-infinity'`;
      await tx`update public.webhook_messages set due_at = updated_at - interval '1 hour'`;
    });
  for (let attempt = 2; attempt <= 13; attempt++) {
    await next();
    assert.deepEqual(await run(bench, network), { waiting: 1 });
    const { failures: counted, alarms } = await failures();
    assert.deepEqual([counted, alarms], [attempt, attempt >= 12 ? 1 : 0]);
  }
});

test("an endpoint that refuses alarms is not told of itself, and there is one alarm a day about it", async (bench) => {
  const { sql, clinic, endpointId, seen, network, ask } = await aListener(bench);
  await anEndpoint(bench, clinic, { types: ["alarm.raised"], host: "alarms.example" });
  const kinds = async () =>
    (await sql`select m.data ->> 'kind' as kind, m.endpoint_id as id from public.webhook_messages as m
      where m.type = 'alarm.raised' order by m.created_at, 1`).map(({ kind, id }) =>
      `${kind} ${id === endpointId ? "itself" : "another"}`
    );
  const fail = () =>
    sql`update public.webhook_endpoints set failures = 11, failed_at = now(), counted_at = now(),
      due_at = '-infinity' where id = ${endpointId}`;
  await book(ask, "10:00");
  await fail();
  seen.answer = "HTTP/1.1 500 No\r\n\r\n";
  await run(bench, network);
  assert.deepEqual(await kinds(), ["webhook_failed another"]);
  seen.answer = "HTTP/1.1 200 OK\r\n\r\n";
  await wait(bench);
  await run(bench, network);
  const outage = async (time: string) => {
    await book(ask, time);
    await fail();
    seen.answer = "HTTP/1.1 500 No\r\n\r\n";
    await run(bench, network);
    seen.answer = "HTTP/1.1 200 OK\r\n\r\n";
    await wait(bench);
    await run(bench, network);
    return (await kinds()).length;
  };
  assert.equal(await outage("11:00"), 1, "not again within a day");
  await sql`update public.webhook_endpoints set alarmed_at = alarmed_at - interval '25 hours'`;
  assert.equal(await outage("12:00"), 2);
});

test("one failure long after another does not give an endpoint up", async (bench) => {
  const { sql, seen, network, ask } = await aListener(bench);
  await book(ask, "10:00");
  await sql`update public.webhook_endpoints set failures = 12, failed_at = now() - interval '9 days',
    counted_at = now() - interval '8 days', alarmed_at = now() - interval '8 days'`;
  seen.answer = "HTTP/1.1 500 No\r\n\r\n";
  assert.deepEqual(await run(bench, network), { waiting: 1 });
  const [row] =
    await sql`select failures, disabled_at, failed_at > now() - interval '1 hour' as anew
    from public.webhook_endpoints`;
  assert.deepEqual({ ...row }, { failures: 1, disabled_at: null, anew: true });
});

test("what was given up is sent again at once, but not to an endpoint that was given up", async (bench) => {
  const { sql, clinic, endpointId, seen, network, ask } = await aListener(bench);
  const resend = async (id: string | null = null) => {
    const [row] = await sql`select public.resend_webhooks(${clinic.id}, ${id}) as answer`;
    return row?.["answer"];
  };
  await book(ask, "10:00");
  seen.answer = "HTTP/1.1 410 Gone\r\n\r\n";
  await run(bench, network);
  const [message] = await sql`select id from public.webhook_messages`;
  const refused = { outcome: "disabled", orgId: clinic.id, disabled: [endpointId] };
  assert.deepEqual(await resend(), refused);
  assert.deepEqual(await resend(message?.["id"]), refused);
  assert.deepEqual((await stateOf(bench)).map(({ state }) => state), ["failed"]);
  await anEndpoint(bench, clinic, { host: "other.example" });
  await book(ask, "11:00");
  await sql`update public.webhook_messages set state = 'failed'`;
  await sql`update public.webhook_endpoints set due_at = now() + interval '1 hour', failures = 3,
    failed_at = now(), counted_at = now()`;
  assert.deepEqual(await resend(), {
    outcome: "resent",
    orgId: clinic.id,
    messages: 1,
    disabled: [endpointId],
  });
  seen.answer = "HTTP/1.1 200 OK\r\n\r\n";
  assert.deepEqual(await run(bench, network), { delivered: 1 }, "it need not wait any longer");
  assert.equal((await resend(message?.["id"])).outcome, "disabled");
});

test("what an endpoint that was given up would be sent is deleted when it is old, and nothing else that waits", async (bench) => {
  const { sql, clinic, endpointId, ask } = await aListener(bench);
  await anEndpoint(bench, clinic, { host: "other.example" });
  await book(ask, "10:00");
  await sql`update public.webhook_messages set created_at = now() - interval '10 years'`;
  await sql`update public.webhook_endpoints set disabled_at = now() where id = ${endpointId}`;
  await sql`select public.apply_retention()`;
  const kept = await sql`select endpoint_id as id from public.webhook_messages`;
  assert.equal(kept.length, 1);
  assert.notEqual(kept[0]?.["id"], endpointId);
});

test("an endpoint that says it is gone, or has failed for three days, is given up until it is enabled", async (bench) => {
  const { sql, clinic, endpointId, seen, network, ask } = await aListener(bench);
  await book(ask, "10:00");
  seen.answer = "HTTP/1.1 410 Gone\r\n\r\n";
  assert.deepEqual(await run(bench, network), { failed: 1 });
  await book(ask, "11:00");
  assert.equal((await stateOf(bench)).length, 1, "nothing more is written for it");
  const enable = () =>
    sql`select public.change_webhook(${clinic.id}, ${endpointId}, 'enabled') as answer`;
  await enable();
  await book(ask, "12:00");
  await book(ask, "13:00");
  await sql`update public.webhook_endpoints set failures = 70,
    failed_at = now() - interval '73 hours', counted_at = now() - interval '1 hour'`;
  seen.answer = "HTTP/1.1 500 No\r\n\r\n";
  await run(bench, network);
  assert.deepEqual((await stateOf(bench)).map((one) => one["state"]), [
    "failed",
    "failed",
    "failed",
  ]);
  const [row] = await sql`select disabled_at is not null as off from public.webhook_endpoints`;
  assert.equal(row?.["off"], true);
});

test("a function that dies between claim and result: it is sent again, and the late result changes nothing", async (bench) => {
  const { seen, network, ask } = await aListener(bench);
  await book(ask, "10:00");
  const { database } = tools(bench, network);
  const dead = await claimWebhooks(database, 10);
  assert.ok(dead.outcome === "claimed" && dead.messages[0]);
  assert.deepEqual(await run(bench, network), {}, "whoever has it gets two minutes");
  await wait(bench);
  assert.deepEqual(await run(bench, network), { delivered: 1 });
  const late = await settleWebhook(database, dead.messages[0], {
    reason: "http_500",
    isGone: false,
  });
  assert.equal(late.outcome, "known");
  assert.equal((await stateOf(bench))[0]?.["state"], "delivered");
  assert.equal(seen.deliveries.length, 1);
});

test("many workers at once: no message is claimed twice", async (bench) => {
  const { seen, network, ask } = await aListener(bench);
  for (const time of ["09:00", "10:00", "11:00", "12:00", "13:00"]) await book(ask, time);
  const counts = await Promise.all(Array.from({ length: 6 }, () => run(bench, network)));
  assert.equal(counts.reduce((sum, { delivered = 0 }) => sum + delivered, 0), 5);
  assert.equal(seen.deliveries.length, 5);
  assert.equal(new Set(seen.deliveries.map(({ headers }) => headers["webhook-id"])).size, 5);
});

test("a booking waits for an endpoint that is being removed, and is made without it", async (bench) => {
  const { sql, clinic, endpointId, ask } = await aListener(bench);
  await withLine(bench.database, async ({ sql: removing }) => {
    await removing`begin`;
    await removing`select public.change_webhook(${clinic.id}, ${endpointId}, 'removed')`;
    const booking = start(() => book(ask, "10:00"));
    await someWait(bench, 1, booking.isOver);
    assert.ok(!booking.isOver());
    await removing`commit`;
    await booking.done;
  });
  assert.deepEqual(await stateOf(bench), []);
  const [row] = await sql`select count(*)::int as n from public.appointments
    where status = 'confirmed'`;
  assert.equal(row?.["n"], 1);
});

test("while a secret is replaced both sign, and the old one ends after a day", async (bench) => {
  const { sql, clinic, endpointId, secret, seen, network, ask } = await aListener(bench);
  const next = createWebhookSecret();
  const of = { orgId: clinic.id, endpointId };
  const stored = await encryptWebhookSecret(bench.runtime.config.credentialKeys, of, next);
  await sql`select public.change_webhook(${clinic.id}, ${endpointId}, 'rotated',
    ${sql.json({ ...stored })})`;
  await book(ask, "10:00");
  await run(bench, network);
  const [both] = seen.deliveries;
  assert.ok(both);
  for (const one of [secret, next]) new Webhook(one).verify(both.body, both.headers);
  assert.throws(() => new Webhook(createWebhookSecret()).verify(both.body, both.headers));
  assert.throws(() => new Webhook(secret).verify(`${both.body} `, both.headers));
  await sql`update public.webhook_endpoints as e
    set secrets = jsonb_set(secrets, '{1,until}', to_jsonb(now() - interval '1 second'))`;
  await book(ask, "12:00");
  await run(bench, network);
  const [, only] = seen.deliveries;
  assert.ok(only);
  new Webhook(next).verify(only.body, only.headers);
  assert.throws(() => new Webhook(secret).verify(only.body, only.headers));
});

test("addresses, secrets and names are in no log line, audit row or table that is read", async (bench) => {
  const { sql, secret, seen, network, ask } = await aListener(bench, { tellsNames: true });
  await book(ask, "10:00");
  seen.answer = "HTTP/1.1 500 secret-path\r\n\r\n";
  await run(bench, network);
  const [row] = await sql<{ text: string }[]>`
    select string_agg(x, '') as text from (
      select to_jsonb(l)::text as x from public.audit_logs as l
      union all select to_jsonb(m)::text from public.webhook_messages as m) as x`;
  const told = row?.text + bench.lines.join();
  assert.ok(told.includes('"webhook"') && told.includes("hooks.example"));
  assert.doesNotMatch(told, /secret-path|Lovelace/);
  assert.ok(!told.includes(secret));
});

test("the function asks for its secret, and the job asks for it only when something is due", async (bench) => {
  const { ask } = await aListener(bench, { host: "127.0.0.1:9" });
  const post = (secret: string, method = "POST") =>
    webhooksFunction.using(bench.runtime).fetch(
      new Request("http://f.test/", { method, headers: { authorization: `Bearer ${secret}` } }),
    );
  assert.equal((await post("wrong")).status, 401);
  assert.equal((await post(jobsSecret, "GET")).status, 405);
  assert.deepEqual(await (await post(jobsSecret)).json(), {});
  await book(ask, "10:00");
  assert.deepEqual(await (await post(jobsSecret)).json(), { waiting: 1 });
  assert.equal((await stateOf(bench))[0]?.["reason"], "address_not_public");
});

Deno.test("a signature is that of the example in the specification", () => {
  const body = new TextEncoder().encode('{"test": 2432232314}');
  const headers = signWebhook(
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    body,
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    1614265330_000,
  );
  assert.equal(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

Deno.test("only 200 to 299 counts as delivered, and the beginning of the answer can be shown", async () => {
  const { seen, network } = anInternet();
  const message = { id: "m", type: "webhook.test", timestamp: "2026-12-01T00:00:00Z", data: {} };
  const send = () =>
    sendWebhook("https://a.example/", [createWebhookSecret()], message, {
      network,
      readsAnswer: true,
    });
  seen.answer = "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
  assert.deepEqual(await send(), { reason: null, status: 201, isGone: false, answer: "hello" });
  seen.answer = "HTTP/1.1 410 Gone\r\n\r\n";
  assert.deepEqual(await send(), { reason: "http_410", status: 410, isGone: true, answer: "" });
});
