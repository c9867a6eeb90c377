/**
 * Bytes for WebCrypto, as hex and base64, hashes and HMAC.
 *
 * @module
 */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/**
 * `Uint8Array<ArrayBuffer>`, which WebCrypto's types require since TypeScript 5.7. Hosted Supabase has
 * an older version, in which it is `Uint8Array` without a type parameter.
 */
export type Bytes = ReturnType<TextEncoder["encode"]>;

const encoder = new TextEncoder();

/** The bytes of a text in UTF-8. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** Lowercase hex digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param hex Pairs of hex digits, in either case; nothing else is checked. */
export function fromHex(hex: string): Bytes {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/**
 * @param base64 With line breaks, as PostgreSQL writes it, or without.
 * @throws {DOMException} When it is not base64.
 */
export function fromBase64(base64: string): Bytes {
  return Uint8Array.from(atob(base64.replace(/\s/g, "")), (char) => char.charCodeAt(0));
}

/** Joins parts into one array. */
export function concat(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** The SHA-256 of a text in UTF-8, as hex digits. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The HMAC-SHA-256 of a message. WebCrypto would use another thread, which costs far more. */
export function sign(secret: Uint8Array, message: Uint8Array): Uint8Array {
  return createHmac("sha256", secret).update(message).digest();
}

/** Whether an HMAC is correct, compared in constant time. */
export function isSignedBy(secret: Uint8Array, mac: Uint8Array, message: Uint8Array): boolean {
  const right = sign(secret, message);
  return mac.length === right.length && timingSafeEqual(mac, right);
}
