/** The front desk and callers at once, each on its own connection: one of them gets the time. */
import assert from "node:assert/strict";
import {
  aCaller,
  type Answer,
  countDeadlocks,
  countOutcomes,
  findDoubles,
  type Lines,
  openLines,
  readCode,
  sendCode,
} from "../support/callers.ts";
import { aClinic, aDay, type Clinic } from "../support/clinic.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { dropGuarantee, leaveOnly, legs } from "../support/guarantee.ts";
import { atLength } from "../support/length.ts";
import { aMember, askAs, type Member, type StaffArguments } from "../support/staff.ts";

const code = "482913";
const rounds = atLength({ short: 4, full: 40 });

/**
 * A start that no other round has asked for: an hour each, from 3:00 on, when no clock changes. A day
 * has 18, so three in a row from a multiple of three are on one day.
 */
const slotOf = (round: number) =>
  `consultation/${aDay(2 + Math.floor(round / 18))}T${String(3 + round % 18).padStart(2, "0")}:00`;

interface Race {
  readonly database: TestDatabase;
  readonly clinic: Clinic;
  /** Ten callers. */
  readonly lines: Lines;
  /** A member's request, each on its own connection. */
  readonly ask: (desk: number, name: string, args: StaffArguments) => Promise<Answer>;
}

function race(name: string, work: (race: Race) => Promise<void>): void {
  Deno.test({
    name,
    fn: async () => {
      const database = await createTestDatabase();
      const lines = await openLines(database, 10);
      try {
        const clinic = await aClinic(database.sql);
        const members: Member[] = [];
        for (let n = 0; n < 4; n++) members.push(await aMember(database.sql, clinic.id));
        const ask: Race["ask"] = (desk, name, args) => {
          const member = members[desk % members.length];
          assert.ok(member);
          return askAs(database.sql, member, name, { p_org: clinic.id, ...args });
        };
        await work({ database, clinic, lines, ask });
        assert.equal(await countDeadlocks(database.admin), 0, "deadlocks");
      } finally {
        await lines.close();
        await database.drop();
      }
    },
  });
}

/** Desks and callers ask for the same start, which no call has; counts the outcomes. */
async function askForOneStart(
  { clinic, lines, ask }: Race,
  round: number,
): Promise<Record<string, number>> {
  const p_slot_id = slotOf(round);
  const answers = await Promise.all([
    ...lines.all.map((line) => line.ask("claim_slot_atomic", aCaller(clinic), { p_slot_id })),
    ...[0, 1, 2, 3].map((desk) =>
      ask(desk, "staff_book", { p_slot_id, p_patient_name: `Patient ${desk}` })
    ),
  ]);
  return countOutcomes(answers);
}

const winners = ({ held = 0, booked = 0 }: Record<string, number>) => held + booked;

for (const leg of [undefined, ...legs]) {
  race(
    `ten callers and four desks for one start${leg ? `, with ${leg} alone` : ""}: one gets it`,
    async (given) => {
      if (leg) await leaveOnly(leg, given.database.sql);
      for (let round = 0; round < (leg ? 2 : rounds); round++) {
        const outcomes = await askForOneStart(given, round);
        assert.deepEqual([winners(outcomes), outcomes["slot_taken"]], [1, 13]);
      }
      assert.deepEqual(await findDoubles(given.database.sql), []);
    },
  );
}

race("CONTROL: without the guarantee two of them get it, so the race can fail", async (given) => {
  await dropGuarantee(given.database.sql);
  let most = 0;
  for (let round = 0; round < 30 && most < 2; round++) {
    most = Math.max(most, winners(await askForOneStart(given, round)));
  }
  assert.ok(most > 1, "nobody got a time twice");
  assert.ok((await findDoubles(given.database.sql)).length > 0);
});

race("the desk and the caller confirm or cancel one hold: it ends in one state", async (given) => {
  const { clinic, database, lines, ask } = given;
  for (let round = 0; round < rounds; round++) {
    const caller = aCaller(clinic);
    const [line] = lines.all;
    assert.ok(line);
    const { holdId } = await line.ask("claim_slot_atomic", caller, { p_slot_id: slotOf(round) });
    await sendCode(line, caller, code);
    const name = round % 2 ? "staff_cancel" : "staff_confirm";
    const [read, desk] = await Promise.all([
      readCode(line, caller, code),
      ask(round, name, { p_appointment: holdId }),
    ]);
    const [row] = await database.sql`select status from public.appointments where id = ${
      holdId ?? ""
    }`;
    const heard = `${name}: the caller ${read.outcome}, the desk ${desk.outcome}`;
    if (desk.outcome === "cancelled") assert.equal(row?.["status"], "cancelled", heard);
    else assert.equal(row?.["status"], "confirmed", heard);
    assert.ok(
      ["confirmed", "already_confirmed", "hold_not_found"].includes(read.outcome) &&
        ["confirmed", "cancelled", "wrong_status"].includes(desk.outcome),
      heard,
    );
  }
  assert.deepEqual(await findDoubles(database.sql), []);
});

race(
  "two desks move one appointment, and callers want both times: it is moved once",
  async (given) => {
    const { clinic, database, lines, ask } = given;
    for (let round = 0; round < rounds; round++) {
      const [from, one, two] = [0, 1, 2].map((n) => slotOf(3 * round + n));
      const { appointmentId } = await ask(0, "staff_book", {
        p_slot_id: from,
        p_patient_name: "Ada Brown",
        // In every other round they share no locks except the provider's and the row's.
        p_patient_phone: round % 2 ? aCaller(clinic).phone : null,
      });
      const [first, second, ...others] = await Promise.all([
        ask(1, "staff_move", { p_appointment: appointmentId, p_slot_id: one }),
        ask(2, "staff_move", { p_appointment: appointmentId, p_slot_id: two }),
        ...lines.all.slice(0, 4).map((line, index) =>
          line.ask("claim_slot_atomic", aCaller(clinic), {
            p_slot_id: (index % 2 ? one : two) ?? "",
          })
        ),
      ]);
      const moved = [first, second].filter((answer) => answer?.outcome === "moved");
      const rows = await database.sql`select status from public.appointments
      where patient_name = 'Ada Brown' and call_id is null and status = 'confirmed'
        and starts_at >= (${from?.slice(13) ?? ""} || ':00')::timestamp at time zone 'Europe/London'
        and starts_at < (${from?.slice(13) ?? ""} || ':00')::timestamp at time zone 'Europe/London'
          + interval '3 hours'`;
      assert.equal(rows.length, 1, JSON.stringify([first, second, ...others]));
      assert.ok(moved.length <= 1);
    }
    assert.deepEqual(await findDoubles(database.sql), []);
    await database.sql`select public.watch_overlaps()`;
    assert.equal((await database.sql`select from public.overlap_findings`).length, 0);
  },
);

race("an expired hold, its desk and a caller who wants the time: one has it", async (given) => {
  const { clinic, database, lines, ask } = given;
  const [line, other] = lines.all;
  assert.ok(line && other);
  for (let round = 0; round < rounds; round++) {
    const p_slot_id = slotOf(round);
    const held: Answer = await line.ask("claim_slot_atomic", aCaller(clinic), { p_slot_id });
    const p_appointment = held.holdId ?? "";
    await database.sql`update public.appointments
      set status = ${round % 2 ? "held" : "requires_manual_followup"},
        expires_at = now() - interval '1 second' where id = ${p_appointment}`;
    const desk: Promise<Answer> = round % 2
      ? ask(round, "staff_confirm", { p_appointment })
      : ask(round, "staff_resolve", { p_appointment, p_as: "confirmed" });
    const outcomes: string[] = (await Promise.all([
      desk,
      other.ask("claim_slot_atomic", aCaller(clinic), { p_slot_id }),
      database.sql`select public.cleanup_expired_holds()`.then(() => ({ outcome: "cleaned" })),
    ])).map(({ outcome }) => outcome);
    assert.ok(
      [["confirmed", "slot_taken"], ["slot_taken", "held"]].some(([one, two]) =>
        outcomes[0] === one && outcomes[1] === two
      ),
      String(outcomes),
    );
  }
  assert.deepEqual(await findDoubles(database.sql), []);
});
