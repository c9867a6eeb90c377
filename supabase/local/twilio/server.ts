/**
 * A fake Twilio that keeps its texts: the Messages resource over HTTP, for the local stack and tests.
 *
 * Answers have the fields of Twilio's API of 2010-04-01, and reports are signed as Twilio signs them.
 * Both can be told to fail in ways that are known from the real Twilio.
 *
 * @module
 */

import { createServer } from "node:http";
import { type Exchange, readForm, reply, reset, spoil } from "./exchange.ts";
import {
  type AnswerFaultKind,
  type Fault,
  type FaultDetails,
  type FaultKind,
  isAnswerFault,
  isReportFault,
  type ReportFaultKind,
} from "./faults.ts";
import {
  describeList,
  describeMessage,
  type FakeMessage,
  readMessage,
  refusal,
  type Reply,
} from "./message.ts";
import { refuseVisit } from "../visitors.ts";
import { type PhoneText, type PhoneTextResult, postPhoneText, readWish } from "./inbound.ts";
import { type PlannedReport, planReports, postReport } from "./reports.ts";

export type { FakeMessage } from "./message.ts";
export { type FaultKind, faultKinds, readFaultOrder } from "./faults.ts";

/** A report that was posted. */
export interface PostedReport {
  readonly sid: string;
  readonly status: string;
  /** The status that the functions answered; 0 if they did not. */
  readonly answered: number;
}

/** A running fake. */
export interface FakeTwilio {
  /** For `TWILIO_API_BASE`. */
  readonly url: string;
  /** Accepted texts, oldest first. */
  readonly messages: readonly FakeMessage[];
  /** How many POSTs arrived, whatever the answer was. */
  readonly postCount: number;
  /** Reports posted, oldest first. */
  readonly reports: readonly PostedReport[];
  /** Makes the answers or reports of the next texts faulty. */
  addFault(kind: FaultKind, details?: FaultDetails): void;
  /** Faults that no text has met yet. */
  readonly faults: readonly Fault[];
  /**
   * Registers an account: other tokens are refused from now on, and its reports are signed with this
   * one. An unregistered account is accepted with any token.
   */
  setAccount(accountSid: string, authToken: string): void;
  /** Sets where the texts that numbers receive are posted, and where if that fails, as their account shows it. */
  setSmsUrl(url: string, fallbackUrl?: string): void;
  /** Takes a number from its account; without it, an account has every number that is asked for. */
  loseNumber(number: string): void;
  /**
   * Lets a phone text a number of the account that last texted from it, and takes the replies.
   *
   * @param webhook Where the number's texts are posted.
   * @returns Undefined when nobody has texted from that number.
   */
  receive(text: PhoneText, webhook: string): Promise<PhoneTextResult | undefined>;
  /** Posts all waiting reports in order; resolves when all were answered. */
  sendReports(): Promise<readonly PostedReport[]>;
  /** Forgets messages, faults and reports. */
  clear(): void;
  clearFaults(): void;
  stop(): Promise<void>;
}

/** How to start a fake. */
export interface FakeTwilioOptions {
  /** A free one when left out. */
  readonly port?: number;
  /** When reports are posted: automatically, as planned, or only by `sendReports`. */
  readonly reports?: "automatic" | "on_demand";
  /** Receives every text, as accepted and after each report was answered. */
  readonly onMessage?: (message: FakeMessage) => void;
}

interface WaitingReport extends PlannedReport {
  readonly sid: string;
  timer?: ReturnType<typeof setTimeout>;
}

const accountPath =
  /^\/2010-04-01\/Accounts\/(AC[0-9a-f]{32})(?:\.json|\/IncomingPhoneNumbers\.json|\/Messages(?:\/(\w+))?\.json)$/i;

/** Starts a fake on the loopback. */
export async function startFakeTwilio(
  { port = 0, reports: mode = "on_demand", onMessage = () => {} }: FakeTwilioOptions = {},
): Promise<FakeTwilio> {
  const messages: FakeMessage[] = [];
  const answerFaults: Fault<AnswerFaultKind>[] = [];
  const reportFaults: Fault<ReportFaultKind>[] = [];
  const waiting = new Set<WaitingReport>();
  const posted: PostedReport[] = [];
  const knownTokens = new Map<string, string>();
  const seenTokens = new Map<string, string>();
  const lostNumbers = new Set<string>();
  let smsUrl = "";
  let smsFallbackUrl = "";
  /** Phones that want no texts from a sender: the sender, a space, the phone. */
  const optedOut = new Set<string>();
  let postCount = 0;

  async function answer(exchange: Exchange): Promise<void> {
    const { method, url = "/" } = exchange.request;
    const { pathname, searchParams } = new URL(url, "http://twilio.test");
    const visit = {
      pathname,
      header: (name: string) => exchange.request.headers[name]?.toString(),
    };
    if (refuseVisit(visit) !== undefined) return reply(exchange, refusal(20003, "", 403));
    const match = accountPath.exec(pathname);
    const [, accountSid = "", sid] = match ?? [];
    const isList = pathname.endsWith("/Messages.json");
    if (method === "POST" && isList) return await create(exchange, accountSid);
    if (!match) return reply(exchange, refusal(20404));
    if (method !== "GET") return reply(exchange, refusal(20004, "", 405));
    if (!findUser(exchange, accountSid)) return reply(exchange, refusal(20003));
    if (isList) {
      const body = describeList(accountSid, messages, searchParams);
      return reply(exchange, { status: 200, body });
    }
    if (pathname.endsWith("/IncomingPhoneNumbers.json")) {
      const number = searchParams.get("PhoneNumber") ?? "";
      const owned = lostNumbers.has(number) ? [] : [{
        account_sid: accountSid,
        phone_number: number,
        sms_url: smsUrl,
        sms_fallback_url: smsFallbackUrl,
        capabilities: { voice: true, sms: true, mms: false },
      }];
      return reply(exchange, { status: 200, body: { incoming_phone_numbers: owned } });
    }
    if (sid === undefined) {
      const body = { sid: accountSid, status: "active", type: "Full", friendly_name: "Local" };
      return reply(exchange, { status: 200, body });
    }
    const found = messages.find((message) =>
      message.sid === sid && message.accountSid === accountSid
    );
    reply(exchange, found ? { status: 200, body: describeMessage(found) } : refusal(20404));
  }

  async function create(exchange: Exchange, accountSid: string): Promise<void> {
    postCount++;
    const fault = answerFaults.shift();
    if (fault?.kind === "reset_before") return reset(exchange);
    const form = await readForm(exchange);
    const take = async (): Promise<Reply> => {
      const user = findUser(exchange, accountSid);
      if (!user) return refusal(20003);
      const read = readMessage(accountSid, user, form);
      if ("refused" in read) return read.refused;
      if (optedOut.has(`${read.message.from} ${read.message.to}`)) return refusal(21610);
      messages.push(read.message);
      onMessage(read.message);
      const body = describeMessage(read.message);
      await announce(read.message);
      return { status: 201, body };
    };
    if (fault) await spoil(exchange, fault, take);
    else reply(exchange, await take());
  }

  /** The user of Basic auth, with the account's token, or an API key, whose secret may be anything. */
  function findUser({ request }: Exchange, accountSid: string): string | undefined {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/.exec(request.headers.authorization ?? "")?.[1];
    const [user = "", password = ""] = atob(encoded ?? "").split(/:(.*)/s);
    if (password === "" || user !== accountSid && !user.startsWith("SK")) return undefined;
    if (user.startsWith("SK")) return user;
    seenTokens.set(accountSid, password);
    return (knownTokens.get(accountSid) ?? password) === password ? user : undefined;
  }

  async function announce({ sid, statusCallback }: FakeMessage): Promise<void> {
    const planned = planReports(reportFaults.shift());
    if (statusCallback === undefined) return;
    for (const plan of planned) {
      const report: WaitingReport = { ...plan, sid };
      if (plan.afterMs === 0) {
        await post(report);
        continue;
      }
      waiting.add(report);
      if (mode === "automatic") report.timer = setTimeout(() => post(report), plan.afterMs);
    }
  }

  async function post(report: WaitingReport): Promise<PostedReport | undefined> {
    waiting.delete(report);
    clearTimeout(report.timer);
    const index = messages.findIndex(({ sid }) => sid === report.sid);
    const message = messages[index];
    if (message?.statusCallback === undefined) return;
    const { statusCallback, accountSid } = message;
    if (report.signature === "right" && message.status !== "delivered") {
      const { status, errorCode } = report;
      const changed = { ...message, status, ...(errorCode === undefined ? {} : { errorCode }) };
      messages[index] = changed;
    }
    const token = knownTokens.get(accountSid) ?? seenTokens.get(accountSid) ?? "unknown";
    const answered = await postReport({ ...message, statusCallback }, report, token);
    const done = { sid: report.sid, status: report.status, answered };
    posted.push(done);
    onMessage(messages.find(({ sid }) => sid === report.sid) ?? message);
    return done;
  }

  async function receive(
    text: PhoneText,
    webhook: string,
  ): Promise<PhoneTextResult | undefined> {
    const last = messages.findLast(({ from }) => from === text.to);
    if (!last) return undefined;
    const { accountSid, user } = last;
    const pair = `${text.to} ${text.from}`;
    const wish = readWish(text.body);
    if (wish === "stop") optedOut.add(pair);
    if (wish === "start") optedOut.delete(pair);
    const authToken = knownTokens.get(accountSid) ?? seenTokens.get(accountSid) ?? "unknown";
    const result = await postPhoneText(text, { sid: accountSid, authToken }, webhook);
    if (optedOut.has(pair)) return result;
    for (const body of result.replies) {
      const form = new URLSearchParams({ To: text.from, From: text.to, Body: body });
      const read = readMessage(accountSid, user, form);
      if ("refused" in read) continue;
      const reply: FakeMessage = { ...read.message, status: "delivered" };
      messages.push(reply);
      onMessage(reply);
    }
    return result;
  }

  function forgetReports(): void {
    for (const { timer } of waiting) clearTimeout(timer);
    waiting.clear();
  }

  function clearFaults(): void {
    answerFaults.length = 0;
    reportFaults.length = 0;
  }

  const server = createServer((request, response) => {
    // A client that disconnects in the middle is expected.
    answer({ request, response }).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot start: no port");

  return {
    url: `http://127.0.0.1:${address.port}`,
    messages,
    reports: posted,
    get postCount() {
      return postCount;
    },
    get faults() {
      return [...answerFaults, ...reportFaults];
    },
    addFault: (kind, details = {}) => {
      const fault: Fault = { ...details, kind };
      for (let time = 0; time < (details.times ?? 1); time++) {
        if (isReportFault(fault)) reportFaults.push(fault);
        else if (isAnswerFault(fault)) answerFaults.push(fault);
      }
    },
    setSmsUrl: (url, fallbackUrl = url) => {
      smsUrl = url;
      smsFallbackUrl = fallbackUrl;
    },
    loseNumber: (number) => void lostNumbers.add(number),
    setAccount: (accountSid, authToken) => void knownTokens.set(accountSid, authToken),
    receive,
    sendReports: async () => {
      const sent = [];
      const inOrder = [...waiting].sort((one, other) => one.afterMs - other.afterMs);
      for (const report of inOrder) sent.push(await post(report));
      return sent.filter((report) => report !== undefined);
    },
    clear: () => {
      messages.length = 0;
      posted.length = 0;
      optedOut.clear();
      clearFaults();
      forgetReports();
    },
    clearFaults,
    stop: async () => {
      forgetReports();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
