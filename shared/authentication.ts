/**
 * Authentication of Vapi's requests, by a shared secret or by an HMAC over the raw body.
 *
 * The functions are deployed with `verify_jwt = false` and authenticate themselves. Vapi sends an
 * empty `x-vapi-secret` when none is configured, so an empty secret is always wrong.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { type Bytes, concat, fromBase64, fromHex, isSignedBy, utf8 } from "./bytes.ts";
import type { Config, HmacSettings, VapiSecret } from "./config.ts";

const replayWindowMs = 5 * 60_000;

/** What authenticated a request. */
export interface Proof {
  /** A secret vouches for the headers too. A signature covers only the body. */
  readonly by: "secret" | "signature";
  /** The organizations whose calls it vouches for, by slug or id; undefined for all. */
  readonly boundTo: readonly string[] | undefined;
}

/** Decides whether a request may be answered. */
export interface Authenticator {
  /** Whether the headers have a secret or a signature at all. If not, the body is not read. */
  hasCredentials(headers: Headers): boolean;
  /** What vouches for the request, if its secret or signature is correct. */
  authenticate(headers: Headers, body: Bytes): Proof | undefined;
}

/** Creates an authenticator. Several secrets are accepted at once, for rotation. */
export function createAuthenticator(config: Pick<Config, "vapiSecrets" | "hmac">): Authenticator {
  const findSecret = createSecretSearch(config.vapiSecrets);
  return {
    hasCredentials: (headers) =>
      secretsOf(headers).length > 0 || headers.has(config.hmac.signatureHeader),
    authenticate: (headers, body) => {
      const shown = secretsOf(headers).map(findSecret).filter((secret) => secret !== undefined);
      if (shown.length > 0) return { by: "secret", boundTo: joinBindings(shown) };
      const signing = findSigner(headers, body, config.hmac, Date.now());
      return signing && { by: "signature", boundTo: signing.boundTo };
    },
  };
}

/**
 * `X-Vapi-Secret: <secret>` and `Authorization: Bearer <secret>`. Vapi sends both when the phone
 * number still has an old secret and the assistant has a credential. Either may be the valid one.
 */
function secretsOf(headers: Headers): string[] {
  return [headers.get("x-vapi-secret") ?? "", bearerOf(headers)].filter((given) => given !== "");
}

/** The organizations that several secrets open together. */
function joinBindings(secrets: readonly VapiSecret[]): Proof["boundTo"] {
  const each = secrets.map(({ boundTo }) => boundTo);
  return each.some((boundTo) => boundTo === undefined)
    ? undefined
    : each.flatMap((boundTo) => boundTo ?? []);
}

/** The token of `Authorization: Bearer <token>`, else blank. */
export function bearerOf(headers: Headers): string {
  return /^bearer +(.+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "";
}

/**
 * Creates a search for a secret among known ones, in constant time. It compares digests, because they
 * have the same length for every secret. A blank secret is never found.
 */
export function createSecretSearch<Known extends { readonly secret: string }>(
  known: readonly Known[],
): (given: string) => Known | undefined {
  const digests = known.map(({ secret }) => digestOf(secret));
  return (given) => {
    if (given === "") return undefined;
    const shown = digestOf(given);
    // Compare with all of them, even after a match.
    const matches = digests.map((digest) => timingSafeEqual(digest, shown));
    return known[matches.indexOf(true)];
  };
}

function digestOf(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest();
}

/** The key that a request is signed with, if the signature is correct and recent enough. */
function findSigner(
  headers: Headers,
  body: Bytes,
  settings: HmacSettings,
  nowMs: number,
): VapiSecret | undefined {
  const signature = readSignature(headers.get(settings.signatureHeader), settings);
  if (signature === undefined) return undefined;
  const timestamp = headers.get(settings.timestampHeader) ?? "";
  const isTimed = settings.payload === "{timestamp}.{body}";
  if (isTimed && !isFresh(timestamp, nowMs)) return undefined;
  const payload = isTimed ? concat([utf8(`${timestamp}.`), body]) : body;
  for (const known of settings.secrets) {
    if (known.secret === "") continue;
    if (isSignedBy(utf8(known.secret), signature, payload)) {
      return isTimed || isFresh(timestampOf(body), nowMs) ? known : undefined;
    }
  }
  return undefined;
}

/** When Vapi made the message; a signature over the body alone covers no other time. Else blank. */
function timestampOf(body: Bytes): string {
  try {
    const { timestamp } = JSON.parse(new TextDecoder().decode(body)).message;
    return /^\d{4}-/.test(timestamp) ? String(Date.parse(timestamp)) : String(timestamp);
  } catch {
    return "";
  }
}

/** Vapi does not say whether it sends seconds or milliseconds, so the magnitude decides. */
function isFresh(timestamp: string, nowMs: number): boolean {
  if (!/^\d{9,14}(\.\d{1,9})?$/.test(timestamp)) return false;
  const value = Number(timestamp);
  const sentAtMs = value < 1e11 ? value * 1000 : value;
  return Math.abs(nowMs - sentAtMs) <= replayWindowMs;
}

function readSignature(
  header: string | null,
  { prefix, encoding }: HmacSettings,
): Bytes | undefined {
  if (!header?.startsWith(prefix)) return undefined;
  const text = header.slice(prefix.length).trim();
  if (encoding === "hex") {
    return /^[0-9a-f]{64}$/i.test(text) ? fromHex(text) : undefined;
  }
  return /^[A-Za-z0-9+/]{43}=$/.test(text) ? fromBase64(text) : undefined;
}
