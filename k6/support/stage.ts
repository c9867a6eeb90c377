// deno-lint-ignore-file no-console -- a task prints
/**
 * Where the scenarios play that need clinics of their own, and what the database says afterwards.
 *
 * @module
 */

import postgres from "postgres";
import { findDoubles } from "../../tests/support/callers.ts";
import { aLoadClinic } from "../../tests/support/load.ts";

/** How long Twilio takes there, in milliseconds. */
const twilioMs = 250;

/** A stage that is set. */
export interface Stage {
  /** For the scenario. */
  readonly env: Readonly<Record<string, string>>;
  /** What the database has against the run; nothing when every promise was kept. */
  check(): Promise<string[]>;
}

/** How many appointments the clinics must have, where a scenario says so. */
const holdsOf: Readonly<Record<string, number>> = { booking_rush: 5, isolation: 60 };

/** Makes two clinics whose limits no caller of these scenarios reaches. */
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
