/** Availability on days that are easy to get wrong, in literal times, and as the tool says it. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import { randomFrom } from "../../supabase/tasks/simulate/random.ts";
import { aBench, aClinic, aDay, aPhone, type Bench, type Clinic } from "../support/clinic.ts";
import { createTestDatabase, testWithDatabase } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { aRandomClinic, days, writeClinics } from "../support/random_clinic.ts";

/** Hours of a local day, its expected starts, and what is unusual about it. */
interface Case {
  readonly what: string;
  readonly zone: string;
  /** The day asked about. */
  readonly day: string;
  /** Days with hours in local minutes; all others are closed. */
  readonly hours: readonly (readonly [day: string, startMin: number, endMin: number])[];
  /** Duration and grid in minutes; 60 if left out. */
  readonly lengthMin?: number;
  readonly noticeMin?: number;
  readonly horizonDays?: number;
  /** When the question is asked; ten days before if left out. */
  readonly at?: string;
  /** Local times with offset, in order. */
  readonly starts: readonly string[];
}

const london = { zone: "Europe/London" };
const spring = { ...london, day: "2026-03-29", lengthMin: 30 };
const autumn = { ...london, day: "2026-10-25", lengthMin: 30 };

const cases: readonly Case[] = [
  {
    ...spring,
    what: "hours that span the gap lose an hour",
    hours: [["2026-03-29", 0, 240]],
    starts: [
      "00:00+00:00",
      "00:30+00:00",
      "02:00+01:00",
      "02:30+01:00",
      "03:00+01:00",
      "03:30+01:00",
    ],
  },
  {
    ...spring,
    what: "hours before the gap are as ever",
    hours: [["2026-03-29", 0, 60]],
    starts: ["00:00+00:00", "00:30+00:00"],
  },
  {
    ...spring,
    what: "hours inside the gap are moved out of it",
    hours: [["2026-03-29", 75, 105]],
    starts: ["02:15+01:00"],
  },
  {
    ...spring,
    what: "hours that begin in the gap begin after it",
    hours: [["2026-03-29", 90, 240]],
    starts: ["02:30+01:00", "03:00+01:00", "03:30+01:00"],
  },
  {
    ...spring,
    what: "hours that end in the gap keep their length",
    hours: [["2026-03-29", 0, 90]],
    starts: ["00:00+00:00", "00:30+00:00", "02:00+01:00"],
  },
  {
    ...spring,
    what: "hours that end where the gap has moved their start past are none",
    hours: [["2026-03-29", 105, 135]],
    starts: [],
  },
  {
    ...autumn,
    what: "hours that span the overlap have its hour twice",
    hours: [["2026-10-25", 0, 180]],
    starts: [
      ...["00:00+01:00", "00:30+01:00", "01:00+01:00", "01:30+01:00"],
      ...["01:00+00:00", "01:30+00:00", "02:00+00:00", "02:30+00:00"],
    ],
  },
  {
    ...autumn,
    what: "hours that begin in the overlap begin the first time",
    hours: [["2026-10-25", 90, 180]],
    starts: ["01:30+01:00", "01:00+00:00", "01:30+00:00", "02:00+00:00", "02:30+00:00"],
  },
  {
    ...autumn,
    what: "hours that end in the overlap end the second time",
    hours: [["2026-10-25", 0, 90]],
    starts: ["00:00+01:00", "00:30+01:00", "01:00+01:00", "01:30+01:00", "01:00+00:00"],
  },
  {
    what: "a night shift into the gap, from its first day",
    zone: "America/New_York",
    day: "2026-03-07",
    hours: [["2026-03-07", 1320, 1800]],
    starts: ["22:00-05:00", "23:00-05:00"],
  },
  {
    what: "a night shift into the gap, from its second day",
    zone: "America/New_York",
    day: "2026-03-08",
    hours: [["2026-03-07", 1320, 1800]],
    starts: ["00:00-05:00", "01:00-05:00", "03:00-04:00", "04:00-04:00", "05:00-04:00"],
  },
  {
    what: "a night shift into the overlap is an hour longer",
    zone: "America/New_York",
    day: "2026-11-01",
    hours: [["2026-10-31", 1320, 1800]],
    starts: [
      ...["00:00-04:00", "01:00-04:00", "01:00-05:00", "02:00-05:00"],
      ...["03:00-05:00", "04:00-05:00", "05:00-05:00"],
    ],
  },
  {
    what: "a day that has no midnight begins at one",
    zone: "America/Sao_Paulo",
    day: "2018-11-04",
    hours: [["2018-11-04", 0, 120]],
    lengthMin: 30,
    starts: ["01:00-02:00", "01:30-02:00"],
  },
  {
    what: "a day whose last hour comes twice",
    zone: "America/Sao_Paulo",
    day: "2018-02-17",
    hours: [["2018-02-17", 1320, 1440]],
    starts: ["22:00-02:00", "23:00-02:00", "23:00-03:00"],
  },
  {
    what: "clocks that go back by half an hour",
    zone: "Australia/Lord_Howe",
    day: "2026-04-05",
    hours: [["2026-04-05", 60, 180]],
    lengthMin: 30,
    starts: ["01:00+11:00", "01:30+11:00", "01:30+10:30", "02:00+10:30", "02:30+10:30"],
  },
  {
    what: "clocks that go forward by half an hour",
    zone: "Australia/Lord_Howe",
    day: "2026-10-04",
    hours: [["2026-10-04", 60, 180]],
    lengthMin: 30,
    starts: ["01:00+10:30", "01:30+10:30", "02:30+11:00"],
  },
  {
    what: "an offset of quarter hours, back",
    zone: "Pacific/Chatham",
    day: "2026-04-05",
    hours: [["2026-04-05", 120, 240]],
    starts: ["02:00+13:45", "03:00+13:45", "03:00+12:45"],
  },
  {
    what: "an offset of quarter hours, forward",
    zone: "Pacific/Chatham",
    day: "2026-09-27",
    hours: [["2026-09-27", 120, 300]],
    starts: ["02:00+12:45", "04:00+13:45"],
  },
  {
    what: "Ramadan begins",
    zone: "Africa/Casablanca",
    day: "2026-02-15",
    hours: [["2026-02-15", 60, 240]],
    starts: ["01:00+01:00", "02:00+01:00", "02:00+00:00", "03:00+00:00"],
  },
  {
    what: "Ramadan is over",
    zone: "Africa/Casablanca",
    day: "2026-03-22",
    hours: [["2026-03-22", 60, 240]],
    starts: ["01:00+00:00", "03:00+01:00"],
  },
  {
    what: "a leap day where clocks never change",
    zone: "Asia/Kolkata",
    day: "2028-02-29",
    hours: [["2028-02-29", 540, 720]],
    starts: ["09:00+05:30", "10:00+05:30", "11:00+05:30"],
  },
  {
    ...london,
    what: "New Year's Eve",
    day: "2027-12-31",
    hours: [["2027-12-31", 1380, 1500]],
    starts: ["23:00+00:00"],
  },
  {
    ...london,
    what: "New Year's morning, of last year's shift",
    day: "2028-01-01",
    hours: [["2027-12-31", 1380, 1500]],
    starts: ["00:00+00:00"],
  },
  {
    ...london,
    what: "a night shift and the morning after it are one, on the night's grid",
    day: "2026-06-10",
    hours: [["2026-06-09", 1390, 1530], ["2026-06-10", 90, 240]],
    starts: ["00:10+01:00", "01:10+01:00", "02:10+01:00"],
  },
  {
    ...london,
    what: "a day's notice is twenty-four hours, not the same time of the next day",
    day: "2026-03-29",
    hours: [["2026-03-29", 720, 900]],
    noticeMin: 1440,
    at: "2026-03-28T12:00:00Z",
    starts: ["13:00+01:00", "14:00+01:00"],
  },
  {
    ...london,
    what: "the horizon's last day is bookable to its end",
    day: "2026-10-25",
    hours: [["2026-10-25", 1380, 1440]],
    horizonDays: 1,
    at: "2026-10-24T22:30:00Z",
    starts: ["23:00+00:00"],
  },
  {
    ...london,
    what: "the day after the horizon is not",
    day: "2026-10-26",
    hours: [["2026-10-26", 0, 120]],
    horizonDays: 1,
    at: "2026-10-24T22:30:00Z",
    starts: [],
  },
];

testWithDatabase(
  "on days when clocks change, starts are those a person would write down",
  async (database, test) => {
    for (const asked of cases) {
      await test.step(`${asked.zone} ${asked.day}: ${asked.what}`, async () => {
        const { rows, parts } = await startsOf(database.sql, asked);
        assert.deepEqual(rows.map(({ time }) => time), asked.starts);
        for (const [part, isIn] of Object.entries(partsOfDay)) {
          const wanted = asked.starts.filter((time) => isIn(Number(time.slice(0, 2))));
          const found = parts.filter((row) => row.part === part).map(({ time }) => time);
          assert.deepEqual(found, wanted, part);
        }
        for (const { slotId, time, isRead } of rows) {
          assert.ok(isRead, `${slotId} is not read as ${time}`);
          const isRepeated = rows.filter((row) => row.time.slice(0, 5) === time.slice(0, 5));
          if (isRepeated.length > 1) assert.ok(slotId.endsWith(time), slotId);
          else if (!/[+-]\d\d:\d\d$/.test(slotId)) assert.ok(slotId.endsWith(time.slice(0, 5)));
        }
      });
    }
  },
);

/** Which hours of the clock are in a part of the day. */
const partsOfDay: Readonly<Record<string, (hour: number) => boolean>> = {
  am: (hour) => hour < 12,
  pm: (hour) => hour >= 12,
  morning: (hour) => hour >= 6 && hour < 12,
  afternoon: (hour) => hour >= 12 && hour < 17,
  evening: (hour) => hour >= 17,
  night: (hour) => hour >= 21 || hour < 6,
};

/** Local times with offset, of the whole day with their slotIds, and of each part of it. */
async function startsOf(sql: postgres.Sql, asked: Case) {
  const { zone, day, hours, lengthMin = 60, noticeMin = 0, horizonDays = 400 } = asked;
  const at = asked.at ?? new Date(Date.parse(day) - 10 * 86_400_000).toISOString();
  const { id: org } = await aClinic(sql, { zone });
  await sql`delete from public.working_hours where org_id = ${org}`;
  await sql`
    update public.services set duration_min = ${lengthMin}, step_min = ${lengthMin},
      notice_min = ${noticeMin}, horizon_days = ${horizonDays} where org_id = ${org}`;
  for (const [date, startMin, endMin] of hours) {
    await sql`
      insert into public.working_hours_overrides (org_id, provider_id, day, start_min, end_min)
      select org_id, id, ${date}, ${startMin}, ${endMin} from public.providers
      where org_id = ${org}`;
  }
  const parts = await sql<{ part: string; time: string }[]>`
    select p.part, substr(private.iso_local(f.starts_at, ${zone}), 12, 5)
      || right(private.iso_local(f.starts_at, ${zone}), 6) as time
    from public.services as s,
      unnest(${Object.keys(partsOfDay)}::text[]) as p (part),
      private.find_starts(s.org_id, s.id, null, ${day}, ${day}, null, ${at}, null, p.part) as f
    where s.org_id = ${org}
    order by f.starts_at`;
  const rows = await sql<{ time: string; slotId: string; isRead: boolean }[]>`
    select substr(private.iso_local(f.starts_at, ${zone}), 12, 5)
        || right(private.iso_local(f.starts_at, ${zone}), 6) as time,
      i.id as "slotId",
      (private.parse_slot_id(i.id, ${zone})).starts_at = f.starts_at as "isRead"
    from public.services as s,
      private.find_starts(s.org_id, s.id, null, ${day}, ${day}, null, ${at}) as f,
      private.slot_id('consultation', f.starts_at, ${zone}, null) as i (id)
    where s.org_id = ${org}
    order by f.starts_at`;
  return { rows, parts };
}

Deno.test(
  "every start that is offered can be held at once, every other one is refused",
  async (test) => {
    const given = Deno.env.get("ORACLE_SEED");
    const seed = given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    const random = randomFrom(seed);
    const database = await createTestDatabase();
    const least = atLength({
      short: { held: 5, refused: 200 },
      full: { held: 20, refused: 1000 },
    });
    let held = 0;
    let refused = 0;
    try {
      const every = atLength({ short: 20, full: 4 });
      const zones = days.filter((_, index) => index % every === 0);
      const made = Array.from({ length: 10 }, () => zones).flat()
        .map(([zone]) => aRandomClinic(random, [zone, aDay(1, zone)], Date.now()));
      // Some clinics are closed on the two days: draw more until enough is free.
      for (const [index, clinic] of (await writeClinics(database.sql, made)).entries()) {
        if (index >= zones.length && held > least.held && refused > least.refused) break;
        const counts = await holdEveryStart(database.sql, clinic.orgId, clinic.service.id);
        held += counts.held;
        refused += counts.refused;
      }
    } finally {
      await database.drop();
    }
    await test.step(`seed ${seed}: ${held} held, ${refused} refused`, () => {
      assert.ok(held > least.held && refused > least.refused, "too little was tried");
    });
  },
);

/**
 * Claims every fifth minute of two days, each in a transaction that is rolled back, and compares with
 * what is offered at that moment.
 */
async function holdEveryStart(sql: postgres.Sql, org: string, service: string) {
  const counts = { held: 0, refused: 0 };
  await sql.begin(async (transaction) => {
    // A claim that is rolled back leaves nothing; the loop runs in the database for speed.
    await transaction.unsafe(`
      create or replace function pg_temp.try_claim(p_org public.organizations, p_slot text) returns text
      language plpgsql as $$
      declare v_outcome text;
      begin
        v_outcome := private.hold_slot(p_org, '{"callId": "nobody"}', p_slot,
          '{"name": "Ada", "phone": "+447700900123", "country": "GB"}', null) ->> 'outcome';
        raise exception using errcode = 'MO999', message = v_outcome;
      exception when sqlstate 'MO999' then
        return sqlerrm;
      end $$`);
    const rows = await transaction<{ slotId: string; offered: boolean; outcome: string }[]>`
      with instants as (
        select o, s, t.at, (t.at at time zone o.timezone)::date as day
        from public.organizations as o
        join public.services as s on s.org_id = o.id and s.id = ${service}
        cross join generate_series(date_trunc('hour', now()), now() + interval '2 days',
          interval '15 minutes') as t (at)
        where o.id = ${org}
      ), offered as materialized (
        select f.starts_at
        from (select distinct day from instants) as d
        cross join lateral private.find_starts(${org}, ${service}, null, d.day, d.day, 'nobody',
          clock_timestamp()) as f
      ), asked as materialized (
        select i.o, i.s, i.at, i.at in (select starts_at from offered) as offered
        from instants as i
      )
      select i.id as "slotId", a.offered, pg_temp.try_claim(a.o, i.id) as outcome
      from asked as a, private.slot_id((a.s).slug, a.at, (a.o).timezone, null) as i (id)`;
    for (const { slotId, offered, outcome } of rows) {
      assert.equal(outcome, offered ? "held" : "slot_taken", `${slotId} of ${org}`);
      counts[offered ? "held" : "refused"]++;
    }
  });
  return counts;
}

async function withClinic(
  given: Parameters<typeof aClinic>[1],
  work: (bench: Bench, clinic: Clinic) => Promise<void>,
): Promise<void> {
  const bench = await aBench();
  try {
    await work(bench, await aClinic(bench.database.sql, given));
  } finally {
    await bench.stop();
  }
}

const ask = (bench: Bench, clinic: Clinic, args: Record<string, unknown>, callId?: string) =>
  bench.ask(checkAvailability, {
    tool: "check_availability",
    called: clinic.number,
    ...(callId === undefined ? {} : { callId }),
    args: { serviceType: "consultation", date: aDay(), ...args },
  });

const hold = (bench: Bench, clinic: Clinic, slotId: string, callId = crypto.randomUUID()) =>
  bench.ask(holdSlot, {
    tool: "hold_slot",
    called: clinic.number,
    caller: aPhone(),
    callId,
    args: { slotId, patientName: "Ada Brown" },
  });

Deno.test(
  "a full day is answered with the next free times, and an own hold leaves its day free",
  () =>
    withClinic({ startMin: 600, endMin: 630 }, async (bench, clinic) => {
      const first = await ask(bench, clinic, {});
      assert.deepEqual(first.slots?.map(({ slotId }) => slotId), [`consultation/${aDay()}T10:00`]);
      const callId = crypto.randomUUID();
      assert.equal(
        (await hold(bench, clinic, `consultation/${aDay()}T10:00`, callId)).outcome,
        "held",
      );
      const others = await ask(bench, clinic, {});
      assert.equal(others.outcome, "fully_booked");
      assert.equal(others.slots?.[0]?.slotId, `consultation/${aDay(3)}T10:00`);
      assert.equal((await ask(bench, clinic, {}, callId)).outcome, "available");
      await bench.database
        .sql`update public.appointments set expires_at = now() - interval '1 second'`;
      assert.equal((await ask(bench, clinic, {})).outcome, "available");
    }),
);

Deno.test(
  "days asks about up to fourteen days, partOfDay about a part of them",
  () =>
    withClinic({ startMin: 600, endMin: 1200 }, async (bench, clinic) => {
      const fortnight = await ask(bench, clinic, { days: 14 });
      assert.equal(fortnight["total"], 14 * 20);
      assert.ok(new Set(fortnight.slots?.map(({ startTime }) => startTime.slice(0, 10))).size > 4);
      // It stays in the model's context: about 300 tokens.
      assert.ok(JSON.stringify(fortnight).length < 1300);
      assert.equal((await ask(bench, clinic, { days: 15 }))["total"], 14 * 20);
      const hours = async (partOfDay: string) => {
        const { slots = [] } = await ask(bench, clinic, { partOfDay });
        return slots.map(({ startTime }) => Number(startTime.slice(11, 13)));
      };
      assert.ok((await hours("morning")).every((hour) => hour < 12));
      assert.ok((await hours("afternoon")).every((hour) => hour >= 12 && hour < 17));
      assert.ok((await hours("evening")).every((hour) => hour >= 17));
    }),
);

Deno.test(
  "a group session is listed with its seats until the last one is taken",
  () =>
    withClinic({ capacity: 3, startMin: 600, endMin: 630 }, async (bench, clinic) => {
      for (const seats of [3, 2, 1]) {
        const { slots } = await ask(bench, clinic, {});
        assert.deepEqual(slots?.map(({ seatsLeft }) => seatsLeft), [seats]);
        const held = await hold(bench, clinic, slots?.[0]?.slotId ?? "");
        assert.equal(held.outcome, "held");
      }
      assert.equal((await ask(bench, clinic, {})).outcome, "fully_booked");
      const late = await hold(bench, clinic, `consultation/${aDay()}T10:00`);
      assert.equal(late.outcome, "slot_taken");
    }),
);

Deno.test(
  "a doctor is found by part of a name, and another service's patient blocks the session",
  () =>
    withClinic({ providers: 2, capacity: 2, startMin: 600, endMin: 660 }, async (bench, clinic) => {
      const { sql } = bench.database;
      await sql`
        update public.providers set name = 'Dr Amara Patel' where org_id = ${clinic.id}
          and slug = 'doctor-1'`;
      await sql`
        insert into public.services (org_id, slug, name, duration_min)
        values (${clinic.id}, 'check-up', 'Check-up', 15)`;
      await sql`
        insert into public.provider_services
        select s.org_id, p.id, s.id from public.services as s, public.providers as p
        where s.org_id = ${clinic.id} and s.slug = 'check-up' and p.org_id = s.org_id`;
      const offered = async (providerName: string) => {
        const { slots } = await ask(bench, clinic, { providerName });
        return slots?.map(({ slotId }) => slotId);
      };
      const both = [
        `consultation/${aDay()}T10:00/doctor-1`,
        `consultation/${aDay()}T10:30/doctor-1`,
      ];
      for (const name of ["Patel", "doctor patel", "Amara", "dr. amara patel", "doctor-1"]) {
        assert.deepEqual(await offered(name), both, name);
      }
      assert.equal(
        (await ask(bench, clinic, { providerName: "Nobody" })).outcome,
        "unknown_provider",
      );
      for (const providerName of ["anyone", "Any doctor", "no preference"]) {
        assert.equal((await ask(bench, clinic, { providerName })).outcome, "available");
      }
      for (const serviceType of ["check-up", "Check up", "CHECKUP"]) {
        assert.equal((await ask(bench, clinic, { serviceType })).outcome, "available");
      }
      const patient = await hold(bench, clinic, `check-up/${aDay()}T10:30/doctor-1`);
      assert.equal(patient.outcome, "held");
      assert.deepEqual(await offered("Patel"), both.slice(0, 1));
      const { slots } = await ask(bench, clinic, {});
      assert.deepEqual(slots?.map(({ availableDoctors }) => availableDoctors), [2, 1]);
    }),
);
