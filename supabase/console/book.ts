/**
 * A clinic's day as it is booked: which times are open, held and confirmed, by doctor.
 *
 * @module
 */

import { Refusal } from "./refusal.ts";
import type { SwitchedDatabase } from "./database.ts";

/** A time that is held or confirmed. */
export interface BookedTime {
  /** Slug. */
  readonly doctor: string;
  /** Local minutes from midnight. */
  readonly from: number;
  readonly to: number;
  readonly status: "held" | "confirmed" | "completed" | "no_show";
  /** Milliseconds since 1970; null when it does not expire. */
  readonly expiresAt: number | null;
  readonly patient: string | null;
  /** The patient's number, masked. */
  readonly phone: string | null;
  readonly service: string;
}

/** A time that can be booked with a doctor. */
export interface OpenTime {
  /** Slug. */
  readonly doctor: string;
  /** Local minutes from midnight. */
  readonly from: number;
  readonly slotId: string;
}

/** The book of a day. */
export interface Book {
  readonly clinic: string;
  /** Local, as `2026-12-01`. */
  readonly day: string;
  readonly zone: string;
  /** The clock of the database, in milliseconds since 1970. */
  readonly now: number;
  readonly service: { readonly name: string; readonly minutes: number; readonly step: number };
  readonly doctors: readonly { readonly slug: string; readonly name: string }[];
  readonly open: readonly OpenTime[];
  readonly booked: readonly BookedTime[];
}

/**
 * Reads the book of a clinic for its shortest service.
 *
 * @param day Local; the next day with an open time if undefined.
 * @throws {Refusal} When there is no such clinic, or the database is away.
 */
export function readBook(database: SwitchedDatabase, clinic: string, day?: string): Promise<Book> {
  return database.ask(async (sql) => {
    const [found] = await sql<Found[]>`
      select o.id, o.timezone as zone, s.id as service, s.name, s.duration_min as minutes,
        s.step_min as step, extract(epoch from clock_timestamp())::float8 * 1000 as now,
        coalesce(${day ?? null}::date, (
          select min(f.starts_at at time zone o.timezone)::date
          from private.find_starts(o.id, s.id, null, current_date + 1, current_date + 14,
            null, clock_timestamp()) as f), current_date)::text as day
      from public.organizations as o
      join public.services as s on s.org_id = o.id and s.active
      where o.slug = ${clinic}
      order by s.duration_min, s.name limit 1`;
    if (!found) throw new Refusal(404, `There is no clinic ${clinic}, or it offers nothing`);
    const { id, zone, service, name, minutes, step, now } = found;
    const [doctors, open, booked] = await Promise.all([
      sql<Book["doctors"][number][]>`
        select p.slug, p.name from public.providers as p
        where p.org_id = ${id} and p.active order by p.name`,
      sql<OpenTime[]>`
        select p.slug as doctor, private.slot_id(s.slug, f.starts_at, ${zone}, p.slug) as "slotId",
          extract(epoch from f.starts_at at time zone ${zone} - ${found.day}::date)::int / 60 as from
        from private.find_starts(${id}, ${service}, null, ${found.day}::date, ${found.day}::date,
          null, clock_timestamp()) as f
        join public.providers as p on p.org_id = ${id} and p.id = f.provider_id
        join public.services as s on s.org_id = ${id} and s.id = ${service}
        order by f.starts_at, p.name`,
      sql<BookedTime[]>`
        select p.slug as doctor, a.status, a.patient_name as patient, s.name as service,
          private.mask_phone(a.patient_phone) as phone,
          extract(epoch from a.expires_at)::float8 * 1000 as "expiresAt",
          extract(epoch from a.starts_at at time zone ${zone} - ${found.day}::date)::int / 60 as from,
          extract(epoch from a.ends_at at time zone ${zone} - ${found.day}::date)::int / 60 as to
        from public.appointments as a
        join public.providers as p on p.org_id = a.org_id and p.id = a.provider_id
        join public.services as s on s.org_id = a.org_id and s.id = a.service_id
        where a.org_id = ${id} and a.starts_at at time zone ${zone} < ${found.day}::date + 1
          and a.ends_at at time zone ${zone} > ${found.day}::date
          and (a.status in ('confirmed', 'completed', 'no_show')
            or a.status = 'held' and a.expires_at > clock_timestamp())
        order by a.starts_at`,
    ]);
    return {
      ...{ clinic, day: found.day, zone, now, service: { name, minutes, step } },
      ...{ doctors, open, booked },
    };
  });
}

interface Found {
  readonly id: string;
  readonly zone: string;
  readonly service: string;
  readonly name: string;
  readonly minutes: number;
  readonly step: number;
  readonly now: number;
  readonly day: string;
}
