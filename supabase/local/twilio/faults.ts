/**
 * The faults that the fake Twilio can be told to produce: in the answer to a text, or in the reports on
 * its delivery.
 *
 * @module
 */

import { z } from "zod";

/** Faulty answers: what happens, and whether the text was accepted anyway. */
const answerFaults = {
  rate_limited: "429 with Retry-After, ms (1000) rounded up to seconds; not taken",
  timeout: "never answered; not taken",
  lost_answer: "never answered; taken",
  slow: "answered after ms (2000); taken",
  drip: "a byte of the answer every ms (100); taken",
  flood: "an answer without end; taken",
  reset_before: "connection reset before the request was read; not taken",
  reset_after: "connection reset after the request was read; taken",
  half_body: "closed in the middle of the answer, before its Content-Length; taken",
  cut_body: "reset in the middle of the answer; taken",
  empty: "201 without a body; taken",
  html: "200 with a web page; not taken",
  wrong_json: "201 with JSON that is not a message; taken",
  no_sid: "201 with a message without a SID; taken",
  failed: "201 with status failed and error code (30007); not taken",
  redirect: "307 to the same address; not taken",
} as const;

/** Reports other than `sent`, then `delivered`. */
const reportFaults = {
  report_none: "no report",
  report_late: "after ms (5000)",
  report_early: "before the text is answered",
  report_doubled: "every report twice",
  report_unordered: "delivered before sent",
  report_forged: "delivered, signed with another token",
  report_unsigned: "delivered, without a signature",
  report_undelivered: "sent, then undelivered with error code (30003)",
  report_failed: "failed with error code (30006)",
} as const;

/** Every kind and what it does, for people. */
export const faultKinds: Readonly<Record<string, string>> = {
  "21211": "refused with this Twilio error code, or any other from 10000 to 99999",
  "http_503": "answered with this HTTP status, or any other from 400 to 599",
  ...answerFaults,
  ...reportFaults,
};

/** Names a faulty answer: a number is a Twilio error code. */
export type AnswerFaultKind = keyof typeof answerFaults | `http_${number}` | number;
/** Names unusual reports. */
export type ReportFaultKind = keyof typeof reportFaults;
/** Every kind that can be ordered. */
export type FaultKind = AnswerFaultKind | ReportFaultKind;

/** Details of an order. Each kind says how it uses them. */
export interface FaultDetails {
  /** How many times; once by default. */
  readonly times?: number | undefined;
  /** Milliseconds. */
  readonly ms?: number | undefined;
  /** A Twilio error code. */
  readonly code?: number | undefined;
}

/** A fault that waits for its text. */
export interface Fault<Kind extends FaultKind = FaultKind> extends FaultDetails {
  readonly kind: Kind;
}

/** Faults that no text has met yet: a text takes the first of each list. */
export class FaultQueue {
  readonly answers: Fault<AnswerFaultKind>[] = [];
  readonly reports: Fault<ReportFaultKind>[] = [];

  /** Makes the answers or reports of the next texts faulty. */
  add(kind: FaultKind, details: FaultDetails = {}): void {
    const fault: Fault = { ...details, kind };
    for (let time = 0; time < (details.times ?? 1); time++) {
      if (isReportFault(fault)) this.reports.push(fault);
      else if (isAnswerFault(fault)) this.answers.push(fault);
    }
  }

  /** Those of answers, then those of reports. */
  list(): readonly Fault[] {
    return [...this.answers, ...this.reports];
  }

  clear(): void {
    this.answers.length = 0;
    this.reports.length = 0;
  }
}

function isReportFault(fault: Fault): fault is Fault<ReportFaultKind> {
  return typeof fault.kind === "string" && fault.kind in reportFaults;
}

function isAnswerFault(fault: Fault): fault is Fault<AnswerFaultKind> {
  return !isReportFault(fault);
}

function isFaultKind(kind: unknown): boolean {
  if (typeof kind === "number") return Number.isInteger(kind) && kind >= 10_000 && kind <= 99_999;
  return typeof kind === "string" &&
    (/^http_[45]\d\d$/.test(kind) || Object.hasOwn({ ...answerFaults, ...reportFaults }, kind));
}

const whole = z.number().int().min(1);
const order = z.strictObject({
  kind: z.custom<FaultKind>(isFaultKind, "is not one of the kinds"),
  times: whole.max(10_000).optional(),
  ms: whole.max(600_000).optional(),
  code: whole.max(99_999).optional(),
});

/** An order received over HTTP, or what is wrong with it. */
export type FaultOrder =
  | { readonly ok: true; readonly fault: Fault }
  | { readonly ok: false; readonly message: string };

/** Reads `{kind, times?, ms?, code?}`. */
export function readFaultOrder(body: unknown): FaultOrder {
  const read = order.safeParse(body);
  if (read.success) return { ok: true, fault: read.data };
  const problems = read.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
  return {
    ok: false,
    message:
      `Cannot order a fault: ${problems.join("; ").trim()}. Send one of the kinds, such as ` +
      '{"kind": 21211, "times": 1}; "ms" and "code" where a kind takes them',
  };
}
