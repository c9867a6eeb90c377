/**
 * Mistakes that a campaign must find: each breaks one function of the database on purpose.
 *
 * @module
 */

import type { Bench } from "../support/clinic.ts";

/** A change to a function's text that breaks a promise. */
export interface Mistake {
  readonly name: string;
  readonly functionName: string;
  readonly from: string;
  readonly to: string;
  /** What must also go, because otherwise the mistake would break nothing. */
  readonly also?: string;
}

const comparison = "and c.send_id = p_send_id and c.state = 'sending'";

/** One mistake for each promise. */
export const mistakes: readonly Mistake[] = [
  {
    name: "a failure that clears any code",
    functionName: "public.clear_otp_send",
    from: comparison,
    to: "and c.mac is not null",
  },
  {
    name: "a failed text whose code is kept",
    functionName: "public.clear_otp_send",
    from: comparison,
    to: "and false",
  },
  {
    name: "guesses that are not counted",
    functionName: "private.count_wrong_code",
    from: "set code_attempts = c.code_attempts + 1",
    to: "set code_attempts = c.code_attempts",
  },
  {
    name: "a resend that keeps the old code",
    functionName: "private.store_send",
    from: "mac = excluded.mac,",
    to: "",
  },
  {
    name: "codes that never expire",
    functionName: "private.refuse_code",
    from: "v_code.expires_at <= p_now",
    to: "false",
  },
  {
    name: "no cooldown",
    functionName: "private.repeated_send",
    from: "private.text_cooldown() and",
    to: "interval '0' and",
  },
  {
    name: "a cooldown of minutes",
    functionName: "private.repeated_send",
    from: "private.text_cooldown() and",
    to: "interval '5 minutes' and",
  },
  {
    name: "a request that counts twice",
    functionName: "private.recall_answer",
    from: "t.tool = p_tool",
    to: "false",
  },
  {
    name: "a code that outlives a corrected number",
    functionName: "private.repeat_hold",
    from: "perform private.forget_old_phone(p_org.id, v_hold);",
    to: "",
  },
  {
    name: "a time that is given twice",
    functionName: "private.would_overlap",
    from: "return exists (",
    to: "return false and exists (",
    also: "alter table public.appointments drop constraint appointments_no_overlap",
  },
  {
    name: "a code that confirms one hold only",
    functionName: "private.confirm_holds",
    from: "where h.patient_phone = p_phone order by h.created_at",
    to: "where h.patient_phone = p_phone order by h.created_at limit 1",
  },
];

/**
 * Makes a mistake in a bench's database.
 *
 * @throws {Error} If the function no longer contains that text.
 */
export async function make({ database: { sql } }: Bench, mistake: Mistake): Promise<void> {
  const { functionName, from, to, name, also } = mistake;
  const [row] = await sql<{ text: string }[]>`
    select pg_get_functiondef(to_regproc(${functionName})) as text`;
  if (!row?.text?.includes(from)) {
    throw new Error(`Cannot make ${name}: ${functionName} has no longer "${from}"`);
  }
  await sql.unsafe(row.text.replace(from, to));
  if (also !== undefined) await sql.unsafe(also);
}
