/**
 * Races for a time, each caller on its own connection: two callers never get the same minute of a
 * doctor.
 *
 * RACE_SECONDS is the length of the hot run: 1 second, and 20 at full length.
 */
import assert from "node:assert/strict";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import {
  aCaller,
  type Answer,
  type Caller,
  countDeadlocks,
  countOutcomes,
  findDoubles,
  type Line,
  type Lines,
  openLines,
  readCode,
  sendCode,
} from "../support/callers.ts";
import { aClinic, aDay, type Clinic } from "../support/clinic.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { drop, dropGuarantee, leaveOnly, legs } from "../support/guarantee.ts";
import { atLength, isFull } from "../support/length.ts";

const hotSeconds = Number(Deno.env.get("RACE_SECONDS") ?? atLength({ short: 1, full: 20 }));
const rounds = atLength({ short: 4, full: 10 });
const code = "482913";

/** A start that no other round has asked for: half an hour each, from the day after tomorrow on. */
function slotOf(round: number): string {
  return `consultation/${aDay(2 + Math.floor(round / 40))}T${writeClock(round % 40 * 30)}`;
}

type Race = (database: TestDatabase, lines: Lines, t: Deno.TestContext) => Promise<void>;

function race(name: string, lineCount: number, fn: Race): void {
  Deno.test({
    name,
    fn: async (t) => {
      const database = await createTestDatabase();
      const lines = await openLines(database, lineCount);
      const before = await countDeadlocks(database.admin);
      try {
        await fn(database, lines, t);
        assert.equal(await countDeadlocks(database.admin), before, "deadlocks");
      } finally {
        await lines.close();
        await database.drop();
      }
    },
  });
}

/** Runs a race with both mechanisms of the guarantee, and at full length with each of them alone. */
function raceOnEachLeg(name: string, lineCount: number, fn: Race): void {
  race(name, lineCount, fn);
  for (const leg of isFull ? legs : []) {
    race(`with ${leg} alone: ${name}`, lineCount, async (database, lines, t) => {
      await leaveOnly(leg, database.sql);
      await fn(database, lines, t);
    });
  }
}

/** All callers ask for one slot at once; returns the answers of each round. */
async function askForOneSlot(
  lines: readonly Line[],
  clinic: Clinic,
  rounds: number,
): Promise<Record<string, number>[]> {
  const outcomes: Record<string, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    const asked = { p_slot_id: slotOf(round) };
    const answers = await Promise.all(
      lines.map((line) => line.ask("claim_slot_atomic", aCaller(clinic), asked)),
    );
    outcomes.push(countOutcomes(answers));
  }
  return outcomes;
}

/**
 * Many more than there are processors, and twenty doctors. A connection costs more than all of its
 * races: it plans each function for itself.
 */
const [many, crowd] = atLength({ short: [16, 32], full: [40, 200] });

for (const callers of [2, many, crowd]) {
  const times = atLength({ short: callers === crowd ? 1 : 10, full: 50 });
  race(
    `${callers} callers for one slot, ${times} rounds: one hold each, everybody else hears slot_taken`,
    callers,
    async (database, lines) => {
      const clinic = await aClinic(database.sql);
      const outcomes = await askForOneSlot(lines.all, clinic, times);
      for (const round of outcomes) assert.deepEqual(round, { held: 1, slot_taken: callers - 1 });
      assert.deepEqual(await findDoubles(database.sql), []);
      const [row] = await database.sql`select count(*)::int as n from public.appointments`;
      assert.equal(row?.["n"], times);
    },
  );
}

/** All callers ask at once for starts within half an hour, five minutes apart. */
async function askForStartsThatOverlap(
  { sql }: TestDatabase,
  lines: readonly Line[],
  clinic: Clinic,
): Promise<Record<string, number>[]> {
  await sql`update public.services set step_min = 5`;
  const outcomes: Record<string, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = slotOf(2 * round);
    const answers = await Promise.all(
      lines.map((line, index) =>
        line.ask("claim_slot_atomic", aCaller(clinic), {
          p_slot_id: first.replace(/00$/, String(index % 6 * 5).padStart(2, "0")),
        })
      ),
    );
    outcomes.push(countOutcomes(answers));
  }
  return outcomes;
}

raceOnEachLeg(
  `${many} callers for starts that overlap: one hold, everybody else hears slot_taken`,
  many,
  async (database, lines) => {
    const clinic = await aClinic(database.sql);
    for (const round of await askForStartsThatOverlap(database, lines.all, clinic)) {
      assert.deepEqual(round, { held: 1, slot_taken: many - 1 });
    }
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

raceOnEachLeg(
  `any of twenty doctors, ${crowd} callers: twenty holds, one each`,
  crowd,
  async (database, lines) => {
    const clinic = await aClinic(database.sql, { providers: 20 });
    for (let round = 0; round < atLength({ short: 1, full: 5 }); round++) {
      const answers = await Promise.all(
        lines.all.map((line) =>
          line.ask("claim_slot_atomic", aCaller(clinic), { p_slot_id: slotOf(round) })
        ),
      );
      assert.deepEqual(countOutcomes(answers), { held: 20, slot_taken: crowd - 20 });
      assert.equal(new Set(answers.map(({ doctor }) => doctor)).size, 21, "twenty, and none");
    }
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

raceOnEachLeg(
  `a group session of five seats and ${many} callers: five seats, none twice, next to an overlapping session`,
  many,
  async (database, lines) => {
    const clinic = await aClinic(database.sql, { capacity: 5 });
    await database.sql`update public.services set step_min = 15`;
    for (let round = 0; round < rounds; round++) {
      const slotId = slotOf(round * 2);
      const overlapping = slotId.replace(/00$|30$/, (minutes) => minutes === "00" ? "15" : "45");
      const answers = await Promise.all(
        lines.all.map((line, index) =>
          line.ask("claim_slot_atomic", aCaller(clinic), {
            p_slot_id: index % 2 ? slotId : overlapping,
          })
        ),
      );
      assert.equal(countOutcomes(answers)["held"], 5, "one of the two sessions, and all its seats");
      const started = new Set(
        answers.filter(({ outcome }) => outcome === "held")
          .map(({ startTime }) => startTime),
      );
      assert.equal(started.size, 1);
    }
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

race(
  `${many} repeats of one call at once: one row and ${many} equal answers`,
  many,
  async (database, lines) => {
    const clinic = await aClinic(database.sql, { providers: 3 });
    for (let round = 0; round < rounds; round++) {
      const caller = aCaller(clinic);
      const answers = await Promise.all(
        lines.all.map((line) =>
          line.ask("claim_slot_atomic", caller, { p_slot_id: slotOf(round) })
        ),
      );
      const told = answers.map(({ outcome, holdId, startTime, doctor }) =>
        JSON.stringify({ outcome, holdId, startTime, doctor })
      );
      assert.equal(new Set(told).size, 1, [...new Set(told)].join());
      assert.equal(answers[0]?.outcome, "held");
    }
    const [row] = await database.sql`select count(*)::int as n from public.appointments`;
    assert.equal(row?.["n"], rounds);
  },
);

race(
  `${many} calls that change their minds at once: each holds one slot in the end, all others are free`,
  many,
  async (database, lines) => {
    const clinic = await aClinic(database.sql);
    const callers = lines.all.map(() => aCaller(clinic));
    for (let round = 0; round < atLength({ short: 4, full: 20 }); round++) {
      await Promise.all(lines.all.map((line, index) => {
        const caller = callers[index] ?? aCaller(clinic);
        return line.ask("claim_slot_atomic", caller, {
          p_slot_id: slotOf((index * 7 + round) % 50),
        });
      }));
    }
    const rows = await database.sql`
    select call_id from public.appointments where status = 'held' group by call_id
    having count(*) > 1`;
    assert.deepEqual([...rows], []);
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

/** A hold with a code, by a caller who knows it. */
async function aHold(line: Line, clinic: Clinic, slotId: string): Promise<Caller & { id: string }> {
  const caller = aCaller(clinic);
  const held = await line.ask("claim_slot_atomic", caller, { p_slot_id: slotId });
  assert.equal(held.outcome, "held");
  const sent = await sendCode(line, caller, code);
  assert.equal(sent.outcome, "claimed");
  return { ...caller, id: held.holdId ?? "" };
}

/** A confirmed appointment, and its patient's next call. */
async function anAppointment(line: Line, clinic: Clinic, slotId: string) {
  const first = await aHold(line, clinic, slotId);
  assert.equal((await readCode(line, first, code)).outcome, "confirmed");
  return { id: first.id, patient: aCaller(clinic, first.phone) };
}

async function withoutLimits({ sql }: TestDatabase): Promise<void> {
  await sql`update public.organizations set sms_hourly_limit = 1000000`;
}

/** Runs rounds in concurrent lanes, each with its own lines. */
async function inLanes(
  lines: Lines,
  linesPerLane: number,
  rounds: number,
  work: (lane: readonly Line[], round: number) => Promise<void>,
): Promise<void> {
  const lanes = Array.from(
    { length: Math.floor(lines.all.length / linesPerLane) },
    (_, lane) => lines.all.slice(lane * linesPerLane, (lane + 1) * linesPerLane),
  );
  let next = 0;
  await Promise.all(lanes.map(async (lane) => {
    for (let round = next++; round < rounds; round = next++) await work(lane, round);
  }));
}

const expiries = atLength({ short: 50, full: 500 });
race(
  `confirm, clean-up and re-claim at the instant of expiry, ${expiries} rounds: never both, and never nobody`,
  12,
  async (database, lines) => {
    const clinic = await aClinic(database.sql, { providers: 6, startMin: 0, endMin: 1440 });
    await withoutLimits(database);
    const seen: Record<string, number> = {};
    // Adjusted so that about half of the confirmations succeed on any machine.
    let withinMs = 8;
    await inLanes(lines, 3, expiries, async (lane, round) => {
      const [one, two, three] = lane;
      assert.ok(one && two && three);
      const slotId = `${slotOf(Math.floor(round / 6))}/doctor-${round % 6 + 1}`;
      const first = await aHold(one, clinic, slotId);
      // The three arrive just before, at and just after its end.
      await one.sql`update public.appointments
      set expires_at = clock_timestamp() + interval '1 millisecond' * ${Math.random() * withinMs}
      where id = ${first.id}`;
      const second = aCaller(clinic);
      const jitter = async (ms: number) => await one.sql`select pg_sleep(${ms / 1000})`;
      const [confirmed, claimed] = await Promise.all([
        jitter(Math.random() * withinMs / 2).then(() => readCode(one, first, code)),
        two.ask("claim_slot_atomic", second, { p_slot_id: slotId }).then(async (answer) =>
          answer.outcome === "slot_taken"
            ? await two.ask("claim_slot_atomic", second, { p_slot_id: slotId })
            : answer
        ),
        three.sql`select public.cleanup_expired_holds()`,
      ]);
      const outcome = `${confirmed.outcome} ${claimed.outcome}`;
      seen[outcome] = (seen[outcome] ?? 0) + 1;
      assert.ok(outcome !== "confirmed held", `round ${round}: both won`);
      const [row] = await one.sql<{ status: string }[]>`
      select status from public.appointments where id = ${first.id}`;
      const isConfirmed = confirmed.outcome === "confirmed";
      withinMs = Math.min(withinMs * (isConfirmed ? 0.9 : 1.1), 2000);
      assert.equal(
        row?.status === "confirmed",
        isConfirmed,
        `${outcome}, the row is ${row?.status}`,
      );
      assert.ok(isConfirmed || confirmed.outcome === "hold_expired", confirmed.outcome);
    });
    assert.ok(seen["confirmed slot_taken"], `no confirmation was in time: ${JSON.stringify(seen)}`);
    assert.ok(seen["hold_expired held"], `no claim came after the end: ${JSON.stringify(seen)}`);
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

const cancellations = atLength({ short: 20, full: 100 });
race(
  `cancelling against confirming one hold, ${cancellations} rounds: one of the two, and both callers hear it`,
  8,
  async (database, lines) => {
    const clinic = await aClinic(database.sql);
    await withoutLimits(database);
    const seen = new Set<string>();
    await inLanes(lines, 2, cancellations, async (lane, round) => {
      const [one, two] = lane;
      assert.ok(one && two);
      const hold = await aHold(one, clinic, slotOf(round));
      const [confirmed, cancelled] = await Promise.all([
        readCode(one, hold, code),
        two.ask("cancel_appointment", hold, { p_appointment: hold.id }),
      ]);
      const outcome = `${confirmed.outcome} ${cancelled.outcome}`;
      seen.add(outcome);
      // Once it is confirmed, the call has proven the number and can cancel it.
      assert.ok(
        ["confirmed cancelled", "hold_not_found hold_released"].includes(outcome),
        outcome,
      );
      const [row] = await one.sql<{ status: string }[]>`
      select status from public.appointments where id = ${hold.id}`;
      assert.equal(row?.status, "cancelled");
    });
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

const moves = atLength({ short: 16, full: 60 });
for (const [name, shift] of [["apart", 60], ["overlapping", 15]] as const) {
  raceOnEachLeg(
    `moving an appointment (old and new time ${name}) against claims of both, ${moves} rounds`,
    24,
    async (database, lines) => {
      const clinic = await aClinic(database.sql);
      await withoutLimits(database);
      await database.sql`update public.services set step_min = 15`;
      const seen: Record<string, number> = {};
      // Adjusted so that about half of the moves come first on any machine.
      let claimAfterMs = 1;
      await inLanes(lines, 6, moves, async (lane, round) => {
        const [one, ...others] = lane;
        const [rival] = others;
        assert.ok(one && rival);
        const old = slotOf(round * 4);
        const minutes = Number(old.slice(-5, -3)) * 60 + Number(old.slice(-2)) + shift;
        const fresh = old.slice(0, -5) + writeClock(minutes);
        const { patient, id } = await anAppointment(one, clinic, old);
        const claim = (line: Line | undefined, slotId: string) =>
          line?.ask("claim_slot_atomic", aCaller(clinic), { p_slot_id: slotId });
        // First for the new time, then for both while the code is read out.
        const [opened, taken] = await Promise.all([
          one.ask("reschedule_appointment", patient, { p_slot_id: fresh }),
          rival.sql`select pg_sleep(${claimAfterMs / 1000})`.then(() => claim(rival, fresh)),
        ]);
        // If the appointment's own time blocks the new one, the move gets it at the proof.
        const isOpen = opened.outcome === "code_needed" || name === "overlapping";
        claimAfterMs = Math.min(claimAfterMs * (isOpen ? 0.6 : 1.5), 2000);
        assert.equal(isOpen, taken?.outcome !== "held", `${opened.outcome} ${taken?.outcome}`);
        if (isOpen) await sendCode(one, patient, code);
        const [moved, ...claims] = await Promise.all([
          isOpen ? readCode(one, patient, code) : undefined,
          ...[claim(others[1], fresh), claim(others[2], fresh)],
          ...[claim(others[3], old), claim(others[4], old)],
        ]);
        const won = claims.map((answer) => answer?.outcome === "held");
        assert.deepEqual(won.slice(0, 2), [false, false], "the new time went to a second caller");
        const live = await one.sql<{ id: string }[]>`
        select id from public.appointments where call_id in (${patient.callId}, (
          select call_id from public.appointments where id = ${id}))
          and status = 'confirmed'`;
        assert.equal(live.length, 1, "the patient has one appointment, the old or the new one");
        assert.equal(live[0]?.id === id, !isOpen);
        if (isOpen) assert.equal(moved?.outcome, "rescheduled");
        const outcome = `${opened.outcome} ${won.some(Boolean) ? "and the old time went" : ""}`;
        seen[outcome] = (seen[outcome] ?? 0) + 1;
      });
      // If the times are apart, either side wins sometimes. If they overlap, nobody else ever gets in.
      const ways = Object.keys(seen).length;
      assert.ok(name === "apart" ? ways > 1 : ways === 1, JSON.stringify(seen));
      assert.deepEqual(await findDoubles(database.sql), []);
    },
  );
}

const changes = atLength({ short: 16, full: 40 });
race(
  `two calls that want to change one appointment at once: one after the other, or one of them, ${changes} rounds`,
  8,
  async (database, lines) => {
    const clinic = await aClinic(database.sql);
    await withoutLimits(database);
    await inLanes(lines, 2, changes, async (lane, round) => {
      const [one, two] = lane;
      assert.ok(one && two);
      const { id, patient } = await anAppointment(one, clinic, slotOf(round * 2));
      const second = aCaller(clinic, patient.phone);
      const change = async (line: Line, caller: Caller, slotId?: string): Promise<Answer> => {
        const opened = slotId
          ? await line.ask("reschedule_appointment", caller, { p_slot_id: slotId })
          : await line.ask("cancel_appointment", caller);
        if (opened.outcome !== "code_needed") return opened;
        await sendCode(line, caller, code);
        return await readCode(line, caller, code);
      };
      const answers = await Promise.all([
        change(one, patient),
        change(two, second, slotOf(round * 2 + 1)),
      ]);
      const done = answers.map(({ outcome }) => outcome)
        .filter((outcome) => ["cancelled", "rescheduled"].includes(outcome));
      const [row] = await one.sql<{ status: string; live: number }[]>`
      select status, (select count(*)::int from public.appointments as o
        where o.patient_phone = a.patient_phone and o.status = 'confirmed') as live
      from public.appointments as a where id = ${id}`;
      // What one call has moved, the other may cancel afterwards at its new time.
      assert.equal(row?.status, done.length > 0 ? "cancelled" : "confirmed");
      assert.equal(row?.live, done.includes("cancelled") ? 0 : 1, JSON.stringify(answers));
    });
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

raceOnEachLeg(
  `a hot doctor for ${hotSeconds} s: claims, changes of mind, confirmations, moves, expiry and clean-up, no error`,
  many,
  async (database, lines, t) => {
    const clinic = await aClinic(database.sql, { providers: 2 });
    await withoutLimits(database);
    await database.sql`update public.services set step_min = 5`;
    const seen: Record<string, number> = {};
    const everything = ["held", "slot_taken", "confirmed", "rescheduled", "cancelled"];
    const startedAt = performance.now();
    // A busy machine gets more time until everything has happened.
    const goesOn = () => {
      const seconds = (performance.now() - startedAt) / 1000;
      return seconds < hotSeconds ||
        seconds < 60 && everything.some((outcome) => seen[outcome] === undefined);
    };
    let told = 0;
    const note = ({ outcome }: Answer) => {
      told++;
      seen[outcome] = (seen[outcome] ?? 0) + 1;
    };
    const pick = () => {
      const clock = writeClock(Math.floor(Math.random() * 60) * 5);
      const doctor = Math.random() < 0.5 ? "" : `/doctor-${Math.random() < 0.8 ? 1 : 2}`;
      return { p_slot_id: `consultation/${aDay()}T${clock}${doctor}` };
    };
    const call = async (line: Line) => {
      const caller = aCaller(clinic);
      for (let wish = 0; wish < 3; wish++) {
        note(await line.ask("claim_slot_atomic", caller, pick()));
      }
      if (Math.random() < 0.5) return;
      const sent = await sendCode(line, caller, code);
      if (sent.outcome !== "claimed") return;
      note(await readCode(line, caller, code));
      const next = aCaller(clinic, caller.phone);
      const moves = Math.random() < 0.5;
      let opened = await line.ask(moves ? "reschedule_appointment" : "cancel_appointment", next, {
        ...(moves ? pick() : {}),
      });
      // Most times of two hot doctors are taken: a caller who wants another one tries several.
      for (let wish = 0; moves && wish < 8 && opened.outcome === "slot_taken"; wish++) {
        opened = await line.ask("reschedule_appointment", next, pick());
      }
      note(opened);
      if (opened.outcome !== "code_needed") return;
      await sendCode(line, next, code);
      note(await readCode(line, next, code));
    };
    const [cleaner, ...callers] = lines.all;
    assert.ok(cleaner);
    const cleanUps: string[] = [];
    const cleanUp = async () => {
      const [row] = await cleaner.sql<{ now: string }[]>`select clock_timestamp()::text as now`;
      cleanUps.push(row?.now ?? "");
      await cleaner.sql`update public.appointments
      set expires_at = clock_timestamp() + interval '5 milliseconds'
      where id in (select id from public.appointments where status = 'held'
        order by random() limit 8 for update skip locked)`;
      await cleaner.sql`update public.appointments set status = 'completed', updated_at = now()
      where id in (select id from public.appointments where status = 'confirmed'
        and updated_at < ${cleanUps.at(-5) ?? null}::timestamptz
        order by random() limit 8 for update skip locked)`;
      await cleaner.sql`select public.cleanup_expired_holds()`;
    };
    await Promise.all([
      ...callers.map(async (line) => {
        while (goesOn()) await call(line);
      }),
      (async () => {
        // Counted by what callers hear, not by the clock: on a slow machine no hold would live long
        // enough to be proven, and no appointment to be moved.
        for (let next = 0; goesOn(); next = told + 40) {
          while (told < next && goesOn()) await cleaner.sql`select pg_sleep(0.001)`;
          await cleanUp();
          assert.deepEqual(await findDoubles(database.sql), []);
        }
      })(),
    ]);
    await t.step(`${JSON.stringify(seen)}, asked again while busy ${lines.busy()} times`, () => {});
    for (const outcome of everything) {
      assert.ok(seen[outcome], `never heard ${outcome}: ${JSON.stringify(seen)}`);
    }
    assert.deepEqual(await findDoubles(database.sql), []);
  },
);

// At the end, since nobody else can use these databases, and new connections cost more than the races.
race(
  "CONTROL: without the guarantee the same race gives doubles, so it can fail",
  many,
  async (database, lines) => {
    await dropGuarantee(database.sql);
    const clinic = await aClinic(database.sql);
    const outcomes = await askForOneSlot(lines.all, clinic, rounds);
    const doubled = outcomes.filter(({ held = 0 }) => held > 1);
    assert.ok(doubled.length > 0, "no round gave one slot to two callers");
    assert.ok(
      (await findDoubles(database.sql)).length > 0,
      "the check for doubles does not see them",
    );
  },
);

race(
  "CONTROL: without both legs starts that overlap are held, although the index of seats is there",
  many,
  async (database, lines) => {
    for (const leg of legs) await drop(leg, database.sql);
    const clinic = await aClinic(database.sql);
    await askForStartsThatOverlap(database, lines.all, clinic);
    assert.ok((await findDoubles(database.sql)).length > 0, "nothing overlaps");
  },
);
