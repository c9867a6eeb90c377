/**
 * A Twilio account as an operator enters it, and a check whether Twilio accepts it.
 *
 * @module
 */

import { z } from "zod";
import type { TwilioAccount } from "../../shared/accounts.ts";
import type { Terminal } from "./terminal.ts";

/** The fields of an account: the name that an operator writes, and the question that asks for it. */
const fields = [
  { name: "ACCOUNT_SID", question: "Account SID (AC...): ", hidden: false },
  { name: "AUTH_TOKEN", question: "Auth token (not shown): ", hidden: true },
  { name: "API_KEY_SID", question: "API key SID (SK..., Enter for none): ", hidden: false },
  { name: "API_KEY_SECRET", question: "API key secret (not shown): ", hidden: true },
  { name: "SENDER", question: "Sender (+44... or messaging service MG...): ", hidden: false },
] as const;

/** The names of the fields, for people. */
export const fieldNames: readonly string[] = fields.map(({ name }) => name);

type FieldName = typeof fields[number]["name"];

const sid = (prefix: string) =>
  z.string("is missing")
    .regex(new RegExp(`^${prefix}[0-9a-fA-F]{32}$`), `is not ${prefix} and 32 hex digits`);
const secret = z.string("is missing").regex(/^[\x21-\x7e]{8,200}$/, "is not 8 or more characters");
const account = z.object({
  ACCOUNT_SID: sid("AC"),
  AUTH_TOKEN: secret,
  API_KEY_SID: sid("SK").optional(),
  API_KEY_SECRET: secret.optional(),
  SENDER: z.string("is missing").regex(
    /^(\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32})$/,
    "is neither a number such as +442079460123 nor a messaging service (MG and 32 hex digits)",
  ),
}).refine(
  ({ API_KEY_SID, API_KEY_SECRET }) =>
    (API_KEY_SID === undefined) === (API_KEY_SECRET === undefined),
  { path: ["API_KEY_SID"], error: "and API_KEY_SECRET go together" },
);

/** An account, or what is wrong with the input. The input is not repeated. */
export type AccountReading =
  | { readonly ok: true; readonly account: TwilioAccount }
  | { readonly ok: false; readonly problem: string };

/** Asks a person for every field, or reads standard input: JSON, or lines `NAME=value`. */
export async function readAccount(terminal: Terminal): Promise<AccountReading> {
  if (!terminal.isTerminal) return parseAccount(await terminal.readAll());
  const given: Partial<Record<FieldName, string>> = {};
  for (const { name, question, hidden } of fields) {
    if (name === "API_KEY_SECRET" && !given.API_KEY_SID) continue;
    given[name] = (await terminal.ask(question, { hidden })).trim();
  }
  return checkAccount(given);
}

/** Reads an account from the text of standard input. */
function parseAccount(text: string): AccountReading {
  const given = text.trim().startsWith("{") ? parseJson(text) : parseLines(text);
  return typeof given === "string" ? { ok: false, problem: given } : checkAccount(given);
}

const flat = z.record(z.string(), z.union([z.string(), z.null()]));

function parseJson(text: string): Record<string, string | null> | string {
  try {
    const parsed = flat.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : "the JSON is not one flat object of texts";
  } catch {
    return "this starts like JSON but is not valid JSON";
  }
}

function parseLines(text: string): Record<string, string> | string {
  const given: Record<string, string> = {};
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, name, value] = /^\s*([A-Za-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return `line ${index + 1} is not NAME=value`;
    given[name] = value.replace(/^(["'])(.*)\1$/, "$2");
  }
  return given;
}

function checkAccount(given: Readonly<Record<string, string | null>>): AccountReading {
  const named = Object.entries(given).flatMap(([name, value]) =>
    // TWILIO_AUTH_TOKEN, authToken and auth_token all mean AUTH_TOKEN.
    value
      ? [[name.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase().replace(/^TWILIO_/, ""), value]]
      : []
  );
  const unknown = named.flatMap(([name = ""]) => fieldNames.includes(name) ? [] : [name]);
  if (unknown.length > 0) {
    const problem = `${unknown.join(", ")} is not known; known are ${fieldNames.join(", ")}`;
    return { ok: false, problem };
  }
  const parsed = account.safeParse(Object.fromEntries(named));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
    return { ok: false, problem: problems.join("; ") };
  }
  const { ACCOUNT_SID, AUTH_TOKEN, API_KEY_SID, API_KEY_SECRET, SENDER } = parsed.data;
  return {
    ok: true,
    account: {
      accountSid: ACCOUNT_SID,
      authToken: AUTH_TOKEN,
      ...(API_KEY_SID && API_KEY_SECRET
        ? { apiKey: { sid: API_KEY_SID, secret: API_KEY_SECRET } }
        : {}),
      sender: SENDER.startsWith("+") ? { from: SENDER } : { messagingServiceSid: SENDER },
    },
  };
}

/** What Twilio says about an account. */
export type AccountCheck =
  | {
    readonly kind: "works";
    /** Where Twilio posts the texts that the sender receives; undefined if that is not known. */
    readonly textsTo?: string | undefined;
    /** Where it posts them if that address fails; undefined if that is not known. */
    readonly failedTextsTo?: string | undefined;
  }
  | { readonly kind: "refused"; readonly problem: string }
  | { readonly kind: "unreachable"; readonly problem: string };

/**
 * Reads the account with its token and, if there is an API key, its texts with that key. Both are
 * needed: the key to send, and the token for the signatures of reports.
 */
export async function checkAtTwilio(
  { accountSid, authToken, apiKey, sender }: TwilioAccount,
  apiBase: string,
): Promise<AccountCheck> {
  const path = `${apiBase}/2010-04-01/Accounts/${accountSid}`;
  const byToken = await read(`${path}.json`, accountSid, authToken);
  const problem = describe(byToken, "the auth token");
  if (problem) return problem;
  const status = z.object({ status: z.string() }).safeParse(
    byToken.kind === "read" && byToken.body,
  );
  if (!status.success) return { kind: "unreachable", problem: "the server there is not Twilio" };
  if (status.data.status !== "active") {
    return { kind: "refused", problem: `the account is ${status.data.status} at Twilio` };
  }
  const number: AccountCheck = "from" in sender
    ? await checkNumber(path, sender.from, { accountSid, authToken })
    : { kind: "works" };
  if (number.kind !== "works" || !apiKey) return number;
  const byKey = await read(`${path}/Messages.json?PageSize=1`, apiKey.sid, apiKey.secret);
  return describe(byKey, "the API key") ?? number;
}

const numbers = z.object({
  incoming_phone_numbers: z.array(z.object({
    phone_number: z.string(),
    sms_url: z.string().nullish(),
    sms_fallback_url: z.string().nullish(),
    capabilities: z.object({ sms: z.boolean().optional(), SMS: z.boolean().optional() }).optional(),
  })),
});

/**
 * Whether a number can text, as far as Twilio says, and where its texts are posted. A messaging service has
 * its own numbers and is not looked at.
 *
 * Source: Twilio's IncomingPhoneNumbers resource.
 */
async function checkNumber(
  path: string,
  from: string,
  { accountSid, authToken }: Pick<TwilioAccount, "accountSid" | "authToken">,
): Promise<AccountCheck> {
  const query = new URLSearchParams({ PhoneNumber: from });
  const url = `${path}/IncomingPhoneNumbers.json?${query}`;
  const answer = await read(url, accountSid, authToken);
  const listed = numbers.safeParse(answer.kind === "read" && answer.body);
  // The account itself was just read. If its numbers are not shown, nothing is known about them.
  if (!listed.success) return { kind: "works" };
  const found = listed.data.incoming_phone_numbers.find(({ phone_number }) =>
    phone_number === from
  );
  if (!found) return { kind: "refused", problem: `the account has no number ${from} to text from` };
  const { sms, SMS } = found.capabilities ?? {};
  return (sms ?? SMS ?? true)
    ? {
      kind: "works",
      textsTo: addressOf(found.sms_url),
      failedTextsTo: addressOf(found.sms_fallback_url),
    }
    : { kind: "refused", problem: `the number ${from} cannot send texts` };
}

/** Without a fragment, which tells Twilio how to connect and is not part of the address. */
const addressOf = (url: string | null | undefined) => url?.replace(/#.*$/, "") ?? "";

type Read =
  | { readonly kind: "read"; readonly status: number; readonly body: unknown }
  | { readonly kind: "failed"; readonly problem: string };

/** For each read. */
const timeoutMs = 10_000;

async function read(url: string, user: string, password: string): Promise<Read> {
  try {
    const response = await fetch(url, {
      headers: { authorization: `Basic ${btoa(`${user}:${password}`)}` },
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = await response.json().catch(() => undefined);
    return { kind: "read", status: response.status, body };
  } catch (thrown) {
    const isLate = thrown instanceof DOMException && thrown.name === "TimeoutError";
    // The error of fetch contains the address and possibly more, so it is not repeated.
    return {
      kind: "failed",
      problem: isLate ? `no answer within ${timeoutMs / 1000} s` : "no connection",
    };
  }
}

function describe(answer: Read, what: string): AccountCheck | undefined {
  if (answer.kind === "failed") return { kind: "unreachable", problem: answer.problem };
  const { status } = answer;
  if (status === 200) return undefined;
  if (status === 401 || status === 403) {
    return {
      kind: "refused",
      problem: `${what} is refused (${status}): was it changed or revoked in the console?`,
    };
  }
  if (status === 404) return { kind: "refused", problem: "there is no such account (404)" };
  return { kind: "unreachable", problem: `Twilio answered ${status}` };
}
