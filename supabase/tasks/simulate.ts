/**
 * `deno task simulate`: random callers at clinics of the local stack, over HTTP. Afterwards it checks
 * what must be true.
 *
 * @module
 */

import type postgres from "postgres";
import { withDatabase } from "./database.ts";
import { findBroken, type Findings } from "./simulate/checks.ts";
import { type Experience, playCaller, type World } from "./simulate/caller.ts";
import { findNumbers, makeClinics, raisedLimits } from "./simulate/clinics.ts";
import { drawPersona, mostCallers } from "./simulate/persona.ts";
import { readSettings, useStack } from "./stack.ts";
import { readCodeTexts, readTexts, type ToolUse } from "./talk/line.ts";
import { defineTask, main, readAddress, readNumber } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task simulate [--calls N] [--seed N]
  random callers call new clinics of the local stack: they change their minds, book for families, read
  wrong codes, hang up, and their requests are repeated or come late; then the database is checked
  --calls N    how many callers, 1 to ${mostCallers}; 1000 if left out. Some call twice
  --seed N     plays the callers of an earlier run again; a random seed, which is printed, if left out
  --at-once N  how many call at the same time; 8 if left out
  --only N     plays one caller of the run alone and prints every use of a tool
  --url URL    the stack, http://127.0.0.1:8000 if left out; one is started if none answers there
  exit code 0: every promise is kept, 1: one is broken, 2: wrong arguments, 3: the database could not
  be reached`;

/** The task. */
export const simulate = defineTask({
  usage,
  options: {
    calls: { type: "string", default: "1000" },
    seed: { type: "string" },
    "at-once": { type: "string", default: "8" },
    only: { type: "string" },
    url: { type: "string", default: "http://127.0.0.1:8000" },
  },
  run: async ({ values }, { running, terminal }) => {
    const calls = readNumber("--calls", values.calls, { from: 1, to: mostCallers });
    const atOnce = readNumber("--at-once", values["at-once"], { from: 1, to: 200 });
    const only = values.only === undefined
      ? undefined
      : readNumber("--only", values.only, { from: 0, to: calls - 1 });
    const seed = values.seed === undefined
      ? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
      : readNumber("--seed", values.seed, { from: 0, to: 2 ** 32 - 1 });
    const stack = await useStack(readAddress(values.url), running, "simulate");
    const settings = await readSettings(stack);
    terminal.print(`${calls} callers, --seed ${seed}, ${atOnce} at once`);
    return await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const clinics = await makeClinics(sql, settings, stack.url, calls);
      terminal.print(`${clinics.length} new clinics; ${raisedLimits}`);
      const before = (await readTexts(stack.url)).length;
      const world: World = {
        clinics,
        numbers: await findNumbers(sql, calls),
        secret: settings["VAPI_SECRETS"]?.split(",")[0] ?? "",
        textsTo: (phone) => readCodeTexts(stack.url, phone),
        allTexts: async () => (await readTexts(stack.url)).slice(before),
        ...(only === undefined ? {} : { onUse: (use) => showUse(use, terminal) }),
      };
      const places = only === undefined ? Array.from({ length: calls }, (_, at) => at) : [only];
      const { experiences, findings, ms } = await play(sql, world, { seed, places, atOnce });
      return report(experiences, findings, ms, terminal);
    });
  },
});

/** The callers of a run. */
export interface Run {
  readonly seed: number;
  /** The indexes of the callers that call. */
  readonly places: readonly number[];
  readonly atOnce: number;
}

/** Plays the callers of a run, some at once, and checks the result. */
export async function play(
  sql: postgres.Sql,
  world: World,
  run: Run,
): Promise<{ experiences: Experience[]; findings: Findings; ms: number }> {
  const startedAt = performance.now();
  const experiences = await playCallers(world, run);
  const ms = performance.now() - startedAt;
  const findings = await findBroken(sql, experiences, await world.allTexts());
  return { experiences, findings, ms };
}

/** Plays the callers of a run, some at once. */
export async function playCallers(
  world: World,
  { seed, places, atOnce }: Run,
): Promise<Experience[]> {
  const waiting = [...places];
  const experiences: Experience[] = [];
  const takeCalls = async () => {
    for (let place = waiting.shift(); place !== undefined; place = waiting.shift()) {
      const persona = drawPersona(seed, place, world.clinics.length);
      experiences.push(await playCaller(world, persona));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, takeCalls));
  return experiences.sort((one, other) => one.persona.place - other.persona.place);
}

function report(
  experiences: readonly Experience[],
  findings: Findings,
  ms: number,
  terminal: Terminal,
): number {
  const sum = (count: (one: Experience) => number) =>
    experiences.reduce((total, one) => total + count(one), 0);
  const uses = sum(({ uses }) => uses);
  const booked = sum(({ beliefs }) =>
    beliefs.filter(({ status }) => status === "confirmed").length
  );
  terminal.print(
    `${sum(({ callIds }) => callIds.length)} calls in ${
      (ms / 1000).toFixed(1)
    } s used tools ${uses} ` +
      `times (${(uses / ms * 1000).toFixed(0)} a second) and left ${booked} appointments`,
  );
  let broken = 0;
  for (const [promise, found] of Object.entries(findings)) {
    terminal.print(`${found.length === 0 ? "kept  " : "BROKEN"} ${promise}`);
    for (const line of found.slice(0, 10)) terminal.print(`         ${line}`);
    if (found.length > 10) terminal.print(`         and ${found.length - 10} more`);
    if (found.length > 0) broken++;
  }
  return broken === 0 ? 0 : 1;
}

function showUse({ tool, args, ms, text }: ToolUse, terminal: Terminal): void {
  terminal.print(`  -> ${tool} ${JSON.stringify(args)}`);
  terminal.print(`  <- ${ms} ms ${text}`);
}

if (import.meta.main) await main(simulate);
