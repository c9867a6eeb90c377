/**
 * `deno task evals`: a language model takes calls at the local stack, another one plays the callers,
 * and the database shows whether the calls succeeded.
 *
 * @module
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type postgres from "postgres";
import { models } from "../../shared/line/presets.ts";
import { withDatabase } from "./database.ts";
import { conversations } from "./evals/conversations.ts";
import { playConversation, type Played } from "./evals/play.ts";
import type { World } from "./simulate/caller.ts";
import { findNumbers, makeClinics } from "./simulate/clinics.ts";
import { readSettings, useStack } from "./stack.ts";
import { readCodeTexts, readTexts } from "./talk/line.ts";
import { findModel, type Model, modelVariables } from "./talk/model.ts";
import { ModelAgent } from "./talk/model_agent.ts";
import { defineTask, main, Misuse, readAddress, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const names = conversations.map(({ name }) => name);

const usage = `deno task evals [--only NAME] [--keep DIR]
  a language model takes calls at a new clinic of the local stack, with the prompt and tools that it
  has at Vapi; the same model plays the callers. Judged by the database and the texts, not by words
  --only NAME   one of ${names.slice(0, 6).join(", ")},
                ${names.slice(6).join(", ")}
  --keep DIR    where the transcripts go, .local/evals if left out
  --model NAME  a model of the key's provider
  --url URL     the stack, http://127.0.0.1:8000 if left out; one is started if none answers there
  Variables: ${modelVariables}.
  exit code 0: all went well, 1: a conversation went wrong, 2: wrong arguments, 3: skipped without a
  key, or the database or the model was unreachable or refused`;

/** The task. */
export const evals = defineTask({
  usage,
  options: {
    only: { type: "string" },
    keep: { type: "string", default: ".local/evals" },
    model: { type: "string" },
    url: { type: "string", default: "http://127.0.0.1:8000" },
  },
  run: async ({ values }, { env, running, terminal }) => {
    const { only, keep } = values;
    if (only !== undefined && !names.includes(only)) {
      throw new Misuse(`--only takes one of ${names.join(", ")}, not ${only}`);
    }
    const model = findModel(env, models["openai"], values.model);
    if (!model) {
      throw new Stop(
        3,
        "Skipped: the evals need a language model. Set OPENAI_API_KEY or ANTHROPIC_API_KEY",
      );
    }
    const stack = await useStack(readAddress(values.url), running, "evals");
    const settings = await readSettings(stack);
    return await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const world: World = {
        clinics: await makeClinics(sql, settings, stack.url, names.length),
        numbers: await findNumbers(sql, 2 * names.length),
        secret: settings["VAPI_SECRETS"]?.split(",")[0] ?? "",
        textsTo: (phone) => readCodeTexts(stack.url, phone),
        allTexts: () => readTexts(stack.url),
      };
      terminal.print(`${model.name} takes the calls and plays the callers`);
      const failed = await playAll({ sql, world, model, only, keep }, terminal);
      return failed === 0 ? 0 : 1;
    });
  },
});

/** What a run needs. */
export interface EvalRun {
  readonly sql: postgres.Sql;
  readonly world: World;
  readonly model: Model;
  /** The name of the only conversation to play; undefined for all. */
  readonly only?: string | undefined;
  /** The folder of the transcripts. */
  readonly keep: string;
}

/**
 * Plays the conversations one by one and keeps their transcripts.
 *
 * @returns How many failed.
 */
export async function playAll(
  { sql, world, model, only, keep }: EvalRun,
  terminal: Pick<Terminal, "print">,
): Promise<number> {
  const [clinic] = world.clinics;
  if (!clinic) throw new Error("Cannot play conversations without a clinic");
  await mkdir(keep, { recursive: true });
  let failed = 0;
  for (const [at, conversation] of conversations.entries()) {
    if (only !== undefined && conversation.name !== only) continue;
    const [first = "", second = ""] = world.numbers.slice(2 * at);
    const played = await playConversation({
      sql,
      world,
      clinic,
      numbers: [first, second],
      caller: model,
      openAgent: (call) => new ModelAgent(call, model),
    }, conversation);
    const file = join(keep, `${played.name}.txt`);
    await writeFile(file, describe(played, conversation.caller, model.name));
    terminal.print(`${played.failures.length === 0 ? "good " : "WRONG"} ${played.name} (${file})`);
    for (const failure of played.failures) terminal.print(`        ${failure}`);
    if (played.failures.length > 0) failed++;
  }
  return failed;
}

function describe(
  { name, failures, transcript, evidence }: Played,
  caller: string,
  model: string,
): string {
  return [
    `conversation: ${name}`,
    `model: ${model}`,
    `caller's part: ${caller}`,
    `verdict: ${failures.length === 0 ? "good" : failures.join("; ")}`,
    "",
    ...transcript,
    "",
    JSON.stringify(evidence, null, 2),
    "",
  ].join("\n");
}

if (import.meta.main) await main(evals);
