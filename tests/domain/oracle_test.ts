/** Availability compared with an oracle that applies the rules minute by minute. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { randomFrom } from "../../supabase/tasks/simulate/random.ts";
import {
  type Clock,
  clockOf,
  dayName,
  dayNumber,
  judgeOf,
} from "../support/availability_oracle.ts";
import { createTestDatabase } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { aRandomClinic, days, type RandomClinic, writeClinics } from "../support/random_clinic.ts";

/** How often a clinic is made for each of the days in random_clinic.ts. */
const rounds = atLength({ short: 1, full: 6 });
/** At least this many starts must be offered; with fewer, the comparison would mean little. */
const leastOffered = atLength({ short: 700, full: 5000 });
/** One in this many refused starts is also asked about individually. */
const aloneEvery = 120;

Deno.test(
  `every start of ${
    rounds * days.length
  } random clinics or more is offered or refused as a walk by the minute finds`,
  async (test) => {
    const given = Deno.env.get("ORACLE_SEED");
    const seed = given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    const random = randomFrom(seed);
    const database = await createTestDatabase();
    const counts = { judged: 0, offered: 0, alone: 0 };
    const differences: string[] = [];
    try {
      const least = rounds * days.length;
      const made = Array.from({ length: rounds * 2 }, () => days).flat().map((day) =>
        aRandomClinic(random, day)
      );
      // Some draws have little to offer: draw more until enough starts were compared.
      for (const [index, clinic] of (await writeClinics(database.sql, made)).entries()) {
        if (index >= least && counts.offered >= leastOffered) break;
        const compare = (what: string, judgement: Judgement, seats: number) => {
          if (seats === judgement.seats) return;
          const local = new Date(clockOf(clinic.zone).read(judgement.start) * 60_000).toISOString();
          differences.push(
            `${clinic.zone} ${local.slice(0, 16)}: ${what} ${seats}, oracle ${judgement.seats}; ` +
              `organization ${clinic.orgId}, ${keyOf(judgement)}`,
          );
        };
        const found = await findStarts(database.sql, clinic);
        counts.offered += found.size;
        const asked: Judgement[] = [];
        for (const judgement of judgements(clinic)) {
          counts.judged++;
          compare("find_starts", judgement, found.get(keyOf(judgement)) ?? 0);
          found.delete(keyOf(judgement));
          if (judgement.seats > 0 || random() < 1 / aloneEvery) asked.push(judgement);
        }
        for (const key of found.keys()) differences.push(`${clinic.zone}: offers ${key} unasked`);
        counts.alone += asked.length;
        const free = await findFree(database.sql, clinic, asked.map(({ start }) => start));
        for (const judgement of asked) {
          compare("find_free", judgement, free.has(keyOf(judgement)) ? judgement.seats || 1 : 0);
        }
      }
    } finally {
      await database.drop();
    }
    const { judged, offered, alone } = counts;
    const name =
      `seed ${seed}: ${judged} starts judged, ${offered} offered, ${alone} asked about ` +
      `alone, ${differences.length} differences`;
    await test.step(name, () => {
      assert.deepEqual(differences.slice(0, 10), [], `to repeat: ORACLE_SEED=${seed}`);
      assert.ok(judged >= 6 * leastOffered && offered >= leastOffered, "too little was compared");
    });
  },
);

interface Judgement {
  readonly start: number;
  readonly provider: string;
  readonly seats: number;
}

const keyOf = ({ start, provider }: { readonly start: number; readonly provider: string }) =>
  `${start}/${provider}`;

/** Seats by start minute and provider. */
async function findStarts(sql: postgres.Sql, clinic: RandomClinic): Promise<Map<string, number>> {
  const { orgId, service, firstDay, lastDay, question } = clinic;
  const rows = await sql<Judgement[]>`
    select extract(epoch from starts_at)::float8 / 60 as start, provider_id as provider,
      seats_left as seats
    from private.find_starts(${orgId}, ${service.id}, null, ${firstDay}, ${lastDay},
      ${question.callId}, to_timestamp(${question.atMs}::float8 / 1000))`;
  const found = new Map(rows.map((row) => [keyOf(row), row.seats]));
  assert.equal(found.size, rows.length, "a start is offered twice");
  return found;
}

/** The free providers of some starts, each asked about individually. */
async function findFree(
  sql: postgres.Sql,
  { orgId, service, question }: RandomClinic,
  starts: readonly number[],
): Promise<Set<string>> {
  const rows = await sql<{ start: number; provider: string }[]>`
    select t.start::float8, f.provider
    from public.organizations as o, public.services as s,
      jsonb_array_elements_text(${JSON.stringify([...new Set(starts)])}::text::jsonb) as t (start),
      private.find_free(o, s, null, to_timestamp(t.start::float8 * 60), ${question.callId},
        to_timestamp(${question.atMs}::float8 / 1000)) as f (provider)
    where o.id = ${orgId} and s.org_id = o.id and s.id = ${service.id}`;
  return new Set(rows.map(keyOf));
}

/** The oracle's answer for every minute of the days asked about. */
function* judgements(clinic: RandomClinic): Generator<Judgement> {
  for (let day = dayNumber(clinic.firstDay); day <= dayNumber(clinic.lastDay); day++) {
    const minutes = minutesOf(clockOf(clinic.zone), day);
    for (const provider of clinic.providers) {
      const judge = judgeOf(clinic, provider, dayName(day), clinic.question);
      for (const start of minutes) yield { start, provider: provider.id, seats: judge(start) };
    }
  }
}

/** Every minute whose local date is the day: 1380 to 1500 minutes, or none at all. */
function minutesOf(clock: Clock, day: number): number[] {
  const around = Array.from({ length: 4 * 1440 }, (_, minute) => (day - 1) * 1440 + minute - 720);
  return around.filter((minute) => Math.floor(clock.read(minute) / 1440) === day);
}
