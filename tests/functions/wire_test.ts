/** Vapi's wire contract: every shape, every kind of bad request, deadlines. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createHmac } from "node:crypto";
import { z } from "zod";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import { tools as definitions } from "../../functions/vapi-webhook/tools.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import type { ServedTool } from "../../shared/request.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aPost,
  aRequest,
  type Bench,
  readSaid,
  testWithBench as test,
  vapiSecret,
} from "../support/clinic.ts";
import { atLength } from "../support/length.ts";

const tools = {
  check_availability: checkAvailability,
  hold_slot: holdSlot,
  send_otp: sendOtp,
  verify_otp: verifyOtp,
} as const;

const post = (bench: Bench, tool: ServedTool, body: unknown) =>
  tool.using(bench.runtime).fetch(aPost(JSON.stringify(body)));

test("all five shapes of a tool call are answered, with exact ids and in order", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const args = { date: aDay(), serviceType: "consultation" };
  const name = "check_availability";
  const shapes: [string[], object][] = [
    [["A"], {
      toolCallList: [{ id: "A", type: "function", function: { name, arguments: args } }],
    }],
    [["B"], {
      toolCallList: [{ id: "B", function: { name, arguments: JSON.stringify(args) } }],
    }],
    [["C"], { toolCallList: [{ id: "C", name, arguments: args }] }],
    [["D"], { toolCalls: [{ id: "D", name, parameters: args }] }],
    [["E"], {
      toolWithToolCallList: [
        { name, toolCall: { id: "E", function: { parameters: args } } },
      ],
    }],
    [["F1", "F2", "F3", "F4"], {
      toolCallList: [
        { id: "F1", name, arguments: args },
        { id: "F2", name: "other_tool", arguments: {} },
        { id: "F3", name, arguments: "{broken" },
        { id: "F4", name, arguments: [1] },
      ],
    }],
  ];
  for (const [ids, shape] of shapes) {
    const message = { type: "tool-calls", phoneNumber: { number: clinic.number }, ...shape };
    const response = await post(bench, checkAvailability, { message });
    assert.equal(response.status, 200);
    const { results } = await response.json();
    assert.deepEqual(results.map((result: { toolCallId: string }) => result.toolCallId), ids);
    assert.equal(JSON.parse(results[0].result).outcome, "available");
    if (results.length > 1) {
      assert.match(results[1].error, /^Unknown tool "other_tool"/);
      assert.equal(JSON.parse(results[2].result).outcome, "invalid_arguments");
      assert.equal(JSON.parse(results[3].result).outcome, "invalid_arguments");
    }
  }
});

const fixtures = new URL("../../../shared/fixtures/vapi/", import.meta.url);
const hasFixtures = (() => {
  try {
    return readdirSync(fixtures).length > 0;
  } catch {
    return false;
  }
})();

test(
  "every captured request body is answered with 200 and a result for every id" +
    (hasFixtures ? "" : " (not tested: ../shared/fixtures/vapi is absent)"),
  async (bench) => {
    for (const file of readdirSync(fixtures).filter((name) => name.endsWith(".json"))) {
      const bodies = [JSON.parse(readFileSync(new URL(file, fixtures), "utf8"))].flat();
      for (const body of bodies) {
        const { message } = body;
        const calls = message.toolCallList ?? message.toolWithToolCallList ?? [];
        const tool = calls[0]?.function?.name === "hold_slot" ? holdSlot : checkAvailability;
        const response = await post(bench, tool, body);
        assert.equal(response.status, 200, file);
        const answer = await response.json();
        if (message.type === "tool-calls") {
          assert.equal(answer.results.length, calls.length, file);
        } else assert.deepEqual(answer, {}, file);
      }
    }
  },
  { ignore: !hasFixtures },
);

test("without the right secret the answer is a bare 401, whatever the body", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  for (const secret of [null, "", "wrong", `${vapiSecret} `, vapiSecret.slice(1)]) {
    for (const tool of Object.values(tools)) {
      const request = aRequest({ tool: "hold_slot", called: clinic.number, secret });
      // A header's value is trimmed in transit, so a trailing blank does not make another secret.
      const response = await tool.using(bench.runtime).fetch(request);
      assert.equal(response.status, secret?.trim() === vapiSecret ? 200 : 401);
      if (response.status === 401) assert.equal(await response.text(), "");
    }
  }
  assert.equal(bench.restCalls.length, 0);
});

test("either of two secrets may be the right one: Vapi sends the number's and the assistant's", async (bench) => {
  const { number } = await aClinic(bench.database.sql);
  const statusOf = async (shown: string, bearer: string) => {
    const { body } = aRequest({ tool: "check_availability", called: number });
    const headers = { "x-vapi-secret": shown, "authorization": `Bearer ${bearer}` };
    const request = new Request("http://f.test/", { method: "POST", headers, body });
    return (await checkAvailability.using(bench.runtime).fetch(request)).status;
  };
  assert.equal(await statusOf("stale-secret-of-the-number", vapiSecret), 200);
  assert.equal(await statusOf(vapiSecret, "stale-secret-of-the-assistant"), 200);
  assert.equal(await statusOf("", vapiSecret), 200);
  assert.equal(await statusOf("stale-secret", "another-stale-secret"), 401);
  assert.equal(await statusOf(`${vapiSecret}, ${vapiSecret}`, ""), 401);
});

test("HMAC over timestamp and raw body is accepted within five minutes, in seconds or ms", async (bench) => {
  const signing = "whsec_test_whsec_test";
  const runtime = createRuntime(
    readConfig({
      ...bench.environment,
      VAPI_SECRETS: "",
      VAPI_HMAC_SECRETS: `${"old-".repeat(4)},${signing}`,
    }),
    openLog("error", () => {}),
    bench.deadlines,
  );
  const body = JSON.stringify({ message: { type: "status-update" } });
  const ask = async (timestamp: number, signed = body) => {
    const signature = createHmac("sha256", signing).update(`${timestamp}.${signed}`);
    const headers = {
      "x-vapi-secret": "",
      "x-timestamp": String(timestamp),
      "x-signature": signature.digest("hex"),
    };
    const request = new Request("http://f.test/", { method: "POST", headers, body });
    return (await holdSlot.using(runtime).fetch(request)).status;
  };
  assert.equal(await ask(Math.floor(Date.now() / 1000)), 200);
  assert.equal(await ask(Date.now()), 200);
  assert.equal(await ask(Date.now() - 6 * 60_000), 401);
  assert.equal(await ask(Date.now(), `${body} `), 401);
});

test("the header names the call of a request with a secret, never of one that is signed", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const signing = "whsec_test_whsec_test";
  const runtime = createRuntime(
    readConfig({ ...bench.environment, VAPI_HMAC_SECRETS: signing }),
    openLog("error", () => {}),
    bench.deadlines,
  );
  const ask = async (callId: string, isSigned: boolean, hour: string) => {
    const body = JSON.stringify({
      message: {
        type: "tool-calls",
        toolCallList: [{
          id: `call_${hour}`,
          function: {
            name: "hold_slot",
            arguments: { slotId: `consultation/${aDay()}T${hour}:00`, patientName: "Ada Brown" },
          },
        }],
        phoneNumber: { number: clinic.number },
        customer: { number: aPhone() },
      },
    });
    const timestamp = String(Date.now());
    const signature = createHmac("sha256", signing).update(`${timestamp}.${body}`).digest("hex");
    const proof = isSigned
      ? { "x-timestamp": timestamp, "x-signature": signature }
      : { "x-vapi-secret": vapiSecret };
    const headers = new Headers(Object.entries({ ...proof, "x-call-id": callId }));
    const request = new Request("http://f.test/", { method: "POST", headers, body });
    await (await holdSlot.using(runtime).fetch(request)).text();
    const rows = await bench.database.sql`
      select from public.audit_logs where org_id = ${clinic.id} and call_id = ${callId}`;
    return rows.length > 0;
  };
  assert.equal(await ask("named-with-a-secret", false, "10"), true);
  assert.equal(await ask("named-with-a-signature", true, "11"), false);
});

test("a signature over the body alone counts for five minutes from the message's own time", async (bench) => {
  const signing = "whsec_test_whsec_test";
  const runtime = createRuntime(
    readConfig({
      ...bench.environment,
      VAPI_HMAC_SECRETS: signing,
      VAPI_HMAC_PAYLOAD: "{body}",
    }),
    openLog("error", () => {}),
    bench.deadlines,
  );
  const ask = async (timestamp: unknown) => {
    const body = JSON.stringify({ message: { type: "status-update", timestamp } });
    const signature = createHmac("sha256", signing).update(body).digest("hex");
    // The header's time is not signed.
    const headers = { "x-signature": signature, "x-timestamp": String(Date.now()) };
    const request = new Request("http://f.test/", { method: "POST", headers, body });
    return (await holdSlot.using(runtime).fetch(request)).status;
  };
  const minutesAgo = (count: number) => Date.now() - count * 60_000;
  assert.equal(await ask(Date.now()), 200);
  assert.equal(await ask(new Date().toISOString()), 200);
  assert.equal(await ask(minutesAgo(4)), 200);
  for (const late of [minutesAgo(6), new Date(minutesAgo(6)).toISOString()]) {
    assert.equal(await ask(late), 401);
  }
  for (const none of [undefined, null, "", "x", {}, true]) assert.equal(await ask(none), 401);
});

test("bad bodies and arguments are answers the model can act on, never a 500 or a stack trace", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  for (
    const body of ["", "{", "null", "[]", "5", '{"message":5}', '{"message":{}}', "\u0000"]
  ) {
    for (const tool of Object.values(tools)) {
      const response = await tool.using(bench.runtime).fetch(aPost(body));
      assert.equal(response.status, 200);
      assert.deepEqual((await response.json()).results, []);
    }
  }
  const large = await holdSlot.using(bench.runtime).fetch(aPost("x".repeat(2_200_000)));
  assert.equal(large.status, 200);
  const wrong = [
    "",
    null,
    5,
    true,
    [],
    {},
    "x",
    "\u0000",
    "\ud800",
    "a".repeat(5000),
    -1,
    1e300,
  ];
  const fields = ["date", "serviceType", "partOfDay", "providerName", "days", "slotId"];
  const more = ["patientName", "patientPhone", "holdId", "code", "tenantId"];
  const all = [...fields, ...more];
  for (const [name, tool] of Object.entries(tools)) {
    const input = definitions.find((definition) => definition.name === name)?.input;
    assert.ok(input);
    const own = Object.keys(z.toJSONSchema(input, { io: "input" }).properties ?? {});
    for (const [index, field] of all.entries()) {
      // The arguments of other tools are dropped unread: briefly each has one of the values.
      const values = own.includes(field) || field === "tenantId"
        ? wrong
        : atLength({ short: [wrong[index % wrong.length]], full: wrong });
      for (const value of values) {
        const good = {
          date: aDay(),
          serviceType: "consultation",
          slotId: `consultation/${aDay()}T10:00`,
          patientName: "Ada",
          code: "123456",
        };
        const args = { ...good, [field]: value };
        const response = await tool.using(bench.runtime).fetch(aRequest({
          tool: name,
          called: clinic.number,
          callId: crypto.randomUUID(),
          caller: aPhone(),
          args,
        }));
        assert.equal(response.status, 200);
        const text = await response.text();
        assert.ok(!/\bat .*\.ts:\d|node_modules/.test(text), text);
        const said = await readSaid(new Response(text));
        assert.notEqual(said.outcome, "error", `${name} ${field} ${String(value)}: ${text}`);
        assert.ok(said.message.length > 0);
      }
    }
  }
});

test("an argument that names another clinic is refused, logged and audited; its own is accepted", async (bench) => {
  const [mine, other] = [await aClinic(bench.database.sql), await aClinic(bench.database.sql)];
  const ask = (claims: object) =>
    bench.ask(checkAvailability, {
      tool: "check_availability",
      called: mine.number,
      args: { date: aDay(), serviceType: "consultation", ...claims },
    });
  const national = `0${mine.number.slice(3)}`;
  for (const claims of [{ tenantId: mine.id }, { inboundPhoneNumber: national }, {}]) {
    assert.equal((await ask(claims)).outcome, "available");
  }
  const denied = [
    { tenantId: other.id },
    { tenantId: crypto.randomUUID() },
    { inboundPhoneNumber: other.number },
  ];
  for (const claims of denied) assert.equal((await ask(claims)).outcome, "cross_tenant_denied");
  const rows = await bench.database.sql`
    select org_id from public.audit_logs where outcome = 'cross_tenant_denied'`;
  assert.deepEqual(rows.map(({ org_id }) => org_id), denied.map(() => mine.id));
  const logged = bench.lines.filter((line) => line.includes('"event":"cross_tenant_denied"'));
  assert.equal(logged.length, denied.length);
});

test("a database that accepts and stays silent: a sayable answer inside 8 s, the next call works", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.Conn[] = [];
  (async () => {
    for await (const connection of silent) open.push(connection);
  })();
  const runtime = createRuntime(
    readConfig({ ...bench.environment, SUPABASE_URL: `http://127.0.0.1:${silent.addr.port}` }),
    openLog("error", () => {}),
  );
  const good = {
    date: aDay(),
    serviceType: "consultation",
    patientName: "Ada",
    code: "123456",
  };
  const args = { ...good, slotId: `consultation/${aDay()}T10:00` };
  await Promise.all(
    Object.entries(tools).map(async ([name, tool]) => {
      const asked = { tool: name, called: clinic.number, callId: "silent", args };
      const startedAt = performance.now();
      const said = await readSaid(await tool.using(runtime).fetch(aRequest(asked)));
      assert.ok(performance.now() - startedAt < 30_000);
      assert.equal(said.outcome, "error");
      assert.match(said.message, /Shall I try once more\?$/);
      assert.notEqual((await bench.ask(tool, asked)).outcome, "error");
    }),
  );
  silent.close();
  for (const connection of open) connection.close();
});

test("arguments that cannot be read are refused in words of ours", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const odd = [7, true, ["x"], { x: 1 }, "x".repeat(201), "0000-01-01", null];
  const fields: [ServedTool, string[]][] = [
    [checkAvailability, ["date", "serviceType", "partOfDay", "providerName", "days"]],
    [holdSlot, ["slotId", "patientName", "patientPhone"]],
    [verifyOtp, ["code"]],
    [cancelAppointment, ["appointmentDate", "appointmentTime"]],
  ];
  const good = { date: aDay(), serviceType: "consultation", patientName: "Ada" };
  for (const [served, names] of fields) {
    const tool = served.tool.name;
    const given = names.flatMap((name) => odd.map((value) => ({ ...good, [name]: value })));
    for (const args of given) {
      const asked = { tool, called: clinic.number, callId: crypto.randomUUID(), args };
      const said = await bench.ask(served, asked);
      assert.notEqual(said.outcome, "error", JSON.stringify(args));
      assert.doesNotMatch(said.message, /invalid|expected|undefined|NaN|too (big|small)/i);
    }
  }
});

test("a web call without numbers takes a number as its clinic's country writes it", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const assistant = { id: crypto.randomUUID() };
  await bench.database.sql`insert into public.org_channels (kind, value, org_id)
    values ('vapi_assistant', ${assistant.id}, ${clinic.id})`;
  const slotId = `consultation/${aDay()}T10:00`;
  const hold = async (patientPhone: string) => {
    const args = { slotId, patientName: "Ada", patientPhone };
    const toolCallList = [{ id: "web", name: "hold_slot", arguments: args }];
    const call = { id: "web" };
    const message = { type: "tool-calls", assistant, call, toolCallList };
    return await readSaid(await post(bench, holdSlot, { message }));
  };
  assert.equal((await hold("07700 9")).outcome, "phone_unclear");
  assert.equal((await hold("07700 900456")).outcome, "held");
});

test("unknown numbers, a withheld caller and premium numbers are told what to do", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const slotId = `consultation/${aDay()}T10:00`;
  const ask = (more: object, args: object = {}) =>
    bench.ask(holdSlot, {
      tool: "hold_slot",
      called: clinic.number,
      callId: crypto.randomUUID(),
      args: { slotId, patientName: "Ada", ...args },
      ...more,
    });
  assert.equal((await ask({ called: "+442079460999" })).outcome, "unknown_clinic");
  for (const caller of ["anonymous", "+266696687", "+10000000000"]) {
    assert.equal((await ask({ caller })).outcome, "phone_needed");
  }
  assert.equal((await ask({}, { patientPhone: "09098790000" })).outcome, "unusable_phone");
  assert.equal((await ask({}, { patientPhone: clinic.number })).outcome, "unusable_phone");
  const extension = await ask({}, { patientPhone: "020 7946 0123 ext 12" });
  assert.equal(extension.outcome, "unusable_phone");
  assert.match(extension.message ?? "", /extension/);
  // Never replaced by the caller's own number, unless a phrase means it.
  for (const patientPhone of ["nine four six, zero one two three", "٠٧٧٠٠", "my son's number"]) {
    assert.equal((await ask({}, { patientPhone })).outcome, "phone_unclear", patientPhone);
  }
  const own = await ask({ caller: "+447700900106" }, {
    slotId: `consultation/${aDay()}T13:00`,
    patientPhone: "the one I'm calling from",
  });
  assert.equal(own["phoneEnding"], "06");
  assert.equal((await ask({}, { slotId: "tomorrow at ten" })).outcome, "invalid_slot");
  const spoken = "oh seven seven double oh nine hundred four five six";
  const held = await ask({ caller: null }, { patientPhone: spoken });
  assert.equal(held.outcome, "held");
  assert.equal(held["phoneEnding"], "56");
});
