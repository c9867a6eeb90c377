// deno-lint-ignore-file no-console -- prints what it counts
/** Tools and assistants in Vapi's format: what Vapi accepts, and nothing else. */
import assert from "node:assert/strict";
import { Tiktoken } from "js-tiktoken/lite";
import ranks from "js-tiktoken/ranks/o200k_base";
import fc from "fast-check";
import { z } from "zod";
import { tools } from "../../functions/vapi-webhook/tools.ts";
import { composeAssistant, nameAssistant } from "../../shared/line/assistant.ts";
import { hear, models, voices } from "../../shared/line/presets.ts";
import { composePrompt, sayOpening } from "../../shared/line/prompt.ts";
import { defineForVapi, describeArguments } from "../../shared/line/tool_definition.ts";
import * as sentences from "../../shared/sentences.ts";
import { aProfile } from "../support/line.ts";
import { hasVapiSchema, readVapiSchema } from "../support/vapi_schema.ts";

const address = { functionsUrl: "https://abc.supabase.co/functions/v1", credentialId: "cred-1" };
const names = tools.map(({ name }) => name);
const defined = tools.map((tool) => defineForVapi(tool, address));
const checked = { ignore: !hasVapiSchema };
const tokenizer = new Tiktoken(ranks);
const absent = hasVapiSchema ? "" : " (not tested: ../shared/vapi is absent)";

Deno.test("every tool tells a model when to call it and what each argument is", () => {
  assert.ok(defined.length >= 6);
  for (const { function: { name, parameters }, server } of defined) {
    assert.equal(server.url, `${address.functionsUrl}/${name.replaceAll("_", "-")}`);
    assert.ok(server.timeoutSeconds >= 8 && server.timeoutSeconds <= 10);
    for (const [field, schema] of Object.entries(parameters.properties ?? {})) {
      assert.ok((schema.description ?? "").length > 10, `${name}.${field} is not described`);
      const known = ["type", "description", "enum", "pattern", "format", "items", "properties"];
      const unknown = Object.keys(schema).filter((key) => ![...known, "required"].includes(key));
      assert.deepEqual(unknown, [], `${name}.${field}`);
    }
  }
});

/** What Vapi says to the caller of its own accord; a system's message is for the model. */
function spokenIn(part: unknown): string[] {
  if (Array.isArray(part)) return part.flatMap(spokenIn);
  if (typeof part !== "object" || part === null || "role" in part) return [];
  return Object.entries(part).flatMap(([key, value]) =>
    typeof value === "string" && ["content", "exact", "message"].includes(key)
      ? [value]
      : spokenIn(value)
  );
}

Deno.test("everything that the assistant says of its own accord is in sentences.ts", () => {
  const profile = aProfile({ transferNumber: "+442079460199" });
  const assistant = composeAssistant(profile, names, { tools: defined }, address);
  const known = Object.values(sentences);
  const spoken = [...new Set(spokenIn(assistant))];
  assert.ok(spoken.length >= 6, spoken.join("\n"));
  assert.deepEqual(spoken.filter((one) => !known.some((sentence) => sentence === one)), []);
  assert.equal(assistant.firstMessage, profile.greeting ?? sentences.greeting(profile.name));
});

Deno.test("a schema is reduced to what Vapi takes: text for text or number, no bounds", () => {
  const described = describeArguments(z.object({
    code: z.union([z.string(), z.number()]).describe("The code"),
    days: z.coerce.number().int().min(1).max(14).optional().describe("How many"),
    part: z.string().toLowerCase().pipe(z.enum(["am", "pm"])).optional(),
    ids: z.array(z.object({ id: z.uuid() })).default([]),
    note: z.string().max(5).optional().catch(undefined),
  }));
  assert.deepEqual(described, {
    type: "object",
    properties: {
      code: { type: "string", description: "The code" },
      days: { type: "number", description: "How many" },
      part: { type: "string", enum: ["am", "pm"] },
      ids: {
        type: "array",
        items: {
          type: "object",
          properties: { id: { type: "string", format: "uuid" } },
          required: ["id"],
        },
      },
      note: { type: "string" },
    },
    required: ["code"],
  });
});

Deno.test(`definitions and assistants of every preset are taken by Vapi${absent}`, checked, () => {
  const schema = readVapiSchema();
  for (const tool of defined) {
    assert.deepEqual(schema.problemsOf("post", "/tool", tool), [], tool.function.name);
  }
  for (const voice of Object.keys(voices)) {
    for (const model of Object.keys(models)) {
      for (const language of ["en", "en-GB", "de", "es"]) {
        const profile = aProfile({ voice, model, language });
        for (const given of [{ tools: defined }, { toolIds: ["a", "b"] }]) {
          const assistant = composeAssistant(profile, names, given, address);
          assert.deepEqual(schema.problemsOf("post", "/assistant", assistant), []);
          assert.deepEqual(
            schema.problemsIn("ServerMessageResponseAssistantRequest", { assistant }),
            [],
          );
        }
      }
    }
  }
});

Deno.test("two clinics never share an assistant's name, and it fits", () => {
  const slug = fc.stringMatching(/^[a-z0-9]{1,30}(-[a-z0-9]{1,20}){0,3}$/);
  fc.assert(fc.property(slug, fc.uuid(), fc.uuid(), (slug, one, other) => {
    fc.pre(one.slice(0, 6) !== other.slice(0, 6));
    const first = nameAssistant({ slug, orgId: one });
    assert.ok(first.length <= 40);
    assert.notEqual(first, nameAssistant({ slug, orgId: other }));
  }));
});

Deno.test("the prompt is short, speaks of the tools it has only, and ends with the transfer", () => {
  const prompt = composePrompt(aProfile(), names);
  const tokens = tokenizer.encode(prompt).length;
  console.log(`\nthe prompt of an ordinary clinic has ${tokens} tokens`);
  assert.ok(tokens <= 800, String(tokens));
  const spoken = [...prompt.matchAll(/\b[a-z]+(?:_[a-z]+)+\b/g)].map(([name]) => name);
  assert.deepEqual(spoken.filter((name) => !names.includes(name)), []);
  assert.match(prompt.trim().split("\n").at(-1) ?? "", /transferCall/);
  // Dashes and other typographic signs garble the voice.
  assert.doesNotMatch(prompt, /[\u2010-\u2015;]/);
  assert.match(prompt, /"Europe\/London"\}\}/);

  const none = composePrompt(aProfile({ transferNumber: undefined, facts: [] }), ["hold_slot"]);
  assert.doesNotMatch(none, /transferCall|leave_message|answer_question|park/);
});

Deno.test("where the hold texts the code, the prompt has no step for it and stays numbered", () => {
  const steps = (textsAtHold: boolean) => {
    const prompt = composePrompt(aProfile({ textsAtHold }), names);
    const [, booking = ""] = /To book\n([^]*?)\n\n/.exec(prompt) ?? [];
    return booking.split("\n").filter((line) => /^\d/.test(line));
  };
  const [before, at] = [steps(false), steps(true)];
  assert.deepEqual(before.map((step) => step[0]), ["1", "2", "3", "4"]);
  assert.deepEqual(at.map((step) => step[0]), ["1", "2", "3"]);
  assert.match(before.join(), /send_otp/);
  assert.doesNotMatch(at.join(), /send_otp/);
  assert.match(at.join(), /hold_slot .* It texts the code\.,3\. .* verify_otp/);
});

Deno.test("a large clinic's prompt has a bounded length", () => {
  const profile = aProfile({
    services: Array.from({ length: 60 }, (_, n) => ({ name: `Treatment ${n}`, minutes: 30 })),
    doctors: Array.from({ length: 80 }, (_, n) => `Dr Anneliese Featherstone ${n}`),
  });
  assert.ok(tokenizer.encode(composePrompt(profile, names)).length <= 1200);
});

Deno.test("hours are said day by day, with equal days together", () => {
  const open = (dow: number, startMin: number, endMin: number) => ({ dow, startMin, endMin });
  assert.equal(sayOpening([]), "");
  assert.equal(
    sayOpening([
      ...[1, 2, 3, 4].map((dow) => open(dow, 540, 1050)),
      open(5, 540, 720),
      open(5, 780, 1020),
      open(0, 1320, 1800),
    ]),
    "Monday to Thursday 9 AM to 5:30 PM, Friday 9 AM to noon and 1 PM to 5 PM, " +
      "Sunday 10 PM to 6 AM",
  );
});

Deno.test("English is transcribed by Flux, which no endpointing plan may switch off; others by Nova", () => {
  const english = hear("en-GB", ["Dr Amara Patel"]);
  assert.equal(english.transcriber["model"], "flux-general-en");
  assert.deepEqual(Object.keys(english.startSpeakingPlan), ["waitSeconds"]);
  const german = hear("de", []);
  assert.match(String(german.transcriber["model"]), /^nova/);
  assert.equal(german.transcriber["language"], "de");
  assert.throws(
    () => composeAssistant(aProfile({ voice: "robot" }), names, { toolIds: [] }, address),
    /voice "robot": choose one of cartesia/,
  );
});
