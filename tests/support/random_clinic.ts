/**
 * Random clinics from a seed, as rows and in the oracle's form, around days on which clocks change.
 *
 * @module
 */

import type postgres from "postgres";
import {
  clockOf,
  dayName,
  dayNumber,
  type OracleAppointment,
  type OracleClinic,
  type OracleHours,
  type OracleOverride,
  type OracleProvider,
  type OracleQuestion,
  type OracleService,
} from "./availability_oracle.ts";

/** Zones and interesting local days; the days before and after are asked about too. */
export const days: readonly (readonly [zone: string, day: string])[] = [
  ["Europe/London", "2026-03-29"],
  ["Europe/London", "2026-10-25"],
  ["Europe/London", "2027-12-31"],
  ["America/New_York", "2026-03-08"],
  ["America/New_York", "2026-11-01"],
  ["America/New_York", "2028-02-29"],
  ["America/Sao_Paulo", "2018-02-17"],
  ["America/Sao_Paulo", "2018-11-04"],
  ["Asia/Kolkata", "2028-02-29"],
  ["Asia/Kolkata", "2026-12-31"],
  ["Pacific/Chatham", "2026-04-05"],
  ["Pacific/Chatham", "2026-09-27"],
  ["Africa/Casablanca", "2026-02-15"],
  ["Africa/Casablanca", "2026-03-22"],
  ["Australia/Lord_Howe", "2026-04-05"],
  ["Australia/Lord_Howe", "2026-10-04"],
  ["America/Havana", "2026-03-08"],
  ["America/Havana", "2026-11-01"],
  ["Asia/Beirut", "2026-03-29"],
  ["Asia/Beirut", "2026-10-24"],
  ["Atlantic/Azores", "2026-10-25"],
  ["Africa/Cairo", "2026-04-24"],
  ["Antarctica/Troll", "2026-03-29"],
  ["Antarctica/Troll", "2026-10-25"],
  ["Asia/Kathmandu", "2026-05-04"],
  ["Pacific/Apia", "2011-12-30"],
  ["Pacific/Kiritimati", "2027-12-31"],
  ["America/Los_Angeles", "2026-11-01"],
];

/** A number from 0 up to but not including 1. */
export type Random = () => number;

interface SeatedAppointment extends OracleAppointment {
  readonly end: number;
  readonly seat: number;
}

/** A clinic, the days to ask about, and who asks. */
export interface RandomClinic extends OracleClinic {
  readonly appointments: readonly SeatedAppointment[];
  readonly orgId: string;
  readonly firstDay: string;
  readonly lastDay: string;
  readonly question: OracleQuestion;
}

/** A whole number, both ends included. */
export const integer = (random: Random, from: number, to: number) =>
  from + Math.floor(random() * (to - from + 1));
/** One of some items. */
export const oneOf = <Item>(random: Random, items: readonly [Item, ...Item[]]): Item =>
  items[integer(random, 0, items.length - 1)] ?? items[0];
const uuid = (random: Random) => {
  const hex = Array.from({ length: 32 }, () => integer(random, 0, 15).toString(16)).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
};

/**
 * Creates a clinic around a day in a zone.
 *
 * @param atMs When its calendar is asked about; a moment before or during the days if left out.
 */
export function aRandomClinic(
  random: Random,
  [zone, focus]: readonly [zone: string, day: string],
  atMs?: number,
): RandomClinic {
  const first = dayNumber(focus) - integer(random, 0, 1);
  const last = dayNumber(focus) + integer(random, 0, 1);
  const midnight = clockOf(zone).find(first * 1440, "first");
  const service = aService(random);
  const providers = Array.from(
    { length: integer(random, 1, 3) },
    () => aProvider(random, first, last, midnight),
  );
  const callId = random() < 0.7 ? uuid(random) : null;
  const closingDays = random() < 0.2 ? [dayName(integer(random, first - 1, last + 1))] : [];
  return {
    orgId: uuid(random),
    zone,
    closingDays,
    service,
    providers,
    appointments: someAppointments(random, service, providers, midnight, callId),
    firstDay: dayName(first),
    lastDay: dayName(last),
    question: { atMs: atMs ?? aMoment(random, service, midnight), callId },
  };
}

function aService(random: Random): OracleService {
  return {
    id: uuid(random),
    durationMin: oneOf(random, [5, 15, 15, 20, 30, 30, 45, 60, 60, 90, 180, 600, 1440]),
    stepMin: oneOf(random, [5, 10, 15, 20, 25, 30, 45, 60, 7]),
    bufferBeforeMin: oneOf(random, [0, 0, 5, 15, 60]),
    bufferAfterMin: oneOf(random, [0, 0, 10, 30, 90]),
    noticeMin: oneOf(random, [0, 0, 0, 30, 60, 60, 1440, 4000]),
    horizonDays: oneOf(random, [0, 1, 2, 3, 14, 14, 90, 90]),
    capacity: oneOf(random, [1, 1, 1, 2, 3]),
  };
}

/** Mostly some time before the days asked about, sometimes during them. */
function aMoment(random: Random, service: OracleService, midnight: number): number {
  const earliest = Math.min(service.horizonDays * 1440, 9000);
  const minute = midnight +
    (random() < 0.3 ? integer(random, -600, 3000) : -integer(random, 0, earliest));
  return minute * 60_000 + oneOf(random, [0, 0, 1, 30_000, 59_999]);
}

/** A minute near the hours at which clocks change, or anywhere. */
const aMinute = (random: Random) =>
  random() < 0.6 ? integer(random, 0, 18) * 15 : integer(random, 0, 287) * 5;

function someHours(random: Random): { startMin: number; endMin: number } {
  const startMin = random() < 0.3 ? integer(random, 72, 95) * 15 : aMinute(random);
  const length = oneOf(random, [15, 30, 60, 90, 120, 240, 480, 720, 1440]);
  // Many end at midnight, where the next day's hours may begin.
  const endMin = random() < 0.15 ? 1440 : startMin + length;
  return { startMin, endMin };
}

function aProvider(
  random: Random,
  first: number,
  last: number,
  midnight: number,
): OracleProvider {
  const hours = Array.from({ length: integer(random, 3, 14) }, (): OracleHours => {
    const id = uuid(random);
    const dow = new Date((first + integer(random, -2, 3)) * 86_400_000).getUTCDay();
    const validity = random() < 0.85 ? {} : {
      firstDay: dayName(first - integer(random, 0, 2)),
      lastDay: dayName(first + integer(random, 0, 2)),
    };
    return { id, dow, ...someHours(random), ...validity };
  });
  const overrides = Array.from({ length: integer(random, 0, 2) }, (): OracleOverride => {
    const id = uuid(random);
    const day = dayName(integer(random, first - 1, last + 1));
    const isClosed = random() < 0.4;
    return { id, day, ...(isClosed ? { startMin: null, endMin: null } : someHours(random)) };
  });
  const timeOff = Array.from({ length: integer(random, 0, 2) }, () => {
    const from = midnight + integer(random, -100, 700) * 5;
    return [from, from + integer(random, 1, 60) * 5] as const;
  });
  return { id: uuid(random), isOffered: random() < 0.93, hours, overrides, timeOff };
}

function someAppointments(
  random: Random,
  service: OracleService,
  [first, ...others]: readonly OracleProvider[],
  midnight: number,
  callId: string | null,
): SeatedAppointment[] {
  if (!first) return [];
  const rows = Array.from({ length: integer(random, 0, 14) }, (): SeatedAppointment => {
    const isSame = random() < 0.6;
    // Some were booked when the service had other settings.
    const asNow = isSame && random() < 0.9;
    const start = midnight + integer(random, -60, 600) * 5;
    const duration = asNow ? service.durationMin : oneOf(random, [10, 30, 60]);
    const before = asNow ? service.bufferBeforeMin : oneOf(random, [0, 15]);
    const after = asNow ? service.bufferAfterMin : oneOf(random, [0, 15]);
    const status = oneOf(random, statuses);
    return {
      id: uuid(random),
      providerId: oneOf(random, [first, first, ...others]).id,
      serviceId: isSame ? service.id : otherServiceOf(service),
      start,
      end: start + duration,
      busyFrom: start - before,
      busyTo: start + duration + after,
      status,
      expiresAtMs: status === "held" ? midnight * 60_000 + integer(random, -9, 9) * 1e8 : null,
      callId: random() < 0.3 ? callId : null,
      seat: 0,
    };
  });
  // Others join existing sessions.
  const guests = rows.flatMap((row) =>
    Array.from({ length: integer(random, 0, service.capacity - 1) }, (_, seat) => ({
      ...row,
      id: uuid(random),
      seat: seat + 1,
    }))
  );
  return [...rows, ...guests];
}

const statuses = [
  ...["held", "held", "held", "confirmed", "confirmed", "cancelled", "expired"] as const,
  ...["completed", "no_show", "requires_manual_followup"] as const,
] as const;

/** The id of a second service that takes time from the same providers. */
const otherServiceOf = ({ id }: OracleService) => `${id.startsWith("0") ? "f" : "0"}${id.slice(1)}`;

/**
 * Inserts the clinics, without the rows that constraints refuse (overlapping hours or appointments).
 *
 * @returns The clinics as inserted.
 */
export async function writeClinics(
  sql: postgres.Sql,
  clinics: readonly RandomClinic[],
): Promise<RandomClinic[]> {
  const all = <Row extends object>(of: (clinic: RandomClinic) => readonly Row[]) =>
    JSON.stringify(
      clinics.flatMap((clinic) => of(clinic).map((row) => ({ org_id: clinic.orgId, ...row }))),
    );
  const ofProviders = <Row extends object>(of: (provider: OracleProvider) => readonly Row[]) =>
    all(({ providers }) =>
      providers.flatMap((provider) => of(provider).map((row) => ({ doctor: provider.id, ...row })))
    );
  await sql`
    insert into public.organizations (
      id, slug, name, timezone, default_country, sms_countries, closing_days)
    select c.org_id, 'random-' || c.org_id, 'Random', c.zone, 'GB', '{GB}',
      (select coalesce(range_agg(daterange(d.day, d.day, '[]')), '{}')
        from unnest(c."closingDays") as d (day))
    from jsonb_to_recordset(${
    all(({ zone, closingDays }) => [{ zone, closingDays }])
  }::text::jsonb) as c (org_id uuid, zone text, "closingDays" date[])`;
  await sql`
    insert into public.contacts (org_id, id, phone, name)
    select o.id, o.id, '+447700900123', 'Ada Brown' from public.organizations as o
    where o.slug = 'random-' || o.id`;
  const services = all(({ service }) => [service, { ...service, id: otherServiceOf(service) }]);
  await sql`
    insert into public.services (org_id, id, slug, name, duration_min, step_min, buffer_before_min,
      buffer_after_min, notice_min, horizon_days, capacity)
    select org_id, id, id::text, 'Service', "durationMin", "stepMin", "bufferBeforeMin",
      "bufferAfterMin", "noticeMin", "horizonDays", capacity
    from jsonb_to_recordset(${services}::text::jsonb) as s (
      org_id uuid, id uuid, "durationMin" integer, "stepMin" integer, "bufferBeforeMin" integer,
      "bufferAfterMin" integer, "noticeMin" integer, "horizonDays" integer, capacity integer)`;
  const providers = all(({ providers, service }) =>
    providers.map(({ id, isOffered }, place) => ({
      id,
      // A provider that is not offered is inactive, or offers another service.
      active: isOffered || place > 0,
      service: isOffered || place === 0 ? service.id : otherServiceOf(service),
    }))
  );
  await sql`
    with given as (
      select * from jsonb_to_recordset(${providers}::text::jsonb)
        as p (org_id uuid, id uuid, active boolean, service uuid)
    ), written as (
      insert into public.providers (org_id, id, slug, name, active)
      select org_id, id, id::text, 'Doctor', active from given
    )
    insert into public.provider_services (org_id, provider_id, service_id)
    select org_id, id, service from given`;
  const hours = await sql<{ id: string }[]>`
    insert into public.working_hours (org_id, id, provider_id, dow, start_min, end_min, valid)
    select org_id, id, doctor, dow, "startMin", "endMin", daterange("firstDay", "lastDay", '[]')
    from jsonb_to_recordset(${ofProviders(({ hours }) => hours)}::text::jsonb) as h (
      org_id uuid, id uuid, doctor uuid, dow integer, "startMin" integer, "endMin" integer,
      "firstDay" date, "lastDay" date)
    on conflict do nothing
    returning id`;
  const overrides = await sql<{ id: string }[]>`
    insert into public.working_hours_overrides (org_id, id, provider_id, day, start_min, end_min)
    select org_id, id, doctor, day, "startMin", "endMin"
    from jsonb_to_recordset(${ofProviders(({ overrides }) => overrides)}::text::jsonb) as o (
      org_id uuid, id uuid, doctor uuid, day date, "startMin" integer, "endMin" integer)
    on conflict do nothing
    returning id`;
  const timeOff = ofProviders(({ timeOff }) => timeOff.map(([from, to]) => ({ from, to })));
  await sql`
    insert into public.time_off (org_id, provider_id, span)
    select org_id, doctor, tstzrange(to_timestamp("from" * 60), to_timestamp("to" * 60))
    from jsonb_to_recordset(${timeOff}::text::jsonb)
      as t (org_id uuid, doctor uuid, "from" bigint, "to" bigint)`;
  const appointments = await sql<{ id: string }[]>`
    insert into public.appointments (org_id, id, provider_id, service_id, contact_id, patient_name,
      patient_phone, starts_at, ends_at, busy, session_key, seat, capacity, status, expires_at,
      call_id)
    select org_id, id, "providerId", "serviceId", case when status = 'confirmed' then org_id end,
      'Ada Brown', '+447700900123', to_timestamp(start * 60), to_timestamp("end" * 60),
      tstzrange(to_timestamp("busyFrom" * 60), to_timestamp("busyTo" * 60)),
      private.session_key("serviceId", to_timestamp(start * 60)), seat, 10, status,
      to_timestamp("expiresAtMs" / 1000.0), "callId"
    from jsonb_to_recordset(${all(({ appointments }) => appointments)}::text::jsonb) as a (
      org_id uuid, id uuid, "providerId" uuid, "serviceId" uuid, start bigint, "end" bigint,
      "busyFrom" bigint, "busyTo" bigint, seat integer, status text, "expiresAtMs" bigint,
      "callId" text)
    on conflict do nothing
    returning id`;
  const written = new Set([...hours, ...overrides, ...appointments].map(({ id }) => id));
  const isWritten = ({ id }: { readonly id: string }) => written.has(id);
  return clinics.map((clinic) => ({
    ...clinic,
    appointments: clinic.appointments.filter(isWritten),
    providers: clinic.providers.map((provider) => ({
      ...provider,
      hours: provider.hours.filter(isWritten),
      overrides: provider.overrides.filter(isWritten),
    })),
  }));
}
