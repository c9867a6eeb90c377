/**
 * The caller: turns the bearer token (HS256) or the Supabase key of a request into a role and claims,
 * with PostgREST's messages for everything that can be wrong.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { compactVerify, decodeProtectedHeader, errors } from "jose";
import { notImplemented, RestError, tokenError } from "./errors.ts";
import { parseRecord } from "./json.ts";

/** The role a request runs as, and the claims that its SQL can read. */
export interface Caller {
  readonly role: string;
  readonly isAnonymous: boolean;
  /** JSON text for `request.jwt.claims`, always with the key `role`. */
  readonly claims: string;
}

/** The secrets that tokens and keys are checked against. */
export interface TokenOptions {
  readonly anonRole: string;
  readonly jwtSecret?: string | undefined;
  readonly publishableKey?: string | undefined;
  readonly secretKey?: string | undefined;
}

interface KnownKey {
  readonly bytes: Uint8Array;
  readonly caller: Caller;
}

interface Claims {
  readonly text: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** PostgREST tolerates clocks that differ by 30 s. */
const skewSeconds = 30;
const maxRemembered = 1000;

/** Creates the function that finds the caller of a request. It throws `RestError`. */
export function authenticator(options: TokenOptions): (headers: Headers) => Promise<Caller> {
  const { anonRole, jwtSecret, publishableKey, secretKey } = options;
  const plain = (role: string): Caller => ({
    role,
    isAnonymous: role === anonRole,
    claims: JSON.stringify({ role }),
  });
  const anonymous = plain(anonRole);
  const keys: KnownKey[] = [];
  if (publishableKey) keys.push({ bytes: Buffer.from(publishableKey), caller: anonymous });
  if (secretKey) keys.push({ bytes: Buffer.from(secretKey), caller: plain("service_role") });
  // A signature is checked once for each token, the times on every request, as in PostgREST.
  const remembered = new Map<string, Claims>();

  async function callerOfToken(token: string): Promise<Caller> {
    if (jwtSecret === undefined) throw new RestError(500, "PGRST300", "Server lacks JWT secret");
    const claims = remembered.get(token) ?? await verify(token, jwtSecret);
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(token, claims);
    checkTimes(claims.values, Date.now() / 1000);
    return withRole(claims, anonRole);
  }

  async function callerOfKey(apikey: string | null): Promise<Caller> {
    if (apikey === null) {
      throw new RestError(401, "401", "No API key found in request", {
        hint: "No `apikey` request header or url param was found.",
      });
    }
    const known = matching(keys, apikey);
    if (known) return known;
    if (jwtSecret !== undefined && apikey.split(".").length === 3) {
      return await callerOfToken(apikey);
    }
    throw new RestError(401, "401", "Invalid API key", {
      hint: "Double check your Supabase `anon` or `service_role` API key.",
    });
  }

  return async (headers) => {
    const token = bearer(headers.get("authorization"));
    if (keys.length === 0) return token === null ? anonymous : await callerOfToken(token);
    const byKey = await callerOfKey(headers.get("apikey"));
    return token === null ? byKey : matching(keys, token) ?? await callerOfToken(token);
  };
}

/** Compares every key in constant time, so that the time taken reveals nothing about it. */
function matching(keys: readonly KnownKey[], given: string): Caller | null {
  const wanted = Buffer.from(given);
  return keys.reduce<Caller | null>((found, { bytes, caller }) => {
    const isEqual = bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
    return isEqual ? caller : found;
  }, null);
}

function bearer(header: string | null): string | null {
  const match = /^bearer(?:\s+(.*))?$/is.exec(header ?? "");
  return match ? match[1] ?? "" : null;
}

async function verify(token: string, secret: string): Promise<Claims> {
  const bad = (message: string, why: string | null = null) => tokenError("PGRST301", message, why);
  if (token === "") throw bad("Empty JWT is sent in Authorization header");
  const parts = token.split(".").length;
  if (parts !== 3) throw bad(`Expected 3 parts in JWT; got ${parts}`);
  const algorithm = algorithmOf(token);
  if (!algorithms.test(algorithm)) throw bad("JWT cryptographic operation failed");
  if (algorithm === "none") {
    const why = "JWT is unsecured but expected 'alg' was not 'none'";
    throw bad("Wrong or unsupported encoding algorithm", why);
  }
  const unsuitable = "No suitable key or wrong key type";
  if (algorithm !== "HS256") throw bad(unsuitable, "No suitable key was found to decode the JWT");
  try {
    const key = new TextEncoder().encode(secret);
    const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
    const text = new TextDecoder().decode(payload).trim();
    const values = parseRecord(text);
    if (values === null) throw tokenError("PGRST303", "Parsing claims failed");
    return { text, values };
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    if (error instanceof errors.JWSInvalid) throw bad("JWT cryptographic operation failed");
    throw bad(unsuitable, "None of the keys was able to decode the JWT");
  }
}

/** The algorithms that PostgREST knows. */
const algorithms = /^(?:none|HS(?:256|384|512)|RS(?:256|384|512)|ES(?:256|384|512)|EdDSA)$/;

/** The algorithm that the header of a token names, or nothing. */
function algorithmOf(token: string): string {
  try {
    return decodeProtectedHeader(token).alg ?? "";
  } catch {
    return "";
  }
}

function checkTimes(claims: Claims["values"], nowSeconds: number): void {
  const fail = (message: string) => tokenError("PGRST303", message);
  const now = Math.floor(nowSeconds);
  const seconds = (name: "exp" | "nbf" | "iat", absent: number): number => {
    const claim = claims[name] ?? null;
    if (claim === null) return absent;
    if (typeof claim !== "number") throw fail(`The JWT '${name}' claim must be a number`);
    return Number.isInteger(claim) && Math.abs(claim) < 2 ** 63 ? claim : 0; // as PostgREST reads it
  };
  if (now - skewSeconds > seconds("exp", Infinity)) throw fail("JWT expired");
  if (now + skewSeconds < seconds("nbf", 0)) throw fail("JWT not yet valid");
  if (now + skewSeconds < seconds("iat", 0)) throw fail("JWT issued at future");
  const audience = claims.aud ?? [];
  const isTexts = Array.isArray(audience) && audience.every((item) => typeof item === "string");
  if (typeof audience === "string" || isTexts) return;
  throw fail("The JWT 'aud' claim must be a string or an array of strings");
}

/** Keeps the token's text, so that numbers keep every digit. */
function withRole({ text, values }: Claims, anonRole: string): Caller {
  const { role } = values;
  if (typeof role === "string") return { role, isAnonymous: role === anonRole, claims: text };
  if (role !== undefined) throw notImplemented("A claim `role` that is not a text");
  const separator = Object.keys(values).length === 0 ? "" : ",";
  const claims = `{"role":${JSON.stringify(anonRole)}${separator}${text.slice(1)}`;
  return { role: anonRole, isAnonymous: true, claims };
}
