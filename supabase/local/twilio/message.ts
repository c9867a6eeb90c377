/**
 * The Message resource of Twilio's API of 2010-04-01: the requests it accepts and the answers it
 * gives, with every field of Twilio's OpenAPI description and its type.
 *
 * @module
 */

/** The status of a text, as Twilio names it. */
export type MessageStatus = "queued" | "sent" | "delivered" | "undelivered" | "failed";

/** One text as Twilio accepted it. */
export interface FakeMessage {
  readonly sid: string;
  readonly accountSid: string;
  /** Who authenticated: the account, or an API key of it. */
  readonly user: string;
  readonly to: string;
  /** Sender number or messaging service. */
  readonly from: string;
  readonly body: string;
  readonly createdAt: Date;
  readonly statusCallback?: string;
  /** Seconds; Twilio's default if the request does not say. */
  readonly validitySeconds: number;
  readonly status: MessageStatus;
  readonly errorCode?: number;
}

/** A status, JSON and headers to answer with. */
export interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const statusOfCode: Readonly<Record<number, number>> = {
  20003: 401,
  20404: 404,
  20429: 429,
  20500: 500,
  20503: 503,
};

const e164 = /^\+[1-9]\d{6,14}$/;

/**
 * An error with Twilio's message, which may quote the request, as at the real Twilio.
 *
 * @param status HTTP status; that of the code if left out.
 */
export function refusal(code: number, quoted = "", status = statusOfCode[code] ?? 400): Reply {
  const message = `Error ${code}${quoted && `: ${quoted}`}`;
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  return { status, body: { code, message, more_info, status } };
}

/** A requested text, or the error that answers the request. */
export function readMessage(
  accountSid: string,
  user: string,
  form: URLSearchParams,
): { readonly message: FakeMessage } | { readonly refused: Reply } {
  const to = form.get("To") ?? "";
  const from = form.get("From") ?? form.get("MessagingServiceSid") ?? "";
  const body = form.get("Body") ?? "";
  const callback = form.get("StatusCallback") ?? undefined;
  const validity = form.get("ValidityPeriod") ?? "36000";
  const code = findError({ to, from, body, callback, validity });
  if (code) return { refused: refusal(code, `To ${to}, From ${from}, Body ${body}`) };
  return {
    message: {
      sid: `SM${crypto.randomUUID().replaceAll("-", "")}`,
      ...{ accountSid, user, to, from, body },
      createdAt: new Date(),
      validitySeconds: Number(validity),
      status: "queued",
      ...(callback === undefined ? {} : { statusCallback: callback }),
    },
  };
}

function findError({ to, from, body, callback, validity }: {
  readonly to: string;
  readonly from: string;
  readonly body: string;
  readonly callback: string | undefined;
  readonly validity: string;
}): number | undefined {
  if (to === "") return 21604;
  if (!e164.test(to)) return 21211;
  if (from === "") return 21603;
  if (from === to) return 21266;
  if (!/^MG[0-9a-f]{32}$/i.test(from) && !e164.test(from)) return 21212;
  if (body === "") return 21602;
  if (body.length > 1600) return 21617;
  if (callback !== undefined && !URL.canParse(callback)) return 21609;
  const seconds = Number(validity);
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= 36_000 ? undefined : 21624;
}

/** The resource as JSON. */
export function describeMessage(message: FakeMessage) {
  const { sid, accountSid, to, from, body, status, errorCode } = message;
  const isService = from.startsWith("MG");
  const path = `/2010-04-01/Accounts/${accountSid}/Messages/${sid}`;
  const created = toRfc2822(message.createdAt);
  return {
    account_sid: accountSid,
    api_version: "2010-04-01",
    body,
    date_created: created,
    date_sent: status === "queued" ? null : created,
    date_updated: created,
    direction: "outbound-api",
    error_code: errorCode ?? null,
    error_message: errorCode === undefined ? null : `Error ${errorCode}`,
    from: isService ? null : from,
    messaging_service_sid: isService ? from : null,
    num_media: "0",
    // A messaging service reports segments once it has chosen a sender.
    num_segments: isService ? "0" : "1",
    price: null,
    price_unit: "USD",
    sid,
    status,
    subresource_uris: { media: `${path}/Media.json` },
    to,
    uri: `${path}.json`,
  };
}

/** A page of an account's texts, newest first. */
export function describeList(
  accountSid: string,
  messages: readonly FakeMessage[],
  query: URLSearchParams,
) {
  const [to, from] = [query.get("To"), query.get("From")];
  const size = Number(query.get("PageSize") ?? 50);
  const page = Number(query.get("Page") ?? 0);
  const found = messages.filter((message) =>
    message.accountSid === accountSid && (!to || message.to === to) &&
    (!from || message.from === from)
  ).reverse();
  const start = page * size;
  const shown = found.slice(start, start + size);
  const uriOf = (wanted: number) =>
    `/2010-04-01/Accounts/${accountSid}/Messages.json?PageSize=${size}&Page=${wanted}`;
  return {
    ...{ start, end: start + Math.max(0, shown.length - 1), page, page_size: size },
    first_page_uri: uriOf(0),
    next_page_uri: start + size < found.length ? uriOf(page + 1) : null,
    previous_page_uri: page > 0 ? uriOf(page - 1) : null,
    uri: uriOf(page),
    messages: shown.map(describeMessage),
  };
}

function toRfc2822(at: Date): string {
  return at.toUTCString().replace("GMT", "+0000");
}
