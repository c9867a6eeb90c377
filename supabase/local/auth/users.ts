/**
 * Accounts in the schema `auth` of the local database, and how GoTrue describes them.
 *
 * @module
 */

import postgres from "postgres";
import { AuthError, invalid } from "./errors.ts";
import { keep, type Kept } from "./passwords.ts";

/** Keys of metadata; null removes a key. */
export type Metadata = Readonly<Record<string, unknown>>;

/** An account. */
export interface User {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly email_confirmed_at: Date | null;
  readonly last_sign_in_at: Date | null;
  readonly app_metadata: Metadata;
  readonly user_metadata: Metadata;
  readonly identity_id: string;
  readonly identity_verified: boolean;
  readonly banned_until: Date | null;
  readonly deleted_at: Date | null;
}

/** Attributes that an administrator may write. */
export interface Attributes {
  readonly id?: string | undefined;
  readonly email?: string | undefined;
  readonly password?: string | undefined;
  readonly email_confirm?: boolean | undefined;
  readonly role?: string | undefined;
  readonly app_metadata?: Metadata | undefined;
  readonly user_metadata?: Metadata | undefined;
  readonly ban_duration?: string | undefined;
}

/** Whether an account is banned now. */
export const isBanned = ({ banned_until }: User): boolean =>
  banned_until !== null && banned_until.getTime() > Date.now();

/** The account with an id, even if it was softly deleted. */
export async function findUser(sql: postgres.Sql, id: string): Promise<User | undefined> {
  const [user] = await sql<User[]>`select * from auth.users where id = ${id}`;
  return user;
}

/** The account that signs in with an e-mail, and its password. */
export async function findByEmail(
  sql: postgres.Sql,
  email: string,
): Promise<{ user: User; kept: Kept | undefined } | undefined> {
  const [user] = await sql<User[]>`
    select * from auth.users where email = ${email.toLowerCase()} and deleted_at is null`;
  if (!user) return undefined;
  return { user, kept: await findPassword(sql, user.id) };
}

/** The password of an account. */
export async function findPassword(sql: postgres.Sql, id: string): Promise<Kept | undefined> {
  const [kept] = await sql<Kept[]>`
    select salt, hash from auth.local_passwords where user_id = ${id}`;
  return kept;
}

/**
 * Stores a new account. Without a password it gets one that nobody knows.
 *
 * @throws {AuthError} When the e-mail or the id is taken.
 */
export async function createUser(sql: postgres.Sql, given: Attributes): Promise<User> {
  const { id = crypto.randomUUID(), password = crypto.randomUUID() } = given;
  const email = readEmail(given.email ?? "");
  const known = await sql`select from auth.users where email = ${email}`;
  if (known.length > 0) {
    throw new AuthError(
      422,
      "email_exists",
      "A user with this email address has already been registered",
    );
  }
  try {
    return await sql.begin(async (tx) => {
      await tx`insert into auth.users (id, email, app_metadata)
        values (${id}, ${email}, '{"provider": "email", "providers": ["email"]}')`;
      return await write(tx, id, { ...given, email, password });
    });
  } catch (thrown) {
    if (!isTaken(thrown)) throw thrown;
    throw new AuthError(500, "unexpected_failure", "Database error creating new user");
  }
}

/**
 * Changes an account. A new password ends all sessions, except for one that may be named.
 *
 * @throws {AuthError} When the e-mail is taken.
 */
export async function updateUser(
  sql: postgres.Sql,
  id: string,
  given: Attributes,
  session?: string,
): Promise<User> {
  const email = given.email === undefined ? undefined : readEmail(given.email);
  try {
    return await sql.begin(async (tx) => {
      if (given.password !== undefined) {
        await tx`delete from auth.sessions
          where user_id = ${id} and id is distinct from ${session ?? null}`;
      }
      return await write(tx, id, { ...given, email });
    });
  } catch (thrown) {
    if (!isTaken(thrown)) throw thrown;
    throw new AuthError(500, "unexpected_failure", "Error updating user");
  }
}

async function write(tx: postgres.TransactionSql, id: string, given: Attributes): Promise<User> {
  const kept = given.password === undefined ? undefined : await keep(given.password);
  if (kept) {
    await tx`insert into auth.local_passwords (user_id, salt, hash)
      values (${id}, ${kept.salt}, ${kept.hash})
      on conflict (user_id) do update set salt = excluded.salt, hash = excluded.hash`;
  }
  const isConfirmed = given.email_confirm === true;
  const verified = isConfirmed ? { email_verified: true } : {};
  const banned = given.ban_duration === undefined ? undefined : readBan(given.ban_duration);
  const merged = (column: string, added: Metadata) =>
    tx`coalesce((
      select jsonb_object_agg(m.key, m.value)
      from jsonb_each(${tx(column)} || ${tx.json(JSON.parse(JSON.stringify(added)))}) as m
      where m.value <> 'null'), '{}')`;
  const [user] = await tx<User[]>`
    update auth.users set updated_at = now(), email = coalesce(${given.email ?? null}, email),
      role = coalesce(${given.role ?? null}, role),
      email_confirmed_at = case when ${isConfirmed}
        then coalesce(email_confirmed_at, now()) else email_confirmed_at end,
      identity_verified = identity_verified or coalesce(${isConfirmed} and email <> ${
    given.email ?? null
  }, false),
      banned_until = case when ${banned === undefined} then banned_until
        else ${banned ?? null}::timestamptz end,
      app_metadata = ${merged("app_metadata", given.app_metadata ?? {})},
      user_metadata = ${merged("user_metadata", { ...verified, ...given.user_metadata })}
    where id = ${id} returning *`;
  if (!user) throw new AuthError(404, "user_not_found", "User not found");
  return user;
}

/** Deletes an account. A soft deletion ends sign-in with it and frees its e-mail. */
export async function deleteUser(sql: postgres.Sql, id: string, isSoft: boolean): Promise<void> {
  if (!isSoft) {
    await sql`delete from auth.users where id = ${id}`;
    return;
  }
  await sql.begin(async (tx) => {
    await tx`delete from auth.sessions where user_id = ${id}`;
    await tx`update auth.users
      set email = encode(sha256(convert_to(id::text || email, 'UTF8')), 'base64'), deleted_at = now()
      where id = ${id}`;
  });
}

/** A page of accounts, newest first, and the number of all. */
export async function listUsers(
  sql: postgres.Sql,
  { page, perPage }: { readonly page: number; readonly perPage: number },
): Promise<{ users: User[]; count: number }> {
  const users = await sql<User[]>`select * from auth.users where deleted_at is null
    order by created_at desc, id limit ${perPage} offset ${(page - 1) * perPage}`;
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from auth.users where deleted_at is null`;
  return { users: [...users], count: row?.n ?? 0 };
}

/** An account as GoTrue describes it. */
export function describeUser(user: User, { email: identityEmail, identity_verified } = user) {
  const { id, email, role, email_confirmed_at, last_sign_in_at, banned_until, deleted_at } = user;
  const { created_at, updated_at, app_metadata, user_metadata } = user;
  return {
    id,
    aud: "authenticated",
    role,
    email,
    ...(email_confirmed_at && { email_confirmed_at, confirmed_at: email_confirmed_at }),
    phone: "",
    ...(last_sign_in_at && { last_sign_in_at }),
    app_metadata,
    user_metadata,
    identities: [{
      identity_id: user.identity_id,
      id,
      user_id: id,
      identity_data: {
        email: identityEmail,
        email_verified: identity_verified,
        phone_verified: false,
        sub: id,
      },
      provider: "email",
      last_sign_in_at: created_at,
      created_at,
      updated_at: created_at,
      email: identityEmail,
    }],
    created_at,
    updated_at,
    ...(banned_until && { banned_until }),
    ...(deleted_at && { deleted_at, new_email: "", new_phone: "" }),
    is_anonymous: false,
  };
}

const isTaken = (thrown: unknown) =>
  thrown instanceof postgres.PostgresError && thrown.code === "23505";

function readEmail(given: string): string {
  if (given === "") throw invalid("Cannot create a user without either an email or phone");
  if (/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(given) && given.length <= 255) return given.toLowerCase();
  throw invalid("Unable to validate email address: invalid format");
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The end of a ban, from a duration in Go's format (24h, 1h30m); null for none. */
function readBan(given: string): Date | null {
  if (given === "none") return null;
  const fail = (why: string) => invalid(`invalid format for ban duration: time: ${why}`);
  const parts = [...given.matchAll(/(\d+(?:\.\d+)?)([^\d.]*)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== given) {
    throw fail(`invalid duration ${JSON.stringify(given)}`);
  }
  const ms = parts.reduce((sum, [, amount = "", unit = ""]) => {
    const factor = unitMs[unit];
    if (factor !== undefined) return sum + Number(amount) * factor;
    throw fail(
      unit === ""
        ? `missing unit in duration ${JSON.stringify(given)}`
        : `unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(given)}`,
    );
  }, 0);
  return new Date(Date.now() + ms);
}
