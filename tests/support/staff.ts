/**
 * Members of a clinic, who ask with a token as PostgREST passes it on: the role `authenticated`, and
 * the claims.
 *
 * @module
 */

import type postgres from "postgres";
import type { Role } from "../../supabase/desk/app/rows.ts";
import type { Answer } from "./callers.ts";

/** An account; the role is null if it is not a member of any clinic. */
export interface Member {
  readonly userId: string;
  readonly email: string;
}

/** A function's arguments; objects become jsonb. */
export type StaffArguments = Readonly<Record<string, unknown>>;

/** Creates an account, and makes it a member of the clinic if one is given. */
export async function aMember(
  sql: postgres.Sql,
  orgId?: string,
  role: Role = "desk",
): Promise<Member> {
  const userId = crypto.randomUUID();
  const email = `${userId}@example.test`;
  await sql`insert into auth.users (id, email) values (${userId}, ${email})`;
  if (orgId) {
    await sql`insert into public.org_members (org_id, user_id, role)
      values (${orgId}, ${userId}, ${role})`;
  }
  return { userId, email };
}

/** The claims of a member's token. */
export const claimsOf = ({ userId }: Member): Readonly<Record<string, unknown>> => ({
  sub: userId,
  role: "authenticated",
});

/**
 * Runs work in one transaction with the rights of a token.
 *
 * @param claims The token's claims; the claim `role` is the database role.
 */
export async function withClaims<T>(
  sql: postgres.Sql,
  claims: Readonly<Record<string, unknown>>,
  work: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  return await sql.begin(async (tx) => {
    await tx`select set_config('role', ${String(claims["role"])}, true),
      set_config('request.jwt.claims', ${JSON.stringify(claims)}, true)`;
    return await work(tx);
  }) as T;
}

/** Calls one of the functions for staff once; a request id is generated if none is given. */
export async function askOnce(
  sql: postgres.Sql,
  claims: Readonly<Record<string, unknown>>,
  name: string,
  args: StaffArguments,
): Promise<Answer> {
  return await withClaims(sql, claims, async (tx) => {
    const given = Object.entries(args).filter(([, value]) => value !== undefined);
    const list = given.map(([parameter, value], index) =>
      `${parameter} => $${index + 1}${castOf(parameter, value)}`
    );
    const [row] = await tx.unsafe<{ answer: Answer }[]>(
      `select public.${name}(${list.join(", ")}) as answer`,
      given.map(([, value]) =>
        typeof value === "object" && value !== null ? JSON.stringify(value) : value as string | null
      ),
    );
    if (!row) throw new Error(`${name} answered nothing`);
    return row.answer;
  });
}

/** The same for a member; asks again while the answer is `busy`. */
export async function askAs(
  sql: postgres.Sql,
  member: Member,
  name: string,
  args: StaffArguments,
): Promise<Answer> {
  const asked = name.match(/list|find/) ? args : { p_request: crypto.randomUUID(), ...args };
  for (;;) {
    const answer = await askOnce(sql, claimsOf(member), name, asked);
    if (answer.outcome !== "busy") return answer;
  }
}

/** How a member asks at one clinic, as {@link askAs} does. */
export function asMember(sql: postgres.Sql, member: Member, { id }: { readonly id: string }) {
  return (name: string, args: StaffArguments = {}) =>
    askAs(sql, member, name, { p_org: id, ...args });
}

function castOf(parameter: string, value: unknown): string {
  if (/_(hours|days)$/.test(parameter) && typeof value !== "number") return "::text::jsonb";
  if (/_(from|to)$/.test(parameter)) return "::text::timestamptz";
  if (/^p_id$|_(org|request|user|appointment|provider|time_off)$/.test(parameter)) {
    return parameter === "p_provider" && typeof value === "string" && !/^[0-9a-f-]{36}$/.test(value)
      ? ""
      : "::uuid";
  }
  return "";
}
