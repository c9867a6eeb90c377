/**
 * A message to another system, signed as Standard Webhooks says: the address and secrets of an endpoint,
 * and one attempt to deliver.
 *
 * Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 *
 * @module
 */

import { type Bytes, concat, fromBase64, sign, toBase64, utf8 } from "./bytes.ts";
import type { NamedKey } from "./config.ts";
import { decrypt, encrypt, type Encrypted } from "./encryption.ts";
import { exchange, type Network } from "./exchange.ts";

const secretPrefix = "whsec_";

/** Everything that is sent. */
export interface WebhookMessage {
  /** The same in every attempt. */
  readonly id: string;
  /** Such as `booking.created`. */
  readonly type: string;
  /** When it happened, ISO 8601. */
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What came back, and whether that counts as delivered. */
export interface WebhookAttempt {
  /** Null if it was delivered. */
  readonly reason: string | null;
  /** Undefined if there was no answer. */
  readonly status: number | undefined;
  /** Whether the endpoint says that it is gone for good. */
  readonly isGone: boolean;
  /** The first bytes of the answer, if they were asked for. */
  readonly answer: string;
}

/** A new signing secret: `whsec_` and 32 random bytes in base64. */
export function createWebhookSecret(): string {
  return secretPrefix + toBase64(crypto.getRandomValues(new Uint8Array(32)));
}

/** Encrypts a signing secret for its row. */
export function encryptWebhookSecret(
  keys: readonly [NamedKey, ...NamedKey[]],
  endpoint: { readonly orgId: string; readonly endpointId: string },
  secret: string,
): Promise<Encrypted> {
  return encrypt(keys, ownerOf(endpoint), secret);
}

/**
 * Decrypts a signing secret.
 *
 * @throws When its key is unknown, or it belongs to another endpoint.
 */
export function decryptWebhookSecret(
  keys: readonly NamedKey[],
  endpoint: { readonly orgId: string; readonly endpointId: string },
  stored: Encrypted,
): Promise<string> {
  return decrypt(keys, ownerOf(endpoint), stored);
}

function ownerOf({ orgId, endpointId }: { readonly orgId: string; readonly endpointId: string }) {
  return `webhook:v1|${orgId}|${endpointId}`;
}

/**
 * The headers of a message. While a secret is being replaced there are two, and a receiver accepts the
 * message if one signature is right.
 *
 * @param sentAt The time of this attempt, in milliseconds.
 */
export function signWebhook(
  id: string,
  body: Bytes,
  secrets: readonly string[],
  sentAt: number,
): Record<string, string> {
  const timestamp = String(Math.floor(sentAt / 1000));
  const signed = concat([utf8(`${id}.${timestamp}.`), body]);
  const signatures = secrets.map((secret) => {
    const key = fromBase64(secret.slice(secretPrefix.length));
    return `v1,${toBase64(sign(key, signed))}`;
  });
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures.join(" "),
  };
}

/**
 * Sends a message once. Only an answer from 200 to 299 counts as delivered; nothing is followed.
 *
 * @param network The internet if left out.
 * @param timeoutMs For everything together, in milliseconds.
 * @param readsAnswer Whether the beginning of the answer is wanted. Its content never matters.
 */
export async function sendWebhook(
  address: string,
  secrets: readonly string[],
  { id, ...message }: WebhookMessage,
  { network, timeoutMs = 5000, readsAnswer = false }: {
    readonly network?: Network | undefined;
    readonly timeoutMs?: number | undefined;
    readonly readsAnswer?: boolean;
  } = {},
): Promise<WebhookAttempt> {
  const body = utf8(JSON.stringify(message));
  const headers = {
    "Content-Type": "application/json",
    ...signWebhook(id, body, secrets, Date.now()),
  };
  const exchanged = await exchange(
    address,
    { method: "POST", headers, body },
    async ({ status, content }) => ({ status, answer: readsAnswer ? await readText(content) : "" }),
    { timeoutMs, ...network ? { network } : {} },
  );
  if (exchanged.outcome === "failed") {
    return { reason: exchanged.reason, status: undefined, isGone: false, answer: "" };
  }
  const { status, answer } = exchanged.value;
  const isMoved = status >= 300 && status < 400;
  const reason = status < 300 ? null : isMoved ? "moved" : `http_${status}`;
  return { reason, status, isGone: status === 410, answer };
}

async function readText(content: (limitBytes: number) => Promise<Bytes>): Promise<string> {
  const bytes = await content(4096).catch(() => undefined);
  return bytes ? new TextDecoder().decode(bytes).slice(0, 500) : "";
}
