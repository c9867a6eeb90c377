/**
 * Hours, days off and closing days change while a time is claimed: every booking that ends up outside
 * of the new hours is in the list that the manager gets.
 */
import assert from "node:assert/strict";
import {
  aCaller,
  type Answer,
  type Line,
  readCode,
  sendCode,
  statesOf,
  testWithLines as test,
} from "../support/callers.ts";
import { aClinic, aDay, type Bench, type Clinic } from "../support/clinic.ts";
import { anAppointment, code, hold, slot, someWait, start } from "../support/requests.ts";
import { aMember, askAs, claimsOf, type Member } from "../support/staff.ts";

/** A request of a manager about the one doctor of a clinic, whose id is its parameter. */
const request = (name: string, args: string) =>
  `select public.${name}(org_id, gen_random_uuid(), ${args}) as answer
    from public.providers where org_id = $1`;

const closing = request("staff_set_hours", "id, '[]'");
/** Ways to close the day that all tests book. */
const ways = {
  staff_set_hours: closing,
  staff_set_day: request("staff_set_day", `id, '${aDay()}', '[]'`),
  staff_add_time_off: request("staff_add_time_off", `id, '${aDay(1)}', '${aDay(4)}'`),
  staff_set_closing_days: request(
    "staff_set_closing_days",
    `'[{"first": "${aDay()}", "last": "${aDay()}"}]'`,
  ),
  apply_clinic: `select public.apply_clinic(jsonb_set(public.read_clinic(id::text) -> 'clinic',
      '{closingDays}', '[{"first": "${aDay()}", "last": "${aDay()}"}]'), id) as answer
    from public.organizations where id = $1`,
};

/** Closes the day in the open transaction; asks again while the answer is `busy`. */
async function close(line: Line, { id }: Clinic, member: Member, way: string): Promise<Answer> {
  const claims = JSON.stringify(claimsOf(member));
  await line.sql`select set_config('request.jwt.claims', ${claims}, true)`;
  for (;;) {
    const [row] = await line.sql.unsafe<{ answer: Answer }[]>(way, [id]);
    assert.ok(row);
    if (row.answer.outcome !== "busy") return row.answer;
  }
}

/** Closes the day, and commits that while the work waits for it. */
async function whileClosing<T>(
  bench: Bench,
  line: Line,
  clinic: Clinic,
  way: string,
  work: () => Promise<T>,
): Promise<T> {
  const member = await aMember(bench.database.sql, clinic.id, "manager");
  await line.sql`begin`;
  const closed = await close(line, clinic, member, way);
  assert.equal(closed.outcome, "changed");
  const working = start(work);
  await someWait(bench, 1, working.isOver);
  await line.sql`commit`;
  return await working.done;
}

const lockProviders = (line: Line, { id }: Clinic) =>
  line.sql`select private.lock_provider(org_id, id, true) from public.providers
    where org_id = ${id}`;

for (const [name, way] of Object.entries(ways)) {
  test(`a claim does not get a day that ${name} is closing`, async ({ bench, sql, one, two }) => {
    const clinic = await aClinic(sql);
    const claim = () => hold(two, aCaller(clinic), "10:00");
    assert.equal((await whileClosing(bench, one, clinic, way, claim)).outcome, "slot_taken");
  });

  test(`${name} names what is claimed while it waits for the doctor`, async ({ bench, sql, one, two, three }) => {
    const clinic = await aClinic(sql);
    const member = await aMember(sql, clinic.id, "manager");
    await three.sql`begin`;
    await lockProviders(three, clinic);
    const claimed = start(() => hold(two, aCaller(clinic), "10:00"));
    await someWait(bench, 1, claimed.isOver);
    await one.sql`begin`;
    const closed = start(() => close(one, clinic, member, way));
    await someWait(bench, 2, closed.isOver);
    await three.sql`commit`;
    const { bookings } = await closed.done;
    await one.sql`commit`;
    const { outcome } = await claimed.done;
    assert.deepEqual(
      (bookings as unknown[]).length,
      outcome === "held" ? 1 : 0,
      `${outcome}, ${JSON.stringify(bookings)}`,
    );
  });
}

test("a move does not hold a time that is closing", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = aCaller(clinic);
  const move = () => two.ask("reschedule_appointment", caller, slot("11:00"));
  const moved = await whileClosing(bench, one, clinic, closing, move);
  assert.equal(moved.outcome, "slot_taken");
});

test("a move is not carried out to a time that is closing", async ({ bench, sql, one, two }) => {
  const clinic = await aClinic(sql);
  const caller = await anAppointment(one, clinic, "10:00");
  // The time of another caller's hold is free again when the code is verified.
  await hold(one, aCaller(clinic), "11:00");
  await one.ask("reschedule_appointment", caller, slot("11:00"));
  await sendCode(one, caller, code);
  await sql`update public.appointments set status = 'cancelled'
    where status = 'held'`;
  const read = await whileClosing(
    bench,
    one,
    clinic,
    closing,
    () => readCode(two, caller, code),
  );
  assert.equal(read.outcome, "slot_taken");
  assert.deepEqual((await statesOf(bench))[0], "10:00 confirmed");
});

test("the desk does not book a time that is closing", async ({ bench, sql, one }) => {
  const clinic = await aClinic(sql);
  const member = await aMember(sql, clinic.id);
  const book = () =>
    askAs(sql, member, "staff_book", {
      ...{ p_org: clinic.id, p_patient_name: "Ada Brown" },
      ...slot("10:00"),
    });
  assert.equal((await whileClosing(bench, one, clinic, closing, book)).outcome, "slot_taken");
});

test("the desk does not confirm an expired hold whose time is closing", async ({ bench, sql, one }) => {
  for (const way of Object.values(ways)) {
    const clinic = await aClinic(sql);
    const member = await aMember(sql, clinic.id);
    const { holdId } = await hold(one, aCaller(clinic), "10:00");
    await sql`update public.appointments set status = 'expired'`;
    const confirm = () =>
      askAs(sql, member, "staff_confirm", {
        ...{ p_org: clinic.id, p_appointment: holdId },
      });
    assert.equal((await whileClosing(bench, one, clinic, way, confirm)).outcome, "slot_taken", way);
  }
});

for (
  const [what, change] of Object.entries({
    "the doctor goes on leave": `insert into public.time_off (org_id, provider_id, span)
      select org_id, id, '[today, infinity)' from public.providers`,
    "the doctor leaves": "update public.providers set active = false",
    "the clinic closes": "update public.organizations set closing_days = '{[today, 2100-01-01)}'",
    "the service ends": "update public.services set active = false",
    "the doctor gives the service up": "delete from public.provider_services",
    "the service starts at other times": "update public.services set step_min = 60",
    "the visit takes longer than the day": "update public.services set duration_min = 1440",
  })
) {
  test(`a claim that waits for its doctor while ${what} does not get the time`, async ({ bench, sql, two, three }) => {
    const clinic = await aClinic(sql);
    await three.sql`begin`;
    await lockProviders(three, clinic);
    const claimed = start(() => two.once("claim_slot_atomic", aCaller(clinic), slot("10:30")));
    await someWait(bench, 1, claimed.isOver);
    await three.sql.unsafe(change);
    await three.sql`commit`;
    const { outcome } = await claimed.done;
    assert.ok(["slot_taken", "invalid_slot", "busy"].includes(outcome), outcome);
  });
}

test("a claim that waits for its doctor is as long as the visit is now", async ({ bench, sql, two, three }) => {
  const clinic = await aClinic(sql);
  await three.sql`begin`;
  await lockProviders(three, clinic);
  const claimed = start(() => hold(two, aCaller(clinic), "10:00"));
  await someWait(bench, 1, claimed.isOver);
  await three.sql`update public.services set duration_min = 60, buffer_after_min = 30`;
  await three.sql`commit`;
  assert.equal((await claimed.done).outcome, "held");
  const [row] = await sql<{ visit: string; busy: string }[]>`
    select (ends_at - starts_at)::text as visit, (upper(busy) - lower(busy))::text as busy
    from public.appointments`;
  assert.deepEqual(row, { visit: "01:00:00", busy: "01:30:00" });
});
