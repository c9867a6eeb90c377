/**
 * A language model as the agent, with the prompt and the tools of the clinic's assistant at Vapi.
 *
 * @module
 */

import type { Agent, Turn } from "./agent.ts";
import type { Line, LineCall } from "./line.ts";
import type { Model, ModelTool, ModelToolCall, Said } from "./model.ts";

/** How many answers a model may give without hearing the caller. */
const patience = 8;

/** Answers a call with a model. */
export class ModelAgent implements Agent {
  readonly #said: Said[] = [];
  readonly #system: string;
  readonly #tools: readonly ModelTool[];

  constructor(private readonly call: LineCall, private readonly model: Model, now = new Date()) {
    const { assistant } = call.line;
    this.#system = assistant.model.messages.map(({ content }) => fillInTime(content, now))
      .join("\n");
    this.#tools = describeTools(call.line);
  }

  greet(): Turn {
    const says = this.call.line.assistant.firstMessage;
    this.#said.push({ role: "assistant", text: says, calls: [] });
    return { says, asks: "anything" };
  }

  /** @throws When the model does not answer; then it has heard nothing, and the caller may repeat it. */
  async hear(said: string): Promise<Turn> {
    const before = this.#said.length;
    try {
      return await this.#listen(said);
    } catch (thrown) {
      this.#said.length = before;
      throw thrown;
    }
  }

  async #listen(said: string): Promise<Turn> {
    this.#said.push({ role: "user", text: said });
    const spoken: string[] = [];
    for (let answers = 0; answers < patience; answers++) {
      const answer = await this.model.answer({
        system: this.#system,
        said: this.#said,
        tools: this.#tools,
      });
      this.#said.push(answer);
      if (answer.text !== "") spoken.push(answer.text);
      if (answer.calls.length === 0) return { says: spoken.join(" "), asks: "anything" };
      const end = endOf(answer.calls);
      if (end !== undefined) return { says: [...spoken, end].join(" "), asks: undefined };
      this.#said.push({ role: "results", results: await this.#useTools(answer.calls) });
    }
    return {
      says: [...spoken, "(The model only uses tools; the call ends.)"].join(" "),
      asks: undefined,
    };
  }

  async #useTools(calls: readonly ModelToolCall[]) {
    const results: { id: string; text: string }[] = [];
    for (const { id, name, args } of calls) {
      const text = this.call.has(name)
        ? (await this.call.use(name, args, id)).text
        : `There is no tool ${name}.`;
      results.push({ id, text });
    }
    return results;
  }
}

/** What the caller hears when the model ends the call. */
function endOf(calls: readonly ModelToolCall[]): string | undefined {
  const names = calls.map(({ name }) => name);
  if (names.includes("transferCall")) return "(The call is put through to the front desk.)";
  return names.includes("endCall") ? "(The call ends.)" : undefined;
}

/** The assistant's tools for the model. Vapi gives its own two tools these forms. */
function describeTools({ assistant }: Line): ModelTool[] {
  return assistant.model.tools.flatMap((tool): ModelTool[] => {
    if ("function" in tool) {
      const { name, description, parameters } = tool.function;
      return [{ name, description, parameters }];
    }
    if ("destinations" in tool) {
      const descriptions = tool.destinations.map(({ description }) => description);
      return [{
        name: "transferCall",
        description: `Puts the call through. ${descriptions.join(" ")}`,
        parameters: {
          type: "object",
          properties: {
            destination: { type: "string", enum: tool.destinations.map(({ number }) => number) },
          },
          required: ["destination"],
        },
      }];
    }
    return [{
      name: "endCall",
      description: "Ends the call.",
      parameters: { type: "object", properties: {}, required: [] },
    }];
  });
}

const parts: Readonly<Record<string, Intl.DateTimeFormatOptions>> = {
  A: { weekday: "long" },
  B: { month: "long" },
  d: { day: "2-digit" },
  Y: { year: "numeric" },
  I: { hour: "2-digit", hourCycle: "h12" },
  M: { minute: "2-digit" },
  p: { hour: "numeric", hourCycle: "h12" },
};

/** Fills in `{{"now" | date: "%A, %B %d", "Europe/London"}}`, as Vapi does. */
export function fillInTime(template: string, now: Date): string {
  return template.replaceAll(
    /\{\{"now" \| date: "([^"]*)", "([^"]*)"\}\}/g,
    (_, format: string, timeZone: string) =>
      format.replaceAll(/%([ABdYIMp])/g, (_, letter: string) => {
        const formatter = new Intl.DateTimeFormat("en-US", { ...parts[letter], timeZone });
        const kind = letter === "p" ? "dayPeriod" : letter === "I" ? "hour" : undefined;
        const all = formatter.formatToParts(now);
        const text = all.find(({ type }) => type === kind)?.value ?? formatter.format(now);
        return letter === "M" ? text.padStart(2, "0") : text;
      }),
  );
}
