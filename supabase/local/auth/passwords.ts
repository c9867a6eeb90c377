/**
 * Passwords: how they are stored, and which are refused.
 *
 * @module
 */

import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { AuthError, invalid } from "./errors.ts";

/** A password as it is stored. */
export interface Kept {
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

const derive = promisify<string, Uint8Array, number, Uint8Array>(scrypt);
const hashLength = 32;
const shortest = 6;
/** In bytes: the limit of bcrypt, which GoTrue uses. */
const longest = 72;

/** GoTrue's message for a password that is too short; null for a good one. */
export function weaknessOf(password: string): { message: string; reasons: string[] } | null {
  return password.length >= shortest
    ? null
    : { message: `Password should be at least ${shortest} characters.`, reasons: ["length"] };
}

/** Whether GoTrue could not hash it. */
export const isTooLong = (password: string): boolean =>
  new TextEncoder().encode(password).length > longest;

/** @throws {AuthError} When a new password is too long or too short. */
export function checkNew(password: string): void {
  if (isTooLong(password)) throw invalid(`Password cannot be longer than ${longest} characters`);
  const weakness = weaknessOf(password);
  if (weakness) {
    const { message, reasons } = weakness;
    throw new AuthError(422, "weak_password", message, { weak_password: { reasons } });
  }
}

/** Hashes a password with scrypt and a random salt. */
export async function keep(password: string): Promise<Kept> {
  const salt = randomBytes(16);
  return { salt, hash: await derive(password, salt, hashLength) };
}

/** Compares in constant time. Takes equally long when there is no password. */
export async function matches(password: string, kept: Kept | undefined): Promise<boolean> {
  const hash = await derive(password, kept?.salt ?? new Uint8Array(16), hashLength);
  return kept !== undefined && timingSafeEqual(hash, kept.hash);
}
