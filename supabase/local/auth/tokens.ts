/**
 * Access tokens: HS256 with the secret of the local stack, so that `/rest/v1` accepts them.
 *
 * @module
 */

import { compactVerify, decodeProtectedHeader, SignJWT } from "jose";
import { z } from "zod";
import { parseJson } from "../rest/json.ts";
import { AuthError, badJwt } from "./errors.ts";

/** How long an access token is valid. */
export const tokenSeconds = 3600;

const claims = z.looseObject({
  sub: z.string().optional(),
  role: z.string().optional(),
  session_id: z.string().optional(),
  exp: z.number().optional(),
});

/** The claims of a token that are used. */
export type Claims = z.infer<typeof claims>;

/** Settings for tokens, and the API keys that stand for one. */
export interface TokenSettings {
  readonly secret: string;
  /** The claim `iss`: the address of the stand-in. */
  readonly issuer: string;
  /** `sb_publishable_...` and `sb_secret_...`, for which Supabase's gateway puts the role's token. */
  readonly publishableKey?: string | undefined;
  readonly secretKey?: string | undefined;
}

/** Signs a token that is valid for {@linkcode tokenSeconds}. */
export async function makeToken(
  { secret, issuer }: TokenSettings,
  content: Readonly<Record<string, unknown>>,
): Promise<{ token: string; expiresAt: number }> {
  const now = Math.floor(Date.now() / 1000);
  const expiresAt = now + tokenSeconds;
  const token = await new SignJWT({ iss: issuer, ...content, exp: expiresAt, iat: now })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(new TextEncoder().encode(secret));
  return { token, expiresAt };
}

/**
 * The claims of a request's bearer token.
 *
 * @throws {AuthError} 401 without a token, 403 with an invalid one.
 */
export async function readBearer(settings: TokenSettings, request: Request): Promise<Claims> {
  const token = /^[Bb]earer (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token === undefined) {
    throw new AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token");
  }
  if (token === settings.secretKey) return { role: "service_role" };
  if (token === settings.publishableKey) return { role: "anon" };
  return await verify(token, settings.secret);
}

async function verify(token: string, secret: string): Promise<Claims> {
  const fail = (why: string) => badJwt(`invalid JWT: unable to parse or verify signature, ${why}`);
  if (token.split(".").length !== 3) {
    throw fail("token is malformed: token contains an invalid number of segments");
  }
  const algorithm = algorithmOf(token);
  if (algorithm === undefined) throw fail("token is malformed: could not JSON decode header");
  if (algorithm !== "HS256") {
    throw fail(`token signature is invalid: signing method ${algorithm} is invalid`);
  }
  const key = new TextEncoder().encode(secret);
  const verified = await compactVerify(token, key, { algorithms: ["HS256"] })
    .catch(() => undefined);
  if (!verified) throw fail("token signature is invalid: signature is invalid");
  const read = claims.safeParse(parseJson(new TextDecoder().decode(verified.payload)));
  if (!read.success) throw fail("token is malformed: could not JSON decode claim");
  if (read.data.exp !== undefined && read.data.exp <= Date.now() / 1000) {
    throw fail("token has invalid claims: token is expired");
  }
  return read.data;
}

function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg;
  } catch {
    return undefined;
  }
}
