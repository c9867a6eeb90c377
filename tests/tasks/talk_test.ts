/** The scripted agent, and a model as the agent: both book with the real tools. */
import assert from "node:assert/strict";
import type { Agent, Turn } from "../../supabase/tasks/talk/agent.ts";
import { LineCall, openLine } from "../../supabase/tasks/talk/line.ts";
import { findModel } from "../../supabase/tasks/talk/model.ts";
import { fillInTime, ModelAgent } from "../../supabase/tasks/talk/model_agent.ts";
import { ScriptedAgent } from "../../supabase/tasks/talk/script.ts";
import {
  aDay,
  aPhone,
  type Bench,
  codeTo,
  testWithBench as test,
  vapiSecret,
} from "../support/clinic.ts";
import { playAgent, startFakeModel } from "../support/fake_model.ts";
import { serveFunctions } from "../support/line.ts";
import { aTextingClinic } from "../support/phone_call.ts";

/** A call to a new clinic, whose tools are served over HTTP. */
async function withCall(
  bench: Bench,
  work: (call: LineCall) => Promise<void>,
  { caller = aPhone(), textsAtHold = false } = {},
) {
  const { functionsUrl, stop } = await serveFunctions(bench);
  try {
    const clinic = await aTextingClinic(bench, { providers: 3, textsAtHold });
    const line = await openLine(
      bench.database.sql,
      clinic.slug,
      functionsUrl.replace(/\/functions.*/, ""),
    );
    await work(new LineCall(line, { secret: vapiSecret, caller }));
  } finally {
    await stop();
  }
}

/** Says one thing after another; a function is called for its words when it is due. */
async function say(
  agent: Agent,
  lines: readonly (string | (() => string | Promise<string>))[],
): Promise<Turn> {
  let turn = agent.greet();
  for (const line of lines) {
    assert.notEqual(turn.asks, undefined, `the call is over: ${turn.says}`);
    turn = await agent.hear(typeof line === "string" ? line : await line());
  }
  return turn;
}

const outcomesOf = (call: LineCall) =>
  call.uses.map(({ tool, answer }) => `${tool} ${answer.outcome}`);

test("the scripted agent books for a caller who changes their mind and mishears", async (bench) => {
  await withCall(bench, async (call) => {
    const code = () => codeTo(bench.twilio, call.caller ?? "").split("").join(" ");
    const turn = await say(new ScriptedAgent(call), [
      "I'd like a consultation",
      "hmm, whenever",
      aDay(3),
      "none of these, rather the day after tomorrow",
      "the second one",
      "my name is Ada Brown",
      "nothing has come",
      "one two three four five six",
      "four eight",
      code,
    ]);
    assert.equal(turn.asks, "purpose", turn.says);
    assert.match(turn.says, /confirmed.*anything else/);
    assert.deepEqual(outcomesOf(call), [
      "check_availability date_unclear",
      "check_availability available",
      "check_availability available",
      "hold_slot held",
      "send_otp sent",
      "send_otp cooldown",
      "verify_otp wrong_code",
      "verify_otp malformed_code",
      "verify_otp confirmed",
    ]);
    await call.hangUp();
  });
});

test("the scripted agent asks a caller without a number for one, and for another that takes texts", async (bench) => {
  await withCall(bench, async (call) => {
    const phone = aPhone();
    const withheld = new LineCall(call.line, { secret: vapiSecret, caller: undefined });
    const turn = await say(
      new ScriptedAgent(withheld),
      [
        `a consultation on ${aDay()}`,
        "the first",
        "Ada Brown",
        "zero nine",
        phone,
        () => codeTo(bench.twilio, phone),
        "no thanks",
      ],
    );
    assert.equal(turn.asks, undefined);
    const [row] = await bench.database.sql`
      select status, patient_phone from public.appointments where patient_phone = ${phone}`;
    assert.deepEqual({ ...row }, { status: "confirmed", patient_phone: phone });
  });
});

test("the scripted agent asks for codes until the tools leave the caller to the front desk", async (bench) => {
  await withCall(bench, async (call) => {
    const agent = new ScriptedAgent(call);
    const wrong = () => String((Number(codeTo(bench.twilio, call.caller ?? "")) + 1) % 1_000_000);
    let turn = await say(agent, [`a consultation on ${aDay()}`, "the first", "Ada Brown"]);
    for (let said = 0; turn.asks === "code" && said < 20; said++) {
      turn = await agent.hear(wrong().padStart(6, "0"));
    }
    const wrongOnes = Array<string>(4).fill("verify_otp wrong_code");
    assert.deepEqual(
      outcomesOf(call).filter((use) => use.startsWith("verify_otp")),
      [...wrongOnes, "verify_otp code_locked", ...wrongOnes, "verify_otp locked"],
    );
    const [row] = await bench.database.sql`
        select handed_over_at is not null as waits from public.appointments
        where patient_phone = ${call.caller ?? ""}`;
    assert.deepEqual({ ...row }, { waits: true });
  });
});

test("the scripted agent moves and cancels by the tools' answers, and leaves a message", async (bench) => {
  await withCall(bench, async (call) => {
    const code = async () => {
      // The text of a change is sent after the answer.
      await bench.runtime.background.settled();
      return codeTo(bench.twilio, call.caller ?? "");
    };
    const first = await say(new ScriptedAgent(call), [
      `a consultation on ${aDay()}`,
      "the first",
      "Ada Brown",
      code,
      "bye",
    ]);
    assert.match(first.says, /goodbye/);
    await call.hangUp();
    const second = new LineCall(call.line, { secret: vapiSecret, caller: call.caller });
    const agent = new ScriptedAgent(second);
    const moved = await say(agent, [
      `I need to move my appointment to ${aDay(4)}`,
      "consultation",
      "the last",
      "Ada Brown",
      code,
    ]);
    assert.match(moved.says, /your appointment is now on/);
    let turn = await agent.hear("and now cancel it");
    if (turn.asks === "patientName") turn = await agent.hear("Ada Brown");
    assert.match(turn.says, /is cancelled/);
    turn = await agent.hear("is there a car park?");
    assert.match(turn.says, /message/i);
    assert.equal(turn.asks, "agreement");
    for (const line of ["yes please", "Ada Brown", "Please call me about parking."]) {
      turn = await agent.hear(line);
    }
    assert.match(turn.says, /left your message/);
    const rows = await bench.database.sql`
      select status from public.appointments order by created_at`;
    assert.deepEqual(rows.map(({ status }) => status), ["cancelled", "cancelled"]);
  });
});

test("the scripted agent reads the code where the hold has texted it, and sends another one when asked", async (bench) => {
  await withCall(bench, async (call) => {
    const code = () => codeTo(bench.twilio, call.caller ?? "");
    const turn = await say(new ScriptedAgent(call), [
      `a consultation on ${aDay()}`,
      "the first",
      "Ada Brown",
      "nothing has come",
      "I also need one for my son",
      "the last",
      "Ben Brown",
      code,
    ]);
    assert.match(turn.says, /confirmed: .* and .*anything else/);
    assert.deepEqual(outcomesOf(call), [
      "check_availability available",
      "hold_slot held",
      "send_otp cooldown",
      "check_availability available",
      "hold_slot held",
      "verify_otp confirmed",
    ]);
    assert.equal(bench.twilio.messages.length, 1);
  }, { textsAtHold: true });
});

for (
  const [dialect, textsAtHold] of [
    ["OPENAI", false],
    ["OPENAI", true],
    ["ANTHROPIC", false],
    ["ANTHROPIC", true],
  ] as const
) {
  test(
    `a model in the dialect of ${dialect} books with the synced prompt and tools` +
      (textsAtHold ? ", where the hold texts the code" : ""),
    async (bench) => {
      const model = startFakeModel(playAgent);
      try {
        await withCall(bench, async (call) => {
          model.failNext(429);
          const env = {
            [`${dialect}_API_KEY`]: model.key,
            [`${dialect}_BASE_URL`]: `${model.url}/`,
          };
          const found = findModel(env, undefined, "a-model");
          assert.ok(found);
          const agent = new ModelAgent(call, found);
          const turn = await say(agent, [
            "hello",
            `check ${aDay()}`,
            "hold 1 as Ada Brown",
            () => `code ${codeTo(bench.twilio, call.caller ?? "")}`,
            "bye",
          ]);
          assert.equal(turn.asks, undefined);
          assert.equal(call.uses.at(-1)?.answer.outcome, "confirmed", turn.says);
          assert.equal(call.uses.some(({ tool }) => tool === "send_otp"), !textsAtHold);
          assert.deepEqual(model.refusals, []);
          const [request] = model.requests;
          assert.equal(request?.["model"], "a-model");
          const text = JSON.stringify(request);
          const [message] = call.line.assistant.model.messages;
          const prompt = fillInTime(message?.content ?? "", new Date()).split("\n");
          assert.ok(text.includes(JSON.stringify(prompt.at(-1)).slice(1, -1)));
          for (const { function: { name, description } } of call.line.tools) {
            assert.ok(text.includes(JSON.stringify(description)), name);
          }
          // The model neither sees nor sets what Vapi merges last.
          assert.ok(!text.includes("caller_number"));
        }, { textsAtHold });
      } finally {
        await model.stop();
      }
    },
  );
}

Deno.test("a model's key is found with its address, and without one there is none", async () => {
  const chosen = { provider: "anthropic", model: "claude-x" };
  assert.equal(findModel({}, chosen, undefined), undefined);
  assert.equal(
    findModel({ ANTHROPIC_API_KEY: "k" }, chosen, undefined)?.name,
    "anthropic claude-x",
  );
  assert.equal(findModel({ OPENAI_API_KEY: "k" }, chosen, undefined)?.name, "openai gpt-4.1");
  const nowhere = findModel(
    { OPENAI_API_KEY: "k", OPENAI_BASE_URL: "http://127.0.0.1:9" },
    chosen,
    undefined,
  );
  await assert.rejects(
    async () => await nowhere?.answer({ system: "", said: [], tools: [] }),
    /127.0.0.1:9 cannot be reached/,
  );
});

Deno.test("the prompt's time is filled in as Vapi does it", () => {
  const now = new Date("2026-03-03T00:05:00Z");
  const format = "%A, %B %d, %Y, %I:%M %p";
  assert.equal(
    fillInTime(`It is {{"now" | date: "${format}", "Europe/London"}}.`, now),
    "It is Tuesday, March 03, 2026, 12:05 AM.",
  );
  assert.equal(
    fillInTime(`{{"now" | date: "${format}", "America/New_York"}}`, now),
    "Monday, March 02, 2026, 07:05 PM",
  );
});
