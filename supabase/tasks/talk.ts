/**
 * `deno task talk`: a phone call in the terminal. You are the caller; the agent uses the real tools of
 * the local stack.
 *
 * @module
 */

import { models } from "../../shared/line/presets.ts";
import { withDatabase } from "./database.ts";
import { readSettings, useStack } from "./stack.ts";
import type { Agent } from "./talk/agent.ts";
import { awaitTexts, LineCall, openLine, readTexts, type ToolUse } from "./talk/line.ts";
import { findModel, modelVariables } from "./talk/model.ts";
import { ModelAgent } from "./talk/model_agent.ts";
import { ScriptedAgent } from "./talk/script.ts";
import { defineTask, main, Misuse, readAddress } from "./task.ts";
import { Interrupted, type Terminal } from "./terminal.ts";

const usage = `deno task talk --org NAME
  a call to a clinic of the local stack, in the terminal: you type what the caller says
  --org NAME       the clinic's slug or id, such as sunrise-dental
  --caller NUMBER  the number you call from, with its country code; withheld calls without one;
                   +447700900456 if left out
  --url URL        the stack, http://127.0.0.1:8000 if left out; one is started if none answers there
  --scripted       let the scripted agent answer, even if there is a model's key
  --model NAME     a model of the key's provider; the clinic's own if left out
  Without a key a scripted agent answers: it follows the tools' answers and understands little else.
  With one, the model answers with the prompt and the tools that the clinic's assistant has at Vapi.
  Variables: ${modelVariables}.
  Each use of a tool is shown with its answer and its milliseconds; texts to the caller's number are
  shown as they arrive. An empty line or Ctrl-D hangs up. The words can come from a file, too.
  exit code 0: the call is over, 1: there is no such clinic, 2: wrong arguments, 3: the database or
  the model was unreachable or refused`;

/** The task. */
export const talk = defineTask({
  usage,
  options: {
    org: { type: "string" },
    caller: { type: "string", default: "+447700900456" },
    url: { type: "string", default: "http://127.0.0.1:8000" },
    scripted: { type: "boolean", default: false },
    model: { type: "string" },
  },
  run: async ({ values }, { env, running, terminal }) => {
    const { org, caller } = values;
    if (!org) throw new Misuse("Give --org SLUG_OR_ID");
    if (caller !== "withheld" && !/^\+[1-9]\d{6,14}$/.test(caller)) {
      throw new Misuse(`--caller takes a number such as +447700900456, or withheld, not ${caller}`);
    }
    const stack = await useStack(readAddress(values.url), running, "talk");
    const settings = await readSettings(stack);
    const line = await withDatabase(
      settings["SUPABASE_DB_URL"],
      (sql) => openLine(sql, org, stack.url),
    );
    const call = new LineCall(line, {
      secret: settings["VAPI_SECRETS"]?.split(",")[0] ?? "",
      caller: caller === "withheld" ? undefined : caller,
      onUse: (use) => showUse(use, terminal),
    });
    const model = values.scripted
      ? undefined
      : findModel(env, models[line.profile.model], values.model);
    terminal.print(
      model ? `${model.name} answers` : "The scripted agent answers (see --help for a model)",
    );
    const agent = model ? new ModelAgent(call, model) : new ScriptedAgent(call);
    await converse(agent, call, stack.url, terminal);
    return 0;
  },
});

async function converse(
  agent: Agent,
  call: LineCall,
  url: string,
  terminal: Terminal,
): Promise<void> {
  const listen = openEar(terminal);
  const read = async () => call.caller === undefined ? [] : await readTexts(url, call.caller);
  let shown = (await read()).length;
  let turn = agent.greet();
  while (true) {
    terminal.print(`agent: ${turn.says}`);
    const texts = await awaitTexts(call, read, shown);
    for (const { body } of texts) terminal.print(`  text to your phone: "${body}"`);
    shown += texts.length;
    if (turn.asks === undefined) break;
    const said = await listen();
    if (said === undefined) break;
    turn = await agent.hear(said);
  }
  await call.hangUp();
  terminal.print("The call is over");
}

/** Reads lines of the caller; undefined when the caller hangs up. */
function openEar(terminal: Terminal): () => Promise<string | undefined> {
  let lines: string[] | undefined;
  return async () => {
    if (terminal.isTerminal) {
      const said = await terminal.ask("you: ").catch((thrown: unknown) => {
        if (thrown instanceof Interrupted) return "";
        throw thrown;
      });
      return said.trim() === "" ? undefined : said;
    }
    lines ??= (await terminal.readAll()).split("\n").filter((line) => line.trim() !== "");
    const said = lines.shift();
    if (said !== undefined) terminal.print(`you: ${said}`);
    return said;
  };
}

function showUse({ tool, args, answer, text, ms }: ToolUse, terminal: Terminal): void {
  terminal.print(`  -> ${tool} ${JSON.stringify(args)}`);
  terminal.print(`  <- ${ms} ms ${answer.outcome}: ${text}`);
}

if (import.meta.main) await main(talk);
