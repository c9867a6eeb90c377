/**
 * Takes the guarantee against double booking apart, to test each of its legs without the other.
 *
 * @module
 */

import type postgres from "postgres";

/** What each keeps two live appointments from overlapping, without the other. */
export const legs = ["the constraint", "the look under the lock"] as const;

/** One of them. */
export type Leg = (typeof legs)[number];

/** Takes away everything of the guarantee but one leg. */
export async function leaveOnly(leg: Leg, sql: postgres.Sql): Promise<void> {
  for (const other of legs) if (other !== leg) await drop(other, sql);
}

/** Takes away both legs, and what forbids two rows with the same start and seat. */
export async function dropGuarantee(sql: postgres.Sql): Promise<void> {
  for (const leg of legs) await drop(leg, sql);
  await sql`drop index public.appointments_seat_unique`;
}

/** Takes away one leg. */
export async function drop(leg: Leg, sql: postgres.Sql): Promise<void> {
  if (leg === "the constraint") {
    await sql`alter table public.appointments drop constraint appointments_no_overlap`;
    return;
  }
  // The lock stays: by itself it keeps nobody from booking a time that was taken meanwhile.
  const [row] = await sql<{ head: string }[]>`
    select regexp_replace(pg_get_functiondef('private.would_overlap'::regproc),
      '\\mAS \\$function\\$.*', '') as head`;
  await sql.unsafe(`${row?.head} as $$ begin return false; end $$`);
}
