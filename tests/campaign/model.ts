/**
 * What must be true of a passcode whatever happens: a small model that is told what was done and
 * reports broken promises.
 *
 * It knows the rules of the design, not the code: a hold is confirmed at most once, and only by the
 * call's newest code or because the call has proven the phone; texts and guesses have caps; every
 * refusal has a reason.
 *
 * @module
 */

import type { BeginSendOutcome, VerificationOutcome } from "../../shared/database/passcodes.ts";
import type { Deed } from "./isolate.ts";

/** A promise was broken; ends the sequence. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** The machine was so slow that something was done without telling the model: no verdict. */
export class Unclear extends Error {
  override readonly name = "Unclear";
}

/** Throws {@link Broken} unless the condition holds. */
export function promise(holds: boolean, broken: string): asserts holds {
  if (!holds) throw new Broken(broken);
}

const codeSeconds = 300;
const cooldownSeconds = 30;
const codeAttempts = 5;
const callAttempts = 10;
const callTexts = 6;
/** After this many texts the front desk handles a change. */
const changeTexts = 2;
const phoneTextsAnHour = 5;
const ownPhoneTextsAnHour = 7;
const proofSeconds = 900;

interface LiveCode {
  readonly sendId: string;
  /** The code in the text; undefined if no text was sent. */
  readonly digits: string | undefined;
  /** The earliest and the latest time at which the send can have started. */
  readonly from: number;
  readonly to: number;
  readonly seconds: number;
  readonly completed: boolean;
  /** False if other things happened at the same time, so that the code may be dead. */
  readonly isCertain: boolean;
  /** Started concurrently with what is being reported, which may concern the code before it. */
  readonly isNew: boolean;
  readonly wrong: number;
}

interface Charge {
  readonly sendId: string;
  readonly phone: string;
  readonly at: number;
}

/** Counts of the caller's call; another call starts from zero. */
interface CallCounts {
  texts: number;
  wrong: number;
  /** Those that may have been refused without a comparison, since their code was dead. */
  unsure: number;
}

/** The subject of the call: a hold to confirm, or a change to a confirmed appointment. */
export interface Subject {
  readonly holdId: string;
  readonly state: "held" | "confirmed" | "changing" | "locked";
}

/** Outcomes that mean that the right code was accepted. */
const accepting: readonly string[] = ["confirmed", "cancelled", "rescheduled"];

/**
 * The model of one call. Concurrent actions are reported in any order, so counts are compared only
 * after all of them have been reported: {@link Model.settle}.
 */
export class Model {
  subject: Subject | undefined;
  phone: string;
  code: LiveCode | undefined;
  /** Other patients' holds of the call, which the same code confirms. */
  readonly siblings = new Set<string>();
  #charges: Charge[] = [];
  #call: CallCounts = { texts: 0, wrong: 0, unsure: 0 };
  /** When the call proved each phone. */
  #proofs = new Map<string, number>();
  /** This call cancelled the appointment, and hears so again whatever it says. */
  #isCancelled = false;
  /** Appointments that were cancelled: a request from then hears so again, whatever is held since. */
  readonly #cancelled = new Set<string>();
  readonly #confirmed = new Set<string>();

  /** @param own The number that the calls come from. */
  constructor(readonly own: string) {
    this.phone = own;
  }

  /** Sets the hold, or the appointment to change. The code belongs to the call, whatever it is for. */
  concern(subject: Subject): void {
    this.subject = subject;
    this.#isCancelled = false;
  }

  /** The line dropped and the same patient calls again: codes and proofs do not carry over. */
  redialled(): void {
    this.code = undefined;
    this.#call = { texts: 0, wrong: 0, unsure: 0 };
    this.#proofs.clear();
  }

  /** Whether the call needs no code for the phone; undefined close to the end of the proof. */
  isProven(from: number, to = from): boolean | undefined {
    const at = this.#proofs.get(this.phone);
    if (at === undefined || from > at + proofSeconds + 1.2) return false;
    return to < at + proofSeconds - 0.2 ? true : undefined;
  }

  /** The phone of the hold was corrected: the code sent to the old one is worthless. */
  correct(phone: string): void {
    if (phone !== this.phone) this.code = undefined;
    this.phone = phone;
  }

  /** Something concurrent may have killed the code. */
  doubt(): void {
    if (this.code) this.code = { ...this.code, isCertain: false };
  }

  /** All copies of a send were reported: the one that started last has the code. */
  trust(sendId: string): void {
    if (this.code?.sendId === sendId) this.code = { ...this.code, isCertain: true };
  }

  /**
   * Whether these digits must be accepted if they arrive in this period; undefined if both outcomes are
   * right.
   */
  accepts(digits: string, from: number, to: number): boolean | undefined {
    const { code } = this;
    if (code === undefined || code.digits !== digits || from > code.to + code.seconds + 1.2) {
      return false;
    }
    return code.isCertain && to < code.from + code.seconds - 0.2 ? true : undefined;
  }

  /**
   * A process asked to send.
   *
   * @param isAboutIt Whether it was for the subject; an old request may name an old hold.
   * @param isAlone Whether nothing else happened at the same time, so that the order is known.
   * @param isRepeat Whether the request was delivered before. If it was refused then, it hears so again
   * while there is a code to read out, which another text would replace.
   */
  begun(
    deed: Extract<Deed, { kind: "begun" }>,
    { isAboutIt, isAlone, isRepeat }: {
      readonly isAboutIt: boolean;
      readonly isAlone: boolean;
      readonly isRepeat: boolean;
    },
  ): void {
    const { answer, from, to } = deed;
    const { code } = this;
    const hearsAgain = isRepeat && code !== undefined && from < code.to + code.seconds + 1.2;
    if (!isAboutIt) {
      // The id of a hold that is gone means what the call waits to confirm now.
      if (answer.outcome !== "claimed") return;
      const { state = "confirmed" } = this.subject ?? {};
      promise(state !== "confirmed", "a text for a hold that is gone");
      return this.#claimed(deed, answer, isAlone);
    }
    switch (answer.outcome) {
      case "claimed":
        return this.#claimed(deed, answer, isAlone);
      case "confirmed":
      case "cancelled":
      case "rescheduled":
        if (this.#isOldNews(answer)) return;
        promise(
          this.isProven(from, to) !== false || this.#isCancelled || !isAlone,
          `${answer.outcome} without a code and without a proof`,
        );
        return this.#accepted(answer, to);
      case "cooldown":
      case "already_sent":
        promise(
          answer.retryAfterSeconds <= cooldownSeconds,
          "a caller is to wait longer than 30 s",
        );
        promise(
          answer.outcome === "already_sent" || this.code !== undefined || !isAlone,
          "a caller is to wait for a code that nobody has",
        );
        promise(
          answer.outcome === "already_sent" || code === undefined || !code.isCertain ||
            hearsAgain || from < code.to + cooldownSeconds + 1.2,
          "the cooldown lasts longer than 30 s",
        );
        return;
      case "call_send_limit":
        return promise(
          this.#call.texts >= (this.subject?.state === "changing" ? changeTexts : callTexts) ||
            this.#call.wrong >= callAttempts || !isAlone || hearsAgain,
          "a call's texts were refused too early",
        );
      case "phone_send_limit":
        return promise(
          this.#textsTo(this.phone, to + 1) >= this.#phoneLimit || !isAlone || hearsAgain,
          "a phone's texts were refused too early",
        );
      case "locked":
        return this.#locked();
      case "hold_expired":
      case "hold_not_found":
        return this.#gone();
      default:
        return;
    }
  }

  #claimed(
    { sendId, from, to }: Extract<Deed, { kind: "begun" }>,
    answer: Extract<BeginSendOutcome, { outcome: "claimed" }>,
    isAlone: boolean,
  ): void {
    promise(answer.phone === this.phone, "a text goes to another phone than the hold's");
    promise(answer.expiresInSeconds <= codeSeconds, "a code lives longer than 5 minutes");
    promise(
      !isAlone || this.code === undefined || !this.code.isCertain ||
        to > this.code.from + cooldownSeconds - 0.2 ||
        from > this.code.from + this.code.seconds - 0.2,
      "two texts within 30 s",
    );
    this.code = {
      ...{ sendId, digits: undefined, from, to, seconds: answer.expiresInSeconds },
      ...{ completed: false, isCertain: isAlone, isNew: !isAlone, wrong: 0 },
    };
    this.#call.texts++;
    this.#charges.push({ sendId, phone: this.phone, at: to });
  }

  /** Everything that has happened so far was reported. */
  settle(now: number): void {
    const { texts, wrong, unsure } = this.#call;
    promise(texts <= callTexts, "more than 6 texts for one call");
    promise(this.#textsTo(this.phone, now) <= this.#phoneLimit, "too many texts an hour");
    promise(wrong - unsure <= callAttempts, "more than 10 wrong codes were evaluated in a call");
    promise(
      this.subject?.state !== "locked" || wrong >= callAttempts || texts >= callTexts,
      "a hold was locked before its cap",
    );
    if (this.code) this.code = { ...this.code, isNew: false };
  }

  get #phoneLimit(): number {
    return this.phone === this.own ? ownPhoneTextsAnHour : phoneTextsAnHour;
  }

  #textsTo(phone: string, now: number): number {
    return this.#charges.filter((charge) => charge.phone === phone && charge.at > now - 3599)
      .length;
  }

  /** The code in the text of a send; undefined if no text arrived at Twilio. */
  texted(sendId: string, digits: string | undefined): void {
    if (this.code?.sendId === sendId) this.code = { ...this.code, digits };
  }

  /** The text was recorded as accepted. */
  completed(sendId: string): void {
    if (this.code?.sendId === sendId) this.code = { ...this.code, completed: true };
  }

  /** The text was recorded as failed. A certain failure does not count as a text, except for a change. */
  cleared(sendId: string, mayHaveBeenSent: boolean, isForChange: boolean): void {
    if (this.code?.sendId === sendId && !this.code.completed) {
      // Nobody is told that the text of a change failed: its code is wrong, and its cooldown stays.
      this.code = isForChange ? { ...this.code, digits: undefined, isCertain: false } : undefined;
    }
    const charge = this.#charges.find((each) => each.sendId === sendId);
    if (mayHaveBeenSent || isForChange || charge === undefined) return;
    this.#charges = this.#charges.filter((each) => each !== charge);
    this.#call.texts = Math.max(0, this.#call.texts - 1);
  }

  /**
   * A process asked to verify.
   *
   * @param expected What {@link Model.accepts} returned before.
   * @param isAlone Whether nothing else happened at the same time.
   * @param at When it was answered.
   */
  verified(
    answer: VerificationOutcome,
    expected: boolean | undefined,
    { isAlone, at }: { readonly isAlone: boolean; readonly at: number },
  ): void {
    const { outcome } = answer;
    const live = this.code;
    if (this.#isOldNews(answer)) return;
    if (accepting.includes(outcome)) {
      promise(
        expected !== false || this.isProven(at) !== false || !isAlone,
        `${outcome} without the newest accepted code`,
      );
      return this.#accepted(answer, at);
    }
    if (outcome === "busy") return;
    promise(expected !== true, `the newest code was answered with ${outcome}`);
    switch (outcome) {
      case "wrong_code":
        return this.#countWrong(live);
      case "code_locked":
        if (live !== undefined) this.#countWrong(live);
        if (live?.isNew) this.#call.unsure++;
        return this.#forget();
      case "locked":
        if (live !== undefined) this.#countWrong(live);
        return this.#locked();
      case "no_code":
      case "code_expired":
      case "code_unreadable":
        return this.#forget();
      case "already_confirmed":
        return promise(
          this.subject?.state === "confirmed" || !isAlone ||
            // The rest of the family is confirmed, and the patient's own hold has expired.
            this.subject === undefined && this.#confirmed.size > 0,
          "already confirmed, and it is not",
        );
      case "hold_expired":
      case "hold_not_found":
        this.#gone();
    }
  }

  /** A change took effect at once: the call has proven the phone, or the change was repeated. */
  changed(outcome: "cancelled" | "rescheduled", holdId: string, from: number, to: number): void {
    promise(
      this.isProven(from, to) !== false || this.#isCancelled,
      `${outcome} without a code and without a proof`,
    );
    this.#settleChange(outcome === "cancelled", holdId);
  }

  #settleChange(isCancelled: boolean, holdId: string): void {
    this.#isCancelled = isCancelled;
    if (isCancelled) this.#cancelled.add(holdId);
    this.subject = isCancelled ? undefined : { holdId, state: "confirmed" };
  }

  #isOldNews(answer: BeginSendOutcome | VerificationOutcome): boolean {
    return answer.outcome === "cancelled" &&
      (this.#isCancelled || "holdId" in answer && this.#cancelled.has(answer.holdId));
  }

  /** A process asked to verify for a hold that is no longer the subject. */
  verifiedElsewhere(answer: VerificationOutcome): void {
    promise(!accepting.includes(answer.outcome), "a hold that is gone was confirmed");
  }

  #accepted(answer: BeginSendOutcome | VerificationOutcome, at: number): void {
    const { subject } = this;
    const confirmed = answer.outcome === "confirmed"
      ? [answer.holdId, ...answer.others.map(({ holdId }) => holdId)]
      : [];
    // If the patient's own hold has expired, a code is for the rest of the family.
    const isForSiblings = subject === undefined && confirmed.length > 0 &&
      confirmed.every((holdId) => this.siblings.has(holdId));
    promise(subject !== undefined || isForSiblings, "something was confirmed that nobody held");
    for (const holdId of confirmed) {
      promise(!this.#confirmed.has(holdId), "a hold was confirmed twice");
      this.#confirmed.add(holdId);
      this.siblings.delete(holdId);
    }
    // Confirmations by an earlier proof prove nothing further.
    if (this.code !== undefined) this.#proofs.set(this.phone, at);
    this.code = undefined;
    const isCancelled = answer.outcome === "cancelled";
    this.#isCancelled = isCancelled;
    if (subject === undefined) return;
    promise(
      confirmed.length === 0 || confirmed.includes(subject.holdId),
      "a code left the hold it was for",
    );
    this.#settleChange(isCancelled, "holdId" in answer ? answer.holdId : subject.holdId);
  }

  /** The code is dead, unless that happened to the code before it. */
  #forget(): void {
    if (!this.code?.isNew) this.code = undefined;
  }

  #countWrong(live: LiveCode | undefined): void {
    this.#call.wrong++;
    if (live === undefined) return;
    const wrong = live.wrong + 1;
    promise(
      wrong <= codeAttempts || !live.isCertain,
      "more than 5 wrong codes were evaluated for a code",
    );
    this.code = { ...live, wrong };
  }

  #locked(): void {
    const { subject } = this;
    this.code = undefined;
    if (subject) this.subject = { ...subject, state: "locked" };
  }

  /** Nothing waits any longer; the code belongs to the call, and stays. */
  #gone(): void {
    this.subject = undefined;
  }
}
