/**
 * What must be true after a simulation, read from the database and from the texts.
 *
 * @module
 */

import type postgres from "postgres";
import type { SentText } from "../talk/line.ts";
import type { Experience } from "./caller.ts";

/** What is broken, by promise. A promise without entries is kept. */
export type Findings = Readonly<Record<string, readonly string[]>>;

interface Row {
  readonly id: string;
  readonly orgId: string;
  readonly callId: string | null;
  readonly name: string;
  readonly phone: string;
  readonly status: string;
  readonly isLive: boolean;
  readonly startsAt: Date;
}

/**
 * Checks every promise.
 *
 * @param sql A connection as the database's owner.
 * @param texts The texts sent since the run began.
 */
export async function findBroken(
  sql: postgres.Sql,
  experiences: readonly Experience[],
  texts: readonly SentText[],
): Promise<Findings> {
  const orgIds = [...new Set(experiences.map(({ orgId }) => orgId))];
  const rows = await sql<Row[]>`
    select a.id, a.org_id as "orgId", a.call_id as "callId", a.patient_name as name,
      a.patient_phone as phone, a.status, a.starts_at as "startsAt",
      a.status = 'confirmed' or a.status = 'held' and a.expires_at > clock_timestamp() as "isLive"
    from public.appointments as a where a.org_id = any (${orgIds}::uuid[])`;
  return {
    "nobody is booked twice": await findDoubles(sql, orgIds),
    "what is booked is within the doctors' hours": await findMisplaced(sql, orgIds),
    "what a caller was promised is so": experiences.flatMap((one) => findForgotten(one, rows)),
    "nothing is booked that no caller was told of": findUntold(experiences, rows),
    "every polite caller is served": experiences.flatMap(findUnserved),
    "a call that has ended holds nothing": findLeftHolds(experiences, rows),
    "a repeated request has the answer of the first": experiences.flatMap(
      ({ surprises, persona }) => surprises.map((line) => `caller ${persona.place}: ${line}`),
    ),
    "texts go to the callers who asked for them": findStrayTexts(experiences, texts),
    "the audit log has no names and numbers": await findNamed(sql, orgIds, experiences),
  };
}

/** Pairs that one doctor cannot keep, found without the columns of the constraints. */
async function findDoubles(sql: postgres.Sql, orgIds: readonly string[]): Promise<string[]> {
  const pairs = await sql<{ one: string; other: string }[]>`
    with live as (
      select a.id, a.org_id, a.provider_id, a.service_id, a.seat, a.starts_at, s.capacity,
        a.starts_at - make_interval(mins => s.buffer_before_min) as opens,
        a.ends_at + make_interval(mins => s.buffer_after_min) as closes
      from public.appointments as a
      join public.services as s on s.org_id = a.org_id and s.id = a.service_id
      where a.org_id = any (${[...orgIds]}::uuid[]) and a.status in ('held', 'confirmed')
        and coalesce(a.expires_at, 'infinity') > clock_timestamp()
    )
    select one.id as one, other.id as other
    from live as one
    join live as other on other.org_id = one.org_id and other.provider_id = one.provider_id
      and other.id > one.id and other.opens < one.closes and one.opens < other.closes
    where one.service_id <> other.service_id or one.starts_at <> other.starts_at
      or one.seat = other.seat or greatest(one.seat, other.seat) >= one.capacity`;
  return pairs.map(({ one, other }) => `appointments ${one} and ${other}`);
}

async function findMisplaced(sql: postgres.Sql, orgIds: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const orgId of orgIds) {
    const [row] = await sql<
      { answer: { bookings: { appointmentId: string; reason: string }[] } }[]
    >`
      select public.find_misplaced_bookings(${orgId}) as answer`;
    for (const { appointmentId, reason } of row?.answer.bookings ?? []) {
      found.push(`appointment ${appointmentId}: ${reason}`);
    }
  }
  return found;
}

function findForgotten(
  { persona, orgId, phone, beliefs }: Experience,
  rows: readonly Row[],
): string[] {
  return beliefs.flatMap(({ appointmentId, status, startTime }) => {
    const row = rows.find(({ id }) => id === appointmentId);
    const isKept = row?.orgId === orgId && row.status === status && row.phone === phone &&
      row.startsAt.getTime() === Date.parse(startTime) && persona.patients.includes(row.name);
    return isKept ? [] : [
      `caller ${persona.place} was told ${status} ${startTime} (${appointmentId}), there is ` +
      (row ? `${row.status} ${row.startsAt.toISOString()}` : "nothing"),
    ];
  });
}

function findUntold(experiences: readonly Experience[], rows: readonly Row[]): string[] {
  const told = new Set(
    experiences.flatMap(({ beliefs }) =>
      beliefs.flatMap(({ appointmentId, status }) => status === "confirmed" ? [appointmentId] : [])
    ),
  );
  return rows.filter(({ status, id }) => status === "confirmed" && !told.has(id))
    .map(({ id, callId }) => `appointment ${id} of the call ${callId}`);
}

function findUnserved({ persona, isServed, beliefs, clinicName }: Experience): string[] {
  if (persona.hangsUp) return [];
  const booked = beliefs.length > 0 || !persona.errands.includes("book");
  return isServed && booked
    ? []
    : [`caller ${persona.place} of ${clinicName}: ${persona.errands.join(", ")}`];
}

function findLeftHolds(experiences: readonly Experience[], rows: readonly Row[]): string[] {
  const ended = new Set(
    experiences.flatMap(({ persona, callIds }) => persona.hangsUp?.isTold === false ? [] : callIds),
  );
  return rows.filter(({ status, isLive, callId }) =>
    status === "held" && isLive && callId !== null && ended.has(callId)
  ).map(({ id, callId }) => `appointment ${id} of the call ${callId}`);
}

function findStrayTexts(
  experiences: readonly Experience[],
  texts: readonly SentText[],
): string[] {
  const clinicOf = new Map(experiences.map(({ phone, clinicName }) => [phone, clinicName]));
  return texts.flatMap(({ to, body }) => {
    const clinic = clinicOf.get(to);
    if (clinic === undefined) return [`a text to ${to}, who did not call`];
    return body.includes(clinic) ? [] : [`a text to ${to} that is not of ${clinic}`];
  });
}

async function findNamed(
  sql: postgres.Sql,
  orgIds: readonly string[],
  experiences: readonly Experience[],
): Promise<string[]> {
  const personal = new Set(
    experiences.flatMap(({ phone, persona }) => [phone.slice(1), ...persona.patients]),
  );
  const rows = await sql<{ id: string; action: string; line: string }[]>`
    select l.id, l.action, to_jsonb(l)::text as line from public.audit_logs as l
    where l.org_id = any (${[...orgIds]}::uuid[])`;
  return rows.filter(({ line }) =>
    [...line.matchAll(/\d{7,15}|[A-Z][a-z]+ [A-Z][a-z]+/g)].some(([text]) => personal.has(text))
  ).map(({ id, action }) => `${action} ${id}`);
}
