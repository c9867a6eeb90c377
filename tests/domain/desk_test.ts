/** When the front desk is open, and what each answer says about it. */
import assert from "node:assert/strict";
import { testWithDatabase as test } from "../support/database.ts";
import { aClinic } from "../support/clinic.ts";

test(
  "the desk is open in its hours, by the clinic's clock, and not on closing days",
  async ({ sql }, test) => {
    const { id } = await aClinic(sql, { zone: "America/New_York" });
    const stateAt = async (at: string) => {
      const [row] = await sql<{ state: string }[]>`
        select private.desk_state(o, ${at}) as state
        from public.organizations as o where o.id = ${id}`;
      return row?.state;
    };
    await sql`insert into public.desk_hours (org_id, dow, start_min, end_min)
      values (${id}, 1, 540, 720), (${id}, 1, 780, 1020), (${id}, 5, 1320, 1800)`;
    assert.equal(await stateAt("2026-11-02T10:00-05:00"), "none", "nobody to put through to");
    await sql`update public.organizations set transfer_number = '+12125550199',
      closing_days = '{[2026-11-09, 2026-11-10), [2026-11-14, 2026-11-15)}' where id = ${id}`;

    const expected: Readonly<Record<string, string>> = {
      "2026-11-02T08:59-05:00": "closed",
      "2026-11-02T09:00-05:00": "open",
      "2026-11-02T11:59:59-05:00": "open",
      "2026-11-02T12:00-05:00": "closed",
      "2026-11-02T13:00-05:00": "open",
      "2026-11-03T10:00-05:00": "closed",
      // The same instant as 10:00 in New York, and one that is a Monday only in London.
      "2026-11-02T15:00Z": "open",
      "2026-11-09T02:00Z": "closed",
      "2026-11-09T10:00-05:00": "closed",
      // A night that begins on Friday belongs to Friday, whatever the hours on Saturday.
      "2026-11-13T21:59-05:00": "closed",
      "2026-11-13T22:00-05:00": "open",
      "2026-11-14T05:59-05:00": "open",
      "2026-11-14T06:00-05:00": "closed",
      // The clocks go back that night: 1:30 occurs twice.
      "2026-10-31T01:30-04:00": "open",
    };
    for (const [at, state] of Object.entries(expected)) {
      await test.step(`${at}: ${state}`, async () => assert.equal(await stateAt(at), state));
    }
  },
);

test("the desk can call back now or when it opens next, even after a weekend with a holiday, but not later", async ({ sql }) => {
  const { id } = await aClinic(sql, { zone: "Europe/London" });
  await sql`update public.organizations set transfer_number = '+442079460199',
      closing_days = '{[2026-11-09, 2026-11-10), [2026-11-16, 2026-11-18)}' where id = ${id}`;
  await sql`insert into public.desk_hours (org_id, dow, start_min, end_min)
      select ${id}, d, 540, 1020 from generate_series(1, 5) as d`;
  const expected: Readonly<Record<string, string | null>> = {
    "2026-11-03T10:00Z": "2026-11-03T10:00Z",
    "2026-11-03T17:00Z": "2026-11-04T09:00Z",
    // The clocks go back on Sunday.
    "2026-10-23T20:00+01:00": "2026-10-26T09:00Z",
    // Monday is a holiday, and in the week after that Tuesday too.
    "2026-11-06T18:00Z": "2026-11-10T09:00Z",
    "2026-11-13T18:00Z": null,
  };
  for (const [at, answers] of Object.entries(expected)) {
    const [row] = await sql<{ at: Date | null }[]>`select private.desk_answers_at(o, ${at}) as at
        from public.organizations as o where o.id = ${id}`;
    assert.deepEqual(row?.at, answers && new Date(answers), at);
  }
});

test("invalid desk hours are refused with a sentence, overlapping ones by a constraint", async ({ sql }) => {
  const { id } = await aClinic(sql);
  const open = (dow: number, start: number, end: number) =>
    sql`insert into public.desk_hours (org_id, dow, start_min, end_min)
        values (${id}, ${dow}, ${start}, ${end})`;
  await assert.rejects(
    open(1, 1020, 540),
    /Cannot write desk hours on weekday 1 from 17:00 to 09:00: they end before they begin/,
  );
  await assert.rejects(open(7, 540, 600), /desk hours on weekday 7: the weekdays are 0/);
  await open(1, 540, 720);
  await assert.rejects(open(1, 600, 800), /desk hours of one weekday must not overlap/);
  await open(1, 720, 800);
  await assert.rejects(
    sql`update public.organizations set closing_days = '{[2026-12-25,)}' where id = ${id}`,
    /its closing days have no first or no last day/,
  );
});
