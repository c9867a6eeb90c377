/** Webhooks whose receiver fails: sent again, given up with an alarm, and sent when asked for. */
import assert from "node:assert/strict";
import { claimWebhooks, settleWebhook } from "../../shared/database/webhooks.ts";
import { testWithBench as test } from "../support/clinic.ts";
import { aListener, anEndpoint, book, run, stateOf, tools, wait } from "../support/webhooks.ts";

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

test("nothing is delivered to a private address or to one that hangs", async (bench) => {
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

test("an endpoint that fails is tried with one message at a time, and the others do not wait", async (bench) => {
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

test("an endpoint is not given up for one failure long after another", async (bench) => {
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

test("old messages to an endpoint that was given up are deleted, and no others that wait", async (bench) => {
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
