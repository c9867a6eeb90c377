// deno-lint-ignore-file no-console -- a bench prints
/**
 * `deno task bench growth`: how long each entry function of a call takes in a small database and in one
 * with a thousand times the rows, in turn on one server.
 *
 * The callers' clinics grow too: they have half of all rows. Times are printed. It fails on a wrong
 * answer, and if a function reads more rows in the larger database.
 *
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import { getCredentials } from "../../shared/database/accounts.ts";
import { checkAvailability } from "../../shared/database/availability.ts";
import { endCall, findCountry } from "../../shared/database/calls.ts";
import {
  cancelAppointment,
  findAppointments,
  rescheduleAppointment,
} from "../../shared/database/changes.ts";
import type { Database } from "../../shared/database/client.ts";
import { leaveMessage } from "../../shared/database/desk_messages.ts";
import type { CallFacts } from "../../shared/database/entry.ts";
import { answerQuestion } from "../../shared/database/facts.ts";
import { claimSlot } from "../../shared/database/holds.ts";
import {
  beginOtpSend,
  completeOtpSend,
  verifyOtpAndConfirm,
} from "../../shared/database/passcodes.ts";
import { recordDelivery } from "../../shared/database/texts.ts";
import type { Running } from "../../supabase/tasks/task.ts";
import { createTestDatabase } from "../support/database.ts";
import { calledNumber, fill, settle } from "../support/many_clinics.ts";
import { askDatabase } from "./driver.ts";
import { median } from "./median.ts";

/** The size of a database. */
interface Amount {
  readonly clinics: number;
  /** The number of appointments, calls, tool calls, texts, audit rows and numbers, each. */
  readonly rows: number;
}

const small: Amount = { clinics: 10, rows: 1000 };
const rowsOfEachClinic = 50;
/** Clinics that get calls; half of the rows are theirs. */
const called = 10;

/**
 * Measures and prints.
 *
 * @param rows Rows of each table in the larger database.
 * @returns 1 if a function reads more rows in the larger database
 */
export async function benchGrowth(
  { rows, isQuick }: { readonly rows: number; readonly isQuick: boolean },
  running: Running,
): Promise<0 | 1> {
  const amounts = [small, { clinics: Math.ceil(rows / rowsOfEachClinic), rows }];
  const { rounds, calls } = isQuick ? { rounds: 1, calls: 10 } : { rounds: 5, calls: 60 };
  const grown: Grown[] = [];
  for (const amount of amounts) grown.push(await grow(amount, running));
  for (const one of grown) await one.play(10);
  const measured: (readonly Times[])[] = [];
  const rowsBefore = await Promise.all(grown.map(({ countRead }) => countRead()));
  for (let round = 0; round < rounds; round++) {
    const row: Times[] = [];
    for (const one of grown) row.push(await one.play(calls));
    measured.push(row);
  }
  const read = await Promise.all(
    grown.map(async ({ countRead }, index) =>
      (await countRead() - (rowsBefore[index] ?? 0)) / rounds / calls
    ),
  );
  printGrowth(amounts, measured);
  const [few = NaN, many = NaN] = read;
  console.log(`rows read by a whole call: ${few.toFixed(0)} and ${many.toFixed(0)}`);
  if (many <= 2 * few) return 0;
  console.error("The functions read more rows where there are more: an index is missing");
  return 1;
}

/** Milliseconds of each call, by function. */
type Times = ReadonlyMap<string, readonly number[]>;

/** A database with history. */
interface Grown {
  /** Plays whole calls, one after another. */
  play(calls: number): Promise<Times>;
  /** Rows read so far, in all our tables. */
  countRead(): Promise<number>;
}

async function grow(amount: Amount, running: Running): Promise<Grown> {
  const test = await running.start(createTestDatabase(), ({ drop }) => drop());
  const { sql, admin } = test;
  await settle(sql, { clinics: amount.clinics, doctors: 1 });
  await sql`update public.organizations set sms_hourly_limit = 1000000, message_hourly_limit = 1000`;
  await fill(admin, { rows: amount.rows, expired: false });
  await addPast(admin, amount);
  await admin`vacuum (analyze)`;
  const connection = postgres(test.url(), { max: 1, onnotice: () => {} });
  await running.start(Promise.resolve(connection), () => connection.end({ timeout: 5 }));
  const database = await askDatabase(connection);
  let played = 0;
  return {
    play: async (calls) => {
      const times = new Map<string, number[]>();
      const timed: Timed = async (name, work) => {
        const startedAt = performance.now();
        const answer = await work();
        times.set(name, [...times.get(name) ?? [], performance.now() - startedAt]);
        return answer;
      };
      for (let call = 0; call < calls; call++) await playCall(database, timed, played++);
      return times;
    },
    countRead: async () => {
      await connection`select pg_stat_force_next_flush()`;
      const [row] = await connection<{ n: number }[]>`
        select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::float8 as n
        from pg_stat_user_tables where schemaname in ('public', 'private')`;
      return row?.n ?? 0;
    },
  };
}

/** Adds the clinics' past, without checking foreign keys or running triggers. */
async function addPast(admin: postgres.Sql, { clinics, rows }: Amount): Promise<void> {
  const past = (sql: postgres.TransactionSql) =>
    sql`(
      select md5('o' || c.clinic)::uuid as org_id, 'past-' || n as call_id, n, c.clinic,
        now() - interval '2 days' - n * interval '2 seconds' as at, sha256(convert_to('past-' || n, 'UTF8')) as hash
      from generate_series(1, ${rows}::integer) as n,
        lateral (select case when n % 2 = 0 then n / 2 % ${called}
          else n / 2 % ${clinics}::integer end as clinic) as c
    ) as p`;
  await admin.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      insert into public.calls (org_id, call_id, created_at, seen_at, caller_hash)
      select org_id, call_id, at, at, hash from ${past(sql)}`;
    await sql`
      insert into public.tool_calls (org_id, call_id, tool_call_id, tool, arguments_hash, outcome,
        result, created_at)
      select org_id, call_id, 'call-' || n, 'hold_slot', hash, 'held', '{"outcome": "held"}', at
      from ${past(sql)}`;
    await sql`
      insert into public.sms_messages (org_id, id, origin, to_masked, to_hash, call_id, status,
        created_at, updated_at)
      select org_id, md5(n::text)::uuid, 'own_number', '***23', hash, call_id, 'sent', at, at
      from ${past(sql)}`;
    await sql`
      insert into public.audit_logs (org_id, at, actor, call_id, action, outcome)
      select org_id, at, 'call', call_id, 'hold_slot', 'held' from ${past(sql)}`;
    await sql`
      insert into public.phone_counts (phone_hash, changed_at) select hash, at from ${past(sql)}`;
    await sql`
      insert into public.contacts (org_id, id, phone, name, created_at)
      select org_id, md5(n::text)::uuid, '+4476' || lpad(n::text, 8, '0'), 'Ada Brown', at
      from ${past(sql)}`;
    // One appointment a day over a doctor's last decades; over some centuries in the clinics that get
    // calls.
    await sql`
      insert into public.appointments (org_id, provider_id, service_id, contact_id, patient_name,
        patient_phone, starts_at, ends_at, busy, session_key, status, call_id, created_at, updated_at)
      select org_id, md5('p' || clinic || '/0')::uuid, md5('s' || clinic)::uuid, md5(n::text)::uuid,
        'Ada Brown', '+4476' || lpad(n::text, 8, '0'), t.at, t.at + interval '30 minutes',
        tstzrange(t.at, t.at + interval '30 minutes'), gen_random_uuid(), 'completed', call_id, p.at, p.at
      from ${past(sql)}, lateral (
        select date_trunc('hour', now()) - n * interval '1 hour' as at) as t
      where n % 2 = 0`;
  });
}

type Timed = <Answer>(name: string, work: () => Promise<Answer>) => Promise<Answer>;

/** One call, from the first question to a cancellation, with everything that a call can do. */
async function playCall(database: Database, timed: Timed, number: number): Promise<void> {
  const clinic = number % called;
  const phone = `+447900${String(number).padStart(6, "0")}`;
  const callId = crypto.randomUUID();
  const facts = (): CallFacts => ({
    ...{ calledNumber: calledNumber(clinic), callerNumber: phone, callId },
    ...{ toolCallId: crypto.randomUUID(), claims: {} },
  });
  // Between the existing appointments, which begin at full hours, and outside the hour at
  // which clocks change.
  const slot = (index: number) => {
    const free = 2 * Math.floor(number / called) + index;
    const day = new Date(Date.now() + (3 + Math.floor(free / 18)) * 86_400_000);
    const hour = String(3 + free % 18).padStart(2, "0");
    return `consultation/${day.toISOString().slice(0, 10)}T${hour}:30`;
  };
  const patient = { patientName: "Ada Brown", patientPhone: phone, patientCountry: "GB" };
  const step = async (
    name: string,
    expected: string,
    work: () => Promise<{ readonly outcome: string; readonly orgId?: string | undefined }>,
  ) => {
    const answer = await timed(name, work);
    assert.equal(answer.outcome, expected, name);
    return answer;
  };
  await step("find_country", "found", () => findCountry(database, facts()));
  const { orgId = "" } = await step(
    "get_org_credentials",
    "not_configured",
    () => getCredentials(database, facts()),
  );
  const day = { date: slot(0).slice(13, 23) };
  await step(
    "check_availability",
    "available",
    () => checkAvailability(database, facts(), { service: "consultation", day }),
  );
  await step(
    "check_availability, a week",
    "available",
    () => checkAvailability(database, facts(), { service: "consultation", day, days: 7 }),
  );
  await step(
    "claim_slot_atomic",
    "held",
    () => claimSlot(database, facts(), { slotId: slot(0), ...patient }),
  );
  const mac = { keyId: "v1", mac: "0".repeat(64) };
  const send = { call: facts(), orgId, sendId: crypto.randomUUID() };
  await step("begin_otp_send", "claimed", () =>
    beginOtpSend(database, facts(), {
      ...{ sendId: send.sendId, mac, expectedOrgId: orgId, sender: undefined },
    }));
  await step("complete_otp_send", "sent", () => completeOtpSend(database, send, callId));
  await step(
    "record_delivery_report",
    "recorded",
    () =>
      recordDelivery(database, { orgId, sendId: send.sendId, sid: callId, status: "delivered" }),
  );
  await step(
    "verify_otp_and_confirm, wrong",
    "wrong_code",
    () =>
      verifyOtpAndConfirm(database, facts(), {
        holdId: undefined,
        macs: [{ ...mac, mac: "1".repeat(64) }],
      }),
  );
  await step(
    "verify_otp_and_confirm",
    "confirmed",
    () => verifyOtpAndConfirm(database, facts(), { holdId: undefined, macs: [mac] }),
  );
  await step("find_appointments", "found", () => findAppointments(database, facts(), patient));
  await step(
    "reschedule_appointment",
    "rescheduled",
    () => rescheduleAppointment(database, facts(), { ...patient, slotId: slot(1) }),
  );
  await step(
    "cancel_appointment",
    "cancelled",
    () => cancelAppointment(database, facts(), patient),
  );
  await step(
    "answer_question",
    "not_found",
    () => answerQuestion(database, facts(), { question: "parking", isMedical: false }),
  );
  await step("leave_message", "left", () =>
    leaveMessage(database, facts(), {
      ...{ callerName: "Ada Brown", phone, wishedTime: undefined, message: "Please call back" },
    }));
  await step(
    "end_call",
    "ended",
    () =>
      endCall(database, facts(), {
        endedReason: "customer-ended-call",
        sendId: crypto.randomUUID(),
      }),
  );
}

function printGrowth(
  [few, many]: readonly Amount[],
  rounds: readonly (readonly Times[])[],
): void {
  const count = (amount: Amount | undefined) =>
    `${amount?.clinics.toLocaleString("en")} clinics, ${
      amount?.rows.toLocaleString("en")
    } rows each`;
  console.log(`p95 in ms, medians of ${rounds.length} rounds: ${count(few)}; ${count(many)}`);
  const p95 = (times: readonly number[] = []) =>
    times.toSorted((a, b) => a - b)[Math.floor(0.95 * (times.length - 1))] ?? NaN;
  for (const name of rounds[0]?.[0]?.keys() ?? []) {
    const of = (index: number) => rounds.map((row) => p95(row[index]?.get(name)));
    const [before, after] = [of(0), of(1)];
    const ratio = median(after.map((ms, round) => ms / (before[round] ?? NaN)));
    console.log(
      name.padEnd(32) + [median(before), median(after)].map((ms) =>
        ms.toFixed(1).padStart(8)
      ).join("") +
        `${ratio.toFixed(2).padStart(8)} times${ratio <= 1.3 ? "" : ", more than 1.3"}`,
    );
  }
}
