/**
 * A language model over HTTP, in the format of OpenAI's chat completions or of Anthropic's messages.
 *
 * Sources: https://platform.openai.com/docs/api-reference/chat and
 * https://docs.anthropic.com/en/api/messages
 *
 * @module
 */

import { z } from "zod";
import type { ParameterSchema } from "../../../shared/line/tool_definition.ts";
import { Stop } from "../task.ts";

/** A function that the model may call. */
export interface ModelTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: ParameterSchema;
}

/** One call of a function. */
export interface ModelToolCall {
  readonly id: string;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What has been said, in order. */
export type Said =
  | { readonly role: "user"; readonly text: string }
  | { readonly role: "assistant"; readonly text: string; readonly calls: readonly ModelToolCall[] }
  | {
    readonly role: "results";
    readonly results: readonly { readonly id: string; readonly text: string }[];
  };

/** The input of the model. */
export interface Prompt {
  readonly system: string;
  readonly said: readonly Said[];
  readonly tools: readonly ModelTool[];
}

/** A model that answers. */
export interface Model {
  /** The name for people: `anthropic claude-haiku-4-5`. */
  readonly name: string;
  /** @throws {Stop} When it cannot be reached or refuses. */
  answer(prompt: Prompt): Promise<Extract<Said, { readonly role: "assistant" }>>;
}

type Dialect = "openai" | "anthropic";

/** The address of a model. */
interface ModelAddress {
  readonly dialect: Dialect;
  readonly key: string;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly model: string;
}

const defaults: Readonly<Record<Dialect, { readonly baseUrl: string; readonly model: string }>> = {
  openai: { baseUrl: "https://api.openai.com/v1", model: "gpt-4.1" },
  anthropic: { baseUrl: "https://api.anthropic.com", model: "claude-haiku-4-5-20251001" },
};

/** For the usage of a task that uses a model. */
export const modelVariables = `OPENAI_API_KEY with OPENAI_BASE_URL, or ANTHROPIC_API_KEY with
  ANTHROPIC_BASE_URL: a model's key, and its address if it is not the provider's own`;

/**
 * Finds the model for which the environment has a key.
 *
 * @param preferred The clinic's own model, used if the key is for its provider.
 * @param chosen The name of a model, which takes precedence.
 */
export function findModel(
  env: Readonly<Record<string, string>>,
  preferred: Readonly<Record<string, unknown>> | undefined,
  chosen: string | undefined,
): Model | undefined {
  for (const dialect of ["openai", "anthropic"] as const) {
    const prefix = dialect.toUpperCase();
    const key = env[`${prefix}_API_KEY`];
    if (!key) continue;
    const baseUrl = (env[`${prefix}_BASE_URL`] || defaults[dialect].baseUrl).replace(/\/+$/, "");
    const own = preferred?.["provider"] === dialect
      ? String(preferred["model"])
      : defaults[dialect].model;
    const address = { dialect, key, baseUrl, model: chosen ?? own };
    return {
      name: `${dialect} ${address.model}`,
      answer: (prompt) =>
        dialect === "openai" ? askOpenAi(address, prompt) : askAnthropic(address, prompt),
    };
  }
  return undefined;
}

/** The assistant's setting at Vapi. */
const settings = { temperature: 0 };
const maxTokens = 250;

const completion = z.object({
  choices: z.tuple([z.object({
    message: z.object({
      content: z.string().nullish(),
      tool_calls: z.array(z.object({
        id: z.string(),
        function: z.object({ name: z.string(), arguments: z.string() }),
      })).nullish(),
    }),
  })], z.unknown()),
});

async function askOpenAi(address: ModelAddress, { system, said, tools }: Prompt) {
  const answer = await post(address, "/chat/completions", {
    authorization: `Bearer ${address.key}`,
  }, {
    model: address.model,
    ...settings,
    max_tokens: maxTokens,
    messages: [{ role: "system", content: system }, ...said.flatMap(asOpenAi)],
    ...(tools.length === 0
      ? {}
      : { tools: tools.map((tool) => ({ type: "function", function: tool })) }),
  });
  const { choices: [{ message }] } = read(completion, answer);
  return {
    role: "assistant" as const,
    text: message.content ?? "",
    calls: (message.tool_calls ?? []).map(({ id, function: called }) => ({
      id,
      name: called.name,
      args: readArguments(called.arguments),
    })),
  };
}

function asOpenAi(said: Said): object[] {
  switch (said.role) {
    case "user":
      return [{ role: "user", content: said.text }];
    case "assistant":
      return [{
        role: "assistant",
        content: said.text,
        ...(said.calls.length === 0 ? {} : {
          tool_calls: said.calls.map(({ id, name, args }) => ({
            id,
            type: "function",
            function: { name, arguments: JSON.stringify(args) },
          })),
        }),
      }];
    case "results":
      return said.results.map(({ id, text }) => ({
        role: "tool",
        tool_call_id: id,
        content: text,
      }));
  }
}

const messageAnswer = z.object({
  content: z.array(z.union([
    z.object({ type: z.literal("text"), text: z.string() }),
    z.object({
      type: z.literal("tool_use"),
      id: z.string(),
      name: z.string(),
      input: z.record(z.string(), z.unknown()),
    }),
    z.object({ type: z.string() }),
  ])),
});

async function askAnthropic(address: ModelAddress, { system, said, tools }: Prompt) {
  const answer = await post(address, "/v1/messages", {
    "x-api-key": address.key,
    "anthropic-version": "2023-06-01",
  }, {
    model: address.model,
    ...settings,
    max_tokens: maxTokens,
    system,
    // The first turn must be the user's.
    messages: [
      ...(said[0]?.role === "assistant" ? [{ role: "user", content: "(The phone rings.)" }] : []),
      ...said.map(asAnthropic),
    ],
    ...(tools.length === 0 ? {} : {
      tools: tools.map(({ name, description, parameters }) => ({
        name,
        description,
        input_schema: parameters,
      })),
    }),
  });
  const { content } = read(messageAnswer, answer);
  return {
    role: "assistant" as const,
    text: content.flatMap((part) => "text" in part ? [part.text] : []).join(" "),
    calls: content.flatMap((part) =>
      "input" in part ? [{ id: part.id, name: part.name, args: part.input }] : []
    ),
  };
}

function asAnthropic(said: Said): object {
  switch (said.role) {
    case "user":
      return { role: "user", content: said.text };
    case "assistant":
      return {
        role: "assistant",
        content: [
          ...(said.text === "" ? [] : [{ type: "text", text: said.text }]),
          ...said.calls.map(({ id, name, args }) => ({ type: "tool_use", id, name, input: args })),
        ],
      };
    case "results":
      return {
        role: "user",
        content: said.results.map(({ id, text }) => ({
          type: "tool_result",
          tool_use_id: id,
          content: text,
        })),
      };
  }
}

/** Arguments that are not JSON become none, and the tool then says what it needs. */
function readArguments(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text || "{}");
    return z.record(z.string(), z.unknown()).parse(value);
  } catch {
    return {};
  }
}

function read<Value>(schema: z.ZodType<Value>, answer: unknown): Value {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new Stop(3, `The model's answer cannot be read: ${z.prettifyError(parsed.error)}`);
}

const tries = 4;
const timeoutMs = 60_000;

/** Posts a request, and repeats it after a while if the service is busy. */
async function post(
  { baseUrl }: ModelAddress,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: object,
): Promise<unknown> {
  for (let tried = 1;; tried++) {
    const response = await fetch(baseUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((thrown: unknown) => {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Stop(3, `The model at ${baseUrl} cannot be reached: ${reason}`);
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    const isBusy = response.status === 429 || response.status >= 500;
    if (!isBusy || tried === tries) {
      throw new Stop(
        3,
        `The model at ${baseUrl} answered ${response.status}: ${text.slice(0, 300)}`,
      );
    }
    const waitSeconds = Number(response.headers.get("retry-after") ?? 2 ** tried);
    await new Promise((resolve) => setTimeout(resolve, Math.min(waitSeconds, 30) * 1000));
  }
}
