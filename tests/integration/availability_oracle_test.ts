/** Availability beside an oracle that walks through the rules minute by minute. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  type Clock,
  clockOf,
  dayName,
  dayNumber,
  judgeOf,
} from "../support/availability_oracle.ts";
import { createTestDatabase } from "../support/database.ts";
import {
  aRandomClinic,
  type RandomClinic,
  randomFrom,
  writeClinics,
} from "../support/random_clinic.ts";

const clinicCount = 168;

Deno.test({
  name: "every start of 168 random clinics is offered or refused as a walk by the minute finds",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (test) => {
    const given = Deno.env.get("ORACLE_SEED");
    const seed = given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    const random = randomFrom(seed);
    const database = await createTestDatabase();
    try {
      const made = Array.from({ length: clinicCount }, (_, index) => aRandomClinic(random, index));
      const clinics = await writeClinics(database.sql, made);
      let judged = 0;
      let offered = 0;
      const differences: string[] = [];
      for (const clinic of clinics) {
        const found = await findStarts(database.sql, clinic);
        offered += found.size;
        for (const { start, provider, seats } of judgements(clinic)) {
          judged++;
          const key = `${start}/${provider}`;
          const said = found.get(key) ?? 0;
          found.delete(key);
          if (said === seats) continue;
          const local = new Date(clockOf(clinic.zone).read(start) * 60_000).toISOString();
          differences.push(
            `${clinic.zone} ${local.slice(0, 16)} (minute ${start}): SQL ${said} seats, ` +
              `oracle ${seats}; organization ${clinic.orgId}, provider ${provider}`,
          );
        }
        for (const key of found.keys()) {
          differences.push(`${clinic.zone}: SQL offers ${key} on no day that was asked about`);
        }
      }
      const counts = `${judged} starts judged, ${offered} offered`;
      await test.step(`seed ${seed}: ${counts}, ${differences.length} differences`, () => {
        assert.deepEqual(differences.slice(0, 10), [], `to repeat: ORACLE_SEED=${seed}`);
        assert.ok(judged >= 30_000 && offered >= 5000, "too little was compared");
      });
    } finally {
      await database.drop();
    }
  },
});

/** Seats by start minute and provider. */
async function findStarts(sql: postgres.Sql, clinic: RandomClinic): Promise<Map<string, number>> {
  const { orgId, service, firstDay, lastDay, question } = clinic;
  const rows = await sql<{ start: number; provider: string; seats: number }[]>`
    select extract(epoch from starts_at)::float8 / 60 as start, provider_id as provider,
      seats_left as seats
    from private.find_starts(${orgId}, ${service.id}, null, ${firstDay}, ${lastDay},
      ${question.callId}, to_timestamp(${question.atMs}::float8 / 1000))`;
  const found = new Map(rows.map(({ start, provider, seats }) => [`${start}/${provider}`, seats]));
  assert.equal(found.size, rows.length, "a start is offered twice");
  return found;
}

/** What the oracle says of every minute of the days asked about. */
function* judgements(clinic: RandomClinic) {
  for (let day = dayNumber(clinic.firstDay); day <= dayNumber(clinic.lastDay); day++) {
    const minutes = minutesOf(clockOf(clinic.zone), day);
    for (const provider of clinic.providers) {
      const judge = judgeOf(clinic, provider, dayName(day), clinic.question);
      for (const start of minutes) yield { start, provider: provider.id, seats: judge(start) };
    }
  }
}

/** Every minute whose local date is the day: 1380 to 1500, or none at all. */
function minutesOf(clock: Clock, day: number): number[] {
  const around = Array.from({ length: 4 * 1440 }, (_, minute) => (day - 1) * 1440 + minute - 720);
  return around.filter((minute) => Math.floor(clock.read(minute) / 1440) === day);
}
