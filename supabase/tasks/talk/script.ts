/**
 * An agent without a language model. It does what the tools' answers say (`nextTool`, `action`,
 * `fields`) and asks the caller for missing arguments.
 *
 * It reads from the tools' definitions which tool needs what, so no order of steps is written here.
 *
 * @module
 */

import * as sentences from "../../../shared/sentences.ts";
import type { Agent, Ask, Turn } from "./agent.ts";
import {
  choose,
  findDay,
  findName,
  findPartOfDay,
  type InsteadOfCode,
  isAgreement,
  isFarewell,
  isRefusal,
  readInstead,
  readName,
  readPurpose,
  wantsPerson,
} from "./hearing.ts";
import type { LineCall, NamedAppointment, OfferedSlot, ToolAnswer } from "./line.ts";

/** How to ask for an argument, where no answer has said it. */
const questions: Readonly<Record<string, string>> = {
  serviceType: "What is it for?",
  date: "Which day would you like?",
  slotId: "Which of these times suits you?",
  patientName: "What is the patient's first and last name?",
  patientPhone: "What mobile number should I text?",
  code: "What are the six digits of the text?",
  appointmentDate: "Which day is it on now?",
  question: "What would you like to know?",
  callerName: "What is your name?",
  message: "What should I tell them?",
  purpose: "Is there anything else?",
};

/** The tool that must be used before a time can be chosen. */
const availability = "check_availability";
/** How many tools the agent uses without hearing the caller. */
const patience = 8;
/**
 * How often the agent repeats a question. A call has ten attempts at a code, and after them the tools, not
 * the agent, decide what becomes of the hold.
 */
const strikesLeft = 12;

/** What follows an answer: another tool, or the caller's turn. */
type Next = { readonly tool: string } | { readonly asks: Ask | undefined };

/** Answers a call, guided only by the tools' answers. */
export class ScriptedAgent implements Agent {
  /** Arguments by name, as the caller said them. */
  readonly #known = new Map<string, string>();
  #asks: Ask | undefined = "purpose";
  /** The tool in use, and the tool that a chosen time is for. */
  #tool = "hold_slot";
  #goal = "hold_slot";
  #offered: readonly OfferedSlot[] = [];
  #named: readonly NamedAppointment[] = [];
  #doctor: string | undefined;
  #strikes = 0;
  #spoken: string[] = [];

  constructor(private readonly call: LineCall) {}

  greet(): Turn {
    return { says: this.call.line.assistant.firstMessage, asks: "purpose" };
  }

  async hear(said: string): Promise<Turn> {
    const asked = this.#asks;
    const next = this.#listen(said);
    const turn = "tool" in next ? await this.#pursue(next.tool) : this.#ask(next.asks);
    this.#strikes = turn.asks === asked ? this.#strikes + 1 : 0;
    if (this.#strikes < strikesLeft) return turn;
    return {
      says: "I'm sorry, I can't help with that. Please call the front desk.",
      asks: undefined,
    };
  }

  #listen(said: string): Next {
    if (isFarewell(said)) return this.#sayGoodbye();
    if (wantsPerson(said) && this.#asks !== "message") return this.#handOver();
    switch (this.#asks) {
      case "purpose":
        return this.#hearPurpose(said);
      case "agreement":
        return isAgreement(said) ? { tool: this.#tool } : { asks: "purpose" };
      case "slotId":
        return this.#hearChoice(said);
      case "code":
        return this.#hearCode(said);
      case "date":
        this.#hearDay(said);
        return { tool: this.#tool };
      case "serviceType":
        this.#known.set("serviceType", findName(said, this.#services()) ?? said);
        return { tool: this.#tool };
      case "appointmentDate":
      case "appointmentTime":
      case "providerName":
        return this.#hearAppointment(this.#asks, said);
      case undefined:
        return { asks: undefined };
      default:
        this.#known.set(this.#asks, /Name$/.test(this.#asks) ? readName(said) : said);
        return { tool: this.#tool };
    }
  }

  #hearPurpose(said: string): Next {
    if (isRefusal(said)) return this.#sayGoodbye();
    const wanted = readPurpose(said);
    const tool = this.call.has(wanted) ? wanted : "leave_message";
    const phone = this.#known.get("patientPhone");
    this.#known.clear();
    if (phone !== undefined) this.#known.set("patientPhone", phone);
    this.#offered = [];
    this.#named = [];
    this.#goal = tool;
    if (tool === "answer_question") this.#known.set("question", said);
    const service = findName(said, this.#services());
    if (service !== undefined) this.#known.set("serviceType", service);
    if (findDay(said) !== undefined) this.#hearDay(said);
    return { tool };
  }

  #sayGoodbye(): Next {
    this.#spoken.push("Have a good day, goodbye.");
    return { asks: undefined };
  }

  #hearDay(said: string): void {
    this.#known.set("date", findDay(said) ?? said);
    const part = findPartOfDay(said);
    if (part === undefined) this.#known.delete("partOfDay");
    else this.#known.set("partOfDay", part);
    this.#doctor = findName(said, this.call.line.profile.doctors) ?? this.#doctor;
    this.#offered = [];
  }

  #hearChoice(said: string): Next {
    const chosen = choose(said, this.#offered);
    if (chosen) {
      this.#known.set("slotId", chosen.slotId);
      return { tool: this.#goal };
    }
    if (findDay(said) === undefined && findPartOfDay(said) === undefined) return { asks: "date" };
    const date = this.#known.get("date");
    this.#hearDay(said);
    if (findDay(said) === undefined && date !== undefined) this.#known.set("date", date);
    return { tool: availability };
  }

  #hearCode(said: string): Next {
    const instead = readInstead(said);
    if (instead === undefined) {
      this.#known.set("code", said);
      return { tool: "verify_otp" };
    }
    return this.#hearInstead(instead, said);
  }

  #hearInstead(instead: InsteadOfCode, said: string): Next {
    switch (instead) {
      case "nothing_came":
        return { tool: "send_otp" };
      case "other_number":
        this.#known.delete("patientPhone");
        this.#tool = this.#goal;
        return { asks: "patientPhone" };
      case "other_patient":
        this.#known.delete("patientName");
        this.#goal = "hold_slot";
        return this.#hearOtherTime(said);
      case "other_time":
        return this.#hearOtherTime(said);
    }
  }

  #hearOtherTime(said: string): Next {
    this.#known.delete("slotId");
    if (findDay(said) !== undefined) this.#hearDay(said);
    return { tool: availability };
  }

  #hearAppointment(asked: string, said: string): Next {
    const chosen = choose(said, this.#named);
    if (!chosen) this.#known.set(asked, said);
    else {
      this.#known.set("appointmentDate", chosen.startTime.slice(0, 10));
      this.#known.set("appointmentTime", chosen.startTime.slice(11, 16));
      this.#known.set("providerName", chosen.doctor);
    }
    return { tool: this.#tool };
  }

  #handOver(): Next {
    const { transferNumber } = this.call.line.profile;
    this.#spoken.push(
      transferNumber === undefined
        ? "I can take a message for the front desk."
        : sentences.connecting,
    );
    return transferNumber === undefined ? { tool: "leave_message" } : { asks: undefined };
  }

  /** Uses tools until the caller must say something. */
  async #pursue(first: string): Promise<Turn> {
    let next: Next = { tool: first };
    for (let used = 0; "tool" in next; used++) {
      const tool: string = next.tool;
      if (used === patience) {
        this.#spoken.push("I'm sorry, I can't finish that. Please call the front desk.");
        return this.#ask(undefined);
      }
      const missing = this.#missing(tool);
      if (missing === "slotId" && this.#offered.length === 0) next = { tool: availability };
      else if (missing !== undefined) {
        this.#tool = tool;
        next = { asks: missing };
      } else {
        this.#tool = tool;
        const { answer } = await this.call.use(tool, this.#argumentsOf(tool));
        this.#spoken.push(answer.message);
        next = this.#follow(tool, answer);
      }
    }
    return this.#ask(next.asks);
  }

  #missing(tool: string): string | undefined {
    return this.call.parametersOf(tool).required?.find((name) => !this.#known.has(name));
  }

  #argumentsOf(tool: string): Record<string, string> {
    const names = Object.keys(this.call.parametersOf(tool).properties ?? {});
    const given = Object.fromEntries(names.flatMap((name) => {
      const value = this.#known.get(name);
      return value === undefined ? [] : [[name, value]];
    }));
    if (tool === availability && this.#doctor !== undefined) given["providerName"] = this.#doctor;
    return given;
  }

  /** What follows an answer. */
  #follow(tool: string, answer: ToolAnswer): Next {
    const { success, action, nextTool, slots = [], appointments = [] } = answer;
    const [field] = answer.fields ?? [];
    if (tool === "verify_otp" && answer.outcome !== "busy") this.#known.delete("code");
    if (slots.length > 0) {
      this.#offered = slots;
      this.#known.delete("slotId");
    }
    if (appointments.length > 0) this.#named = appointments;
    if (action === "ESCALATE") return this.#escalate(nextTool);
    if (field !== undefined) {
      for (const name of answer.fields ?? []) this.#known.delete(name);
      this.#tool = nextTool ?? tool;
      return { asks: field };
    }
    if (nextTool !== undefined) return this.#goOn(nextTool);
    if (slots.length > 0) return { asks: "slotId" };
    if (action === "OFFER_ALTERNATIVES") return this.#askForDay();
    return success ? this.#finish() : this.#again(tool, answer.outcome);
  }

  #escalate(nextTool: string | undefined): Next {
    if (nextTool === undefined) return { asks: undefined };
    this.#tool = nextTool;
    return { asks: "agreement" };
  }

  /** Searching for times again means that earlier offers are no longer valid. */
  #goOn(tool: string): Next {
    if (tool === availability) {
      this.#offered = [];
      this.#known.delete("slotId");
    }
    return { tool };
  }

  #askForDay(): Next {
    this.#known.delete("slotId");
    this.#known.delete("date");
    this.#offered = [];
    this.#tool = this.#goal;
    return { asks: "date" };
  }

  /** Starts over after what the caller wanted is done. */
  #finish(): Next {
    const phone = this.#known.get("patientPhone");
    this.#known.clear();
    if (phone !== undefined) this.#known.set("patientPhone", phone);
    this.#offered = [];
    this.#spoken.push(questions["purpose"] ?? "");
    return { asks: "purpose" };
  }

  /** A refusal that names no argument: asks for what its sentence asks for. */
  #again(tool: string, outcome: string): Next {
    switch (outcome) {
      case "busy":
        return { tool };
      case "unknown_service":
        this.#known.delete("serviceType");
        return { asks: "serviceType" };
      case "unknown_provider":
        this.#doctor = undefined;
        return { tool };
    }
    if (tool === availability) return this.#askForDay();
    return { asks: tool === "verify_otp" ? "code" : "agreement" };
  }

  #ask(asks: Ask | undefined): Turn {
    const isSilent = this.#spoken.length === 0;
    const says = isSilent && asks !== undefined
      ? questions[asks] ?? `What is the ${asks}?`
      : this.#spoken.join(" ");
    this.#spoken = [];
    this.#asks = asks;
    return { says, asks };
  }

  #services(): string[] {
    return this.call.line.profile.services.map(({ name }) => name);
  }
}
