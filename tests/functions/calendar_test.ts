/** The calendars that other programs read: what is in them, for whom, and how they are written. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { convertIcsCalendar } from "ts-ics";
import calendarFunction from "../../functions/calendar/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import { createCalendarToken, hashCalendarToken, orgOfToken } from "../../shared/calendar_token.ts";
import type { Calendar } from "../../shared/database/calendars.ts";
import { writeCalendar } from "../../shared/feed.ts";
import { openLog } from "../../shared/logging.ts";
import {
  aClinic,
  aDay,
  aPhone,
  type Bench,
  type Clinic,
  testWithBench as test,
} from "../support/clinic.ts";
import { readEvents, unescape } from "../support/icalendar.ts";
import { aMember, askAs, asMember, type Member, type StaffArguments } from "../support/staff.ts";

/** A clinic with a manager, who books and gives out calendars. */
async function aDesk(bench: Bench, options: Parameters<typeof aClinic>[1] = {}) {
  const { sql } = bench.database;
  const clinic = await aClinic(sql, options);
  const manager = await aMember(sql, clinic.id, "manager");
  const ask = asMember(sql, manager, clinic);
  const book = async (slot: string, name = "Ada Brown") => {
    const answer = await ask("staff_book", {
      p_slot_id: `consultation/${slot}`,
      p_patient_name: name,
      p_patient_phone: "+447700900456",
    });
    assert.equal(answer.outcome, "booked");
    return String(answer["appointmentId"]);
  };
  return { clinic, manager, ask, book };
}

/** Gives out a calendar as a browser does. Returns its token and id. */
async function aFeed(
  bench: Bench,
  clinic: Pick<Clinic, "id">,
  manager: Member,
  provider: string | null = null,
  token = createCalendarToken(clinic.id),
) {
  const [row] = await bench.database.sql`
    select id from public.providers where org_id = ${clinic.id} and slug = ${provider}`;
  const answer = await askAs(bench.database.sql, manager, "staff_add_calendar_feed", {
    p_org: clinic.id,
    p_provider: row?.["id"] ?? null,
    p_label: "A phone",
    p_token_hash: hashCalendarToken(token),
  });
  assert.equal(answer.outcome, "added");
  return { token, feedId: String(answer["feedId"]) };
}

const read = (bench: Bench, token: string, headers: Record<string, string> = {}) =>
  calendarFunction.using(bench.runtime).fetch(
    new Request(`http://functions.test/calendar?token=${token}`, { headers }),
  );

/** The events of a feed by the appointment's id, which is the first part of their UID. */
const eventsOf = async (bench: Bench, token: string) => {
  const response = await read(bench, token);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/calendar; charset=utf-8");
  return eventsIn(await response.text(), token);
};

const eventsIn = (text: string, token: string) =>
  new Map([...readEvents(text)].map(([uid, event]) => {
    const [id = "", org] = uid.split("@");
    assert.equal(org, orgOfToken(token));
    return [id, event];
  }));

const inUtc = (at: Date) => at.toISOString().replace(/[-:]|\.\d+/g, "");

test("a feed has what is confirmed and held, and nothing that is cancelled or expired", async (bench) => {
  const { sql } = bench.database;
  const { clinic, manager, ask, book } = await aDesk(bench, { providers: 2 });
  const { token } = await aFeed(bench, clinic, manager);
  const doctors = await aFeed(bench, clinic, manager, "doctor-2");
  const day = aDay();
  const booked = await book(`${day}T10:00/doctor-1`);
  const cancelled = await book(`${day}T11:00/doctor-1`);
  assert.equal((await ask("staff_cancel", { p_appointment: cancelled })).outcome, "cancelled");
  const hold = async (time: string) => {
    const held = await bench.ask(holdSlot, {
      ...{ tool: "hold_slot", called: clinic.number, caller: aPhone() },
      callId: crypto.randomUUID(),
      args: { slotId: `consultation/${day}T${time}/doctor-2`, patientName: "Bea Green" },
    });
    assert.equal(held.outcome, "held");
    return String(held.holdId);
  };
  const [held, expired] = [await hold("12:00"), await hold("13:00")];
  await sql`update public.appointments set expires_at = now() where id = ${expired}`;

  const events = await eventsOf(bench, token);
  assert.deepEqual([...events.keys()].sort(), [booked, held].sort());
  const [row] = await sql`select starts_at, ends_at, updated_at from public.appointments
    where id = ${booked}`;
  const told = Object.fromEntries(events.get(booked) ?? []);
  assert.deepEqual(told, {
    UID: `${booked}@${clinic.id}`,
    SEQUENCE: told["SEQUENCE"],
    DTSTAMP: inUtc(row?.["updated_at"]),
    DTSTART: inUtc(row?.["starts_at"]),
    DTEND: inUtc(row?.["ends_at"]),
    SUMMARY: "Consultation\\, Dr Number 1",
    STATUS: "CONFIRMED",
    "X-MICROSOFT-CDO-BUSYSTATUS": "BUSY",
    "LAST-MODIFIED": inUtc(row?.["updated_at"]),
  });
  assert.equal(events.get(held)?.get("SUMMARY"), "Held\\, Dr Number 2");
  assert.equal(events.get(held)?.get("STATUS"), "TENTATIVE");
  const own = await eventsOf(bench, doctors.token);
  assert.deepEqual([...own].map(([id, event]) => [id, event.get("SUMMARY")]), [[held, "Held"]]);

  // The same event later: it is confirmed, and its revision has grown.
  await sql`update public.appointments
    set created_at = created_at - interval '1 minute' where id = ${held}`;
  const before = Number((await eventsOf(bench, token)).get(held)?.get("SEQUENCE"));
  await sql`update public.appointments set updated_at = updated_at - interval '5 seconds'
    where id = ${held}`;
  const confirmed = await ask("staff_confirm", { p_appointment: held });
  assert.equal(confirmed.outcome, "confirmed");
  const after = (await eventsOf(bench, token)).get(held);
  assert.equal(after?.get("STATUS"), "CONFIRMED");
  assert.ok(Number(after?.get("SEQUENCE")) >= before);
  await ask("staff_mark", { p_appointment: held, p_as: "arrived" });
  assert.ok((await eventsOf(bench, token)).has(held));
});

test("a feed has no phone number ever, and names only where the clinic says so", async (bench) => {
  const { clinic, manager, book } = await aDesk(bench);
  const { token } = await aFeed(bench, clinic, manager);
  const id = await book(`${aDay()}T10:00`, "Zacharias Quell");
  const without = await (await read(bench, token)).text();
  assert.doesNotMatch(without, /Quell|900456/);
  await bench.database.sql`
    update public.organizations set calendar_patient_names = true where id = ${clinic.id}`;
  const withNames = await (await read(bench, token)).text();
  assert.equal(
    eventsIn(withNames, token).get(id)?.get("SUMMARY"),
    "Consultation\\, Zacharias Quell\\, Dr Number 1",
  );
  assert.doesNotMatch(withNames, /900456/);
  await bench.database
    .sql`select public.erase_patient(${clinic.id}, '+447700900456', 'Zacharias Quell')`;
  const erased = await (await read(bench, token)).text();
  assert.equal(eventsIn(erased, token).get(id)?.get("SUMMARY"), "Consultation\\, Dr Number 1");
});

test("a feed covers 30 days back and 180 ahead", async (bench) => {
  const { sql } = bench.database;
  const { clinic, manager, book } = await aDesk(bench);
  const { token } = await aFeed(bench, clinic, manager);
  const id = await book(`${aDay()}T10:00`);
  const at = async (days: number) => {
    const start = new Date(Date.now() + days * 86_400_000);
    const end = new Date(start.getTime() + 1_800_000);
    await sql`update public.appointments set starts_at = ${start}, ends_at = ${end},
      busy = tstzrange(${start}, ${end}) where id = ${id}`;
    return (await eventsOf(bench, token)).has(id);
  };
  assert.deepEqual([await at(-29), await at(-32), await at(180), await at(182)], [
    true,
    false,
    true,
    false,
  ]);
});

test("a reader who has the current version gets 304 in one round trip, until something changes", async (bench) => {
  const { clinic, manager, book, ask } = await aDesk(bench);
  const { token } = await aFeed(bench, clinic, manager);
  const id = await book(`${aDay()}T10:00`);
  const first = await read(bench, token);
  const etag = first.headers.get("etag") ?? "";
  assert.match(etag, /^"1-[0-9a-f]{32}"$/);
  await first.text();
  bench.restCalls.length = 0;
  for (const seen of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const again = await read(bench, token, { "if-none-match": seen });
    assert.deepEqual([again.status, await again.text(), again.headers.get("etag")], [
      304,
      "",
      etag,
    ]);
  }
  assert.deepEqual(bench.restCalls, Array(4).fill("/rest/v1/rpc/read_calendar"));
  assert.equal((await read(bench, token, { "if-none-match": '"2-0"' })).status, 200);
  await ask("staff_cancel", { p_appointment: id });
  const changed = await read(bench, token, { "if-none-match": etag });
  assert.equal(changed.status, 200);
  assert.equal(readEvents(await changed.text()).size, 0);
});

test("reading again writes nothing for five minutes", async (bench) => {
  const { sql } = bench.database;
  const { clinic, manager } = await aDesk(bench);
  const { token } = await aFeed(bench, clinic, manager);
  const place = async () => {
    const [row] = await sql`select ctid::text as place, read_at from public.calendar_feeds`;
    return row ?? {};
  };
  assert.equal((await place())["read_at"], null);
  await Promise.all([read(bench, token), read(bench, token)]);
  const written = await place();
  assert.ok(written["read_at"]);
  for (let n = 0; n < 3; n++) await read(bench, token);
  assert.deepEqual(await place(), written);
  await sql`update public.calendar_feeds set read_at = now() - interval '6 minutes'`;
  await read(bench, token);
  assert.ok((await place())["read_at"] > new Date(Date.now() - 60_000));
});

test("a wrong, revoked, swapped or foreign token gets the same 404", async (bench) => {
  const { clinic, manager, ask } = await aDesk(bench);
  const other = await aDesk(bench);
  const { token, feedId } = await aFeed(bench, clinic, manager);
  const theirs = await aFeed(bench, other.clinic, other.manager);
  assert.equal(orgOfToken(token), clinic.id);
  assert.equal(
    (await ask("staff_revoke_calendar_feed", { p_feed: theirs.feedId })).outcome,
    "unknown_feed",
  );
  assert.equal((await read(bench, theirs.token)).status, 200);
  assert.equal((await ask("staff_revoke_calendar_feed", { p_feed: feedId })).outcome, "revoked");
  const changed = theirs.token.slice(0, -1) + (theirs.token.endsWith("A") ? "B" : "A");
  const swapped = createCalendarToken(clinic.id).slice(0, 25) + theirs.token.slice(25);
  // A token with one clinic's id that another clinic gives out.
  const stray = createCalendarToken(clinic.id);
  await aFeed(bench, other.clinic, other.manager, null, stray);
  const answers = await Promise.all(
    [
      token,
      stray,
      changed,
      swapped,
      createCalendarToken(crypto.randomUUID()),
      "",
      "cal_",
      "x".repeat(5000),
    ]
      .map(async (wrong) => {
        const response = await read(bench, wrong);
        return [response.status, await response.text(), [...response.headers]];
      }),
  );
  for (const answer of answers) assert.deepEqual(answer, [404, "", []]);
  const post = new Request(`http://f.test/?token=${theirs.token}`, { method: "POST" });
  assert.equal((await calendarFunction.using(bench.runtime).fetch(post)).status, 405);
});

test("no token is in a log line, a table, an answer or the audit log", async (bench) => {
  const { sql } = bench.database;
  const { clinic, manager, ask } = await aDesk(bench);
  const { token, feedId } = await aFeed(bench, clinic, manager);
  await read(bench, token);
  await read(bench, createCalendarToken(clinic.id));
  const away = { ...bench, runtime: { ...bench.runtime, database: brokenDatabase } };
  assert.equal((await read(away, token)).status, 503);
  const listed = await ask("staff_list_calendars", {});
  assert.equal((listed["feeds"] as { feedId: string }[])[0]?.feedId, feedId);
  const [row] = await sql<{ text: string }[]>`
    select string_agg(x, '') as text from (
      select to_jsonb(f)::text as x from public.calendar_feeds as f
      union all select to_jsonb(l)::text from public.audit_logs as l
      union all select to_jsonb(t)::text from public.tool_calls as t) as x`;
  const written = bench.lines.join("\n") + row?.text + JSON.stringify(listed);
  assert.ok(bench.lines.some((line) => line.includes("calendar_failed")));
  assert.ok(!written.includes(token.slice(30)));
  assert.ok(!JSON.stringify(listed).includes(hashCalendarToken(token)));
  const lines: string[] = [];
  const log = openLog("info", (line) => lines.push(line));
  log.error("failed", {
    cause: new Error(`at https://x.test/f/calendar?token=${token}&a=1 or ${token}`),
  });
  assert.ok(!lines.join().includes(token.slice(10, 30)));
  assert.match(lines.join(), /https:\/\/x\.test\/f\/calendar\?\[REDACTED\] or \[REDACTED\]/);
});

const brokenDatabase: Bench["runtime"]["database"] = {
  within: () => ({
    call: (_, args) => Promise.reject(new Error(`no ${JSON.stringify(args)}`)),
  }),
};

test("a feed is given out and revoked once, by its own clinic, and audited", async (bench) => {
  const { sql } = bench.database;
  const { clinic, ask } = await aDesk(bench);
  const stranger = await aClinic(sql);
  const [theirs] = await sql`select id from public.providers where org_id = ${stranger.id}`;
  const token = createCalendarToken(clinic.id);
  const given = {
    p_provider: null,
    p_label: " Front desk ",
    p_token_hash: hashCalendarToken(token),
  };
  const p_request = crypto.randomUUID();
  const first = await ask("staff_add_calendar_feed", { ...given, p_request });
  assert.deepEqual(await ask("staff_add_calendar_feed", { ...given, p_request }), first);
  const wrong: [StaffArguments, string][] = [
    [given, "invalid_feed"],
    [{ ...given, p_label: " " }, "invalid_feed"],
    [{ ...given, p_token_hash: "00" }, "invalid_feed"],
    [{ ...given, p_token_hash: "no hex" }, "invalid_feed"],
    [{ ...given, p_provider: theirs?.["id"] }, "unknown_provider"],
  ];
  for (const [args, outcome] of wrong) {
    assert.equal(
      (await ask("staff_add_calendar_feed", args)).outcome,
      outcome,
      JSON.stringify(args),
    );
  }
  assert.equal(
    (await ask("staff_revoke_calendar_feed", { p_feed: first["feedId"] })).outcome,
    "revoked",
  );
  const audited = await sql`select action, outcome, subject_id from public.audit_logs
    where org_id = ${clinic.id} and outcome in ('added', 'revoked') order by at`;
  assert.deepEqual(audited.map(({ action, subject_id }) => [action, subject_id]), [
    ["staff_add_calendar_feed", first["feedId"]],
    ["staff_revoke_calendar_feed", first["feedId"]],
  ]);
});

/** A calendar of one event with these words. */
const aCalendar = (text: string): Calendar => ({
  clinic: text,
  timezone: "Europe/London",
  doctor: null,
  isWhole: true,
  events: [{
    id: "0f0e7a34-1111-4222-8333-944455556666",
    isHeld: false,
    startTime: "2026-12-01T09:00:00+00:00",
    endTime: "2026-12-01T09:30:00+00:00",
    service: text,
    doctor: "D",
    patient: null,
    changedAt: "2026-11-30T09:00:00.123456+00:00",
    revision: 0,
  }],
});

Deno.test("times are right on the days when clocks change in London and New York", async () => {
  // Each change, and what local clocks show in the five hours around it.
  const changes = [
    ["Europe/London", "2026-10-25T01:00:00Z", "00:00 01:00 01:00 02:00 03:00"],
    ["Europe/London", "2027-03-28T01:00:00Z", "23:00 00:00 02:00 03:00 04:00"],
    ["America/New_York", "2026-11-01T06:00:00Z", "00:00 01:00 01:00 02:00 03:00"],
    ["America/New_York", "2027-03-14T07:00:00Z", "00:00 01:00 03:00 04:00 05:00"],
  ] as const;
  for (const [timezone, change, clocks] of changes) {
    const [event] = aCalendar("").events;
    assert.ok(event);
    const at = (hours: number) => new Date(Date.parse(change) + hours * 3_600_000).toISOString();
    const events = [-2, -1, 0, 1, 2].map((hours) => ({
      ...event,
      id: crypto.randomUUID(),
      startTime: at(hours),
      endTime: at(hours + 0.5),
    }));
    const text = await writeCalendar({ ...aCalendar("Clinic"), timezone, events }, "org");
    const parsed = convertIcsCalendar(undefined, text).events ?? [];
    const local = new Intl.DateTimeFormat("en-GB", { timeZone: timezone, timeStyle: "short" });
    assert.equal(parsed.map(({ start }) => local.format(start.date)).join(" "), clocks, change);
    assert.deepEqual(
      parsed.map(({ start, end }) => [start.date.toISOString(), end?.date.toISOString()]),
      events.map(({ startTime, endTime }) => [startTime, endTime]),
    );
    assert.doesNotMatch(text, /TZID/);
  }
});

Deno.test("any text is escaped, folded between characters, and read back unchanged", async () => {
  const words = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 200 }),
    fc.array(
      fc.constantFrom("\\", ";", ",", ":", '"', "n", "N", "\n", "\r\n", "\t", " ", "é", "😀"),
      {
        maxLength: 200,
      },
    ).map((parts) => parts.join("")),
  );
  await fc.assert(fc.asyncProperty(words, async (text) => {
    const written = await writeCalendar(aCalendar(text), "org");
    const expected = `${text.replace(/\p{Cc}+/gu, " ")}, D`.trim();
    const [event] = readEvents(written).values();
    assert.equal(unescape(event?.get("SUMMARY") ?? ""), expected);
    const [parsed] = convertIcsCalendar(undefined, written).events ?? [];
    assert.equal(parsed?.summary, expected);
    assert.equal(parsed?.stamp.date.toISOString(), "2026-11-30T09:00:00.000Z");
  }));
});
