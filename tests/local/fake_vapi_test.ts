/** The fake Vapi account refuses what Vapi refuses, and stores what it accepts. */
import assert from "node:assert/strict";
import { startFakeVapi } from "../support/fake_vapi.ts";
import { hasVapiSchema, readVapiSchema } from "../support/vapi_schema.ts";

const options = { ignore: !hasVapiSchema };
const absent = hasVapiSchema ? "" : " (not tested: ../shared/vapi is absent)";

const tool = {
  type: "function",
  async: false,
  function: {
    name: "hold_slot",
    description: "Holds a time.",
    strict: false,
    parameters: {
      type: "object",
      properties: { type: { type: "string", description: "A field named like a keyword" } },
      required: ["type"],
    },
  },
  parameters: [{ key: "call_id", value: "{{ call.id }}" }],
  server: {
    url: "https://example.org/functions/v1/hold-slot",
    timeoutSeconds: 8,
    backoffPlan: {
      type: "exponential",
      maxRetries: 3,
      baseDelaySeconds: 1,
      excludedStatusCodes: [400],
    },
  },
  messages: [{ type: "request-start", content: "One moment." }],
};
const assistant = {
  name: "sunrise",
  serverMessages: ["tool-calls", "end-of-call-report"],
  transcriber: { provider: "deepgram", model: "flux-general-en", language: "en" },
  voice: { provider: "cartesia", voiceId: "a", model: "sonic-3" },
};

Deno.test(
  `Vapi's description as a check: right bodies pass, wrong ones are named${absent}`,
  options,
  () => {
    const schema = readVapiSchema();
    assert.deepEqual(schema.problemsOf("post", "/tool", tool), []);
    assert.deepEqual(schema.problemsOf("post", "/assistant", assistant), []);
    const wrong: [string, unknown, RegExp][] = [
      ["/tool", { ...tool, speed: 1 }, /additional properties.*speed/],
      ["/tool", { ...tool, server: { ...tool.server, secret: "x" } }, /\/server .*secret/],
      ["/tool", { ...tool, function: { ...tool.function, name: "hold slot" } }, /\/function\/name/],
      ["/tool", { ...tool, type: "webhook" }, /\/type/],
      ["/assistant", { ...assistant, name: "x".repeat(41) }, /\/name/],
      ["/assistant", { ...assistant, serverMessages: ["everything"] }, /\/serverMessages\/0/],
      ["/assistant", { ...assistant, silenceTimeoutSeconds: 30 }, /silenceTimeoutSeconds/],
      ["/assistant", { ...assistant, voice: { ...assistant.voice, speed: 1 } }, /speed/],
    ];
    for (const [path, body, expected] of wrong) {
      assert.match(schema.problemsOf("post", path, body).join("\n"), expected);
    }
  },
);

Deno.test(
  `the fake account keeps state, pages its lists and fails on demand${absent}`,
  options,
  async () => {
    const vapi = startFakeVapi();
    const ask = (method: string, path: string, body?: unknown, key = vapi.apiKey) =>
      fetch(vapi.url + path, {
        method,
        headers: { authorization: `Bearer ${key}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    const read = async (response: Promise<Response>) => {
      const answered = await response;
      return { status: answered.status, body: await answered.json() };
    };
    try {
      assert.equal((await read(ask("GET", "/tool", undefined, "wrong"))).status, 401);
      const made = await read(ask("POST", "/tool", tool));
      assert.equal(made.status, 201);
      const path = `/tool/${made.body.id}`;
      const server = { url: "https://example.org/other" };
      const patched = await read(ask("PATCH", path, { server }));
      // Replaced as a whole; the other fields stay.
      assert.deepEqual(patched.body.server, server);
      assert.deepEqual(patched.body.function, tool.function);
      assert.equal((await read(ask("PATCH", path, { nonsense: 1 }))).status, 400);
      assert.match(vapi.refusals[0] ?? "", /PATCH \/tool: .*nonsense/);
      assert.equal((await read(ask("GET", `/tool/${crypto.randomUUID()}`))).status, 404);

      for (let made = 0; made < 120; made++) vapi.put("tool", tool);
      const page = (await read(ask("GET", "/tool"))).body;
      assert.equal(page.length, 100);
      const rest = (await read(ask("GET", `/tool?createdAtLt=${page.at(-1).createdAt}`))).body;
      assert.equal(rest.length, 21);

      vapi.addFault({ kind: 429, retryAfterSeconds: 2 });
      const limited = await ask("POST", "/assistant", assistant);
      assert.equal(limited.headers.get("retry-after"), "2");
      await limited.body?.cancel();
      assert.equal(vapi.resources.assistant.length, 0);
      vapi.addFault({ kind: "reset", isApplied: true, method: "POST" });
      await assert.rejects(async () => await (await ask("POST", "/assistant", assistant)).text());
      assert.equal(vapi.resources.assistant.length, 1);
    } finally {
      await vapi.stop();
    }
  },
);
