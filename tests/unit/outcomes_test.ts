/** The outcomes of an entry function are the same in its SQL, in its comment and in `shared/database`. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { z } from "zod";
import { readFunctions, readMigrations, type SqlFunction } from "../support/migrations.ts";
import { outcomesListed, outcomesReached } from "../support/outcomes.ts";

const byName = (list: readonly SqlFunction[]) => new Map(list.map((one) => [one.name, one]));
const functions = byName(readMigrations().flatMap(({ text }) => readFunctions(text)));
const entries = [...functions.values()].filter(({ name }) => name.startsWith("public."));

/** Vapi's messages other than tool calls have no arguments, so nothing in them names a clinic. */
const messages = ["public.find_assistant", "public.end_call", "public.settle_follow_up"];

/** Outcomes of functions that an entry function calls, but never answers with, and why. */
const notPassedOn: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(messages.map((name) => [name, ["cross_tenant_denied"]])),
  // Has no slot, so it never holds a new time and never lists.
  "public.cancel_appointment": [
    ...["held", "slot_taken", "hold_limit", "invalid_slot", "rescheduled", "found"],
  ],
  // A held new time is answered as code_needed; with a slot it neither cancels nor lists.
  "public.reschedule_appointment": ["held", "hold_released", "cancelled", "found"],
  // Only lists.
  "public.find_appointments": [
    ...["held", "slot_taken", "hold_limit", "invalid_slot", "rescheduled", "cancelled"],
    ...["hold_released", "which_appointment"],
  ],
  // The hold of a new time is reported by the outcome of the change.
  "public.begin_otp_send": ["held"],
  "public.verify_otp_and_confirm": ["held"],
};

interface Declared {
  readonly sqlName: string;
  readonly answer: z.ZodType;
}

/** What the modules of `shared/database` declare. */
async function declaredEntries(): Promise<Declared[]> {
  const folder = new URL("../../shared/database/", import.meta.url);
  const modules = await Promise.all(
    readdirSync(folder).map((file) => import(new URL(file, folder).href)),
  );
  return modules.flatMap((module: object): unknown[] => Object.values(module)).filter(isDeclared);
}

function isDeclared(value: unknown): value is Declared {
  return typeof value === "function" && "sqlName" in value && "answer" in value;
}

/** The values of `outcome` in a schema, in any of its alternatives. */
function outcomesRead(schema: z.ZodType): string[] {
  const found = new Set<string>();
  JSON.stringify(z.toJSONSchema(schema), (key, value) => {
    if (key === "outcome") {
      for (const outcome of value.enum ?? [value.const]) found.add(outcome);
    }
    return value;
  });
  return [...found];
}

/** The outcomes that an entry function can return. */
function outcomesOf(name: string): string[] {
  const reached = outcomesReached(name, functions);
  for (const outcome of notPassedOn[name] ?? []) {
    assert.ok(reached.delete(outcome), `${name} does not reach ${outcome}: drop it from the list`);
  }
  return [...reached].sort();
}

Deno.test("the comment of every entry function lists exactly the outcomes it can give", () => {
  assert.ok(entries.length > 10);
  for (const entry of entries) {
    assert.deepEqual(outcomesListed(entry).sort(), outcomesOf(entry.name), entry.name);
  }
});

Deno.test("shared/database reads exactly the outcomes that an entry function can give", async () => {
  const declared = await declaredEntries();
  assert.ok(declared.length > 10);
  for (const { sqlName, answer } of declared) {
    const name = `public.${sqlName}`;
    assert.ok(functions.has(name), `shared/database calls ${name}, which no migration creates`);
    assert.deepEqual(outcomesRead(answer).sort(), outcomesOf(name), name);
  }
});

Deno.test("outcomes are read from JSON, pairs, cases and variables, through private functions", () => {
  const planted = readFunctions(`
create function private.refuse(p_no text) returns jsonb
as $$
declare
  v_outcome constant text := case when p_no = 'no' then 'refused' else 'too_late' end;
begin
  perform private.audit(p_org, 'a', jsonb_build_object('outcome', 'written'), private.f(')'));
  return jsonb_build_object('outcome', v_outcome) || '{"outcome": "busy"}'; -- '{"outcome": "old"}'
end
$$;
comment on function private.refuse is '';

create function private.count() returns jsonb
as $$ select jsonb_build_object('outcome', 'counted') $$;
comment on function private.count is '';

/*
 * Entry function.
 *
 * Outcomes  refused (now, or (rarely) later), too_late,
 *           busy, done; busy with more
 * Raises    nothing
 */
create function public.act() returns jsonb
language sql
return coalesce(private.refuse(private.count() ->> 'outcome'), jsonb_build_object('outcome', 'done'));
comment on function public.act is '';
`);
  const known = byName(planted);
  const outcomes = ["busy", "done", "refused", "too_late"];
  assert.deepEqual([...outcomesReached("public.act", known)].sort(), outcomes);
  assert.deepEqual(planted.flatMap(outcomesListed).sort(), outcomes);
  const computed =
    "create function public.act() as $$ select jsonb_build_object('outcome', f()) $$;";
  assert.throws(() => outcomesReached("public.act", byName(readFunctions(computed))), /act/);
});
