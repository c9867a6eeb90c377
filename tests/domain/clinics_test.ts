/**
 * A clinic's document: applied completely or not at all, read back unchanged, and careful with
 * bookings.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type postgres from "postgres";
import { addClinics, readClinics, writeSeed } from "../../supabase/local/clinics.ts";
import { seed } from "../../supabase/local/migrations.ts";
import { type ClinicDocument, clinicDocument } from "../../supabase/tasks/clinic/document.ts";
import { readClinicFile, writeClinicFile } from "../../supabase/tasks/clinic/file.ts";
import { randomFrom } from "../../supabase/tasks/simulate/random.ts";
import { aDay } from "../support/clinic.ts";
import { testWithDatabase as test } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { someWait, start } from "../support/requests.ts";
import { days } from "../support/random_clinic.ts";
import { aRandomDocument } from "../support/random_document.ts";

interface Booking {
  readonly appointmentId: string;
  readonly reason: string;
  readonly startTime: string;
  readonly doctor: string;
}

interface Applied {
  readonly outcome: string;
  readonly orgId?: string;
  readonly before: unknown;
  readonly after: ClinicDocument;
  readonly seen: string | null;
  readonly already: readonly string[];
  readonly bookings: readonly Booking[];
  readonly channels?: unknown;
}

async function apply(
  sql: postgres.Sql,
  clinic: ClinicDocument,
  { org = null, seen = null, isDry = false }: {
    readonly org?: string | null | undefined;
    readonly seen?: string | null;
    readonly isDry?: boolean;
  } = {},
): Promise<Applied> {
  const [row] = await sql<{ answer: Applied }[]>`
    select public.apply_clinic(${JSON.stringify(clinic)}::text::jsonb, ${org}, ${seen}, ${isDry})
      as answer`;
  assert.ok(row);
  return row.answer;
}

async function read(sql: postgres.Sql, slug: string): Promise<ClinicDocument> {
  const [row] = await sql<{ answer: { clinic: unknown } }[]>`
    select public.read_clinic(${slug}) as answer`;
  return clinicDocument.parse(row?.answer.clinic);
}

/** The document that the database returns for one that does not mention Vapi's ids. */
const asKept = (clinic: ClinicDocument): ClinicDocument => ({
  vapiPhoneNumbers: [],
  vapiAssistants: [],
  ...clinic,
});

test("random clinics are stored as given, and applying them again changes nothing", async ({ sql }) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = randomFrom(seed);
  for (let count = 0; count < atLength({ short: 4, full: 12 }); count++) {
    const slug = `clinic-${count}`;
    const [first, second] = [aRandomDocument(random, slug), aRandomDocument(random, slug)];
    const added = await apply(sql, first);
    assert.equal(added.outcome, "added");
    assert.deepEqual(added.after, asKept(first), `seed ${seed}`);
    assert.deepEqual(await read(sql, slug), added.after);
    const org = added.orgId;
    assert.equal((await apply(sql, first, { org })).outcome, "unchanged", `seed ${seed}`);
    const file = readClinicFile(writeClinicFile(await read(sql, slug)));
    assert.ok(file.ok);
    assert.equal((await apply(sql, file.clinic, { org })).outcome, "unchanged", `seed ${seed}`);
    // To a completely different clinic, and back.
    const changed = await apply(sql, second, { org });
    assert.deepEqual(changed.before, added.after);
    assert.deepEqual(changed.after, asKept(second), `seed ${seed}`);
    assert.deepEqual((await apply(sql, first, { org })).after, asKept(first), `seed ${seed}`);
  }
});

test("a dry run answers like a real run and changes nothing", async ({ sql }) => {
  const random = randomFrom(7);
  const [first, second] = [aRandomDocument(random, "a"), aRandomDocument(random, "a")];
  const dryAdd = await apply(sql, first, { isDry: true });
  assert.equal(dryAdd.outcome, "added");
  assert.equal((await sql`select from public.organizations`).length, 0);
  const { orgId: org } = await apply(sql, first);
  const dry = await apply(sql, second, { org, isDry: true });
  assert.deepEqual(dry.after, asKept(second));
  assert.deepEqual(await read(sql, "a"), asKept(first));
  const applied = await apply(sql, second, { org, seen: dry.seen });
  assert.deepEqual([applied.outcome, applied.after], ["changed", dry.after]);

  const audited = await sql`select action, outcome, details from public.audit_logs order by at`;
  assert.deepEqual(audited.map(({ action, outcome }) => [action, outcome]), [
    ["apply_clinic", "added"],
    ["apply_clinic", "changed"],
  ]);
  assert.ok(audited[1]?.["details"].changed.includes("providers"));
});

test("a change of limits and periods is audited with their values", async ({ sql }) => {
  const clinic = { ...aRandomDocument(randomFrom(7), "a"), auditRetentionDays: 2555 };
  const { orgId: org } = await apply(sql, clinic);
  await apply(sql, { ...clinic, auditRetentionDays: 30, followUpTexts: !clinic.followUpTexts }, {
    org,
  });
  const rows = await sql`select details from public.audit_logs order by at`;
  assert.deepEqual(rows[0]?.["details"].values.auditRetentionDays, [null, 2555]);
  const { changed, values } = rows[1]?.["details"] ?? {};
  assert.deepEqual(changed, ["auditRetentionDays", "followUpTexts"]);
  assert.deepEqual(values, {
    auditRetentionDays: [2555, 30],
    followUpTexts: [clinic.followUpTexts, !clinic.followUpTexts],
  });
});

test("limits change by a function that audits, each of them and nothing else", async ({ sql }) => {
  const { orgId: org } = await apply(sql, aRandomDocument(randomFrom(7), "a"));
  const set = async (limits: object, of = org ?? null) => {
    const [row] = await sql`
      select public.set_limits(${of}, ${JSON.stringify(limits)}::text::jsonb) as answer`;
    return row?.["answer"];
  };
  const [bounds] = await sql`
    select pg_get_constraintdef(oid) as text from pg_constraint
    where conname = 'organizations_limits_sane'`;
  const names = [...new Set(String(bounds?.["text"]).match(/[a-z]+(_[a-z]+)+/g))];
  assert.ok(names.length >= 17);
  for (const name of names) {
    const [before] = await sql`select ${sql(name)} as value from public.organizations`;
    const value = before?.["value"] + 1;
    const answer = await set({ [name]: value });
    assert.equal(answer.outcome, "changed", name);
    assert.deepEqual(answer.limits, { [name]: [value - 1, value] });
    const [after] = await sql`select ${sql(name)} as value from public.organizations`;
    assert.equal(after?.["value"], value);
    assert.equal((await set({ [name]: value })).outcome, "unchanged");
  }
  const rows = await sql`select details from public.audit_logs where action = 'set_limits'`;
  assert.equal(rows.length, names.length);
  const unknown = await set({ call_holds: 9, audit_retention_days: 30, slug: "x" });
  assert.deepEqual([unknown.outcome, unknown.names], [
    "unknown_limit",
    ["audit_retention_days", "slug"],
  ]);
  assert.equal((await set({}, crypto.randomUUID())).outcome, "unknown_clinic");
  await assert.rejects(set({ call_attempts: 1000 }), /organizations_limits_sane/);
});

test("a membership begins, changes and ends by a function that audits, once", async ({ sql }) => {
  const { orgId: org } = await apply(sql, aRandomDocument(randomFrom(7), "a"));
  const user = crypto.randomUUID();
  const set = async (role: string | null, { ofOrg = org ?? null, of = user } = {}) => {
    const [row] = await sql`select public.set_member(${ofOrg}, ${of}, ${role}) as answer`;
    return row?.["answer"].outcome;
  };
  assert.equal(await set("owner"), "unknown_account");
  await sql`insert into auth.users (id, email) values (${user}, 'a@example.test')`;
  assert.equal(await set("owner", { ofOrg: crypto.randomUUID() }), "unknown_clinic");
  const outcomes = [];
  for (const role of ["desk", "desk", "manager", null, null]) outcomes.push(await set(role));
  assert.deepEqual(outcomes, ["added", "unchanged", "changed", "removed", "unchanged"]);
  await assert.rejects(set("king"), /org_members_role_known/);
  const rows = await sql`select outcome, subject_id, details from public.audit_logs
    where action = 'set_member' order by at`;
  assert.deepEqual(rows.map(({ outcome, details }) => [outcome, details.role]), [
    ["added", [null, "desk"]],
    ["changed", ["desk", "manager"]],
    ["removed", ["manager", null]],
  ]);
  assert.ok(rows.every(({ subject_id }) => subject_id === user));
  const at = await Promise.all(["owner", "owner", "owner"].map((role) => set(role)));
  assert.deepEqual(at.sort(), ["added", "unchanged", "unchanged"]);
});

test("a clinic that changed since it was shown is not overwritten", async ({ sql }) => {
  const clinic = aRandomDocument(randomFrom(8), "a");
  const { orgId: org } = await apply(sql, clinic);
  const { seen } = await apply(sql, { ...clinic, name: "One" }, { org, isDry: true });
  await apply(sql, { ...clinic, name: "Two" }, { org });
  const late = await apply(sql, { ...clinic, name: "One" }, { org, seen });
  assert.equal(late.outcome, "changed_meanwhile");
  assert.equal((await read(sql, "a")).name, "Two");
});

test("a clinic has its slug, numbers and Vapi ids for itself, and shares call centres", async ({ sql }) => {
  const base = aRandomDocument(randomFrom(9), "a");
  const number = "+442079460123";
  const first = {
    ...base,
    numbers: [number],
    vapiAssistants: ["assistant-1"],
    sharedLines: ["+442079460777"],
    transferNumber: "+442079460199",
  };
  const { orgId: org } = await apply(sql, first);
  assert.equal((await apply(sql, first)).outcome, "slug_taken");
  const other = { ...first, slug: "b", numbers: ["+442079460124"] };
  const taken = await apply(sql, { ...other, numbers: [number] });
  assert.equal(taken.outcome, "channel_taken");
  assert.deepEqual(taken.channels, [
    { kind: "called_number", value: number, slug: "a" },
    { kind: "vapi_assistant", value: "assistant-1", slug: "a" },
  ]);
  assert.equal((await sql`select from public.organizations`).length, 1, "nothing of it stays");
  const { vapiAssistants: _, ...without } = other;
  const { orgId: second } = await apply(sql, without);
  assert.ok(second, "the call centre calls for both");
  assert.equal(
    (await apply(sql, { ...without, slug: "a" }, { org: second })).outcome,
    "slug_taken",
  );
  assert.equal((await apply(sql, { ...without, slug: "c" }, { org: second })).outcome, "changed");
  for (const transferNumber of [number, "+442079460124"]) {
    const looped = await apply(sql, { ...first, transferNumber }, { org });
    assert.equal(looped.outcome, "transfer_loops", "an assistant would answer");
  }
  assert.equal((await apply(sql, first, { org: crypto.randomUUID() })).outcome, "unknown_clinic");
});

test("of two clinics added at once with the same number, only one is added", async ({ sql }) => {
  const base = aRandomDocument(randomFrom(10), "a");
  for (let round = 0; round < 8; round++) {
    const numbers = [`+44207946${1000 + round}`];
    const answers = await Promise.all(
      [1, 2, 3].map((index) => apply(sql, { ...base, slug: `clinic-${round}-${index}`, numbers })),
    );
    assert.deepEqual(answers.map(({ outcome }) => outcome).sort(), [
      "added",
      "channel_taken",
      "channel_taken",
    ]);
  }
});

test("Vapi's ids stay where the document does not name them, and go where it names none", async ({ sql }) => {
  const clinic = aRandomDocument(randomFrom(11), "a");
  const { orgId: org } = await apply(sql, { ...clinic, vapiAssistants: ["one"] });
  await sql`insert into public.org_channels (kind, value, org_id)
    values ('vapi_phone_number', 'registered', ${org ?? ""})`;
  const kept = await apply(sql, clinic, { org });
  assert.deepEqual([kept.after.vapiAssistants, kept.after.vapiPhoneNumbers], [["one"], [
    "registered",
  ]]);
  const gone = await apply(sql, { ...clinic, vapiAssistants: [] }, { org });
  assert.deepEqual([gone.after.vapiAssistants, gone.after.vapiPhoneNumbers], [[], ["registered"]]);
});

test("every time around a change of the clocks is written so that it is read as itself", async ({ sql }) => {
  // Offsets change on a half hour.
  const step = atLength({ short: "15 minutes", full: "1 minute" });
  const zones = [...new Set(days.map(([zone]) => zone)), "America/Havana", "Atlantic/Azores"];
  const wrong = await sql`
    select z.zone, t.at, e.ends, private.write_local(t.at, z.zone, e.ends) as text
    from unnest(${zones}::text[]) as z (zone),
      -- Each day of 2026 on which a zone's offset changes, and the days around it.
      lateral (
        select d.day from generate_series(timestamptz '2026-01-01', '2026-12-31', '1 day') as d (day)
        where (d.day at time zone z.zone) - (d.day at time zone 'UTC')
          <> ((d.day + interval '1 day') at time zone z.zone)
            - ((d.day + interval '1 day') at time zone 'UTC')) as c,
      generate_series(c.day - interval '1 day', c.day + interval '2 days', ${step}::interval) as t (at),
      (values (true), (false)) as e (ends)
    where private.read_local(private.write_local(t.at, z.zone, e.ends), z.zone, e.ends) <> t.at
    limit 5`;
  assert.deepEqual([...wrong], []);
  const dayOff = await sql`
    select z.zone from unnest(${zones}::text[]) as z (zone),
      generate_series(timestamp '2026-01-01', '2026-12-31', '1 day') as d (day)
    -- A day off ends where the next day begins, also where its midnight comes twice or not at all.
    where private.read_local(to_char(d.day, 'YYYY-MM-DD"T"HH24:MI'), z.zone, true)
      <> private.wall(d.day, z.zone, false)`;
  assert.deepEqual([...dayOff], []);
});

test("seed.sql has the clinics of the files, adds them once and leaves them alone", async (database) => {
  const { sql } = database;
  const file = new URL("../../supabase/seed.sql", import.meta.url);
  const clinics = await readClinics(new URL("../../supabase/clinics/", import.meta.url));
  assert.equal(
    await readFile(file, "utf8"),
    writeSeed(clinics),
    "write it again: deno run -A supabase/local/clinics.ts",
  );
  await seed(database.url(), file);
  const kept = await Promise.all(clinics.map(({ slug }) => read(sql, slug)));
  assert.deepEqual(kept.map(({ slug }) => slug), ["hudson-aesthetics", "sunrise-dental"]);
  await sql`update public.organizations set name = 'Other' where slug = 'sunrise-dental'`;
  await seed(database.url(), file);
  await addClinics(database.url(), clinics);
  assert.equal((await read(sql, "sunrise-dental")).name, "Other");
});

/** A clinic with two doctors who work every day from nine to five, with one booking each. */
async function aBookedClinic(sql: postgres.Sql) {
  const day = aDay(10);
  const service = {
    name: "Checkup",
    durationMin: 30,
    stepMin: 30,
    bufferBeforeMin: 0,
    bufferAfterMin: 0,
    noticeMin: 0,
    horizonDays: 90,
    capacity: 1,
  };
  const doctor = {
    services: ["checkup", "facelift"],
    hours: [0, 1, 2, 3, 4, 5, 6].map((dow) => ({
      dow,
      startMin: 540,
      endMin: 1020,
      from: null,
      until: null,
    })),
    overrides: [],
    timeOff: [],
  };
  const one = { ...doctor, slug: "one", name: "Dr One" };
  const two = { ...doctor, slug: "two", name: "Dr Two" };
  const clinic: ClinicDocument = {
    ...aRandomDocument(randomFrom(12), "booked"),
    timezone: "Europe/London",
    numbers: ["+442079460123"],
    holdMinutes: 60,
    closingDays: [],
    services: [{ ...service, slug: "checkup" }, { ...service, slug: "facelift" }],
    providers: [one, two],
  };
  const { orgId: org = "" } = await apply(sql, clinic);
  const book = async (name: string, time: string) => {
    const call = { calledNumber: "+442079460123", callId: crypto.randomUUID(), toolCallId: "1" };
    const [row] = await sql<{ answer: { outcome: string; holdId: string } }[]>`
      select public.claim_slot_atomic(${JSON.stringify(call)}::text::jsonb,
        ${`checkup/${day}T${time}/${name}`}, 'Ada Brown', '+447700900123') as answer`;
    assert.equal(row?.answer.outcome, "held");
    return row.answer.holdId;
  };
  return {
    day,
    clinic,
    one,
    two,
    org,
    book,
    ofOne: await book("one", "10:00"),
    ofTwo: await book("two", "15:00"),
  };
}

test("a change that meets bookings says which and why, once, and loses none", async ({ sql }) => {
  const { day, clinic, one, two, org, ofOne, ofTwo } = await aBookedClinic(sql);
  const next = `${aDay(11)}T00:00`;
  const changes: readonly (readonly [Partial<ClinicDocument>, readonly string[]])[] = [
    [{}, []],
    [{ name: "Other" }, []],
    [
      { providers: [{ ...one, timeOff: [{ from: `${day}T00:00`, to: next }] }, two] },
      [`time_off ${ofOne}`],
    ],
    [
      { providers: [{ ...one, timeOff: [{ from: `${day}T10:29`, to: `${day}T10:31` }] }, two] },
      [`time_off ${ofOne}`],
    ],
    [
      { providers: [{ ...one, timeOff: [{ from: `${day}T10:30`, to: `${day}T11:00` }] }, two] },
      [],
    ],
    [
      { providers: [{ ...one, overrides: [{ day, startMin: 601, endMin: 700 }] }, two] },
      [`outside_hours ${ofOne}`],
    ],
    [{ providers: [{ ...one, overrides: [{ day, startMin: 600, endMin: 630 }] }, two] }, []],
    [{ providers: [one, { ...two, hours: [] }] }, [`outside_hours ${ofTwo}`]],
    [{ providers: [one] }, [`doctor_removed ${ofTwo}`]],
    [{ providers: [one, { ...two, services: ["facelift"] }] }, [`service_not_offered ${ofTwo}`]],
    [
      {
        services: clinic.services.slice(1),
        providers: [one, two].map((doctor) => ({ ...doctor, services: ["facelift"] })),
      },
      [`service_removed ${ofOne}`, `service_removed ${ofTwo}`],
    ],
    [
      { closingDays: [{ first: day, last: day }] },
      [`clinic_closed ${ofOne}`, `clinic_closed ${ofTwo}`],
    ],
    // Ten o'clock in London is outside the hours in New York.
    [{ timezone: "America/New_York" }, [`outside_hours ${ofOne}`]],
  ];
  for (const [change, expected] of changes) {
    const changed = { ...clinic, ...change };
    const named = (bookings: readonly Booking[]) =>
      bookings.map(({ reason, appointmentId }) => `${reason} ${appointmentId}`).sort();
    const dry = await apply(sql, changed, { org, isDry: true });
    assert.deepEqual(named(dry.bookings), [...expected].sort(), JSON.stringify(change));
    const applied = await apply(sql, changed, { org });
    assert.deepEqual(named(applied.bookings), [...expected].sort());
    const again = await apply(sql, changed, { org });
    assert.deepEqual(again.bookings, [], "a second time nothing is new");
    assert.deepEqual(again.already.length, expected.length);
    const live = await sql`select from public.appointments where status = 'held'`;
    assert.equal(live.length, 2, "both are still booked");
    await apply(sql, clinic, { org });
  }
});

test("expired holds and past visits do not count as bookings that a change affects", async ({ sql }) => {
  const { clinic, one, org, ofOne, ofTwo } = await aBookedClinic(sql);
  await sql`update public.appointments set expires_at = now() where id = ${ofOne}`;
  await sql`update public.appointments set starts_at = starts_at - interval '11 days',
    ends_at = ends_at - interval '11 days',
    busy = tstzrange(lower(busy) - interval '11 days', upper(busy) - interval '11 days')
    where id = ${ofTwo}`;
  assert.deepEqual((await apply(sql, { ...clinic, providers: [] }, { org })).bookings, []);
  // The doctor comes back with the earlier booking.
  await apply(sql, { ...clinic, providers: [one] }, { org });
  assert.equal((await read(sql, "booked")).providers.length, 1);
});

test("a day off waits for a booking that is being made, and names it", async ({ sql }) => {
  const { day, clinic, one, two, org } = await aBookedClinic(sql);
  const away = {
    ...clinic,
    providers: [{ ...one, timeOff: [{ from: `${day}T00:00`, to: `${aDay(11)}T00:00` }] }, two],
  };
  const call = { calledNumber: "+442079460123", callId: "late", toolCallId: "1" };
  // The claim reads the hours, then the change begins, then the claim is committed.
  const applied = await sql.begin(async (tx) => {
    await tx`select public.claim_slot_atomic(${JSON.stringify(call)}::text::jsonb,
      ${`checkup/${day}T11:00/one`}, 'Ada Brown', '+447700900124')`;
    const applying = start(() => apply(sql, away, { org }));
    await someWait({ database: { admin: sql } }, 1, applying.isOver);
    return applying;
  });
  const { already, bookings } = await applied.done;
  assert.deepEqual(bookings.map(({ startTime }) => startTime.slice(11, 16)), ["10:00", "11:00"]);
  const [row] = await sql<{ answer: { bookings: Booking[] } }[]>`
    select public.find_misplaced_bookings(${org}, ${already as string[]}) as answer`;
  assert.equal(row?.answer.bookings.length, 2);
});
