/**
 * Many concurrent callers, each on its own connection, and an independent check of what they hold.
 *
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import { type Bench, type Clinic, testWithBench } from "./clinic.ts";
import type { TestDatabase } from "./database.ts";

/** The answer of an entry function. */
export interface Answer {
  readonly outcome: string;
  readonly holdId?: string;
  readonly [name: string]: unknown;
}

/** One caller of one clinic in one call. */
export interface Caller {
  readonly clinic: Clinic;
  readonly callId: string;
  /** The patient's number. */
  readonly phone: string;
  /** The number the call comes from; null if withheld, the patient's if left out. */
  readonly from?: string | null;
}

/** A number with an unassigned country code, so that thousands of callers have one each. */
const aPhone = () =>
  `+999${crypto.getRandomValues(new Uint32Array(1))[0]?.toString().padStart(10, "0")}`;

/** A new caller. */
export function aCaller(clinic: Clinic, phone = aPhone(), from?: string | null): Caller {
  const caller = { clinic, callId: crypto.randomUUID(), phone };
  return from === undefined ? caller : { ...caller, from };
}

/** Open, idle connections, one for each caller. */
export interface Lines {
  readonly all: readonly Line[];
  /** How many answers were `busy` so far. */
  busy(): number;
  close(): Promise<void>;
}

/** One connection. */
export interface Line {
  readonly sql: postgres.ReservedSql;
  /** Calls an entry function once. */
  once(name: EntryFunction, caller: Caller, args?: Arguments): Promise<Answer>;
  /** Calls it again while the answer is `busy`, as an agent that is told to retry. */
  ask(name: EntryFunction, caller: Caller, args?: Arguments): Promise<Answer>;
}

type EntryFunction =
  | "claim_slot_atomic"
  | "cancel_appointment"
  | "reschedule_appointment"
  | "find_appointments"
  | "begin_otp_send"
  | "verify_otp_and_confirm";
/** Arguments by parameter, as PostgREST passes them; objects become jsonb. */
type Arguments = Readonly<Record<string, string | null | object>>;

/** Connections to a test's database that earlier tests left, with the functions already planned. */
const spare = new WeakMap<object, postgres.ReservedSql[]>();

/**
 * Opens one connection for each caller before any of them asks.
 *
 * @param hear Gets the server's notices; use it together with a caller's own address.
 */
export async function openLines(
  database: Pick<TestDatabase, "url"> & Partial<Pick<TestDatabase, "beforeDrop">>,
  count: number,
  hear: (notice: string) => void = () => {},
): Promise<Lines> {
  const left = spare.get(database)?.splice(0, count) ?? [];
  const opened = await openConnections(database, count - left.length, hear);
  const connections = [...left, ...opened.all];
  database.beforeDrop?.(opened.close);
  let busy = 0;
  return {
    busy: () => busy,
    all: connections.map((connection) => lineOn(connection, () => busy++)),
    close: async () => {
      if (!database.beforeDrop) return await opened.close();
      spare.set(database, [...spare.get(database) ?? [], ...connections]);
    },
  };
}

/** Runs work with one connection. */
export async function withLine(
  database: TestDatabase,
  work: (line: Line) => Promise<void>,
): Promise<void> {
  const lines = await openLines(database, 1);
  try {
    const [line] = lines.all;
    assert.ok(line);
    await work(line);
  } finally {
    await lines.close();
  }
}

async function openConnections(
  database: Pick<TestDatabase, "url">,
  count: number,
  hear: (notice: string) => void,
) {
  const sql = postgres(database.url(), {
    max: Math.max(count, 1),
    onnotice: ({ message = "" }) => hear(message),
  });
  const all = await Promise.all(Array.from({ length: count }, () => sql.reserve()));
  return {
    all,
    close: async () => {
      for (const connection of all) connection.release();
      await sql.end({ timeout: 1 });
    },
  };
}

function lineOn(sql: postgres.ReservedSql, noteBusy: () => void): Line {
  const once: Line["once"] = (name, caller, args) => call(sql, name, caller, args);
  return {
    sql,
    once,
    ask: async (name, caller, args) => {
      let answer = await once(name, caller, args);
      while (answer.outcome === "busy") {
        noteBusy();
        answer = await once(name, caller, args);
      }
      return answer;
    },
  };
}

async function call(
  sql: postgres.ReservedSql,
  name: EntryFunction,
  { clinic, callId, phone, from = phone }: Caller,
  given: Arguments = {},
): Promise<Answer> {
  const envelope = {
    calledNumber: clinic.number,
    ...(from === null ? {} : { callerNumber: from }),
    callId,
    toolCallId: crypto.randomUUID(),
  };
  const patient = {
    p_patient_name: "Ada Brown",
    p_patient_phone: phone,
    p_patient_country: "GB",
  };
  const args: Arguments = name.includes("otp")
    ? { p_call: envelope, p_hold: null, ...given }
    : { p_call: envelope, ...patient, ...given };
  const names = Object.keys(args);
  const values = Object.values(args).map((value) =>
    value === null || typeof value === "string" ? value : JSON.stringify(value)
  );
  const casts = Object.values(args).map((value, index) =>
    value === null || typeof value === "string"
      ? `$${index + 1}${names[index]?.match(/send_id|expected_org/) ? "::uuid" : "::text"}`
      : `($${index + 1}::text)::jsonb`
  );
  const parameters = names.map((parameter, index) => `${parameter} => ${casts[index]}`).join(", ");
  const [row] = await sql.unsafe<{ answer: Answer }[]>(
    `select public.${name}(${parameters}) as answer`,
    values,
    { prepare: true },
  );
  if (!row) throw new Error(`${name} answered nothing`);
  return row.answer;
}

const key = { p_key_id: "v1" };
const macOf = (code: string) => code.padStart(64, "0");

/** Every appointment as start and status, in the order of creation. */
export async function statesOf({ database }: Bench): Promise<string[]> {
  const rows = await database.sql<{ state: string }[]>`
    select to_char(a.starts_at at time zone o.timezone, 'HH24:MI ') || a.status as state
    from public.appointments as a join public.organizations as o on o.id = a.org_id
    order by a.created_at`;
  return rows.map(({ state }) => state);
}

/** A bench and three connections to its database. */
export interface LinedBench {
  readonly bench: Bench;
  readonly sql: postgres.Sql;
  readonly one: Line;
  readonly two: Line;
  readonly three: Line;
}

/** Registers a test with a bench and three connections. */
export function testWithLines(name: string, work: (given: LinedBench) => Promise<void>): void {
  testWithBench(name, async (bench) => {
    const lines = await openLines(bench.database, 3);
    try {
      const [one, two, three] = lines.all;
      assert.ok(one && two && three);
      await work({ bench, sql: bench.database.sql, one, two, three });
    } finally {
      await lines.close();
    }
  });
}

/** Records a code as texted, without sending a text. */
export async function sendCode(
  line: Line,
  caller: Caller,
  code: string,
  holdId: string | null = null,
): Promise<Answer> {
  return await line.ask("begin_otp_send", caller, {
    p_hold: holdId,
    ...key,
    p_send_id: crypto.randomUUID(),
    p_mac: macOf(code),
    p_expected_org: caller.clinic.id,
    p_sender: null,
  });
}

/** Verifies a code. */
export async function readCode(
  line: Line,
  caller: Caller,
  code: string,
  holdId: string | null = null,
): Promise<Answer> {
  return await line.ask("verify_otp_and_confirm", caller, {
    p_hold: holdId,
    p_macs: [{ keyId: key.p_key_id, mac: macOf(code) }],
  });
}

/** Counts the answers by outcome. */
export function countOutcomes(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of answers) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/**
 * Pairs of live appointments that one provider cannot keep both. Compares times with the services'
 * buffers and does not read the columns that the constraint uses. Seats of one session may overlap, and
 * so may an appointment and the hold for its new time.
 */
export async function findDoubles(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{
    id: string;
    provider: string;
    session: string;
    seat: number;
    capacity: number;
    patient: string | null;
    is_new_time: boolean;
    opens: number;
    closes: number;
  }[]>`
    select a.id, a.provider_id as provider, a.seat, s.capacity, a.patient_phone as patient,
      a.status = 'held' and exists (select from public.appointment_changes as c
        where c.org_id = a.org_id and c.hold_id = a.id) as is_new_time,
      a.service_id || '@' || a.starts_at as session,
      extract(epoch from a.starts_at)::float8 / 60 - s.buffer_before_min as opens,
      extract(epoch from a.ends_at)::float8 / 60 + s.buffer_after_min as closes
    from public.appointments as a join public.services as s on s.id = a.service_id
    where a.status in ('held', 'confirmed')
    order by provider, opens`;
  const doubles: string[] = [];
  for (const [index, one] of rows.entries()) {
    for (let next = index + 1; next < rows.length; next++) {
      const other = rows[next];
      if (!other || other.provider !== one.provider || other.opens >= one.closes) break;
      const isSeat = one.session === other.session && one.seat !== other.seat &&
        Math.max(one.seat, other.seat) < one.capacity;
      const isMove = one.patient === other.patient && one.is_new_time !== other.is_new_time;
      if (!isSeat && !isMove) doubles.push(`${one.session} seat ${one.seat} and ${other.session}`);
    }
  }
  return doubles;
}

/** The number of deadlocks that PostgreSQL has counted in this database. */
export async function countDeadlocks(sql: postgres.Sql): Promise<number> {
  await sql`select pg_stat_force_next_flush()`;
  const [row] = await sql<{ n: number }[]>`
    select deadlocks::int as n from pg_stat_database where datname = current_database()`;
  return row?.n ?? NaN;
}
