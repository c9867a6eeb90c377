// deno-lint-ignore-file no-console -- a task prints
/**
 * Creates the clinics for scenarios that need their own, and checks the database afterwards.
 *
 * @module
 */

import type postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import { findDoubles } from "../../tests/support/callers.ts";
import { aLoadClinic } from "../../tests/support/load.ts";

/** The delay of the clinics' Twilio, in milliseconds. */
const twilioMs = 250;

/** The clinics of a run. */
export interface Stage {
  /** Environment of the scenario. */
  readonly env: Readonly<Record<string, string>>;
  /** What is wrong in the database after the run; empty when every promise was kept. */
  check(): Promise<string[]>;
}

/** How many appointments the clinics must have, for scenarios that can tell. */
const holdsOf: Readonly<Record<string, number>> = { booking_rush: 5, isolation: 60 };

/** The numbers that otp_storm attacks. */
const victims = Array.from(
  { length: 5 },
  () => `+4474${String(Math.floor(Math.random() * 50_000_000)).padStart(8, "0")}`,
);

/** Creates two clinics. Only the callers of otp_storm reach their limits. */
export async function setStage(
  scenario: string,
  url: string,
  settings: Readonly<Record<string, string>>,
): Promise<Stage> {
  const doctors = scenario === "booking_rush" ? 1 : 10;
  const clinic = (await aLoadClinic(settings, url, doctors)).clinic;
  const other = (await aLoadClinic(settings, url, doctors)).clinic;
  await fetch(`${url}/local/faults`, {
    method: "POST",
    body: JSON.stringify({ kind: "slow", ms: twilioMs, times: 10_000 }),
  });
  return {
    env: {
      CLINIC: clinic.number,
      CLINIC_ID: clinic.id,
      OTHER_CLINIC: other.number,
      OTHER_ID: other.id,
      VICTIMS: victims.join(","),
    },
    check: async () => {
      await fetch(`${url}/local/faults`, { method: "DELETE" });
      return await withConnection(settings["SUPABASE_DB_URL"] ?? "", async (sql) => {
        const doubles = await findDoubles(sql);
        const [row] = await sql<{ n: number }[]>`
          select count(*)::int as n from public.appointments
          where org_id in (${clinic.id}, ${other.id}) and status in ('held', 'confirmed')`;
        const live = row?.n ?? 0;
        const expected = holdsOf[scenario] ?? live;
        console.log(`The database has ${live} live appointments and ${doubles.length} doubles`);
        return [
          ...await checkTexts(sql, url, clinic.id),
          ...doubles.map((double) => `booked twice: ${double}`),
          ...live === expected ? [] : [`${live} live appointments instead of ${expected}`],
        ];
      });
    },
  };
}

/** Checks that no victim got more texts than an hour allows, and that nothing was confirmed for them. */
async function checkTexts(sql: postgres.Sql, url: string, clinic: string): Promise<string[]> {
  const [limits] = await sql<{ texts: number }[]>`
    select phone_hourly_sends + own_phone_hourly_sends as texts
    from public.organizations where id = ${clinic}`;
  const most = limits?.texts ?? NaN;
  const confirmed = await sql<{ phone: string }[]>`
    select distinct patient_phone as phone from public.appointments
    where patient_phone in ${sql(victims)} and status = 'confirmed'`;
  const counts = await Promise.all(victims.map(async (victim) => {
    const texts = await fetch(`${url}/local/sms?to=${encodeURIComponent(victim)}`);
    return { victim, count: (await texts.json()).length };
  }));
  return [
    ...confirmed.map(({ phone }) => `confirmed without the code of ${phone}`),
    ...counts.filter(({ count }) => !(count <= most))
      .map(({ victim, count }) => `${victim} got ${count} texts; an hour allows ${most}`),
  ];
}
