/** What the model is told about the tools, and that no tool is missing. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { z } from "zod";
import { tools } from "../../functions/vapi-webhook/tools.ts";

const functions = readdirSync(new URL("../../functions/", import.meta.url));

Deno.test("every tool is a function of its name, and vapi-webhook answers it", async () => {
  for (const name of functions) {
    const { default: served } = await import(`../../functions/${name}/index.ts`);
    if (served.tool === undefined) continue;
    assert.equal(served.tool.name, name.replaceAll("-", "_"), `functions/${name}`);
    const isListed = tools.includes(served.tool);
    assert.ok(isListed, `functions/${name} is missing in functions/vapi-webhook/tools.ts`);
  }
  for (const { name } of tools) {
    assert.ok(functions.includes(name.replaceAll("_", "-")), `${name} has no folder of its own`);
  }
});

Deno.test("every tool and argument is described for the model, within Vapi's limits", () => {
  for (const { name, description, input } of tools) {
    assert.match(name, /^[A-Za-z0-9_-]{1,64}$/);
    assert.ok(description.length >= 100 && description.length < 800, `${name}: ${description}`);
    const { type, properties = {} } = z.toJSONSchema(input, { io: "input" });
    assert.equal(type, "object", name);
    for (const [argument, property] of Object.entries(properties)) {
      assert.ok(typeof property === "object", argument);
      assert.ok((property.description ?? "").length > 10, `${name}: describe ${argument}`);
      // Vapi's schemas have no anyOf: other spellings are read with z.preprocess.
      assert.match(String(property.type), /^(string|integer)$/, `${name}: ${argument}`);
    }
  }
});

Deno.test("every outcome of a tool has a name and an explanation", () => {
  for (const { name, outcomes } of tools) {
    assert.ok("invalid_arguments" in outcomes && "busy" in outcomes, name);
    for (const [outcome, meaning] of Object.entries(outcomes)) {
      assert.match(outcome, /^[a-z]+(_[a-z]+)*$/, name);
      assert.ok(meaning.length > 5, `${name}: ${outcome}`);
    }
  }
});
