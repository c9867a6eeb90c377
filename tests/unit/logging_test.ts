/** What a log line contains, what it never contains, and that writing one does no harm. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Fault } from "../../shared/errors.ts";
import { openLog } from "../../shared/logging.ts";
import { redact, redactValue } from "../../shared/redaction.ts";

function aLog(level: "debug" | "info" | "warning" | "error" = "debug") {
  const lines: string[] = [];
  return { log: openLog(level, (line) => lines.push(line)), lines };
}

const parsed = (lines: readonly string[]) => lines.map((line) => JSON.parse(line));

Deno.test("a log line keeps ids, times, functions and durations letter for letter", () => {
  const { log, lines } = aLog();
  const fields = {
    function: "hold-slot",
    orgId: "5b0b6b3e-9a53-4a57-8d0e-0d7f8a3e6f21",
    callId: "019a2f3c-77aa-7bbb-8ccc-202555012312",
    toolCallId: "call_kPqXW3o7Rz4155550123",
    sendId: "41555501-2345-4678-9abc-077009001234",
    slotId: "consultation/2026-03-03T14:30",
    expiresAt: "2026-03-03T14:40:00.123456+00:00",
    outcome: "held",
    code: 21211,
    totalMs: 1234567,
    epochMs: 1772548200123,
    messageSid: "SM07700900123070009001230770009001",
  };
  log.info("tool_call", fields);
  const [{ level, time, event, ...told }] = parsed(lines);
  assert.equal(level, "info");
  assert.equal(new Date(time).toISOString(), time);
  assert.equal(event, "tool_call");
  assert.deepEqual(told, fields);
});

Deno.test("a log writes its five levels by name, and none below the lowest", () => {
  const { log, lines } = aLog("warning");
  for (const level of ["debug", "info", "warn", "error", "fatal"] as const) log[level]("event");
  assert.deepEqual(parsed(lines).map(({ level }) => level), ["warn", "error", "fatal"]);
});

Deno.test("secrets with a fixed form are removed from any text", () => {
  const secrets = {
    "Bearer abcdefgh12345678": "abcdefgh12345678",
    "signed with whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD": "C2FVsBQIhrscChlQIMV",
    "x-vapi-secret: topsecretvalue": "topsecretvalue",
    '{"X-Twilio-Signature": "tWgGq0+abcdefg="}': "tWgGq0",
    "sb_secret_abcdefghijk": "abcdefghijk",
    "key sb_secret_N7UND0-Uodkm0Hg_xS": "Uodkm0Hg",
    "connect postgres://svc:hunter2@localhost:5432/postgres": "hunter2",
    "connect postgresql://svc:hun@ter2@db.example.com/x": "ter2",
    "https://doctor:hunter2@calendar.test/a.ics": "hunter2",
    "JOBS_SECRET=topsecret_jobs": "topsecret_jobs",
    '{"authToken":"0123456789abcdef"}': "0123456789abcdef",
    '{\\"password\\":\\"hunter2hunter2\\"}': "hunter2",
    "X-Vapi-Signature: sha256=deadbeef": "deadbeef",
    "https://functions.test/calendar?token=anything": "anything",
    "ada.brown＠example.com": "example.com",
  };
  for (const [text, secret] of Object.entries(secrets)) {
    const { log, lines } = aLog();
    log.error("event", { text, fault: new Error(text) });
    assert.ok(!lines.join().includes(secret), text);
  }
});

Deno.test("a fault is logged with type, code, message, stack and causes, redacted", () => {
  const { log, lines } = aLog();
  const cause = new TypeError("refused for +447700900123", {
    cause: { code: "23505", message: "ada@example.com", details: "(Ada Brown)" },
  });
  log.error("tool_call_failed", { fault: new Fault("database_error", "Cannot call", { cause }) });
  const [{ fault }] = parsed(lines);
  assert.equal(fault.type, "Fault");
  assert.equal(fault.code, "database_error");
  assert.match(fault.stack, /logging_test\.ts:\d+/);
  assert.equal(fault.cause.type, "TypeError");
  assert.equal(fault.cause.message, "refused for [REDACTED: PHONE]");
  assert.deepEqual(fault.cause.cause, {
    code: "23505",
    message: "[REDACTED: EMAIL]",
    details: "[REDACTED]",
  });
  log.error("tool_call_failed", { fault: "call 07700 900123" });
  assert.equal(parsed(lines)[1].fault, "call [REDACTED: PHONE]");
});

Deno.test("values of personal fields never reach a log line, whatever their type and spelling", () => {
  const { log, lines } = aLog();
  const secret = "Zebediah Quixley";
  const names = [
    ...["patientName", "patient_name", "PATIENT-NAME", "name", "firstName", "callerName", "phone"],
    ...[
      "patientPhone",
      "phones",
      "from",
      "to",
      "email",
      "authorization",
      "Authorization",
      "x-vapi-secret",
    ],
    ...[
      "authToken",
      "password",
      "passcode",
      "otp",
      "apiKey",
      "SUPABASE_SECRET_KEYS",
      "cookie",
      "mac",
    ],
    ...["arguments", "transcript", "summary", "dateOfBirth", "nhsNumber", "details", "set-cookie"],
  ];
  for (const name of names) {
    log.info("event", { [name]: secret, deep: { list: [{ [name]: secret }] } });
  }
  for (const name of ["arguments", "authorization", "phone", "patientName", "tokens"]) {
    log.info("event", { [name]: { any: secret }, other: { [name]: [secret] } });
  }
  log.info("event", { names: [secret], patients: [[secret]], to: [secret] });
  log.info("event", { code: "482913", nested: { code: 482913 }, said: "your code is 482913" });
  assert.ok(!lines.join("").includes("Quixley"));
  assert.ok(!lines.join("").includes("482913"));
});

Deno.test("values of a call's arguments are left out of all its log lines", () => {
  const { log, lines } = aLog();
  const about = log.concealing({ patientName: " Zebediah Quixley ", code: "four eight two", n: 1 });
  const fault = new Fault("database_error", "Cannot call", {
    cause: { message: 'invalid input syntax for type date: "zebediah quixley"' },
  });
  about.error("failed", { fault, note: "he said four eight two, we cannot" });
  assert.ok(!/quixley|four eight/i.test(lines.join("")));
  assert.match(lines.join(""), /we cannot/);
  log.info("another call", { note: "Zebediah Quixley" });
  assert.match(lines[1] ?? "", /Zebediah/);
  // Special characters of a pattern are matched literally.
  for (
    const name of ["(Ann+", "a-b[c", "\\", "**", "\ud83d", "x".repeat(300), "$&", "O'Neil/Smith"]
  ) {
    log.concealing({ patientName: name }).info("event", { note: `for ${name}.` });
  }
  assert.ok(!lines.join("").includes("O'Neil/Smith"));
});

Deno.test("a log line is one line of JSON of at most 10,000 characters, whatever the fields are", () => {
  const { log, lines } = aLog();
  const cyclic: Record<string, unknown> = { list: [] };
  cyclic["self"] = cyclic;
  let deep: unknown = "bottom";
  for (let depth = 0; depth < 10_000; depth++) deep = [deep];
  const hostile = new Proxy({}, {
    ownKeys: () => {
      throw new Error("no");
    },
  });
  const fields = [
    cyclic,
    { deep },
    { hostile },
    {
      get broken() {
        throw new Error("no");
      },
      after: 1,
    },
    { huge: "word ".repeat(1e6) },
    { huge: "x".repeat(1e6) },
    { control: "\u0000".repeat(1e5), text: "\ud83d".repeat(1e5) },
    { list: new Array(1e6).fill("a") },
    { bytes: new Uint8Array(1e6) },
    { big: 10n ** 40n, nothing: undefined, never: null, not: NaN, when: new Date(NaN) },
    { run: () => 1, symbol: Symbol("s"), map: new Map([[1, 2]]), toJSON: () => 1 },
    { fault: Object.assign(new Error("x"), { cause: cyclic, stack: "at ".repeat(1e5) }) },
    { fault: new AggregateError([new Error("+447700900123")], "several") },
    Object.fromEntries(Array.from({ length: 1e5 }, (_, index) => [`field${index}`, index])),
    JSON.parse('{"__proto__":{"a":1},"constructor":1}'),
  ];
  for (const each of fields) log.info("event", each);
  assert.equal(lines.length, fields.length);
  for (const line of lines) {
    assert.ok(line.length <= 10_000 && !line.includes("\n"));
    assert.equal(JSON.parse(line).event, "event");
  }
  assert.ok(!lines.join("").includes("7700900123"));
  assert.equal(parsed(lines)[3].after, 1);
});

Deno.test("a log throws nothing, even when the console does", () => {
  const log = openLog("debug", () => {
    throw new Error("the pipe is broken");
  });
  log.error("event", { a: 1 });
  fc.assert(fc.property(fc.object({ withBigInt: true, withDate: true }), (fields) => {
    const { log, lines } = aLog();
    log.warn("event", fields);
    assert.equal(JSON.parse(lines[0] ?? "").level, "warn");
  }));
});

Deno.test("truncated text never ends inside a number", () => {
  const number = "+44 7700 900 123";
  for (let lengthLimit = 30; lengthLimit < 60; lengthLimit++) {
    const told = JSON.stringify(
      redactValue({ note: `please call back on ${number}` }, { lengthLimit }),
    );
    assert.ok(!/[47][70]/.test(told), `${lengthLimit}: ${told}`);
  }
});

Deno.test("redactValue reads a field's name as a label", () => {
  assert.deepEqual(
    redactValue({
      orderId: "4155550123",
      reference: "07700900123",
      note: "4155550123",
      items: ["on 07700900123", 4155550123],
      contactNumbers: ["5550123"],
      count: 4155550123,
      at: new Date(0),
      nothing: null,
    }),
    {
      orderId: "4155550123",
      reference: "07700900123",
      note: "[REDACTED: PHONE]",
      items: ["on [REDACTED: PHONE]", 4155550123],
      contactNumbers: ["[REDACTED: PHONE]"],
      count: 4155550123,
      at: "1970-01-01T00:00:00.000Z",
      nothing: null,
    },
  );
});

Deno.test("redactValue reads messages of a conversation as one, whichever way they are written", () => {
  const conversation = (field: string, answers: readonly string[]) => [
    { role: "system", [field]: "You book appointments.\nBe short." },
    { role: "bot", [field]: "What's the best number to reach you?" },
    { role: "user", [field]: `It's\n${answers[0]}`, secondsFromStart: 4.2 },
    { role: "tool_calls", toolCalls: [{ id: "call_4155550123" }] },
    { role: "bot", [field]: "Go on." },
    { role: "user", [field]: answers[1] },
    { role: "bot", [field]: "We have two fifteen and three thirty." },
  ];
  for (const field of ["message", "content", "text"]) {
    const told = redactValue({
      messages: conversation(field, ["five five five", "oh one four three"]),
    });
    const redacted = conversation(field, ["[REDACTED: PHONE]", "[REDACTED: PHONE]"]);
    assert.deepEqual(told, { messages: redacted });
  }
});

Deno.test("ids and words of log lines are read the quick way, with the result of the slow one", () => {
  const names = [
    "callId",
    "toolCallId",
    "orgId",
    "outcome",
    "reason",
    "accountNumber",
    "nhs",
    "order",
  ];
  const values = [
    ...Array.from({ length: 50 }, () => crypto.randomUUID()),
    ...Array.from({ length: 50 }, () => `call_${crypto.randomUUID()}`),
    ...["available", "wrong_code", "send-otp", "sevensevenzerozero", "one_two_three_four_five_six"],
    ...["07700900123", "call_07700900123", "ada@example.org", "five five five one two three four"],
  ];
  for (const name of names) {
    for (const value of values) {
      const label = `"${name}": "`;
      const { text } = redact(label + value);
      for (let times = 0; times < 2; times++) {
        assert.deepEqual(redactValue({ [name]: value }), { [name]: text.slice(label.length) });
      }
    }
  }
});

Deno.test("a call's personal values are left out in any case and alphabet, with and without the pattern", () => {
  const lines: string[] = [];
  const log = openLog("info", (line) => lines.push(line));
  const said = { patientName: "Ada Smith", customer: { name: "İrem" } };
  const call = log.concealing(said).concealing({ date: "2026-12-01" });
  for (const text of ["for ADA SMITH.", "for ada \u017fmith.", "Adaline Smithers", "İrem"]) {
    call.info("tool_call", { reason: text });
  }
  assert.deepEqual(lines.map((line) => JSON.parse(line).reason), [
    "for [REDACTED].",
    "for [REDACTED].",
    "Adaline Smithers",
    "[REDACTED]",
  ]);
});
