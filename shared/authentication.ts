/**
 * Is this request from Vapi? A shared secret or an HMAC over the raw body says so.
 *
 * The functions are deployed with `verify_jwt = false` and authenticate themselves. Vapi sends an
 * empty `x-vapi-secret` when none is configured, so an empty secret fails closed.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  fromBase64,
  fromHex,
  hmacKey,
  isSignedBy,
  sign,
  utf8,
} from "./bytes.ts";
import type { Config, HmacSettings } from "./config.ts";

const replayWindowMs = 5 * 60_000;

/** A secret vouches for the headers too, a signature for nothing but the body. */
export type Proof = "secret" | "signature";

/** Decides whether a request may be answered. */
export interface Authenticator {
  /** Whether the headers carry a secret or a signature at all; without, the body is not read. */
  hasCredentials(headers: Headers): boolean;
  /** What vouches for the request, if its secret or signature is right. */
  authenticate(headers: Headers, body: Bytes): Promise<Proof | undefined>;
}

/**
 * Makes an authenticator; several secrets are accepted at once, for rotation.
 *
 * @param now The clock in epoch milliseconds.
 */
export function createAuthenticator(
  config: Pick<Config, "vapiSecrets" | "hmac">,
  now: () => number = Date.now,
): Authenticator {
  const isKnownSecret = createSecretCheck(config.vapiSecrets);
  return {
    hasCredentials: (headers) =>
      sharedSecret(headers) !== "" || headers.has(config.hmac.signatureHeader),
    authenticate: async (headers, body) => {
      if (await isKnownSecret(sharedSecret(headers))) return "secret";
      return await isSigned(headers, body, config.hmac, now()) ? "signature" : undefined;
    },
  };
}

/** `X-Vapi-Secret: <secret>` or `Authorization: Bearer <secret>`. */
function sharedSecret(headers: Headers): string {
  return headers.get("x-vapi-secret") || bearerOf(headers);
}

/** The token of `Authorization: Bearer <token>`, else blank. */
export function bearerOf(headers: Headers): string {
  return /^bearer +(.+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "";
}

/**
 * Compares a secret with the known ones in constant time: WebCrypto's `verify` compares their MACs
 * under a random key. A blank secret is never right.
 */
export function createSecretCheck(secrets: readonly string[]): (given: string) => Promise<boolean> {
  let prepared: Promise<{ key: CryptoKey; macs: Bytes[] }> | undefined;
  const prepare = async () => {
    const key = await hmacKey(crypto.getRandomValues(new Uint8Array(32)));
    const macs = secrets.filter((secret) => secret !== "")
      .map((secret) => sign(key, utf8(secret)));
    return { key, macs: await Promise.all(macs) };
  };
  return async (given) => {
    if (given === "") return false;
    const { key, macs } = await (prepared ??= prepare());
    const bytes = utf8(given);
    const matches = await Promise.all(macs.map((mac) => isSignedBy(key, mac, bytes)));
    return matches.includes(true);
  };
}

async function isSigned(
  headers: Headers,
  body: Bytes,
  settings: HmacSettings,
  nowMs: number,
): Promise<boolean> {
  const signature = readSignature(headers.get(settings.signatureHeader), settings);
  if (signature === undefined) return false;
  const timestamp = headers.get(settings.timestampHeader) ?? "";
  const isTimed = settings.payload === "{timestamp}.{body}";
  if (isTimed && !isFresh(timestamp, nowMs)) return false;
  const payload = isTimed ? concat([utf8(`${timestamp}.`), body]) : body;
  for (const secret of settings.secrets) {
    if (secret === "") continue;
    if (await isSignedBy(await hmacKey(utf8(secret)), signature, payload)) {
      return isTimed || isFresh(timestampOf(body), nowMs);
    }
  }
  return false;
}

/** When Vapi made a message: a signature over the body alone covers no other time. Else blank. */
function timestampOf(body: Bytes): string {
  try {
    const { timestamp } = JSON.parse(new TextDecoder().decode(body)).message;
    return /^\d{4}-/.test(timestamp) ? String(Date.parse(timestamp)) : String(timestamp);
  } catch {
    return "";
  }
}

/** Seconds or milliseconds: Vapi does not say which, so the magnitude decides. */
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
