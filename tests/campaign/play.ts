/**
 * Plays one sequence of steps against the functions, and checks each answer against the model.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import cancelAppointment from "../../functions/cancel-appointment/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import rescheduleAppointment from "../../functions/reschedule-appointment/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import type { Runtime } from "../../shared/runtime.ts";
import type { ServedTool } from "../../shared/request.ts";
import { type FakeTwilio, startFakeTwilio } from "../../supabase/local/twilio/server.ts";
import {
  aClinic,
  aDay,
  aRequest,
  type Bench,
  type Clinic,
  letTimePass,
  readSaid,
  type Said,
  wrongCodes,
} from "../support/clinic.ts";
import { anIsolate, behaving, type Deed } from "./isolate.ts";
import { Broken, Model, promise, Unclear } from "./model.ts";
import type { IsolateName, Mishap, Step } from "./steps.ts";

/** What must not appear in any output. */
export interface Secrets {
  readonly codes: Set<string>;
  readonly credentials: Set<string>;
}

/** What all sequences share. */
export interface Surroundings {
  readonly bench: Bench;
  readonly secrets: Secrets;
  /** Every answer so far. */
  readonly answers: string[];
  /** A number that no other sequence uses. */
  takePhone(): string;
}

/**
 * Plays a sequence, then a caller who does nothing wrong and must succeed within 30 seconds.
 *
 * @throws {Broken} If a promise does not hold.
 * @throws {Unclear} If the database did not answer in time.
 */
export async function play(steps: readonly Step[], surroundings: Surroundings): Promise<void> {
  const { bench, secrets } = surroundings;
  const clinic = await aClinic(bench.database.sql);
  // Makes overlapping starts possible.
  await bench.database.sql`update public.services set step_min = 15 where org_id = ${clinic.id}`;
  const token = `token${crypto.randomUUID()}`;
  secrets.credentials.add(token);
  await bench.provision(clinic, token);
  const twilio = await startFakeTwilio();
  try {
    const call = new Call(surroundings, clinic, twilio);
    await call.play(steps);
  } finally {
    await twilio.stop();
  }
}

/** A request as it was made, for a second delivery. */
interface Delivered {
  readonly toolCallId: string;
  readonly holdId: string | undefined;
  readonly digits?: string;
  /** The database's answer, if there was one. */
  answer?: string;
}

class Call {
  #callId: string = crypto.randomUUID();
  readonly #isolates: Readonly<Record<IsolateName, Runtime>>;
  // Phones that nothing else uses, since limits are counted across organizations.
  readonly #phones: readonly [string, string];
  readonly #model: Model;
  readonly #late: (() => Promise<void>)[] = [];
  /** Sends for a change, whose failures nobody hears about. */
  readonly #forChange = new Set<string>();
  /** Codes by the MAC that was stored for them. */
  readonly #digitsOf = new Map<string, string>();
  /** Found while a function was working, which must not take it for its own fault. */
  #broken: Broken | undefined;
  #isUnclear = false;
  #passed = 0;
  #siblings = 0;
  #slot = 0;
  #rushes = 0;
  #seen = 0;
  #lastSend: Delivered | undefined;
  #lastVerification: Delivered | undefined;

  constructor(
    readonly surroundings: Surroundings,
    readonly clinic: Clinic,
    readonly twilio: FakeTwilio,
  ) {
    const { runtime } = surroundings.bench;
    this.#isolates = {
      early: anIsolate(runtime, twilio.url, -600_000),
      late: anIsolate(runtime, twilio.url, 600_000),
    };
    this.#phones = [surroundings.takePhone(), surroundings.takePhone()];
    this.#model = new Model(this.#phones[0]);
  }

  async play(steps: readonly Step[]): Promise<void> {
    // This model does not check how many holds a caller gets.
    await this.#sql`update public.organizations set caller_hourly_holds = 1000
      where id = ${this.clinic.id}`;
    try {
      await this.#hold({ isolate: "early", other: false });
      for (const step of steps) {
        await this.#perform(step, false);
        this.#throwBroken();
        this.#model.settle(this.#now());
      }
      await this.#getOn();
    } catch (thrown) {
      // An unreported action may be what looks broken.
      throw this.#isUnclear ? new Unclear("The database did not answer in time") : thrown;
    }
  }

  /** @param isRaced Whether something else happens at the same time. */
  async #perform(step: Step, isRaced: boolean): Promise<void> {
    switch (step.kind) {
      case "hold":
        return await this.#hold(step);
      case "send":
        return void await this.#send(step, isRaced);
      case "verify":
        return void await this.#verify(step, isRaced);
      case "guess":
        return await this.#guess(step.count, isRaced);
      case "meddle":
        return await this.#meddle(step.count);
      case "pass":
        return await this.#pass(step.seconds);
      case "rush":
        return await this.#rush(step.callers);
      case "clean_up":
        return void await this.#sql`select public.cleanup_expired_holds()`;
      case "write_late":
        for (const write of this.#late.splice(0)) await write();
        return;
      case "correct_phone":
        return await this.#correctPhone();
      case "change":
        return await this.#change(step);
      case "sibling":
        return await this.#holdForSibling();
      case "redial":
        return await this.#redial();
      case "together":
        this.#model.doubt();
        await Promise.all(step.steps.map((each) => this.#perform(each, true)));
        this.#model.doubt();
    }
  }

  get #sql() {
    return this.surroundings.bench.database.sql;
  }

  readonly #now = () => performance.now() / 1000 + this.#passed;

  async #pass(seconds: number): Promise<void> {
    await letTimePass(this.#sql, this.clinic.id, seconds);
    this.#passed += seconds;
  }

  async #ask(
    tool: ServedTool,
    args: object,
    { isolate = "early", mishap, toolCallId, note = () => {}, callId = this.#callId, caller }: {
      isolate?: IsolateName;
      mishap?: Mishap | undefined;
      toolCallId?: string;
      note?: (deed: Deed) => void;
      callId?: string;
      caller?: string;
    } = {},
  ): Promise<Said> {
    const runtime = behaving(this.#isolates[isolate], {
      mishap,
      note: (deed) => {
        if (deed.kind === "unclear") this.#isUnclear = true;
        else this.#keepBroken(() => note(deed));
      },
      now: this.#now,
      postpone: (write) => this.#late.push(write),
    });
    const request = aRequest({
      ...{ tool: tool.tool.name, args, callId },
      ...{ called: this.clinic.number, caller: caller ?? this.#phones[0] },
      ...(toolCallId === undefined ? {} : { toolCallId }),
    });
    const said = await readSaid(await tool.using(runtime).fetch(request));
    await runtime.background.settled();
    this.surroundings.answers.push(JSON.stringify(said));
    return said;
  }

  #keepBroken(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      if (!(thrown instanceof Broken)) throw thrown;
      this.#broken ??= thrown;
    }
  }

  #throwBroken(): void {
    if (this.#isUnclear) throw new Unclear("The database did not answer in time");
    if (this.#broken) throw this.#broken;
  }

  async #hold(
    { isolate, other, filler }: Omit<Extract<Step, { kind: "hold" }>, "kind">,
  ): Promise<void> {
    const { subject } = this.#model;
    if (subject?.state === "confirmed" || subject?.state === "changing") return;
    if (other || subject?.state === "locked") this.#slot++;
    const args = { ...this.#slotArguments(), holdId: filler };
    const said = await this.#ask(holdSlot, args, { isolate });
    if (said.outcome === "busy") this.#isUnclear = true;
    promise(said.outcome === "held", `a free time could not be held: ${said.outcome}`);
    this.#model.concern({ holdId: said.holdId ?? "", state: "held" });
  }

  /** Other callers want overlapping times on a day of their own: one of them gets one. */
  async #rush(callers: number): Promise<void> {
    const hour = String(8 + this.#rushes++ % 12).padStart(2, "0");
    const said = await Promise.all(
      Array.from({ length: callers }, (_, index) =>
        this.#ask(holdSlot, {
          slotId: `consultation/${aDay(60)}T${hour}:${index % 2 ? "15" : "00"}`,
          patientName: "Eve Black",
        }, { callId: crypto.randomUUID(), caller: this.surroundings.takePhone() })),
    );
    const held = said.filter(({ outcome }) => outcome === "held").length;
    promise(held <= 1, `${held} callers hold times that overlap`);
    // A caller that was not answered in time may hold it.
    const isClear = said.every(({ outcome }) => ["held", "slot_taken"].includes(outcome));
    if (isClear) promise(held === 1, "nobody got a free time");
  }

  #slotArguments() {
    const minutes = String(this.#slot % 2 * 30).padStart(2, "0");
    const hour = String(8 + Math.floor(this.#slot / 2) % 12).padStart(2, "0");
    const slotId = `consultation/${aDay(2 + Math.floor(this.#slot / 24))}T${hour}:${minutes}`;
    return { slotId, patientName: "Ada Brown", patientPhone: this.#model.phone };
  }

  async #correctPhone(): Promise<void> {
    // While another patient of the call waits at the first number, its code stays valid.
    if (this.#model.subject?.state !== "held" || this.#model.siblings.size > 0) return;
    const [first, second] = this.#phones;
    const other = this.#model.phone === first ? second : first;
    this.#model.correct(other);
    await this.#hold({ isolate: "late", other: false });
  }

  async #change({ to, filler }: Extract<Step, { kind: "change" }>): Promise<void> {
    const { subject, phone } = this.#model;
    if (subject?.state !== "confirmed" && subject?.state !== "changing") return;
    const who = {
      ...{ patientName: "Ada Brown", patientPhone: phone },
      ...{ appointmentId: filler, appointmentDate: filler, appointmentTime: filler },
      providerName: filler,
    };
    this.#slot++;
    const from = this.#now();
    const said = to === "cancel"
      ? await this.#ask(cancelAppointment, who)
      : await this.#ask(rescheduleAppointment, { ...who, slotId: this.#slotArguments().slotId });
    if (said.outcome === "cancelled" || said.outcome === "rescheduled") {
      return this.#model.changed(said.outcome, said.holdId ?? "", from, this.#now());
    }
    promise(
      ["code_needed", "change_limit", "busy"].includes(said.outcome),
      `a change was answered with ${said.outcome}`,
    );
    if (said.outcome !== "code_needed") return;
    promise(this.#model.isProven(from, this.#now()) !== true, "a second code is asked for");
    // The code of an earlier change may have been deleted.
    this.#model.doubt();
    this.#model.subject = { holdId: subject.holdId, state: "changing" };
  }

  /** Another patient of the family: a separate hold, and the same code. */
  async #holdForSibling(): Promise<void> {
    // With the patient's own hold, four wait for the number: more would be refused.
    if (this.#model.subject?.state !== "held" || this.#siblings > 2) return;
    const slot = this.#slot;
    this.#slot += 1000 + this.#siblings;
    const patientName = `Child${"abcdefghijklmnopqrstuvwxyz"[this.#siblings++ % 26]} Brown`;
    const said = await this.#ask(holdSlot, { ...this.#slotArguments(), patientName });
    this.#slot = slot;
    promise(said.outcome === "held", `a free time could not be held: ${said.outcome}`);
    promise(said["released"] === undefined, "a hold was released for another patient's");
    this.#model.siblings.add(said.holdId ?? "");
  }

  /** The line drops before Vapi reports the end of the call, and the patient calls again. */
  async #redial(): Promise<void> {
    const { subject } = this.#model;
    if (subject?.state !== "held" || this.#model.phone !== this.#phones[0]) return;
    const [row] = await this.#sql<{ id: string; slot: string }[]>`
      select id, 'consultation/' || to_char(starts_at at time zone 'Europe/London',
        'YYYY-MM-DD"T"HH24:MI') as slot
      from public.appointments where id = ${subject.holdId} and status = 'held'
        and expires_at > clock_timestamp() + interval '1 second'`;
    if (!row) return;
    this.#callId = crypto.randomUUID();
    this.#lastSend = this.#lastVerification = undefined;
    const said = await this.#ask(holdSlot, { ...this.#slotArguments(), slotId: row.slot });
    promise(
      said.outcome === "held" && said.holdId === row.id,
      `a patient whose line dropped hears ${said.outcome} of the time that is held`,
    );
    this.#model.redialled();
    this.#model.siblings.clear();
  }

  async #send(
    step: Extract<Step, { kind: "send" }>,
    isRaced: boolean,
  ): Promise<Said | undefined> {
    const { subject } = this.#model;
    const again = step.again ? this.#lastSend : undefined;
    const sent = again ?? {
      toolCallId: `call_${crypto.randomUUID()}`,
      holdId: subject?.holdId,
    };
    const isAboutIt = sent.holdId === undefined || sent.holdId === subject?.holdId;
    const isAlone = step.copies === 1 && !isRaced;
    this.#lastSend = sent;
    if (step.fault !== undefined) this.twilio.addFault(step.fault, { ms: 20 });
    const posts = this.twilio.postCount;
    const deeds: Deed[] = [];
    const macs = new Map<string, string>();
    const answers = await Promise.all(
      Array.from({ length: step.copies }, () =>
        this.#ask(sendOtp, { holdId: sent.holdId }, {
          isolate: step.isolate,
          mishap: step.mishap,
          toolCallId: sent.toolCallId,
          note: (deed) => {
            deeds.push(deed);
            // Late writes are noted when they happen.
            if (deed.kind === "completed") this.#model.completed(deed.sendId);
            if (deed.kind === "cleared") {
              const isForChange = this.#forChange.has(deed.sendId);
              this.#model.cleared(deed.sendId, deed.mayHaveBeenSent, isForChange);
            }
            if (deed.kind === "begun") {
              macs.set(deed.sendId, deed.mac);
              if (deed.answer.outcome === "claimed" && deed.answer.purpose === "change") {
                this.#forChange.add(deed.sendId);
              }
              this.#model.begun(deed, { isAboutIt, isAlone, isRepeat: again !== undefined });
            }
          },
        })),
    );
    this.#throwBroken();
    this.twilio.clearFaults();
    this.#readTexts();
    for (const [sendId, mac] of macs) this.#model.texted(sendId, this.#digitsOf.get(mac));
    const claims =
      deeds.filter((deed) => deed.kind === "begun" && deed.answer.outcome === "claimed").length;
    if (!isRaced) {
      for (const sendId of macs.keys()) this.#model.trust(sendId);
      const mayRepeat = step.fault === 20429 || step.fault === "rate_limited";
      promise(
        this.twilio.postCount - posts <= claims * (mayRepeat ? 2 : 1),
        `${this.twilio.postCount - posts} POSTs for ${claims} claims`,
      );
      promise(claims <= 1 || step.fault !== undefined, `${claims} texts for one request`);
    }
    const [said] = answers;
    // Of several concurrent sends, the later ones cannot know how Twilio will answer the first.
    const isForChange = [...macs.keys()].some((sendId) => this.#forChange.has(sendId));
    const isClear = isAlone && step.mishap === undefined && !isForChange;
    if (isClear && said?.outcome === "sent" && claims > 0) {
      promise(this.#model.code?.digits !== undefined, "a text was announced that nobody took");
    }
    return said;
  }

  /** Reads the codes in the texts that arrived since the last time. */
  #readTexts(): void {
    const { otpPeppers } = this.surroundings.bench.runtime.config;
    for (const { body } of this.twilio.messages.slice(this.#seen)) {
      const digits = body.slice(0, 6);
      this.surroundings.secrets.codes.add(digits);
      for (const { bytes } of otpPeppers) {
        const mac = createHmac("sha256", bytes).update(`otp:v1|${digits}`).digest("hex");
        this.#digitsOf.set(mac, digits);
      }
    }
    this.#seen = this.twilio.messages.length;
  }

  #digitsToSay(which: Extract<Step, { kind: "verify" }>["code"]): string {
    const texts = this.twilio.messages.map(({ body }) => body.slice(0, 6));
    const newest = texts.at(-1) ?? "123456";
    const [wrong = ""] = wrongCodes(newest, 1);
    switch (which) {
      case "newest":
        return newest;
      case "older":
        return texts.at(-2) ?? wrong;
      case "wrong":
        this.surroundings.secrets.codes.add(wrong);
        return wrong;
      case "malformed":
        return "12345";
    }
  }

  async #verify(
    step: Extract<Step, { kind: "verify" }>,
    isRaced: boolean,
  ): Promise<Said | undefined> {
    const { subject } = this.#model;
    const again = step.again ? this.#lastVerification : undefined;
    const digits = again?.digits ?? this.#digitsToSay(step.code);
    const asked: Delivered = again ?? {
      toolCallId: `call_${crypto.randomUUID()}`,
      holdId: subject?.holdId,
      digits,
    };
    const isAboutIt = asked.holdId === undefined || asked.holdId === subject?.holdId;
    this.#lastVerification = asked;
    const from = this.#now();
    const before = isAboutIt && this.#model.accepts(digits, from, from);
    const outcomes: string[] = [];
    const said = await Promise.all(
      Array.from(
        { length: step.copies },
        () =>
          this.#ask(verifyOtp, { code: digits, holdId: asked.holdId }, {
            isolate: step.isolate,
            mishap: step.mishap,
            toolCallId: asked.toolCallId,
            note: (deed) => {
              if (deed.kind !== "verified" || deed.answer.outcome === "busy") return;
              outcomes.push(deed.answer.outcome);
              const text = JSON.stringify(deed.answer);
              if (asked.answer !== undefined && isRecorded(deed.answer.outcome)) {
                return promise(
                  asked.answer === text,
                  `one request, two answers: ${asked.answer} ${text}`,
                );
              }
              if (isRecorded(deed.answer.outcome)) asked.answer = text;
              const after = this.#model.accepts(digits, from, this.#now());
              const expected = isRaced && !after ? undefined : before && after;
              if (isAboutIt) {
                const at = this.#now();
                this.#model.verified(deed.answer, expected, { isAlone: !isRaced, at });
              } else this.#model.verifiedElsewhere(deed.answer);
            },
          }),
      ),
    );
    return said[0];
  }

  async #guess(count: number, isRaced: boolean): Promise<void> {
    const { subject } = this.#model;
    if (!subject) return;
    const newest = this.#digitsToSay("newest");
    await Promise.all(
      wrongCodes(newest, count).map((code) => {
        this.surroundings.secrets.codes.add(code);
        return this.#ask(verifyOtp, { code, holdId: subject.holdId }, {
          note: (deed) => {
            if (deed.kind !== "verified") return;
            const at = this.#now();
            this.#model.verified(deed.answer, isRaced ? undefined : false, { isAlone: false, at });
          },
        });
      }),
    );
  }

  /** Other calls that know the hold's id guess: they find nothing, and nothing in this call changes. */
  async #meddle(count: number): Promise<void> {
    const { subject } = this.#model;
    if (!subject) return;
    await Promise.all(
      wrongCodes(this.#digitsToSay("newest"), count).map(async (code) => {
        this.surroundings.secrets.codes.add(code);
        const said = await this.#ask(verifyOtp, { code, holdId: subject.holdId }, {
          callId: crypto.randomUUID(),
        });
        promise(
          ["hold_not_found", "busy", "error"].includes(said.outcome),
          `another call hears ${said.outcome} of a hold`,
        );
      }),
    );
  }

  /**
   * A caller who does nothing wrong, while nothing fails, is confirmed within 30 seconds, or is told
   * for a reason that the front desk takes over.
   */
  async #getOn(): Promise<void> {
    this.twilio.clearFaults();
    let waited = 0;
    for (let round = 0; round < 8; round++) {
      const { subject } = this.#model;
      if (subject?.state === "confirmed") return;
      if (subject === undefined) await this.#hold({ isolate: "late", other: true });
      const said = await this.#send(
        { kind: "send", isolate: "late", copies: 1, again: false },
        false,
      );
      switch (said?.outcome) {
        case "sent": {
          const step = { kind: "verify", isolate: "early", copies: 1, again: false } as const;
          await this.#verify({ ...step, code: "newest" }, false);
          break;
        }
        case "cooldown": {
          const seconds = Number(said["retryAfterSeconds"]);
          waited += seconds;
          promise(waited <= 30, `a caller has to wait ${waited} s`);
          await this.#pass(seconds);
          break;
        }
        case "locked":
        case "call_send_limit":
        case "phone_send_limit":
          return promise(
            said.action === "ESCALATE",
            `${said.outcome} does not go to the front desk`,
          );
        case "hold_expired":
        case "hold_not_found":
        case "busy":
        case "confirmed":
        case "already_confirmed":
        case "cancelled":
        case "rescheduled":
          break;
        default:
          promise(false, `a caller hears ${said?.outcome}: ${said?.message}`);
      }
      this.#throwBroken();
      if (this.#model.subject === undefined && said?.outcome === "sent") return;
    }
    promise(false, "a caller does not get on");
  }
}

/** Outcomes that a repeated request must get again. */
function isRecorded(outcome: string): boolean {
  return [
    ...["confirmed", "cancelled", "rescheduled", "wrong_code", "code_locked", "code_expired"],
    ...["no_code", "locked"],
  ].includes(outcome);
}
