/**
 * The part of Twilio's API of 2010-04-01 that the fake serves: an account, its numbers and its texts.
 *
 * @module
 */

import { refuseVisit } from "../visitors.ts";
import { type Exchange, readForm, reply, reset, spoil } from "./exchange.ts";
import { describeList, describeMessage, readMessage, refusal, type Reply } from "./message.ts";
import type { ReportQueue } from "./reports.ts";
import type { State } from "./state.ts";

const accountPath =
  /^\/2010-04-01\/Accounts\/(AC[0-9a-f]{32})(?:\.json|\/IncomingPhoneNumbers\.json|\/Messages(?:\/(\w+))?\.json)$/i;

/** Answers one request. */
export async function answer(
  state: State,
  reports: ReportQueue,
  exchange: Exchange,
): Promise<void> {
  const { method, url = "/", headers } = exchange.request;
  const address = new URL(url, "http://twilio.test");
  const { pathname } = address;
  const visit = { pathname, header: (name: string) => headers[name]?.toString() };
  if (refuseVisit(visit) !== undefined) return reply(exchange, refusal(20003, "", 403));
  const match = accountPath.exec(pathname);
  const [, accountSid = "", sid] = match ?? [];
  if (method === "POST" && pathname.endsWith("/Messages.json")) {
    return await create(state, reports, exchange, accountSid);
  }
  if (!match) return reply(exchange, refusal(20404));
  if (method !== "GET") return reply(exchange, refusal(20004, "", 405));
  const user = state.tokens.findUser(accountSid, headers.authorization);
  reply(exchange, user ? show(state, address, accountSid, sid) : refusal(20003));
}

async function create(
  state: State,
  reports: ReportQueue,
  exchange: Exchange,
  accountSid: string,
): Promise<void> {
  state.postCount++;
  const fault = state.faults.answers.shift();
  if (fault?.kind === "reset_before") return reset(exchange);
  const form = await readForm(exchange);
  const take = async (): Promise<Reply> => {
    const user = state.tokens.findUser(accountSid, exchange.request.headers.authorization);
    if (!user) return refusal(20003);
    const read = readMessage(accountSid, user, form);
    if ("refused" in read) return read.refused;
    if (state.optedOut.has(`${read.message.from} ${read.message.to}`)) return refusal(21610);
    state.add(read.message);
    const body = describeMessage(read.message);
    await reports.announce(read.message);
    return { status: 201, body };
  };
  if (fault) await spoil(exchange, fault, take);
  else reply(exchange, await take());
}

function show(
  state: State,
  { pathname, searchParams }: URL,
  accountSid: string,
  sid: string | undefined,
): Reply {
  if (pathname.endsWith("/Messages.json")) {
    return { status: 200, body: describeList(accountSid, state.messages, searchParams) };
  }
  if (pathname.endsWith("/IncomingPhoneNumbers.json")) {
    const body = describeNumbers(state, accountSid, searchParams.get("PhoneNumber") ?? "");
    return { status: 200, body };
  }
  if (sid === undefined) {
    const body = { sid: accountSid, status: "active", type: "Full", friendly_name: "Local" };
    return { status: 200, body };
  }
  const found = state.messages.find((message) =>
    message.sid === sid && message.accountSid === accountSid
  );
  return found ? { status: 200, body: describeMessage(found) } : refusal(20404);
}

function describeNumbers(
  { lostNumbers, smsUrl, smsFallbackUrl }: State,
  accountSid: string,
  number: string,
) {
  const owned = lostNumbers.has(number) ? [] : [{
    account_sid: accountSid,
    phone_number: number,
    sms_url: smsUrl,
    sms_fallback_url: smsFallbackUrl,
    capabilities: { voice: true, sms: true, mms: false },
  }];
  return { incoming_phone_numbers: owned };
}
