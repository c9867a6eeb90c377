/**
 * Delivery reports as Twilio posts them to a text's StatusCallback: a signed form for each state.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import type { Fault, ReportFaultKind } from "./faults.ts";
import type { FakeMessage, MessageStatus } from "./message.ts";
import type { State } from "./state.ts";

/** A report that was posted. */
export interface PostedReport {
  readonly sid: string;
  readonly status: string;
  /** The status that the functions answered; 0 if they did not. */
  readonly answered: number;
}

interface PlannedReport {
  readonly status: MessageStatus;
  /** Milliseconds after the text was answered; 0 is before that. */
  readonly afterMs: number;
  readonly errorCode?: number;
  readonly signature: "right" | "forged" | "missing";
}

interface WaitingReport extends PlannedReport {
  readonly sid: string;
  timer?: ReturnType<typeof setTimeout>;
}

/** The reports on a fake's texts: those that wait and those that were posted. */
export class ReportQueue {
  /** Oldest first. */
  readonly posted: PostedReport[] = [];
  readonly #waiting = new Set<WaitingReport>();

  /** @param mode When reports are posted: as planned, or only by `sendAll`. */
  constructor(
    private readonly state: State,
    private readonly mode: "automatic" | "on_demand",
  ) {}

  /** Plans the reports on an accepted text, and posts those that come before its answer. */
  async announce({ sid, statusCallback }: FakeMessage): Promise<void> {
    const planned = planReports(this.state.faults.reports.shift());
    if (statusCallback === undefined) return;
    for (const plan of planned) {
      const report: WaitingReport = { ...plan, sid };
      if (plan.afterMs === 0) {
        await this.#post(report);
        continue;
      }
      this.#waiting.add(report);
      if (this.mode === "automatic") {
        report.timer = setTimeout(() => this.#post(report), plan.afterMs);
      }
    }
  }

  /** Posts all waiting reports in order; resolves when all were answered. */
  async sendAll(): Promise<readonly PostedReport[]> {
    const sent = [];
    const inOrder = [...this.#waiting].sort((one, other) => one.afterMs - other.afterMs);
    for (const report of inOrder) sent.push(await this.#post(report));
    return sent.filter((report) => report !== undefined);
  }

  /** Drops the reports that wait. */
  dropWaiting(): void {
    for (const { timer } of this.#waiting) clearTimeout(timer);
    this.#waiting.clear();
  }

  async #post(report: WaitingReport): Promise<PostedReport | undefined> {
    this.#waiting.delete(report);
    clearTimeout(report.timer);
    const { messages, tokens, onMessage } = this.state;
    const index = messages.findIndex(({ sid }) => sid === report.sid);
    const message = messages[index];
    if (message?.statusCallback === undefined) return;
    const { statusCallback, accountSid } = message;
    if (report.signature === "right" && message.status !== "delivered") {
      const { status, errorCode } = report;
      messages[index] = { ...message, status, ...(errorCode === undefined ? {} : { errorCode }) };
    }
    const token = tokens.of(accountSid);
    const answered = await postReport({ ...message, statusCallback }, report, token);
    const done = { sid: report.sid, status: report.status, answered };
    this.posted.push(done);
    onMessage(messages.find(({ sid }) => sid === report.sid) ?? message);
    return done;
  }
}

/** The reports on one text, first to last. */
function planReports(fault?: Fault<ReportFaultKind>): readonly PlannedReport[] {
  const signature = "right";
  const sent = { status: "sent", afterMs: 300, signature } as const;
  const delivered = { status: "delivered", afterMs: 900, signature } as const;
  switch (fault?.kind) {
    case undefined:
      return [sent, delivered];
    case "report_none":
      return [];
    case "report_late": {
      const afterMs = fault.ms ?? 5000;
      return [{ ...sent, afterMs }, { ...delivered, afterMs: afterMs + 1 }];
    }
    case "report_early":
      return [{ ...sent, afterMs: 0 }, { ...delivered, afterMs: 0 }];
    case "report_doubled":
      return [sent, sent, delivered, delivered];
    case "report_unordered":
      return [{ ...delivered, afterMs: sent.afterMs }, { ...sent, afterMs: delivered.afterMs }];
    case "report_forged":
      return [{ ...delivered, signature: "forged" }];
    case "report_unsigned":
      return [{ ...delivered, signature: "missing" }];
    case "report_undelivered":
      return [sent, { ...delivered, status: "undelivered", errorCode: fault.code ?? 30003 }];
    case "report_failed":
      return [{ ...sent, status: "failed", errorCode: fault.code ?? 30006 }];
  }
}

/**
 * Posts one report.
 *
 * @param authToken Signs it: the account's primary token, even if an API key sent the text.
 * @returns The status of the answer; 0 when there was none within 5 seconds.
 */
async function postReport(
  message: FakeMessage & { readonly statusCallback: string },
  report: PlannedReport,
  authToken: string,
): Promise<number> {
  const { sid, accountSid, to, from, statusCallback } = message;
  const form = {
    ...{ AccountSid: accountSid, ApiVersion: "2010-04-01", MessageSid: sid, SmsSid: sid },
    ...{ MessageStatus: report.status, SmsStatus: report.status, To: to },
    ...(from.startsWith("MG") ? { MessagingServiceSid: from } : { From: from }),
    ...(report.errorCode === undefined ? {} : { ErrorCode: String(report.errorCode) }),
  };
  const token = report.signature === "forged" ? `not ${authToken}` : authToken;
  const headers = new Headers({ "user-agent": "TwilioProxy/1.1" });
  if (report.signature !== "missing") {
    headers.set("x-twilio-signature", sign(token, statusCallback, form));
  }
  try {
    const signal = AbortSignal.timeout(5000);
    const body = new URLSearchParams(form);
    const answer = await fetch(statusCallback, { method: "POST", headers, body, signal });
    await answer.body?.cancel();
    return answer.status;
  } catch {
    return 0;
  }
}

/**
 * Twilio's signature of a form: HMAC-SHA-1 over the address and the sorted fields.
 * https://www.twilio.com/docs/usage/security
 */
export function sign(
  authToken: string,
  address: string,
  form: Readonly<Record<string, string>>,
): string {
  const fields = Object.keys(form).sort().map((name) => `${name}${form[name]}`);
  return createHmac("sha1", authToken).update(address + fields.join("")).digest("base64");
}
