/**
 * `/auth/v1` of the local stack: a small stand-in for GoTrue (Supabase Auth), so that staff can sign in
 * with supabase-js's own client. It answers like a recorded GoTrue, with the settings of Supabase's CLI
 * and with sign-up disabled. Accounts are in the schema `auth` of the local database.
 *
 * What it does not do:
 *
 * | request | answer |
 * | --- | --- |
 * | sign-up, anonymous sign-in, sign-in by phone | refused, as by a GoTrue that has them disabled |
 * | recovery, magic links, one-time codes, invitations, OAuth, SSO, MFA, passkeys, generated links | 501 |
 * | changing one's own e-mail, which GoTrue confirms by e-mail | 501 |
 * | `POST /token` with a grant other than `password` and `refresh_token` | 400 |
 * | audit log, hooks, captcha, rate limits, CORS | nothing: the stack answers on 127.0.0.1 only |
 * | limit of a body | none but the server's |
 * | bcrypt | scrypt; passwords above 72 bytes are refused too |
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import postgres from "postgres";
import { z } from "zod";
import { AuthError, badJwt, describeRefusal, invalid } from "./errors.ts";
import { checkNew, isTooLong, matches, weaknessOf } from "./passwords.ts";
import {
  beginSession,
  endSessions,
  hasSession,
  refreshSession,
  scopes,
  type Session,
} from "./sessions.ts";
import { type Claims, makeToken, readBearer, tokenSeconds, type TokenSettings } from "./tokens.ts";
import {
  createUser,
  deleteUser,
  describeUser,
  findByEmail,
  findPassword,
  findUser,
  isBanned,
  listUsers,
  updateUser,
  type User,
} from "./users.ts";

/** What the stand-in needs. */
export interface AuthOptions extends TokenSettings {
  /** The local database as its superuser, to create what is missing in the schema `auth`. */
  readonly dbUrl: string;
  /** The path before every request; removed. */
  readonly basePath: string;
}

/** A running stand-in. */
export interface Auth {
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
}

/** Creates what is missing in the database, then answers. */
export async function createAuth({ dbUrl, basePath, ...settings }: AuthOptions): Promise<Auth> {
  const sql = postgres(dbUrl, { max: 4, onnotice: () => {} });
  await sql.unsafe(await readFile(new URL("schema.sql", import.meta.url), "utf8"));
  const auth: Context = { sql, settings };
  return {
    fetch: async (request) => {
      try {
        return await answer(auth, request, new URL(request.url).pathname.slice(basePath.length));
      } catch (thrown) {
        if (thrown instanceof AuthError) return describeRefusal(request, thrown);
        throw thrown;
      }
    },
    close: () => sql.end({ timeout: 5 }),
  };
}

interface Context {
  readonly sql: postgres.Sql;
  readonly settings: TokenSettings;
}

type Handler = (auth: Context, request: Request, id: string) => Promise<Response> | Response;

const routes: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  "/token": { POST: signIn },
  "/signup": { POST: refuseSignUp },
  "/logout": { POST: signOut },
  "/user": { GET: showSelf, PUT: changeSelf },
  "/admin/users": { GET: list, POST: create },
  "/admin/users/:id": { GET: show, PUT: change, DELETE: remove },
  "/settings": { GET: () => Response.json(publicSettings) },
  "/health": {
    GET: () =>
      Response.json({
        version: "local",
        name: "GoTrue stand-in",
        description: "Accounts of the local stack",
      }),
  },
  "/.well-known/jwks.json": {
    // HS256 has no public keys.
    GET: () => Response.json({ keys: [] }, { headers: { "cache-control": "public, max-age=600" } }),
  },
};

const unserved =
  /^\/(?:recover|magiclink|otp|verify|resend|invite|authorize|callback|sso|factors|passkeys|reauthenticate|admin\/(?:generate_link|audit|sso|oauth)|oauth|saml|user\/identities)\b/;

async function answer(auth: Context, request: Request, path: string): Promise<Response> {
  const id = /^\/admin\/users\/([^/]+)$/.exec(path)?.[1];
  const route = routes[id === undefined ? path : "/admin/users/:id"];
  if (!route) {
    if (unserved.test(path)) throw notServed(path);
    return new Response("404 page not found\n", {
      status: 404,
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  }
  const handler = route[request.method];
  if (handler) return await handler(auth, request, decodeURIComponent(id ?? ""));
  return new Response(null, { status: 405, headers: { allow: Object.keys(route).join(", ") } });
}

const notServed = (what: string) =>
  new AuthError(501, "not_implemented", `The local stack does not serve ${what}`);

/** Reads a JSON object. Mistakes are described as Go does. */
async function readBody<T>(request: Request, shape: z.ZodType<T>, absent = ""): Promise<T> {
  const isForm = request.headers.get("content-type")?.startsWith("application/x-www-form");
  const text = (isForm ? "" : await request.text()) || absent;
  const bad = (why: string) =>
    new AuthError(400, "bad_json", `Could not parse request body as JSON: ${why}`);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (thrown) {
    const isCut = text === "" || /end of (?:JSON )?input|Unterminated/i.test(String(thrown));
    throw bad(isCut ? "unexpected end of JSON input" : "invalid character");
  }
  const read = shape.safeParse(body);
  if (read.success) return read.data;
  const field = read.error.issues[0]?.path.join(".") || "the body";
  throw bad(`json: cannot unmarshal ${field}`);
}

const text = z.string().nullish().transform((value) => value ?? undefined);
const metadata = z.record(z.string(), z.unknown()).nullish().transform((value) =>
  value ?? undefined
);

const signInBody = z.object({ email: text, phone: text, password: text, refresh_token: text });

async function signIn(auth: Context, request: Request): Promise<Response> {
  const body = await readBody(request, signInBody);
  switch (new URL(request.url).searchParams.get("grant_type")) {
    case "password":
      return await signInByPassword(auth, body);
    case "refresh_token":
      if (!body.refresh_token) throw invalid("refresh_token required");
      return Response.json(await grant(auth, await refreshSession(auth.sql, body.refresh_token)));
    default:
      throw new AuthError(400, "invalid_credentials", "unsupported_grant_type");
  }
}

async function signInByPassword(
  auth: Context,
  { email = "", phone = "", password = "" }: z.infer<typeof signInBody>,
): Promise<Response> {
  if (email !== "" && phone !== "") {
    throw invalid("Only an email address or phone number should be provided on login.");
  } else if (phone !== "") {
    throw new AuthError(422, "phone_provider_disabled", "Phone logins are disabled");
  } else if (email === "") throw invalid("missing email or phone");
  const found = await findByEmail(auth.sql, email);
  if (found && isBanned(found.user)) throw new AuthError(400, "user_banned", "User is banned");
  if (!await matches(password, found?.kept) || !found) {
    throw new AuthError(400, "invalid_credentials", "Invalid login credentials");
  } else if (found.user.email_confirmed_at === null) {
    throw new AuthError(400, "email_not_confirmed", "Email not confirmed");
  }
  const session = await beginSession(auth.sql, found.user.id);
  return Response.json({ ...await grant(auth, session), weak_password: weaknessOf(password) });
}

/** The answer with the tokens of a session. */
async function grant({ settings }: Context, { user, sessionId, since, refreshToken }: Session) {
  const { token, expiresAt } = await makeToken(settings, {
    sub: user.id,
    aud: "authenticated",
    email: user.email,
    phone: "",
    app_metadata: user.app_metadata,
    user_metadata: user.user_metadata,
    role: user.role,
    aal: "aal1",
    amr: [{ method: "password", timestamp: since }],
    session_id: sessionId,
    is_anonymous: false,
  });
  return {
    access_token: token,
    token_type: "bearer",
    expires_in: tokenSeconds,
    expires_at: expiresAt,
    refresh_token: refreshToken,
    user: describeUser(user),
  };
}

async function refuseSignUp(_auth: Context, request: Request): Promise<never> {
  const { email, phone } = await readBody(request, signInBody);
  if (email || phone) {
    throw new AuthError(422, "signup_disabled", "Signups not allowed for this instance");
  }
  throw new AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The account and the session of a token. Both must still exist. */
async function findCaller({ sql }: Context, { sub, session_id }: Claims): Promise<User> {
  if (sub === undefined || sub === "") throw badJwt("invalid claim: missing sub claim");
  if (!uuid.test(sub)) throw badJwt("invalid claim: sub claim must be a UUID", 400);
  const user = await findUser(sql, sub);
  if (!user) {
    throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
  }
  if (session_id !== undefined && !await hasSession(sql, session_id, user.id)) {
    throw new AuthError(
      403,
      "session_not_found",
      "Session from session_id claim in JWT does not exist",
    );
  }
  if (isBanned(user)) throw new AuthError(403, "user_banned", "User is banned");
  return user;
}

async function showSelf(auth: Context, request: Request): Promise<Response> {
  const user = await findCaller(auth, await readBearer(auth.settings, request));
  return Response.json(describeUser(user));
}

const selfBody = z.object({
  data: metadata,
  password: text,
  email: text,
  app_metadata: metadata,
});

async function changeSelf(auth: Context, request: Request): Promise<Response> {
  const claims = await readBearer(auth.settings, request);
  const user = await findCaller(auth, claims);
  const { data, password, email, app_metadata } = await readBody(request, selfBody);
  if (app_metadata) {
    throw new AuthError(403, "not_admin", "Updating app_metadata requires admin privileges");
  } else if (email !== undefined && email.toLowerCase() !== user.email) {
    throw notServed("another e-mail for oneself; PUT /admin/users/ID sets it");
  }
  if (password !== undefined) {
    checkNew(password);
    if (await matches(password, await findPassword(auth.sql, user.id))) {
      const why = "New password should be different from the old password.";
      throw new AuthError(422, "same_password", why);
    }
  }
  const changed = await updateUser(
    auth.sql,
    user.id,
    { user_metadata: data, password },
    claims.session_id,
  );
  return Response.json(describeUser(changed));
}

async function signOut(auth: Context, request: Request): Promise<Response> {
  const claims = await readBearer(auth.settings, request);
  const user = await findCaller(auth, claims);
  const given = new URL(request.url).searchParams.get("scope") || "global";
  const scope = scopes.find((one) => one === given);
  if (!scope) throw invalid(`Unsupported logout scope ${JSON.stringify(given)}`);
  await endSessions(auth.sql, user.id, claims.session_id, scope);
  return new Response(null, { status: 204 });
}

async function requireAdmin(auth: Context, request: Request): Promise<void> {
  const claims = await readBearer(auth.settings, request);
  if (claims.sub !== undefined) await findCaller(auth, claims);
  if (claims.role !== "service_role") throw new AuthError(403, "not_admin", "User not allowed");
}

/** The account that an administrator names by its id. */
async function findNamed(auth: Context, request: Request, id: string): Promise<User> {
  await requireAdmin(auth, request);
  if (!uuid.test(id)) throw invalid("user_id must be an UUID", 404);
  const user = await findUser(auth.sql, id);
  if (!user) throw new AuthError(404, "user_not_found", "User not found");
  return user;
}

const adminBody = z.object({
  id: text,
  email: text,
  password: text,
  email_confirm: z.boolean().nullish().transform((value) => value ?? undefined),
  role: text,
  app_metadata: metadata,
  user_metadata: metadata,
  ban_duration: text,
});

async function create(auth: Context, request: Request): Promise<Response> {
  await requireAdmin(auth, request);
  const given = await readBody(request, adminBody);
  if (given.id !== undefined && !uuid.test(given.id)) {
    throw invalid("ID must conform to the uuid v4 format");
  } else if (given.password !== undefined && isTooLong(given.password)) {
    throw new AuthError(500, "unexpected_failure", "Internal Server Error");
  }
  const user = await createUser(auth.sql, { ...given, password: given.password || undefined });
  const { confirmed_at: _, ...described } = describeUser(user);
  return Response.json(described);
}

async function show(auth: Context, request: Request, id: string): Promise<Response> {
  return Response.json(describeUser(await findNamed(auth, request, id)));
}

async function change(auth: Context, request: Request, id: string): Promise<Response> {
  const before = await findNamed(auth, request, id);
  const given = await readBody(request, adminBody);
  if (given.password !== undefined) checkNew(given.password);
  const changed = await updateUser(auth.sql, before.id, given);
  return Response.json(describeUser(changed, before));
}

async function remove(auth: Context, request: Request, id: string): Promise<Response> {
  const user = await findNamed(auth, request, id);
  const asked = z.object({ should_soft_delete: z.boolean().optional() });
  const { should_soft_delete = false } = await readBody(request, asked, "{}");
  await deleteUser(auth.sql, user.id, should_soft_delete);
  return Response.json({});
}

async function list(auth: Context, request: Request): Promise<Response> {
  await requireAdmin(auth, request);
  const { pathname, searchParams } = new URL(request.url);
  const number = (name: string, absent: number) => {
    const given = searchParams.get(name) || String(absent);
    if (/^\d+$/.test(given)) return Number(given) || absent;
    throw invalid(
      `Bad Pagination Parameters: strconv.ParseUint: parsing "${given}": invalid syntax`,
    );
  };
  const [page, perPage] = [number("page", 1), number("per_page", 50)];
  const { users, count } = await listUsers(auth.sql, { page, perPage });
  const last = Math.ceil(count / perPage);
  const path = pathname.slice(pathname.indexOf("/admin/"));
  const link = (to: number, rel: string) => {
    searchParams.set("page", String(to));
    searchParams.sort();
    return `<${path}?${searchParams}>; rel="${rel}"`;
  };
  const links = [...last > page ? [link(page + 1, "next")] : [], link(last, "last")];
  return Response.json({
    users: users.map((user) => ({ ...describeUser(user), identities: null })),
    aud: "authenticated",
  }, { headers: { "x-total-count": String(count), link: links.join(", ") } });
}

const external = (
  "anonymous_users apple azure bitbucket discord facebook snapchat figma fly github gitlab google " +
  "keycloak kakao linkedin linkedin_oidc notion spotify slack slack_oidc workos twitch twitter " +
  "email phone zoom"
).split(" ");

/** Only e-mail and password, for existing accounts. */
const publicSettings = {
  external: Object.fromEntries(external.map((name) => [name, name === "email"])),
  disable_signup: true,
  mailer_autoconfirm: true,
  phone_autoconfirm: false,
  sms_provider: "",
  saml_enabled: false,
  saml_private_key_next_configured: true,
  passkeys_enabled: false,
};
