/**
 * The phone calls that pages play: the agents of `deno task talk`, with the real tools over HTTP, and what
 * went over the wire.
 *
 * @module
 */

import type { Trace } from "../../shared/tracing.ts";
import { type Arguments, type Exchange, LineCall, type ToolUse } from "../tasks/talk/line.ts";
import { models } from "../../shared/line/presets.ts";
import type { Agent } from "../tasks/talk/agent.ts";
import { findModel } from "../tasks/talk/model.ts";
import { ModelAgent } from "../tasks/talk/model_agent.ts";
import { ScriptedAgent } from "../tasks/talk/script.ts";
import type { Events } from "./events.ts";
import type { Lines } from "./lines.ts";
import { Refusal } from "./refusal.ts";

/** What the agent said and did. */
export interface PlayedTurn {
  readonly callId: string;
  readonly says: string;
  /** What the agent waits for; null when the call is over. */
  readonly asks: string | null;
  readonly uses: readonly PlayedUse[];
}

/** The beginning of a call. */
export interface StartedCall extends PlayedTurn {
  /** The model that answers; null for the scripted agent. */
  readonly model: string | null;
}

/** One use of a tool: the answer, the wire, and where the time went. */
export interface PlayedUse {
  readonly tool: string;
  readonly answer: ToolUse["answer"];
  readonly exchange: Exchange;
  /** What the function did; null when it did not get that far. */
  readonly work: Trace | null;
}

/** Who calls which clinic. */
export interface Caller {
  /** The clinic's slug. */
  readonly clinic: string;
  /** E.164; undefined when it is withheld. */
  readonly caller: string | undefined;
}

interface PlayedCall {
  readonly call: LineCall;
  readonly agent: Agent;
  readonly uses: PlayedUse[];
  /** The agent hears one sentence after the other. */
  turn: Promise<unknown>;
}

/** Calls beyond these end, the oldest first. */
const callLimit = 300;

/** The calls that are being played. */
export class PhoneCalls {
  readonly #calls = new Map<string, PlayedCall>();
  readonly #lines: Lines;
  readonly #events: Events;
  readonly #secret: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor({ lines, events, secret, env }: {
    readonly lines: Lines;
    readonly events: Events;
    /** Signs the requests. */
    readonly secret: string;
    /** Has the key of a language model, or none. */
    readonly env: Readonly<Record<string, string>>;
  }) {
    this.#lines = lines;
    this.#events = events;
    this.#secret = secret;
    this.#env = env;
  }

  /** Starts a call; the agent greets. */
  async start(from: Caller, isScripted: boolean): Promise<StartedCall> {
    const { call, agent, model } = await this.#open(from, isScripted);
    const { says, asks = null } = agent.greet();
    return { callId: call.callId, says, asks, uses: [], model: model?.name ?? null };
  }

  /** The agent hears what the caller said. */
  async hear(callId: string, said: string): Promise<PlayedTurn> {
    const played = this.#find(callId);
    const turn = played.turn.then(async () => {
      const { says, asks = null } = await played.agent.hear(said);
      return { callId, says, asks, uses: played.uses.splice(0) };
    });
    played.turn = turn.catch(() => {});
    return await turn;
  }

  /** Uses one tool in a new call, which goes on until its caller hangs up. */
  async useOnce(
    from: Caller,
    tool: string,
    args: Arguments,
  ): Promise<{ readonly callId: string; readonly answer: ToolUse["answer"] }> {
    const { call } = await this.#open(from, true);
    const { answer } = await insist(() => call.use(tool, args));
    return { callId: call.callId, answer };
  }

  /** The caller hangs up, which releases what the call held. */
  async hangUp(callId: string): Promise<void> {
    const { call } = this.#find(callId);
    this.#calls.delete(callId);
    try {
      await call.hangUp();
    } catch (thrown) {
      throw new Refusal(
        503,
        `${thrown instanceof Error ? thrown.message : thrown}. Vapi would report the end again ` +
          "later; until then the hold stays, and it expires by itself.",
      );
    }
  }

  async #open({ clinic, caller }: Caller, isScripted: boolean) {
    const uses: PlayedUse[] = [];
    let exchange: Exchange | undefined;
    const line = await this.#lines.open(clinic);
    const call = new LineCall(line, {
      ...{ secret: this.#secret, signs: true, caller },
      onExchange: (exchanged) => exchange = exchanged,
      onUse: ({ tool, toolCallId, answer }) => {
        if (!exchange) return;
        uses.push({ tool, answer, exchange, work: this.#events.workOf(toolCallId) ?? null });
      },
    });
    const model = isScripted
      ? undefined
      : findModel(this.#env, models[line.profile.model], undefined);
    const agent = model ? new ModelAgent(call, model) : new ScriptedAgent(call);
    this.#calls.set(call.callId, { call, agent, uses, turn: Promise.resolve() });
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > callLimit && oldest !== undefined) this.#calls.delete(oldest);
    return { call, agent, model };
  }

  #find(callId: string): PlayedCall {
    const found = this.#calls.get(callId);
    if (found) return found;
    throw new Refusal(404, "This call is over. Start a new one.");
  }
}

const patience = 20;

/** Repeats a request that had no turn or no answer in time, as an agent does that is told to retry. */
export async function insist(use: () => Promise<ToolUse>): Promise<ToolUse> {
  let used = await use();
  for (let tries = 1; isUndecided(used) && tries < patience; tries++) used = await use();
  return used;
}

const isUndecided = ({ answer }: ToolUse): boolean => ["busy", "error"].includes(answer.outcome);
