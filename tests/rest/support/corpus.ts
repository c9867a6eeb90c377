/**
 * The recorded corpus: requests, the answers of a real PostgREST 14.14, and how to compare two answers.
 * Numbers are compared by their digits; today's times and new uuids are replaced by placeholders.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { createHmac } from "node:crypto";

export const corpusSecret = "corpus-secret-of-more-than-32-characters";

/** A request of the corpus. */
export interface CorpusRequest {
  readonly auth: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** A request, its name, and for some a second request that shows what was committed. */
export interface Case extends CorpusRequest {
  readonly name: string;
  readonly group: string;
  readonly js?: string;
  readonly then?: CorpusRequest;
  readonly record?: "status";
}

/** The parts of an answer that are compared. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly text?: string;
  readonly then?: Answer;
}

const file = (name: string): string =>
  readFileSync(new URL(`../corpus/${name}`, import.meta.url), "utf8");

export const schemaSql = (): string => file("schema.sql");

const lines = (name: string): unknown[] =>
  file(name).split("\n").filter((line) => line !== "").map((line) => parseExact(line));

const keyOf = ({ group, name }: { group: string; name: string }) => `${group}/${name}`;

/** The cases, each with its recorded answer. */
export function readCorpus(): { name: string; case: Case; recorded: Answer }[] {
  const answers = new Map(
    lines("recorded.jsonl").filter(isNamed).map(({ name, group, ...answer }) => [
      keyOf({ name, group }),
      withStatus(answer),
    ]),
  );
  return file("cases.jsonl").split("\n").filter((line) => line !== "").map((line) => {
    const found: Case = JSON.parse(line);
    const recorded = answers.get(keyOf(found));
    if (!recorded) throw new Error(`${keyOf(found)} is not recorded`);
    return { name: keyOf(found), case: found, recorded };
  });
}

function isNamed(line: unknown): line is Answer & { name: string; group: string } {
  return typeof line === "object" && line !== null && "group" in line;
}

/**
 * Turns the status into a number again; bodies keep their digits. A header that was sent several times
 * becomes one list with commas, which means the same (RFC 9110, 5.2) and is how fetch reads it.
 */
function withStatus({ then, ...answer }: Answer): Answer {
  const status: unknown = answer.status;
  const text = typeof status === "object" && status !== null && "number" in status
    ? status.number
    : status;
  const headers = Object.fromEntries(
    Object.entries(answer.headers).map(([name, item]) => [
      name,
      Array.isArray(item) ? item.join(", ") : item,
    ]),
  );
  return { ...answer, headers, status: Number(text), ...(then ? { then: withStatus(then) } : {}) };
}

/** Parses JSON but keeps numbers as text: integers to the last digit, fractions by value. */
function parseExact(text: string): unknown {
  return JSON.parse(text, (_, item: unknown, context?: { source?: string }) => {
    if (typeof item !== "number") return item;
    const source = context?.source ?? String(item);
    return { number: /^-?\d+$/.test(source) ? source : String(item) };
  });
}

const authenticated = {
  role: "authenticated",
  sub: "00000000-0000-0000-0000-0000000000aa",
  aud: "authenticated",
  email: "aa@example.com",
};
const bb = {
  ...authenticated,
  sub: "00000000-0000-0000-0000-0000000000bb",
  email: "bb@example.com",
};
const plain = new Map<string, string | null>([
  ["none", null],
  ["garbage", "Bearer not-a-token"],
  ["two-parts", "Bearer eyJhbGciOiJIUzI1NiJ9.e30"],
  ["empty-bearer", "Bearer "],
  ["basic", "Basic " + btoa("user:password")],
]);

/** The Authorization header for the name that a case gives its caller. */
export function authorizationOf(auth: string): string | null {
  const known = plain.get(auth);
  if (known !== undefined) return known;
  const now = Math.floor(Date.now() / 1000);
  const claims: Record<string, Record<string, unknown>> = {
    anon: { role: "anon" },
    authenticated,
    "authenticated-bb": bb,
    service_role: { role: "service_role" },
    slow: { role: "corpus_slow" },
    "no-role": { sub: authenticated.sub },
    "unknown-role": { role: "corpus_nobody" },
    "outsider-role": { role: "corpus_outsider" },
    expired: { ...authenticated, exp: now - 3600 },
    skew: { ...authenticated, exp: now - 10 },
    "not-yet": { ...authenticated, nbf: now + 3600 },
    "issued-later": { ...authenticated, iat: now + 3600 },
    "exp-text": { ...authenticated, exp: "tomorrow" },
    "wrong-signature": authenticated,
    "wrong-algorithm": authenticated,
    "no-algorithm": authenticated,
    "lower-case-bearer": authenticated,
  };
  const algorithm = { "wrong-algorithm": "HS512", "no-algorithm": "none" }[auth] ?? "HS256";
  const secret = corpusSecret + (auth === "wrong-signature" ? "-another" : "");
  const payload = { iat: now - 60, exp: now + 3600, ...claims[auth] };
  const scheme = auth === "lower-case-bearer" ? "bearer" : "Bearer";
  return `${scheme} ${signToken(payload, secret, algorithm)}`;
}

/** A token, signed as its header says; with `none` it has no signature. */
export function signToken(claims: unknown, secret: string, algorithm = "HS256"): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg: algorithm, typ: "JWT" })}.${encode(claims)}`;
  if (algorithm === "none") return `${signed}.`;
  const hash = algorithm.replace("HS", "sha");
  return `${signed}.${createHmac(hash, secret).update(signed).digest("base64url")}`;
}

const recordedHeaders = new Set([
  "content-type",
  "content-range",
  "content-profile",
  "content-location",
  "location",
  "preference-applied",
  "www-authenticate",
  "proxy-status",
  "allow",
  "cache-control",
  "retry-after",
  "warning",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-max-age",
  "access-control-expose-headers",
]);
const nearMs = 2 * 24 * 3600 * 1000;
const isNear = (ms: number) => Math.abs(ms - Date.now()) < nearMs;
const uuid4 = /\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b/g;
const isoTime = /\b(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?/g;

const stableText = (text: string): string =>
  text.replace(uuid4, "<uuid>").replace(
    isoTime,
    (whole, moment: string) => isNear(Date.parse(`${moment.replace(" ", "T")}Z`)) ? "<now>" : whole,
  );

/** A value with placeholders for today's times, new uuids and token times. */
export function stable(item: unknown): unknown {
  if (typeof item === "string") return stableText(item);
  if (Array.isArray(item)) return item.map(stable);
  if (typeof item !== "object" || item === null) return item;
  return Object.fromEntries(
    Object.entries(item).map(([key, inner]) => {
      const seconds = Number(typeof inner === "object" ? inner?.number : inner);
      const isTime = ["exp", "iat", "nbf"].includes(key) && isNear(seconds * 1000);
      return [key, isTime ? "<epoch>" : stable(inner)];
    }),
  );
}

/** The parts of a response that a case compares. */
export async function answerOf(response: Response, record?: "status"): Promise<Answer> {
  const kept = [...response.headers].filter(([name]) =>
    recordedHeaders.has(name) || name.startsWith("x-corpus-")
  );
  const text = await response.text();
  const headers = Object.fromEntries(kept.map(([name, item]) => [name, stableText(item)]));
  const type = headers["content-type"];
  if (record === "status") {
    return { status: response.status, headers: type === undefined ? {} : { "content-type": type } };
  }
  const answer = { status: response.status, headers };
  if (text === "") return answer;
  try {
    if (type?.includes("json")) return { ...answer, body: stable(parseExact(text)) };
  } catch {
    // Not JSON after all; compared as text.
  }
  return { ...answer, text: stableText(text) };
}

/** Sends a request of the corpus. */
export async function send(base: string, request: CorpusRequest): Promise<Response> {
  const headers = new Headers(request.headers);
  const authorization = authorizationOf(request.auth);
  if (authorization !== null) headers.set("authorization", authorization);
  const { method, path, body } = request;
  return await fetch(base + path, { method, headers, body, redirect: "manual" });
}

/** Whether an answer says that the stand-in does not support the request. */
export const isRefusal = ({ body, status, then }: Answer): boolean =>
  (typeof body === "object" && body !== null && "code" in body && body.code === "PGRST127" &&
    status >= 400) || (then !== undefined && isRefusal(then));
