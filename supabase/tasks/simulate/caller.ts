/**
 * A caller of the simulation: answers the agent's questions in its own words, and remembers what it
 * was promised.
 *
 * @module
 */

import { sayDay } from "../../../shared/speech.ts";
import type { Agent, Turn } from "../talk/agent.ts";
import {
  type CallOptions,
  type Line,
  LineCall,
  type SentText,
  type ToolAnswer,
  type ToolUse,
} from "../talk/line.ts";
import { ScriptedAgent } from "../talk/script.ts";
import type { SimulatedClinic } from "./clinics.ts";
import { type CodeMistake, type Errand, type Persona } from "./persona.ts";
import { drawFrom, type Random } from "./random.ts";

/** An appointment as the caller believes it to be. */
export interface Belief {
  readonly appointmentId: string;
  readonly status: "confirmed" | "cancelled";
  /** ISO 8601 with the offset of the clinic. */
  readonly startTime: string;
}

/** The result of a caller. */
export interface Experience {
  readonly persona: Persona;
  readonly orgId: string;
  readonly clinicName: string;
  readonly phone: string;
  readonly callIds: readonly string[];
  /** The caller's appointments, each as last told. */
  readonly beliefs: readonly Belief[];
  /** Whether every errand was finished, as far as the caller was told. */
  readonly isServed: boolean;
  readonly uses: number;
  /** Answers that the agent or a repeated request must not give. */
  readonly surprises: readonly string[];
}

/** Everything that a simulated caller uses. */
export interface World {
  readonly clinics: readonly SimulatedClinic[];
  /** Phone numbers, by the index of the caller. */
  readonly numbers: readonly string[];
  readonly secret: string;
  /** The texts to a number so far, the newest last. */
  textsTo(phone: string): Promise<readonly SentText[]>;
  /** The texts to anybody since the run began. */
  allTexts(): Promise<readonly SentText[]>;
  readonly onUse?: (use: ToolUse) => void;
}

/** More turns than any caller needs. A caller that talks longer is stuck. */
const mostTurns = 40;

/** Plays all calls of a caller, one by one. */
export async function playCaller(world: World, persona: Persona): Promise<Experience> {
  const clinic = world.clinics[persona.clinic];
  if (!clinic) throw new Error(`Cannot play a caller of the clinic ${persona.clinic}`);
  const caller = new Caller(world, persona);
  const calls: ShakyCall[] = [];
  const beliefs = new Map<string, Belief>();
  const surprises: string[] = [];
  let isServed = true;
  for (const errand of persona.errands) {
    const call = new ShakyCall(clinic.line, {
      secret: world.secret,
      caller: persona.isWithheld ? undefined : caller.phone,
      ...(world.onUse ? { onUse: world.onUse } : {}),
    }, persona);
    calls.push(call);
    const isDone = await caller.play(errand, call, new ScriptedAgent(call));
    for (const { answer } of call.uses) learn(answer, beliefs);
    surprises.push(...call.surprises);
    caller.remember([...beliefs.values()]);
    isServed &&= isDone;
    if (!isDone && persona.hangsUp) break;
    if (!isDone) surprises.push(`${errand} ended with ${describeEnd(call)}`);
  }
  return {
    persona,
    orgId: clinic.line.profile.orgId,
    clinicName: clinic.line.profile.name,
    phone: caller.phone,
    callIds: calls.map(({ callId }) => callId),
    beliefs: [...beliefs.values()],
    isServed,
    uses: calls.reduce((sum, { uses }) => sum + uses.length, 0),
    surprises,
  };
}

/** The last answers of a call. */
function describeEnd({ uses }: LineCall): string {
  return uses.slice(-4).map(({ tool, answer }) => `${tool} ${answer.outcome}`).join(", ");
}

/** Updates what the caller believes after an answer. A move ends the previous appointment. */
function learn(answer: ToolAnswer, beliefs: Map<string, Belief>): void {
  const told = readBeliefs(answer);
  if (answer.outcome === "rescheduled") {
    for (const [id, belief] of beliefs) beliefs.set(id, { ...belief, status: "cancelled" });
  }
  for (const belief of told) beliefs.set(belief.appointmentId, belief);
}

/** What the caller believes after an answer. */
function readBeliefs(answer: ToolAnswer): Belief[] {
  const change = answer["change"];
  const also = typeof change === "object" && change !== null
    ? readBeliefs({ ...empty, ...change })
    : [];
  const { holdId: id, startTime, others } = answer;
  if (typeof id !== "string" || typeof startTime !== "string") return also;
  switch (answer.outcome) {
    case "confirmed":
    case "already_confirmed":
    case "rescheduled": {
      const first = { appointmentId: id, status: "confirmed" as const, startTime };
      const more = Array.isArray(others)
        ? others.flatMap((other) => readBeliefs({ ...empty, ...other, outcome: "confirmed" }))
        : [];
      return [first, ...more, ...also];
    }
    case "cancelled":
      return [{ appointmentId: id, status: "cancelled", startTime }, ...also];
    default:
      return also;
  }
}

const empty: ToolAnswer = { success: true, outcome: "", message: "" };

/** A call that sometimes repeats a request, as Vapi and language models do. */
class ShakyCall extends LineCall {
  readonly surprises: string[] = [];
  readonly #random: Random;

  constructor(line: Line, options: CallOptions, private readonly persona: Persona) {
    super(line, options);
    this.#random = drawFrom(persona.seed ^ 0x5bd1e995);
  }

  override async use(...[name, args, toolCallId]: Parameters<LineCall["use"]>): Promise<ToolUse> {
    const first = await super.use(name, args, toolCallId);
    const { repeatsOneIn } = this.persona;
    if (repeatsOneIn === 0 || !this.#random.oneIn(repeatsOneIn)) return first;
    // A transport sends the same request again. A model asks the same with a new id.
    const isTransport = this.#random.oneIn(2);
    const second = await super.use(name, args, isTransport ? first.toolCallId : undefined);
    this.#compare(first, second, isTransport);
    return isTransport ? first : second;
  }

  /** Compares repeated answers. A success must be repeated, a failure need not be. */
  #compare(first: ToolUse, second: ToolUse, isTransport: boolean): void {
    if (!first.answer.success || second.answer.success) return;
    if (["busy", "error"].includes(second.answer.outcome)) return;
    const how = isTransport ? "the same request" : "the same question";
    this.surprises.push(
      `${how} again: ${first.tool} ${first.answer.outcome}, then ${second.answer.outcome}`,
    );
  }

  /** Repeats the request of the first hold, long after everything else. */
  async arriveLate(): Promise<void> {
    const hold = this.uses.find(({ tool, answer }) => tool === "hold_slot" && answer.success);
    if (hold) await super.use(hold.tool, hold.args, hold.toolCallId);
  }
}

class Caller {
  readonly phone: string;
  readonly #random: Random;
  readonly #told: string[] = [];
  #mistakes: CodeMistake[];
  #patients: string[] = [];
  #isUndecided: boolean;
  #numbersSaid = 0;
  #booked: readonly Belief[] = [];
  /** How many texts there were before this call. */
  #textsBefore = 0;

  constructor(
    private readonly world: World,
    private readonly persona: Persona,
  ) {
    this.phone = world.numbers[persona.place] ?? "";
    this.#random = drawFrom(persona.seed);
    this.#mistakes = [...persona.mistakes];
    this.#isUndecided = persona.isUndecided;
  }

  /** Remembers what earlier calls booked. */
  remember(booked: readonly Belief[]): void {
    this.#booked = booked.filter(({ status }) => status === "confirmed");
  }

  /** Plays one call. True when the errand was finished. */
  async play(errand: Errand, call: ShakyCall, agent: Agent): Promise<boolean> {
    const { hangsUp, patients } = this.persona;
    this.#patients = errand === "book" ? [...patients] : [patients[0]];
    this.#told.length = 0;
    this.#textsBefore = (await this.world.textsTo(this.phone)).length;
    let turn = agent.greet();
    for (let turns = 0; turn.asks !== undefined; turns++) {
      if (hangsUp?.afterTurns === turns) {
        if (hangsUp.isTold) await call.hangUp();
        return false;
      }
      if (turns === mostTurns) break;
      const said = await this.#answer(errand, turn, call);
      this.#told.push(said);
      turn = await agent.hear(said);
    }
    const isDone = isFinished(errand, patients.length, call.uses);
    await call.hangUp();
    if (this.persona.isLate) await call.arriveLate();
    return isDone;
  }

  async #answer(errand: Errand, turn: Turn, call: ShakyCall): Promise<string> {
    switch (turn.asks) {
      case "purpose":
        return this.#sayPurpose(errand, call);
      case "serviceType":
        return this.persona.service;
      case "date":
        return this.#sayDay(call, this.#told.length > 2 ? 1 : 0);
      case "slotId":
        return this.#sayChoice(call);
      case "patientName":
        return this.#random.pick(["", "it's ", "the name is "]) + (this.#patients[0] ?? "");
      case "patientPhone":
      case "callbackNumber":
        return this.#sayNumber();
      case "code":
        return await this.#sayCode(errand);
      case "agreement":
        return "yes please";
      case "appointmentDate":
      case "appointmentTime":
        return (this.#booked[0]?.startTime ?? "").slice(0, 10);
      case "callerName":
        return this.persona.patients[0];
      case "message":
        return "Please call me back about the bill.";
      default:
        return "I don't know";
    }
  }

  #sayPurpose(errand: Errand, call: ShakyCall): string {
    if (call.uses.some(({ answer }) => answer.success) || this.#told.length > 0) {
      if (errand !== "book" || !this.#isForNextPatient(call)) return "no thanks";
      return `I also need a ${this.persona.service} ${this.#sayDay(call, 0)}`;
    }
    switch (errand) {
      case "book":
        return this.#random.pick([
          `I'd like to book a ${this.persona.service}`,
          `a ${this.persona.service} please`,
        ]);
      case "move":
        return "I need to move my appointment";
      case "cancel":
        return "please cancel my appointment";
      case "ask":
        return "when is my appointment?";
      case "question":
        return "Is there a car park?";
      case "message":
        return "Can I leave a message?";
    }
  }

  /** Whether another patient still needs an appointment. That patient is spoken of next. */
  #isForNextPatient(call: ShakyCall): boolean {
    const booked = new Set(
      call.uses.flatMap(({ answer }) => readBeliefs(answer)).map(({ appointmentId }) =>
        appointmentId
      ),
    );
    if (booked.size >= this.persona.patients.length) return false;
    this.#patients = [...this.persona.patients.slice(booked.size)];
    return true;
  }

  #sayDay(call: ShakyCall, later: number): string {
    const days = this.persona.daysAhead + later * (1 + this.#random.below(5));
    const { timezone } = call.line.profile;
    const at = new Date(Date.now() + days * 86_400_000);
    const iso = new Intl.DateTimeFormat("en-CA", { timeZone: timezone }).format(at);
    switch (this.persona.dayStyle) {
      case "iso":
        return iso;
      case "ahead":
        return days === 1 ? "tomorrow" : `in ${days} days`;
      case "named":
        return `on the ${sayDay(iso)}`;
      case "weekday":
        return `next ${sayDay(iso).split(" ")[0]}`;
    }
  }

  #sayChoice(call: ShakyCall): string {
    if (this.#isUndecided) {
      this.#isUndecided = false;
      return `none of these, rather ${this.#sayDay(call, 1)}`;
    }
    const slots = call.uses.findLast(({ answer }) => answer.slots?.length)?.answer.slots ?? [];
    const at = this.#random.below(Math.max(1, slots.length));
    const chosen = slots[at];
    if (!chosen) return "any of them";
    switch (this.persona.choiceStyle) {
      case "ordinal":
        return `the ${["first", "second", "third", "fourth", "fifth"][at] ?? "last"} one`;
      case "spoken":
        return `${chosen.spoken} please`;
      case "clock":
        return `${chosen.spoken.split(" at ")[0]} at ${chosen.startTime.slice(11, 16)}`;
    }
  }

  /** Says the number in words first, and plainly if that was not understood. */
  #sayNumber(): string {
    return this.#numbersSaid++ === 0
      ? `plus ${[...this.phone.slice(1)].map((digit) => words[Number(digit)]).join(" ")}`
      : this.phone;
  }

  async #sayCode(errand: Errand): Promise<string> {
    const isFamily = errand === "book" && this.persona.familyAt === "before_code" &&
      this.#patients.length > 1;
    if (isFamily) {
      this.#patients.shift();
      return "I also need one for my son";
    }
    const mistake = this.#mistakes.shift();
    if (mistake === "nothing_came") return "nothing has come yet";
    if (mistake === "other_time" && errand === "book") {
      return "actually, could I have another time?";
    }
    const text = await this.#waitForText();
    const code = /\b\d{6}\b/.exec(text)?.[0] ?? "000000";
    if (mistake === "wrong") {
      return sayDigits(
        String((Number(code) + 1 + this.#random.below(899_999)) % 1_000_000).padStart(6, "0"),
        "spaced",
        "",
      );
    }
    if (mistake === "misheard") {
      return this.#random.pick(["four eight two", "hold on a second", code.slice(1)]);
    }
    return sayDigits(code, this.persona.digitStyle, text);
  }

  /** The newest text of this call, or an older one if none arrives. */
  async #waitForText(): Promise<string> {
    const end = performance.now() + patienceMs;
    let texts = await this.world.textsTo(this.phone);
    while (texts.length <= this.#textsBefore && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      texts = await this.world.textsTo(this.phone);
    }
    return texts.at(-1)?.body ?? "";
  }
}

/** How long a caller waits for a text. The text for a change may follow its answer, or never come. */
const patienceMs = 5000;

const words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** Six digits as people read or type them. */
function sayDigits(code: string, style: Persona["digitStyle"], text: string): string {
  switch (style) {
    case "digits":
      return code;
    case "spaced":
      return [...code].join(" ");
    case "words":
      return [...code].map((digit) => digit === "0" ? "oh" : words[Number(digit)]).join(" ");
    case "doubled":
      return code.replaceAll(
        /(\d)\1|\d/g,
        (digits) => `${digits.length === 2 ? "double " : ""}${words[Number(digits[0])]} `,
      ).trim();
    case "keypad":
      return `User's Keypad Entry: ${code}`;
    case "whole_text":
      return text;
  }
}

/** Whether the errand is finished, judged by the tools' answers. */
function isFinished(errand: Errand, patients: number, uses: readonly ToolUse[]): boolean {
  const outcomes = uses.map(({ answer }) => answer.outcome);
  const beliefs = new Set(
    uses.flatMap(({ answer }) => readBeliefs(answer)).map(({ appointmentId }) => appointmentId),
  );
  switch (errand) {
    case "book":
      return beliefs.size >= patients;
    case "move":
      return outcomes.includes("rescheduled");
    case "cancel":
      return outcomes.includes("cancelled");
    case "ask":
      return outcomes.includes("found") || outcomes.includes("left");
    case "question":
      return outcomes.includes("answered");
    case "message":
      return outcomes.includes("left");
  }
}
