/**
 * Conversations as data: the tool calls of one or more phone calls, the right answers, and the state of
 * the database afterwards.
 *
 * A file has `steps` in order. `call` names the phone call; clinic and caller are those of the call's
 * first step unless a step gives others. In arguments and SQL, `$CODE` is the code of the newest text
 * to the caller and `$CALL` the call's id. `good` lists right outcomes, `bad` one wrong outcome. The
 * message must match `says` and must not match `unsaid`. `sql` runs after the step, and its rows,
 * joined with `; `, must equal `sql_is`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import type { ServedTool } from "../../shared/request.ts";
import { type Bench, codeTo, type Said } from "./clinic.ts";

/** One tool call. */
export interface Step {
  readonly call: string;
  readonly tool: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** The called number. */
  readonly clinic?: string;
  /** Null if it is withheld. */
  readonly caller?: string | null;
  readonly good?: readonly string[];
  readonly bad?: string;
  readonly says?: string;
  readonly unsaid?: string;
  readonly sql?: string;
  readonly sql_is?: string;
}

const functions = new URL("../../functions/", import.meta.url);

/** Every tool of the repository, by name. */
async function loadTools(): Promise<ReadonlyMap<string, ServedTool>> {
  const tools = new Map<string, ServedTool>();
  for (const { name } of await readdir(functions, { withFileTypes: true })) {
    const { default: served } = await import(new URL(`${name}/index.ts`, functions).href);
    if (served.tool) tools.set(served.tool.name, served);
  }
  return tools;
}

interface PhoneCall {
  readonly id: string;
  clinic: string;
  caller: string | null;
}

/**
 * Plays a conversation and checks every step.
 *
 * @param move Applied to every string of a step: moves the file's dates into the future.
 */
export async function playConversation(
  bench: Bench,
  steps: readonly Step[],
  move: (text: string) => string,
): Promise<void> {
  const tools = await loadTools();
  const calls = new Map<string, PhoneCall>();
  for (const [index, written] of steps.entries()) {
    const step: Step = JSON.parse(move(JSON.stringify(written)));
    const call = findCall(calls, step);
    const served = tools.get(step.tool);
    assert.ok(served, `there is no tool ${step.tool}`);
    const replace = (text: string) =>
      text.replaceAll("$CALL", call.id)
        .replaceAll("$CODE", () => codeTo(bench.twilio, call.caller ?? ""));
    const args = JSON.parse(replace(JSON.stringify(step.args ?? {})));
    const said = await bench.insist(served, {
      ...{ tool: step.tool, args, called: call.clinic, caller: call.caller, callId: call.id },
    });
    checkAnswer(step, said, `step ${index + 1}, ${step.tool}: ${JSON.stringify(said)}`);
    if (step.sql !== undefined) {
      const rows = await bench.database.sql.unsafe(replace(step.sql));
      const found = rows.map((row) => Object.values(row).join(" ")).join("; ");
      assert.equal(found, step.sql_is ?? "", `step ${index + 1}: ${step.sql}`);
    }
  }
}

function findCall(calls: Map<string, PhoneCall>, step: Step): PhoneCall {
  const call = calls.get(step.call) ??
    { id: crypto.randomUUID(), clinic: "", caller: null };
  if (step.clinic !== undefined) call.clinic = step.clinic;
  if (step.caller !== undefined) call.caller = step.caller;
  calls.set(step.call, call);
  return call;
}

function checkAnswer({ good, bad, says, unsaid }: Step, said: Said, told: string): void {
  if (good) assert.ok(good.includes(said.outcome), `expected ${good.join(" or ")}; ${told}`);
  if (bad !== undefined) assert.notEqual(said.outcome, bad, told);
  if (says !== undefined) assert.match(said.message, new RegExp(says), told);
  if (unsaid !== undefined) assert.doesNotMatch(said.message, new RegExp(unsaid), told);
  assert.notEqual(said.outcome, "error", told);
}
