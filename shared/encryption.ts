/**
 * Secrets in the database: AES-256-GCM under the named keys of `CREDENTIAL_KEYS`.
 *
 * What a value belongs to is additional data, so a value that is moved to another row does not decrypt.
 *
 * @module
 */

import { type Bytes, fromBase64, toBase64, utf8 } from "./bytes.ts";
import type { NamedKey } from "./config.ts";
import { Fault } from "./errors.ts";

/** An encrypted value, as it is stored. */
export interface Encrypted {
  readonly keyId: string;
  /** Base64 of 12 bytes. */
  readonly nonce: string;
  /** Base64. */
  readonly ciphertext: string;
}

/**
 * Encrypts a text under the first key.
 *
 * @param owner What it belongs to.
 */
export async function encrypt(
  keys: readonly [NamedKey, ...NamedKey[]],
  owner: string,
  plain: string,
): Promise<Encrypted> {
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const ciphertext = await crypto.subtle.encrypt(
    cipherOf(nonce, owner),
    await importKey(keys[0], "encrypt"),
    utf8(plain),
  );
  return {
    keyId: keys[0].id,
    nonce: toBase64(nonce),
    ciphertext: toBase64(new Uint8Array(ciphertext)),
  };
}

/**
 * Decrypts a text.
 *
 * @throws {Fault} `credentials_unreadable` when the key is unknown.
 * @throws {DOMException} When it belongs to something else or is damaged.
 */
export async function decrypt(
  keys: readonly NamedKey[],
  owner: string,
  stored: Encrypted,
): Promise<string> {
  const key = keys.find(({ id }) => id === stored.keyId);
  if (!key) {
    throw new Fault("credentials_unreadable", `Cannot decrypt: no key named ${stored.keyId}`);
  }
  const plain = await crypto.subtle.decrypt(
    cipherOf(fromBase64(stored.nonce), owner),
    await importKey(key, "decrypt"),
    fromBase64(stored.ciphertext),
  );
  return new TextDecoder().decode(plain);
}

function cipherOf(nonce: Bytes, owner: string) {
  return { name: "AES-GCM", iv: nonce, additionalData: utf8(owner) };
}

function importKey(key: NamedKey, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key.bytes, "AES-GCM", false, [usage]);
}
