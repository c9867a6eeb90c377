/**
 * Who calls: the bearer token (HS256) or the Supabase key of a request, turned into a role and
 * claims with PostgREST's words for everything that can be wrong.
 *
 * @module
 */
import { compactVerify, errors } from "jose";
import { RestError, tokenError } from "./errors.ts";

/** The role a request runs as, and the claims that its SQL can read. */
export interface Caller {
  readonly role: string;
  /** JSON text for `request.jwt.claims`, always with the key `role`. */
  readonly claims: string;
}

/** What decides over tokens and keys. */
export interface TokenOptions {
  readonly anonRole: string;
  readonly jwtSecret?: string | undefined;
  readonly publishableKey?: string | undefined;
  readonly secretKey?: string | undefined;
}

interface Claims {
  readonly text: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** PostgREST forgives clocks 30 s. */
const skewSeconds = 30;
const maxRemembered = 1000;

/** Makes the function that names the caller of a request; it throws `RestError`. */
export function authenticator(options: TokenOptions): (headers: Headers) => Promise<Caller> {
  const key = new TextEncoder().encode(options.jwtSecret ?? "");
  // Signatures are checked once a token, times on every request; PostgREST does the same.
  const remembered = new Map<string, Claims>();

  async function verified(token: string): Promise<Claims> {
    const known = remembered.get(token);
    if (known) return known;
    if (options.jwtSecret === undefined) {
      throw new RestError(500, "PGRST300", "Server lacks JWT secret");
    }
    const claims = await verify(token, key);
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(token, claims);
    return claims;
  }

  async function callerOfToken(token: string): Promise<Caller> {
    const claims = await verified(token);
    checkTimes(claims.values, Date.now() / 1000);
    return withRole(claims, options.anonRole);
  }

  const plain = (role: string): Caller => ({ role, claims: JSON.stringify({ role }) });
  const keys = new Map<string, Caller>();
  if (options.publishableKey) keys.set(options.publishableKey, plain(options.anonRole));
  if (options.secretKey) keys.set(options.secretKey, plain("service_role"));

  async function callerOfKey(apikey: string | null): Promise<Caller> {
    if (apikey === null) {
      throw new RestError(401, "401", "No API key found in request", {
        hint: "No `apikey` request header or url param was found.",
      });
    }
    const known = await matching(keys, apikey);
    if (known) return known;
    if (options.jwtSecret !== undefined && apikey.split(".").length === 3) {
      return await callerOfToken(apikey);
    }
    throw new RestError(401, "401", "Invalid API key", {
      hint: "Double check your Supabase `anon` or `service_role` API key.",
    });
  }

  return async (headers) => {
    const token = bearer(headers.get("authorization"));
    if (keys.size === 0) {
      return token === null ? plain(options.anonRole) : await callerOfToken(token);
    }
    const byKey = await callerOfKey(headers.get("apikey"));
    if (token === null) return byKey;
    return await matching(keys, token) ?? await callerOfToken(token);
  };
}

/** Compares digests, so that the time taken tells nothing about a key. */
async function matching(keys: ReadonlyMap<string, Caller>, given: string): Promise<Caller | null> {
  const digest = async (text: string) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const wanted = await digest(given);
  let found: Caller | null = null;
  for (const [key, caller] of keys) {
    const candidate = await digest(key);
    if (candidate.reduce((sum, byte, index) => sum | (byte ^ (wanted[index] ?? 0)), 0) === 0) {
      found = caller;
    }
  }
  return found;
}

function bearer(header: string | null): string | null {
  const match = /^bearer(?:\s+(.*))?$/is.exec(header ?? "");
  return match ? match[1] ?? "" : null;
}

async function verify(token: string, key: Uint8Array): Promise<Claims> {
  if (token === "") throw tokenError("PGRST301", "Empty JWT is sent in Authorization header");
  const parts = token.split(".").length;
  if (parts !== 3) throw tokenError("PGRST301", `Expected 3 parts in JWT; got ${parts}`);
  const header = protectedHeader(token);
  if (header === "none") {
    const why = "JWT is unsecured but expected 'alg' was not 'none'";
    throw tokenError("PGRST301", "Wrong or unsupported encoding algorithm", why);
  }
  if (header !== "HS256") {
    const why = "No suitable key was found to decode the JWT";
    throw tokenError("PGRST301", "No suitable key or wrong key type", why);
  }
  try {
    const { payload } = await compactVerify(token, key, { algorithms: ["HS256"] });
    return readClaims(new TextDecoder().decode(payload));
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    const why = "None of the keys was able to decode the JWT";
    throw tokenError("PGRST301", "No suitable key or wrong key type", why);
  }
}

const algorithms = /^(?:none|HS(?:256|384|512)|RS(?:256|384|512)|ES(?:256|384|512)|EdDSA)$/;
const base64url = /^[\w-]*$/;

/** The algorithm that the header names, or the error for a header that cannot be read. */
function protectedHeader(token: string): string {
  const parts = token.split(".");
  const header = parts.every((part) => base64url.test(part) && part.length % 4 !== 1)
    ? parseObject(decodeBase64url(parts[0] ?? ""))
    : null;
  const algorithm = header?.alg;
  if (typeof algorithm !== "string" || !algorithms.test(algorithm)) {
    throw tokenError("PGRST301", "JWT cryptographic operation failed");
  }
  return algorithm;
}

const decodeBase64url = (text: string): string =>
  new TextDecoder().decode(
    Uint8Array.from(
      atob(text.replaceAll("-", "+").replaceAll("_", "/")),
      (char) => char.charCodeAt(0),
    ),
  );

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? Object.fromEntries(Object.entries(parsed)) : null;
  } catch {
    return null;
  }
}

function readClaims(text: string): Claims {
  const values = parseObject(text);
  if (values === null) throw tokenError("PGRST303", "Parsing claims failed");
  return { text: text.trim(), values };
}

function checkTimes(claims: Claims["values"], nowSeconds: number): void {
  const fail = (message: string) => tokenError("PGRST303", message);
  const seconds = (name: "exp" | "nbf" | "iat"): number | null => {
    const claim = claims[name];
    if (claim === undefined || claim === null) return null;
    if (typeof claim !== "number") throw fail(`The JWT '${name}' claim must be a number`);
    return Number.isInteger(claim) ? claim : 0; // as PostgREST reads fractions
  };
  const now = Math.floor(nowSeconds);
  const exp = seconds("exp");
  if (exp !== null && now - skewSeconds > exp) throw fail("JWT expired");
  const nbf = seconds("nbf");
  if (nbf !== null && now + skewSeconds < nbf) throw fail("JWT not yet valid");
  const iat = seconds("iat");
  if (iat !== null && now + skewSeconds < iat) throw fail("JWT issued at future");
  const audience = claims.aud ?? [];
  const isTexts = Array.isArray(audience) && audience.every((item) => typeof item === "string");
  if (typeof audience !== "string" && !isTexts) {
    throw fail("The JWT 'aud' claim must be a string or an array of strings");
  }
}

/** Keeps the token's own text, so that numbers keep every digit. */
function withRole({ text, values }: Claims, anonRole: string): Caller {
  const claim = values.role;
  if (typeof claim === "string") return { role: claim, claims: text };
  const role = claim === undefined ? anonRole : JSON.stringify(claim);
  if (claim !== undefined) return { role, claims: JSON.stringify({ ...values, role }) };
  const rest = text.slice(1);
  const separator = rest.trim() === "}" ? "" : ",";
  return { role, claims: `{"role":${JSON.stringify(role)}${separator}${rest}` };
}
