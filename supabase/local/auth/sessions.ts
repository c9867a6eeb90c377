/**
 * Sessions and their refresh tokens. A token is used once, and its use creates the next one. If an old
 * token is used later, somebody has stolen one, and all tokens of the session are revoked.
 *
 * @module
 */

import { randomInt } from "node:crypto";
import type postgres from "postgres";
import { AuthError, invalid } from "./errors.ts";
import { findUser, isBanned, type User } from "./users.ts";

/** How long a used token may be used again, for example by two tabs at once. */
const reuseMs = 10_000;

/** A session and its newest refresh token. */
export interface Session {
  readonly user: User;
  readonly sessionId: string;
  /** When the password was entered, in epoch seconds. */
  readonly since: number;
  readonly refreshToken: string;
}

interface StoredToken {
  readonly token: string;
  readonly parent: string | null;
  readonly session_id: string;
  readonly revoked: boolean;
  readonly updated_at: Date;
}

/** Begins a session. */
export async function beginSession(sql: postgres.Sql, userId: string): Promise<Session> {
  return await sql.begin(async (tx) => {
    const [user] = await tx<User[]>`
      update auth.users set last_sign_in_at = now() where id = ${userId} returning *`;
    const [session] = await tx<{ id: string; created_at: Date }[]>`
      insert into auth.sessions (user_id) values (${userId}) returning id, created_at`;
    if (!user || !session) throw new Error("The account was deleted in the meantime");
    return {
      user,
      sessionId: session.id,
      since: Math.floor(session.created_at.getTime() / 1000),
      refreshToken: await addToken(tx, session.id, null),
    };
  });
}

/**
 * Uses a refresh token.
 *
 * @throws {AuthError} When it is unknown, was used too long ago, or its account is banned.
 */
export async function refreshSession(sql: postgres.Sql, given: string): Promise<Session> {
  if (!/^[a-z0-9]{12}$/.test(given)) throw invalid("Refresh token is not valid");
  const result = await sql.begin(async (tx) => {
    // A session's tokens are used one at a time.
    const [session] = await tx<{ id: string; user_id: string; created_at: Date }[]>`
      select s.* from auth.sessions as s join auth.refresh_tokens as t on t.session_id = s.id
      where t.token = ${given} for update of s`;
    const user = session && await findUser(tx as unknown as postgres.Sql, session.user_id);
    if (!session || !user) return refuse("refresh_token_not_found", "Refresh Token Not Found");
    if (isBanned(user)) return refuse("user_banned", "User Banned");
    const refreshToken = await useToken(tx, given, session.id);
    // Nothing is thrown inside the transaction, because the revocation must be committed.
    if (refreshToken === null) return refuse("refresh_token_already_used", "Already Used");
    const since = Math.floor(session.created_at.getTime() / 1000);
    return { user, sessionId: session.id, since, refreshToken };
  });
  if (result instanceof AuthError) throw result;
  return result;
}

const refuse = (code: string, why: string) =>
  new AuthError(400, code, `Invalid Refresh Token: ${why}`);

async function useToken(
  tx: postgres.TransactionSql,
  given: string,
  sessionId: string,
): Promise<string | null> {
  const tokens = await tx<StoredToken[]>`
    select * from auth.refresh_tokens where session_id = ${sessionId} order by id desc`;
  const used = tokens.find(({ token }) => token === given);
  const active = tokens.find(({ revoked }) => !revoked);
  if (used?.revoked && active?.parent === given) return active.token;
  if (used?.revoked && used.updated_at.getTime() + reuseMs < Date.now()) {
    await tx`update auth.refresh_tokens set revoked = true, updated_at = clock_timestamp()
      where session_id = ${sessionId}`;
    return null;
  }
  await tx`update auth.refresh_tokens set revoked = true, updated_at = clock_timestamp()
    where token = ${given}`;
  return await addToken(tx, sessionId, given);
}

async function addToken(
  tx: postgres.TransactionSql,
  sessionId: string,
  parent: string | null,
): Promise<string> {
  const token = Array.from({ length: 12 }, () => randomInt(36).toString(36)).join("");
  await tx`insert into auth.refresh_tokens (token, parent, session_id)
    values (${token}, ${parent}, ${sessionId})`;
  return token;
}

/** Whether a session has not ended. */
export async function hasSession(sql: postgres.Sql, id: string, userId: string): Promise<boolean> {
  const rows = await sql`select from auth.sessions
    where id::text = ${id} and user_id = ${userId}`;
  return rows.length > 0;
}

/** Which sessions of an account end: this one, all others, or all. */
export const scopes = ["global", "local", "others"] as const;

/** Ends sessions of an account. */
export async function endSessions(
  sql: postgres.Sql,
  userId: string,
  current: string | undefined,
  scope: (typeof scopes)[number],
): Promise<void> {
  await sql`delete from auth.sessions where user_id = ${userId}
    and (${scope} = 'global' or (id::text = ${current ?? ""}) = (${scope} = 'local'))`;
}
