/**
 * Impossible rows are refused when they are written, with the row and the reason; others are accepted.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import { aClinic } from "../support/clinic.ts";
import { testWithDatabase as test } from "../support/database.ts";

const ordinary = { duration: 30, step: 30, notice: 60, horizon: 90, seats: 1 };

test(
  "an impossible schedule is refused with a sentence, by SQL and as the service role",
  async (database, test) => {
    const { sql } = database;
    const { id: org } = await aClinic(sql, { startMin: 540, endMin: 1020 });
    const [doctor] = await sql<{ id: string }[]>`
      insert into public.providers (org_id, slug, name)
      values (${org}, 'amara-patel', 'Dr Amara Patel') returning id`;
    const provider = doctor?.id ?? "";
    const clinicIn = (zone: string) =>
      sql`
      insert into public.organizations (slug, name, timezone, default_country, sms_countries)
      values ('sunrise', 'Sunrise', ${zone}, 'GB', '{GB}')`;
    const service = (given: Partial<typeof ordinary>) => {
      const { duration, step, notice, horizon, seats } = { ...ordinary, ...given };
      return sql`
        insert into public.services
          (org_id, slug, name, duration_min, step_min, notice_min, horizon_days, capacity)
        values (${org}, ${`check-up-${crypto.randomUUID()}`}, 'Check-up', ${duration}, ${step},
          ${notice}, ${horizon}, ${seats})`;
    };
    const hours = (dow: number, start: number, end: number, valid = "(,)") =>
      sql`
        insert into public.working_hours (org_id, provider_id, dow, start_min, end_min, valid)
        values (${org}, ${provider}, ${dow}, ${start}, ${end}, ${valid}::daterange)`;
    const override = (day: string, start: number | null, end: number | null) =>
      sql`
        insert into public.working_hours_overrides (org_id, provider_id, day, start_min, end_min)
        values (${org}, ${provider}, ${day}, ${start}, ${end})`;
    const timeOff = (span: string) =>
      sql`
        insert into public.time_off (org_id, provider_id, span)
        values (${org}, ${provider}, ${span}::tstzrange)`;

    // Each of these is accepted, and conflicts with some rows below.
    await clinicIn("Europe/London");
    await hours(1, 540, 720);
    await hours(1, 720, 1020);
    await hours(1, 1320, 1800);
    await hours(2, 300, 600);
    await hours(3, 0, 1440);
    await hours(4, 540, 1020, "[2027-01-01,2027-02-01)");
    await hours(4, 600, 1080, "[2027-02-01,)");
    await override("2027-03-01", null, null);
    await override("2027-03-02", 540, 720);
    await override("2027-03-02", 780, 1020);
    await timeOff("[2027-03-01T09:00Z,)");

    const refused: readonly (readonly [what: string, write: () => Promise<unknown>, RegExp])[] = [
      [
        "a zone with a sign",
        () => clinicIn("UTC+3"),
        /organization sunrise: "UTC\+3" is not a time zone/,
      ],
      [
        "a zone nobody has",
        () => clinicIn("Mars/Base"),
        /organization sunrise: "Mars\/Base" is no/,
      ],
      ["no duration", () => service({ duration: 0 }), /service check-up-\S+: it lasts 0 minutes/],
      [
        "no step",
        () => service({ step: 0 }),
        /service check-up-\S+: its starts are 0 minutes apart/,
      ],
      ["a notice before now", () => service({ notice: -1 }), /its notice is -1 minutes/],
      ["a horizon of years", () => service({ horizon: 999 }), /its horizon is 999 days/],
      ["no seats", () => service({ seats: 0 }), /it has 0 seats/],
      [
        "an eighth weekday",
        () => hours(7, 540, 600),
        /hours of provider \S+ on weekday 7: the weekdays are 0 \(Sunday\)/,
      ],
      [
        "reversed hours",
        () => hours(5, 1020, 540),
        /hours of provider \S+ on weekday 5 from 17:00 to 09:00: they end before they begin/,
      ],
      ["empty hours", () => hours(5, 540, 540), /09:00 to 09:00: they end before they begin/],
      [
        "hours of two days",
        () => hours(5, 540, 2000),
        /09:00 to 33:20: they last longer than a day/,
      ],
      ["hours of the next day", () => hours(5, 1500, 1600), /minute 1500 is not in the day/],
      ["hours of no day", () => hours(5, 540, 600, "empty"), /they are valid on no day/],
      [
        "half an override",
        () => override("2027-03-03", 540, null),
        /give both minutes, or neither/,
      ],
      [
        "a reversed override",
        () => override("2027-03-03", 720, 540),
        /hours of provider \S+ on 2027-03-03 from 12:00 to 09:00: they end before they begin/,
      ],
      [
        "empty time off",
        () => timeOff("[2027-03-01T09:00Z,2027-03-01T09:00Z)"),
        /it ends when it begins/,
      ],
    ];
    for (const [what, write, sentence] of refused) {
      await test.step(what, async () => {
        await assert.rejects(write(), (thrown) => {
          assert.ok(thrown instanceof postgres.PostgresError);
          assert.match(thrown.message, /^Cannot write /);
          assert.match(thrown.message, sentence);
          assert.equal(thrown.code, "23514");
          return true;
        });
      });
    }

    const overlapping = [
      ["overlapping hours", () => hours(1, 600, 700), /weekday must not overlap/, "[540,720)"],
      [
        "overlapping hours of one statement",
        () =>
          sql`
            insert into public.working_hours (org_id, provider_id, dow, start_min, end_min)
            values (${org}, ${provider}, 6, 540, 720), (${org}, ${provider}, 6, 700, 800)`,
        /weekday must not overlap/,
        "[540,720)",
      ],
      [
        "an override of a closed day",
        () => override("2027-03-01", 540, 600),
        /day must not overlap/,
        "2027-03-01",
      ],
      [
        "closing an open day",
        () => override("2027-03-02", null, null),
        /day must not overlap/,
        "2027-03-02",
      ],
    ] as const;
    for (const [what, write, name, row] of overlapping) {
      await test.step(what, async () => {
        await assert.rejects(write(), (thrown) => {
          assert.ok(thrown instanceof postgres.PostgresError);
          assert.match(thrown.message, name);
          assert.ok(thrown.detail?.includes(row));
          assert.equal(thrown.code, "23P01");
          return true;
        });
      });
    }

    await test.step("a changed row does not overlap itself", async () => {
      await sql`
        update public.working_hours set end_min = end_min - 60
        where org_id = ${org} and provider_id = ${provider} and dow = 3`;
    });
    await test.step("of two overlapping rows written at once, the constraint accepts one", async () => {
      await withConnection(database.url(), async (other) => {
        const write = (connection: postgres.Sql | postgres.TransactionSql) =>
          connection`
            insert into public.working_hours (org_id, provider_id, dow, start_min, end_min)
            values (${org}, ${provider}, 0, 540, 600)`;
        let second: Promise<unknown> | undefined;
        await sql.begin(async (transaction) => {
          await write(transaction);
          // It waits for this transaction to end.
          second = assert.rejects(write(other), /must not overlap/);
        });
        await second;
      });
    });
  },
);

test("a time zone is a name from the server's list, spelled as it is there", async ({ sql }) => {
  // The others are looked up in the list itself.
  const known = await sql<{ name: string }[]>`
    select name from pg_timezone_names where name ~ '^[A-Za-z_/]+$'`;
  const names = known.map(({ name }) => name);
  assert.ok(names.length > 300);
  const others = [
    "BST",
    "UTC+3",
    "UTC-3",
    "Europe//London",
    "/Europe/London",
    "Europe",
    "local",
    "",
  ];
  const [wrong] = await sql<{ names: string[] | null }[]>`
    with zones as materialized (select name from pg_timezone_names), named (name) as (
      select unnest(${names}::text[]) union select lower(unnest(${names}::text[]))
      union select unnest(${others}::text[]))
    select array_agg(n.name) as names from named as n
    where private.is_time_zone(n.name)
      <> exists (select from zones as z where z.name = n.name)`;
  assert.deepEqual(wrong?.names, null);
  const [row] = await sql`show timezone`;
  assert.deepEqual({ ...row }, { TimeZone: "UTC" });
});
