/**
 * The clinic that attacks are aimed at, so that the other clinics keep their times and their limits.
 * Every attack has a new one, and the one before is deleted.
 *
 * @module
 */

import { readClinics } from "../local/clinics.ts";
import { findFreeNumber } from "../tasks/simulate/clinics.ts";
import { type Line, openLine } from "../tasks/talk/line.ts";
import type { SwitchedDatabase } from "./database.ts";

/** How the slugs of such clinics begin. */
export const targetPrefix = "attacked-";

const clinicFiles = new URL("../clinics/", import.meta.url);

/** A clinic to attack. */
export interface Target {
  readonly slug: string;
  readonly orgId: string;
  readonly line: Line;
}

/**
 * Makes a clinic like the first example.
 *
 * @param provision Stores a Twilio account for every clinic that has none.
 */
export async function makeTarget(
  database: SwitchedDatabase,
  url: string,
  provision: () => Promise<void>,
): Promise<Target> {
  const clinics = await readClinics(clinicFiles);
  const model = clinics.find(({ defaultCountry }) => defaultCountry === "GB");
  if (!model) throw new Error("Cannot make a clinic to attack: none of the examples is in Britain");
  const slug = `${targetPrefix}${crypto.randomUUID().slice(0, 8)}`;
  const orgId = await database.ask(async (sql) => {
    await sql`
      with targets as (
        select o.id from public.organizations as o where o.slug like ${`${targetPrefix}%`}
      ), ended as (
        update public.appointments as a set status = 'cancelled', expires_at = null
        from targets as t where a.org_id = t.id returning a.org_id
      )
      select count(*) from ended`;
    await sql`
      select public.delete_clinic(o.id) from public.organizations as o
      where o.slug like ${`${targetPrefix}%`}`;
    const document = {
      ...model,
      ...{ slug, name: "Attacked Dental", numbers: [await findFreeNumber(sql, "GB")] },
      ...{ vapiPhoneNumbers: [], vapiAssistants: [] },
    };
    const [row] = await sql<{ outcome: string; id: string }[]>`
      select a ->> 'outcome' as outcome, a ->> 'orgId' as id
      from public.apply_clinic(${JSON.stringify(document)}::text::jsonb) as a`;
    if (row?.outcome !== "added") throw new Error(`Cannot add the clinic: ${row?.outcome}`);
    return row.id;
  });
  await provision();
  return { slug, orgId, line: await database.ask((sql) => openLine(sql, slug, url)) };
}
