// deno-lint-ignore-file no-console -- a task prints
/**
 * Creates the clinics for scenarios that need their own, and checks the database afterwards.
 *
 * @module
 */

import postgres from "postgres";
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

/** Creates two clinics with limits that the scenarios do not reach. */
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
    },
    check: async () => {
      await fetch(`${url}/local/faults`, { method: "DELETE" });
      const sql = postgres(settings["SUPABASE_DB_URL"] ?? "", { max: 1, onnotice: () => {} });
      try {
        const doubles = await findDoubles(sql);
        const [row] = await sql<{ n: number }[]>`
          select count(*)::int as n from public.appointments
          where org_id in (${clinic.id}, ${other.id}) and status in ('held', 'confirmed')`;
        const live = row?.n ?? 0;
        const expected = holdsOf[scenario] ?? live;
        console.log(`The database has ${live} live appointments and ${doubles.length} doubles`);
        return [
          ...doubles.map((double) => `booked twice: ${double}`),
          ...live === expected ? [] : [`${live} live appointments instead of ${expected}`],
        ];
      } finally {
        await sql.end({ timeout: 5 });
      }
    },
  };
}
