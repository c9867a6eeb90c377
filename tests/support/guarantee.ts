/**
 * Takes the guarantee against double booking apart, to test each mechanism without the other.
 *
 * @module
 */

import type postgres from "postgres";

/** Each of these alone keeps two live appointments from overlapping. */
export const legs = ["the constraint", "the look under the lock"] as const;

/** One of these mechanisms. */
export type Leg = (typeof legs)[number];

/** Removes everything of the guarantee except one mechanism. */
export async function leaveOnly(leg: Leg, sql: postgres.Sql): Promise<void> {
  for (const other of legs) if (other !== leg) await drop(other, sql);
}

/** Removes both mechanisms and the constraint against two rows with the same start and seat. */
export async function dropGuarantee(sql: postgres.Sql): Promise<void> {
  for (const leg of legs) await drop(leg, sql);
  await sql`drop index public.appointments_seat_unique`;
}

/** Removes one mechanism. */
export async function drop(leg: Leg, sql: postgres.Sql): Promise<void> {
  if (leg === "the constraint") {
    await sql`alter table public.appointments drop constraint appointments_no_overlap`;
    return;
  }
  // The lock stays: by itself it does not stop anyone from booking a time that was taken in the meantime.
  const [row] = await sql<{ head: string }[]>`
    select regexp_replace(pg_get_functiondef('private.would_overlap'::regproc),
      '\\mAS \\$function\\$.*', '') as head`;
  await sql.unsafe(`${row?.head} as $$ begin return false; end $$`);
}
