/** Webhooks: who is told what, signed, and nothing more. */
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import webhooksFunction from "../../functions/webhooks/index.ts";
import {
  createWebhookSecret,
  encryptWebhookSecret,
  sendWebhook,
  signWebhook,
} from "../../shared/webhook.ts";
import { aCaller, readCode, sendCode, withLine } from "../support/callers.ts";
import { aClinic, aDay, jobsSecret, testWithBench as test } from "../support/clinic.ts";
import { someWait, start } from "../support/requests.ts";
import {
  aListener,
  anEndpoint,
  anInternet,
  book,
  type Delivery,
  run,
  slot,
  stateOf,
} from "../support/webhooks.ts";

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

test("many workers at once claim no message twice", async (bench) => {
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
