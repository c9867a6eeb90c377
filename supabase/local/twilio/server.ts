/**
 * A fake Twilio that keeps its texts: the Messages resource over HTTP, for the local stack and tests.
 *
 * Answers have the fields of Twilio's API of 2010-04-01, and reports are signed as Twilio signs them.
 * Both can be told to fail in ways that are known from the real Twilio.
 *
 * @module
 */

import { createServer, type Server } from "node:http";
import { answer } from "./api.ts";
import type { Fault, FaultDetails, FaultKind } from "./faults.ts";
import { type PhoneText, type PhoneTextResult, receive } from "./inbound.ts";
import type { FakeMessage } from "./message.ts";
import { type PostedReport, ReportQueue } from "./reports.ts";
import { State } from "./state.ts";

export type { FakeMessage } from "./message.ts";
export type { PostedReport } from "./reports.ts";
export { type FaultKind, faultKinds, readFaultOrder } from "./faults.ts";

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

/** Starts a fake on the loopback. */
export async function startFakeTwilio(
  { port = 0, reports: mode = "on_demand", onMessage = () => {} }: FakeTwilioOptions = {},
): Promise<FakeTwilio> {
  const state = new State(onMessage);
  const reports = new ReportQueue(state, mode);
  const server = createServer((request, response) => {
    // A client that disconnects in the middle is expected.
    answer(state, reports, { request, response }).catch(() => request.socket.destroy());
  });
  return {
    url: await listen(server, port),
    messages: state.messages,
    reports: reports.posted,
    get postCount() {
      return state.postCount;
    },
    get faults() {
      return state.faults.list();
    },
    addFault: (kind, details) => state.faults.add(kind, details),
    clearFaults: () => state.faults.clear(),
    setAccount: (accountSid, authToken) => state.tokens.register(accountSid, authToken),
    setSmsUrl: (url, fallbackUrl = url) => {
      state.smsUrl = url;
      state.smsFallbackUrl = fallbackUrl;
    },
    loseNumber: (number) => void state.lostNumbers.add(number),
    receive: (text, webhook) => receive(state, text, webhook),
    sendReports: () => reports.sendAll(),
    clear: () => {
      state.messages.length = 0;
      state.optedOut.clear();
      state.faults.clear();
      reports.posted.length = 0;
      reports.dropWaiting();
    },
    stop: async () => {
      reports.dropWaiting();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot start: no port");
  return `http://127.0.0.1:${address.port}`;
}
