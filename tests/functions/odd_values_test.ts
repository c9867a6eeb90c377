/** Half a character, a NUL, an odd number: in any field, there is still an answer. */
import assert from "node:assert/strict";
import { z } from "zod";
import answerQuestion from "../../functions/answer-question/index.ts";
import webhook from "../../functions/vapi-webhook/index.ts";
import { tools } from "../../functions/vapi-webhook/tools.ts";
import { aClinic, aPost, type Bench, testWithBench as test } from "../support/clinic.ts";

const emoji = "\u{1f600}";
/** Maximum lengths less one: an emoji there is cut in half. */
const cuts = [10, 64, 80, 100, 200, 400, 500, 1000];
const oddTexts = [
  ...["\ud83d", "\udc00x", `a${"\ud83d"}b`, "a\u0000b", "\u0000", "\u0085", "\ufffe"],
  ...cuts.map((length) => "x".repeat(length - 1) + emoji),
];

const post = async (bench: Bench, message: object) => {
  const request = aPost(JSON.stringify({ message }));
  const response = await webhook.using(bench.runtime).fetch(request);
  assert.equal(response.status, 200);
  return await response.json();
};

test("odd text in any id or argument of a tool call is answered, and no fault", async (bench) => {
  const { number } = await aClinic(bench.database.sql);
  const plain = { id: "call_1", name: tools[0]?.name };
  for (const odd of oddTexts) {
    const envelopes = [
      { call: { id: odd }, phoneNumber: { number } },
      { chat: { id: odd }, phoneNumber: { number } },
      { call: { id: "a", assistantId: odd }, phoneNumber: { number, id: odd } },
      { call: { id: "a" }, phoneNumber: { number }, customer: { number: odd, id: odd } },
    ];
    const toolCallList = [{ ...plain, id: odd, arguments: { date: odd, serviceType: odd } }];
    for (const envelope of envelopes) {
      const { results } = await post(bench, { type: "tool-calls", toolCallList, ...envelope });
      assert.equal(results[0].toolCallId, odd);
      assert.ok(results[0].result !== undefined, results[0].error);
    }
  }
  for (const { name, input } of tools) {
    const fields = Object.keys(z.toJSONSchema(input, { io: "input" }).properties ?? {});
    for (const odd of oddTexts) {
      const args = Object.fromEntries(fields.map((field) => [field, odd]));
      const more = { [odd]: odd, tenantId: { [odd]: odd }, inboundPhoneNumber: odd };
      for (const given of [args, { ...args, ...more }, { ...args, [odd]: [odd, { [odd]: odd }] }]) {
        const { results } = await post(bench, {
          type: "tool-calls",
          toolCallList: [{ id: "call_1", function: { name, arguments: given } }],
          call: { id: "odd-arguments" },
          phoneNumber: { number },
          customer: { number: "+447700900456" },
        });
        assert.ok(results[0].result !== undefined, `${name}: ${results[0].error}`);
      }
    }
  }
  assert.deepEqual(bench.lines.filter((line) => line.includes('"level":"error"')), []);
});

test("a stored question is never cut inside a character", async (bench) => {
  const { number } = await aClinic(bench.database.sql);
  for (let length = 295; length <= 505; length++) {
    if (length > 305 && length < 495) continue;
    const said = await bench.ask(answerQuestion, {
      tool: "answer_question",
      args: { question: "x".repeat(length) + emoji },
      called: number,
      callId: "odd-question",
    });
    assert.equal(said.outcome, "not_found", `${length}`);
  }
});

test("a report with odd text or numbers is kept, and Vapi is not asked to send it again", async (bench) => {
  const { sql } = bench.database;
  const { number, id } = await aClinic(sql);
  const keep = async (report: string, fields: object = {}) => {
    const callId = crypto.randomUUID();
    const body = JSON.stringify({ call: { id: callId }, phoneNumber: { number }, ...fields });
    const message = `{"type":"end-of-call-report",${report}${body.slice(1)}`;
    const request = aPost(`{"message":${message}}`);
    const response = await webhook.using(bench.runtime).fetch(request);
    assert.equal(response.status, 200, report.slice(0, 80));
    const [row] = await sql`select * from public.call_reports
      where org_id = ${id} and call_id = ${callId}`;
    assert.ok(row?.["reported_at"], report.slice(0, 80));
    return row;
  };
  const numbers = ["-1", "1e400", "-1e400", "1e308", "5e-324", '"12"', "null", "true", "0.1", "{}"];
  for (const odd of [...numbers, "[]", "-0", "1e-400", "99999999999999999999"]) {
    await keep(`"durationSeconds":${odd},"cost":${odd},`);
  }
  for (const odd of oddTexts) {
    const artifact = { transcript: odd, messages: [{ role: odd, message: odd }] };
    await keep("", { endedReason: odd, artifact, analysis: { summary: odd } });
    await keep("", {
      endedReason: odd,
      summary: odd,
      artifact: { messages: [{ role: "user", message: odd }] },
    });
    await post(bench, {
      ...{ type: "status-update", status: "ended", endedReason: odd },
      ...{ call: { id: crypto.randomUUID() }, phoneNumber: { number } },
    });
  }
  // Longer than what is kept, so that both cuts go through characters.
  for (const before of ["", "x"]) {
    const row = await keep("", { artifact: { transcript: before + emoji.repeat(70_000) } });
    assert.match(row["transcript"], /\[CUT\]$/);
  }
});
