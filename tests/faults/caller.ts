/**
 * Callers of a clinic's day who go on through faults, and what each of them heard last.
 *
 * @module
 */

import { z } from "zod";
import { aToolCall, type Clinic } from "../support/clinic.ts";

/** A request that is not answered within this time hangs. */
export const hangMs = 30_000;
/** A caller who hears no result for so long hangs up. */
const patienceMs = 20_000;

/** One answer to a tool call. */
export interface Answered {
  readonly tool: string;
  /** `error` for a sentence instead of a result; `none` if nothing was said that a caller could hear. */
  readonly outcome: string;
  readonly ms: number;
  /** When it was answered, as `performance.now()` tells it. */
  readonly at: number;
}

/** What the database must have for a caller, by what the caller heard. */
export interface Heard {
  /** E.164. Each caller has a number of their own. */
  readonly phone: string;
  /** The appointments that the number has: one, none, or either while an answer is missing. */
  appointments: "none" | "one" | "unknown";
  /** The hold that was heard to be confirmed, until it is to be changed. */
  confirmedId?: string | undefined;
}

/** What callers work with. */
export interface Day {
  readonly url: string;
  readonly secret: string;
  readonly clinic: Clinic;
  /** The newest passcode that was texted to a number. */
  readCode(phone: string): string | undefined;
  readonly answers: Answered[];
  readonly heard: Heard[];
  /** Outcomes that no fault explains. */
  readonly wrong: string[];
}

const answer = z.object({
  results: z.tuple([z.union([
    z.object({ result: z.string().min(1) }),
    z.object({ error: z.string().min(1) }),
  ])]),
});

const result = z.object({
  outcome: z.string().min(1),
  message: z.string().min(1),
  action: z.string().optional(),
  holdId: z.string().optional(),
  slots: z.array(z.object({ slotId: z.string() })).optional(),
});
type Said = Pick<z.output<typeof result>, "outcome"> & Partial<z.output<typeof result>>;

/** No fault of a part makes an answer one of these. */
const impossible = new Set([
  ...["unknown_clinic", "cross_tenant_denied", "invalid_arguments", "call_needed"],
  ...["unknown_service", "unknown_provider", "invalid_slot", "sms_not_configured"],
  ...["sms_unauthorized", "sms_misconfigured", "sms_rejected", "credentials_unreadable"],
]);

let phones = Math.floor(Math.random() * 10_000_000);

/** What callers want, in percent, as in `k6/clinic_day.ts`. */
const wishes: readonly (readonly [share: number, play: (call: Call) => Promise<void>])[] = [
  [45, async (call) => void await call.book()],
  [15, (call) => call.misreadTheCode()],
  [10, async (call) => void await call.findTime()],
  [10, async (call) => void await call.hold()],
  [10, (call) => call.bookAndCancel()],
  [10, (call) => call.bookAndMove()],
];

/** Plays one caller after another, who pause as people do, until told to stop. */
export async function playCallers(day: Day, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    let drawn = Math.random() * 100;
    const play = wishes.find(([share]) => (drawn -= share) < 0)?.[1];
    await play?.(new Call(day));
    await pause(200);
  }
}

const pause = (ms: number) =>
  new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random())));

const patientName = "Ada Brown";

class Call {
  readonly #day: Day;
  readonly #heard: Heard;
  readonly #id = crypto.randomUUID();

  constructor(day: Day, heard?: Heard) {
    this.#day = day;
    const phone = `+4474${String(phones++ % 100_000_000).padStart(8, "0")}`;
    this.#heard = heard ?? { phone, appointments: "none" };
    if (!heard) day.heard.push(this.#heard);
  }

  async findTime(): Promise<string | undefined> {
    const at = Date.now() + (2 + Math.floor(Math.random() * 55)) * 86_400_000;
    const date = new Date(at).toISOString().slice(0, 10);
    const { slots = [] } = await this.#ask("check_availability", {
      date,
      serviceType: "consultation",
    });
    return slots[Math.floor(Math.random() * slots.length)]?.slotId;
  }

  async hold(): Promise<string | undefined> {
    const slotId = await this.findTime();
    if (slotId === undefined) return undefined;
    const { outcome, holdId } = await this.#ask("hold_slot", { slotId, patientName });
    return outcome === "held" ? holdId : undefined;
  }

  async book(): Promise<boolean> {
    const holdId = await this.hold();
    const code = holdId && await this.#receiveCode({ holdId });
    return code ? await this.#confirm(holdId, code) : false;
  }

  async misreadTheCode(): Promise<void> {
    const holdId = await this.hold();
    const code = holdId && await this.#receiveCode({ holdId });
    if (!code) return;
    const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, "0");
    const { outcome } = await this.#ask("verify_otp", { holdId, code: wrong });
    if (outcome === "confirmed") this.#day.wrong.push("a wrong code confirmed");
    await this.#confirm(holdId, code);
  }

  async bookAndCancel(): Promise<void> {
    if (!await this.book()) return;
    const next = new Call(this.#day, this.#heard);
    const { outcome } = await next.#ask("cancel_appointment", { patientName });
    if (outcome === "code_needed") await next.#change("cancelled", "none");
  }

  async bookAndMove(): Promise<void> {
    if (!await this.book()) return;
    const next = new Call(this.#day, this.#heard);
    const slotId = await next.findTime();
    if (slotId === undefined) return;
    const { outcome } = await next.#ask("reschedule_appointment", { patientName, slotId });
    if (outcome === "code_needed") await next.#change("rescheduled", "one");
  }

  async #confirm(holdId: string, code: string): Promise<boolean> {
    this.#heard.appointments = "unknown";
    const { outcome } = await this.#ask("verify_otp", { holdId, code });
    const isConfirmed = outcome === "confirmed" || outcome === "already_confirmed";
    if (isConfirmed) Object.assign(this.#heard, { appointments: "one", confirmedId: holdId });
    return isConfirmed;
  }

  /** Proves the number. A move never leaves its patient without an appointment, whatever is heard. */
  async #change(done: string, appointments: Heard["appointments"]): Promise<void> {
    const code = await this.#receiveCode({});
    if (code === undefined) return;
    Object.assign(this.#heard, {
      appointments: appointments === "one" ? "one" : "unknown",
      confirmedId: undefined,
    });
    const { outcome } = await this.#ask("verify_otp", { code });
    if (outcome === done) this.#heard.appointments = appointments;
  }

  /** Asks for a text until one is sent, and waits until it has arrived. */
  async #receiveCode(args: object): Promise<string | undefined> {
    const until = performance.now() + patienceMs;
    const before = this.#day.readCode(this.#heard.phone);
    while (performance.now() < until) {
      const { outcome, action } = await this.#ask("send_otp", args);
      const isSent = ["sent", "already_sent", "cooldown"].includes(outcome);
      if (!isSent && action !== "RETRY") return undefined;
      for (let tries = 0; isSent && tries < 20; tries++) {
        const code = this.#day.readCode(this.#heard.phone);
        if (code !== undefined && code !== before) return code;
        await pause(100);
      }
    }
    return undefined;
  }

  /** Asks until there is a result or the caller's patience ends, as an agent that is told to retry. */
  async #ask(tool: string, args: object): Promise<Said> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const said = await this.#askOnce(tool, args);
      if (impossible.has(said.outcome)) this.#day.wrong.push(`${tool} answered ${said.outcome}`);
      const isResult = !["busy", "error", "none"].includes(said.outcome);
      if (isResult || performance.now() > until) return said;
      await pause(200);
    }
  }

  async #askOnce(tool: string, args: object): Promise<Said> {
    const { url, secret, clinic, answers } = this.#day;
    const facts = { called: clinic.number, caller: this.#heard.phone, callId: this.#id };
    const askedAt = performance.now();
    const said = await fetch(`${url}/functions/v1/vapi-webhook`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-vapi-secret": secret },
      body: aToolCall({ tool, args, ...facts }),
      signal: AbortSignal.timeout(hangMs),
    }).then((response) => response.json()).then(readSaid).catch((): Said => ({ outcome: "none" }));
    const at = performance.now();
    answers.push({ tool, outcome: said.outcome, ms: at - askedAt, at });
    return said;
  }
}

function readSaid(body: unknown): Said {
  const [only] = answer.parse(body).results;
  return "error" in only ? { outcome: "error" } : result.parse(JSON.parse(only.result));
}
