/**
 * A language model over HTTP that a test plays, in two dialects: OpenAI's and Anthropic's.
 *
 * It refuses what the real ones refuse: a wrong key, a conversation whose turns do not alternate, a
 * tool call without its result, a result without its call.
 *
 * @module
 */

/** What the model has to answer. */
export interface ModelTurn {
  readonly system: string;
  /** Names of the tools that it may call. */
  readonly tools: readonly string[];
  /** The other side's last message; undefined if tools have answered since. */
  readonly heard: string | undefined;
  /** What the tools just answered. */
  readonly results: readonly string[];
  /** Every result so far, the newest last. */
  readonly allResults: readonly string[];
}

/** The model's answer. */
export interface ModelReply {
  readonly text?: string;
  readonly calls?: readonly { readonly name: string; readonly args: object }[];
}

/** A running model. */
export interface FakeModel {
  /** For `OPENAI_BASE_URL` or `ANTHROPIC_BASE_URL`. */
  readonly url: string;
  readonly key: string;
  /** Bodies of the requests so far. */
  readonly requests: readonly Record<string, unknown>[];
  /** Why requests were refused. */
  readonly refusals: readonly string[];
  /** Answers the next request with this status instead. */
  failNext(status: number): void;
  stop(): Promise<void>;
}

/** Starts a model on the loopback interface that answers with `play`. */
export function startFakeModel(
  play: (turn: ModelTurn) => ModelReply | Promise<ModelReply>,
): FakeModel {
  const key = crypto.randomUUID();
  const requests: Record<string, unknown>[] = [];
  const refusals: string[] = [];
  const failures: number[] = [];
  const answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const dialect = dialects[pathname];
    if (!dialect) return refuse(404, `no ${pathname}`);
    const failure = failures.shift();
    if (failure !== undefined) {
      return Response.json({}, { status: failure, headers: { "retry-after": "0" } });
    }
    if (dialect.keyOf(request.headers) !== key) return refuse(401, "wrong key");
    const body = await request.json();
    requests.push(body);
    const { messages, ...rest } = dialect.read(body);
    const problem = findProblem(messages);
    if (problem !== undefined) return refuse(400, problem);
    return Response.json(dialect.write(await play({ ...rest, ...listen(messages) })));
  };
  const refuse = (status: number, reason: string): Response => {
    refusals.push(reason);
    return Response.json({ error: { message: reason } }, { status });
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    key,
    requests,
    refusals,
    failNext: (status) => void failures.push(status),
    stop: () => server.shutdown(),
  };
}

/** One message in either dialect. */
interface Message {
  readonly role: "user" | "assistant" | "results";
  readonly text: string;
  readonly calls: readonly string[];
  readonly results: readonly { readonly id: string; readonly text: string }[];
}

const plain = { calls: [], results: [] };

/** Why a real model would refuse the messages. */
function findProblem(messages: readonly Message[]): string | undefined {
  for (const [at, { role, calls, results }] of messages.entries()) {
    const before = messages[at - 1];
    if (before?.role === role) return `two turns of the ${role}`;
    const due = before?.calls ?? [];
    const given = results.map(({ id }) => id);
    if (due.join() !== given.join()) return `calls [${due}] have the results [${given}]`;
    if (at === messages.length - 1 && calls.length > 0) return "calls without results";
  }
  return messages.at(-1)?.role === "assistant" ? "the last turn is the model's own" : undefined;
}

function listen(messages: readonly Message[]): Pick<ModelTurn, "heard" | "results" | "allResults"> {
  const last = messages.at(-1);
  return {
    heard: last?.role === "user" ? last.text : undefined,
    results: last?.results.map(({ text }) => text) ?? [],
    allResults: messages.flatMap(({ results }) => results.map(({ text }) => text)),
  };
}

interface Dialect {
  keyOf(headers: Headers): string | null | undefined;
  read(body: Body): {
    readonly system: string;
    readonly tools: readonly string[];
    readonly messages: readonly Message[];
  };
  write(reply: ModelReply): object;
}

// deno-lint-ignore no-explicit-any -- JSON from outside, read by hand
type Body = any;

const newId = () => crypto.randomUUID();

const openAi: Dialect = {
  keyOf: (headers) => headers.get("authorization")?.replace("Bearer ", ""),
  read: ({ messages: [system, ...messages], tools = [] }) => ({
    system: system.content,
    tools: tools.map((tool: Body) => tool.function.name),
    messages: messages.reduce(
      (read: Message[], { role, content, tool_calls, tool_call_id }: Body) => {
        if (role !== "tool") {
          const calls = (tool_calls ?? []).map(({ id }: Body) => id);
          return [...read, { ...plain, role, text: content, calls }];
        }
        const result = { id: tool_call_id, text: content };
        const last = read.at(-1);
        return last?.role === "results"
          ? [...read.slice(0, -1), { ...last, results: [...last.results, result] }]
          : [...read, { ...plain, role: "results", text: "", results: [result] }];
      },
      [],
    ),
  }),
  write: ({ text = null, calls = [] }) => ({
    choices: [{
      message: {
        role: "assistant",
        content: text,
        ...(calls.length === 0 ? {} : {
          tool_calls: calls.map(({ name, args }) => ({
            id: newId(),
            type: "function",
            function: { name, arguments: JSON.stringify(args) },
          })),
        }),
      },
    }],
  }),
};

const anthropic: Dialect = {
  keyOf: (headers) => headers.get("anthropic-version") && headers.get("x-api-key"),
  read: ({ system, messages, tools = [] }) => ({
    system,
    tools: tools.map(({ name }: Body) => name),
    messages: messages.map(({ role, content }: Body): Message => {
      if (typeof content === "string") return { ...plain, role, text: content };
      const of = (type: string) => content.filter((part: Body) => part.type === type);
      const results = of("tool_result").map(({ tool_use_id, content }: Body) => ({
        id: tool_use_id,
        text: content,
      }));
      const text = of("text").map((part: Body) => part.text).join(" ");
      const calls = of("tool_use").map(({ id }: Body) => id);
      return { role: results.length > 0 ? "results" : role, text, calls, results };
    }),
  }),
  write: ({ text, calls = [] }) => ({
    content: [
      ...(text === undefined ? [] : [{ type: "text", text }]),
      ...calls.map(({ name, args }) => ({ type: "tool_use", id: newId(), name, input: args })),
    ],
  }),
};

const dialects: Readonly<Record<string, Dialect>> = {
  "/chat/completions": openAi,
  "/v1/messages": anthropic,
};

/**
 * Plays an agent that knows a few phrases: `check DAY`, `hold PLACE as NAME`, `code DIGITS`, `cancel
 * NAME`, `appointments of NAME`, `bye`. If an answer names a tool, it calls that tool next.
 */
export function playAgent({ heard, results, allResults }: ModelTurn): ModelReply {
  if (heard === undefined) {
    const { nextTool, message } = JSON.parse(results.at(-1) ?? "{}");
    return nextTool === "send_otp"
      ? { calls: [{ name: "send_otp", args: {} }] }
      : { text: message ?? "?" };
  }
  const [, verb = "", rest = ""] =
    /\b(check|hold|code|cancel|appointments of|bye)\b ?(.*)/.exec(heard) ?? [];
  const use = (name: string, args: object) => ({ text: "One moment.", calls: [{ name, args }] });
  switch (verb) {
    case "check":
      return use("check_availability", { date: rest, serviceType: "consultation" });
    case "hold": {
      const [place = "", patientName = ""] = rest.split(" as ");
      const slots = allResults.map((text) => JSON.parse(text).slots ?? []).findLast((found) =>
        found.length > 0
      );
      return use("hold_slot", { slotId: slots?.[Number(place) - 1]?.slotId, patientName });
    }
    case "code":
      return use("verify_otp", { code: rest });
    case "cancel":
      return use("cancel_appointment", { patientName: rest });
    case "appointments of":
      return use("find_appointments", { patientName: rest });
    case "bye":
      return use("endCall", {});
    default:
      return { text: "What can I do for you?" };
  }
}
