/** Doctors' own calendars: what becomes of their busy times, of failures, and of bookings in the way. */
import assert from "node:assert/strict";
import busyTimes from "../../functions/busy-times/index.ts";
import { readDueCalendars } from "../../shared/busy_times.ts";
import { takeBusyCalendars } from "../../shared/database/calendars.ts";
import { startBudget } from "../../shared/deadline.ts";
import type { Network } from "../../shared/exchange.ts";
import { aClinic, aDay, type Bench, jobsSecret, testWithBench as test } from "../support/clinic.ts";
import { createEvents, type EventAttributes } from "../support/calendars.ts";
import { answerWith } from "../support/network.ts";
import { aMember, askAs, asMember, claimsOf, withClaims } from "../support/staff.ts";

const secret = "https://calendar.example/private-6f1c/basic.ics";

/** The internet: one host, which answers with these events or something else, and what it was asked. */
function aHost() {
  const host = {
    answer: "",
    asked: [] as string[],
    /** Happens before each answer. */
    meanwhile: () => Promise.resolve(),
    serve(events: readonly EventAttributes[], etag?: string): void {
      const text = createEvents(events);
      const length = new TextEncoder().encode(text).length;
      host.answer = `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n` +
        `${etag ? `ETag: ${etag}\r\n` : ""}\r\n${text}`;
    },
  };
  const network: Network = {
    resolve: () => Promise.resolve(["93.184.216.34"]),
    connect: async () => {
      await host.meanwhile();
      return answerWith(host.answer, (asked) => void host.asked.push(asked));
    },
  };
  return { host, network };
}

/** A clinic whose first doctor has a calendar. */
async function aCalendar(bench: Bench) {
  const { sql } = bench.database;
  const clinic = await aClinic(sql, { providers: 2 });
  const manager = await aMember(sql, clinic.id, "manager");
  const ask = asMember(sql, manager, clinic);
  const [provider] = await sql`select id from public.providers
    where org_id = ${clinic.id} and slug = 'doctor-1'`;
  const p_provider = String(provider?.["id"]);
  const set = async (p_address: string | null) =>
    (await ask("staff_set_busy_calendar", { p_provider, p_address })).outcome;
  assert.equal(await set(secret), "set");
  const { host, network } = aHost();
  const import_ = async () => {
    await sql`update public.busy_calendars set due_at = now() - interval '1 second'`;
    return await run(bench, network);
  };
  const absences = async () =>
    (await sql`select span::text, calendar_id from public.time_off
      where org_id = ${clinic.id} order by span`).map((row) => String(row["span"]));
  const book = async (time: string) =>
    await ask("staff_book", {
      p_slot_id: `consultation/${aDay()}T${time}/doctor-1`,
      p_patient_name: "Ada Brown",
      p_patient_phone: null,
    });
  return { clinic, manager, ask, p_provider, set, host, network, import_, absences, book };
}

const run = (bench: Bench, network: Network) => {
  const budget = startBudget(3_600_000);
  const { runtime: { log } } = bench;
  return readDueCalendars({
    database: bench.runtime.database.within(budget),
    budget,
    log,
    network,
  });
};

const at = (day: string, time: string) => `${day.replaceAll("-", "")}T${time}00`;
const event = (from: string, until: string, more: EventAttributes = {}) => ({
  "DTSTART;TZID=Europe/London": at(aDay(), from),
  "DTEND;TZID=Europe/London": at(aDay(), until),
  SUMMARY: "A secret meeting",
  ...more,
});

const alarmsOf = async ({ database: { sql } }: Bench) =>
  (await sql`select kind, events from public.alarms order by raised_at`)
    .map(({ kind, events }) => [kind, events]);

test("a busy time of the doctor's own calendar is not offered, and of nobody else", async (bench) => {
  const { host, import_, book, ask } = await aCalendar(bench);
  host.serve([event("1000", "1100"), event("1400", "1430", { TRANSP: "TRANSPARENT" })]);
  assert.deepEqual(await import_(), { replaced: 1 });
  const outcomes = [];
  for (const time of ["09:30", "10:00", "10:30", "11:00", "14:00"]) {
    outcomes.push((await book(time)).outcome);
  }
  assert.deepEqual(outcomes, ["booked", "slot_taken", "slot_taken", "booked", "booked"]);
  const other = await ask("staff_book", {
    p_slot_id: `consultation/${aDay()}T10:00/doctor-2`,
    p_patient_name: "Ada Brown",
    p_patient_phone: null,
  });
  assert.equal(other.outcome, "booked");
  // The event moves: its old time is free again.
  host.serve([event("1200", "1300")]);
  assert.deepEqual(await import_(), { replaced: 1 });
  assert.equal((await book("10:00")).outcome, "booked");
  assert.equal((await book("12:00")).outcome, "slot_taken");
  assert.deepEqual(await alarmsOf(bench), []);
});

test("a reading replaces what came from that calendar and touches nothing else", async (bench) => {
  const { sql } = bench.database;
  const { clinic, ask, p_provider, host, import_, absences, set } = await aCalendar(bench);
  const own = await ask("staff_add_time_off", {
    p_provider,
    p_from: `${aDay(3)} 08:00 Europe/London`,
    p_to: `${aDay(3)} 09:00 Europe/London`,
  });
  assert.equal(own.outcome, "changed");
  const [entered] = await absences();
  host.serve([event("1000", "1100"), event("1200", "1300")]);
  await import_();
  assert.equal((await absences()).length, 3);
  const kept =
    await sql`select id from public.time_off where calendar_id is not null order by span`;
  host.serve([event("1000", "1100"), event("1500", "1600")]);
  await import_();
  const after =
    await sql`select id from public.time_off where calendar_id is not null order by span`;
  assert.equal(after[0]?.["id"], kept[0]?.["id"], "what stays is not written again");
  assert.notEqual(after[1]?.["id"], kept[1]?.["id"]);
  assert.ok((await absences()).includes(entered ?? "none"));
  const removal = await ask("staff_remove_time_off", { p_time_off: after[0]?.["id"] });
  assert.equal(removal.outcome, "imported_time_off");

  // Neither in the clinic's file nor changed by it.
  const [row] = await sql`select public.read_clinic(${clinic.slug}) as answer`;
  const document = row?.["answer"].clinic;
  const doctor = document.providers.find(({ slug }: { slug: string }) => slug === "doctor-1");
  assert.equal(doctor.timeOff.length, 1);
  await sql`select public.apply_clinic(${
    sql.json({ ...document, holdMinutes: 11 })
  }, ${clinic.id})`;
  assert.equal((await absences()).length, 3);

  // A new address keeps them until it is read; no address ends them.
  assert.equal(await set("webcal://other.example/b.ics"), "set");
  assert.equal((await absences()).length, 3);
  host.serve([]);
  assert.deepEqual(await import_(), { replaced: 1 });
  assert.match(host.asked.at(-1) ?? "", /^GET \/b\.ics HTTP[^]*Host: other\.example/);
  assert.deepEqual(await absences(), [entered]);
  host.serve([event("1000", "1100")]);
  await import_();
  assert.equal(await set(null), "removed");
  assert.deepEqual(await absences(), [entered]);
  assert.equal(await set(null), "unchanged");
  assert.deepEqual(await import_(), {});
});

test("a failure keeps the busy times, the third in a row raises one alarm, and a success ends it", async (bench) => {
  const { sql } = bench.database;
  const { host, import_, absences, ask } = await aCalendar(bench);
  host.serve([event("1000", "1100")]);
  await import_();
  const busy = await absences();
  const good = host.answer;
  for (
    const bad of [
      "HTTP/1.1 500 No\r\n\r\n",
      "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n",
      good.slice(0, -30),
      "HTTP/1.1 200 OK\r\n\r\n<html>Sign in</html>",
    ]
  ) {
    host.answer = bad;
    assert.deepEqual(await import_(), { missed: 1 });
    assert.deepEqual(await absences(), busy);
  }
  assert.deepEqual(await alarmsOf(bench), [["calendar_unread", 3]]);
  const [listed] = (await ask("staff_list_calendars", {}))["busy"] as Record<string, unknown>[];
  assert.deepEqual([listed?.["failures"], listed?.["failure"], listed?.["host"]], [
    4,
    "not_a_calendar",
    "calendar.example",
  ]);
  const [due] = await sql`select extract(epoch from due_at - now()) / 60 as minutes
    from public.busy_calendars`;
  assert.ok(Number(due?.["minutes"]) > 35, "later attempts are further apart");
  // An alarm about a calendar slows no texts down.
  const [row] = await sql`select private.is_braked(org_id, now()) as braked from public.alarms`;
  assert.equal(row?.["braked"], false);
  host.answer = good;
  assert.deepEqual(await import_(), { replaced: 1 });
  const [reset] = await sql`select failures, failure, failed_at from public.busy_calendars`;
  assert.deepEqual({ ...reset }, { failures: 0, failure: null, failed_at: null });
});

test("a booking that a new busy time overlaps stays, and is shown once as an alarm and until it moves", async (bench) => {
  const { sql } = bench.database;
  const { clinic, ask, host, import_, book } = await aCalendar(bench);
  const [early, late] = [await book("10:00"), await book("15:00")];
  host.serve([event("1000", "1100")]);
  await import_();
  await import_();
  assert.deepEqual(await alarmsOf(bench), [["calendar_overlap", 1]]);
  const [kept] = await sql`select status from public.appointments
    where id = ${String(early["appointmentId"])}`;
  assert.equal(kept?.["status"], "confirmed");
  const viewer = await aMember(sql, clinic.id, "viewer");
  const stranger = await aMember(sql, (await aClinic(sql)).id, "owner");
  const shown = async (member = viewer) =>
    (await withClaims(sql, claimsOf(member), (tx) => tx`select * from public.calendar_overlaps`))
      .map((row) => row["appointment_id"]);
  assert.deepEqual(await shown(), [early["appointmentId"]]);
  assert.deepEqual(await shown(stranger), []);
  host.serve([event("1000", "1100"), event("1430", "1600")]);
  await import_();
  assert.deepEqual((await shown()).sort(), [early, late].map((one) => one["appointmentId"]).sort());
  assert.equal((await alarmsOf(bench)).length, 2);
  await ask("staff_cancel", { p_appointment: early["appointmentId"] });
  host.serve([event("1000", "1100")]);
  await import_();
  assert.deepEqual(await shown(), []);
});

test("of two readings the later one counts, and a new address overtakes both", async (bench) => {
  const { sql } = bench.database;
  const { host, network, absences, set } = await aCalendar(bench);
  const slow = aHost();
  slow.host.serve([event("1000", "1100")]);
  host.serve([event("1500", "1600")]);
  const due = () => sql`update public.busy_calendars set due_at = now() - interval '1 second'`;
  // While the first one waits for its answer, five minutes pass and a second one is done.
  slow.host.meanwhile = async () => {
    await due();
    assert.deepEqual(await run(bench, network), { replaced: 1 });
  };
  await due();
  assert.deepEqual(await run(bench, slow.network), { superseded: 1 });
  const [only, ...more] = await absences();
  assert.match(only ?? "", / 15:00:00/);
  assert.deepEqual(more, []);
  slow.host.meanwhile = async () => {
    slow.host.meanwhile = () => Promise.resolve();
    assert.equal(await set("https://new.example/"), "set");
  };
  await due();
  // The new address is due at once.
  assert.deepEqual(await run(bench, slow.network), { superseded: 1, replaced: 1 });
});

test("nobody else gets a calendar that is being read, however many ask at once", async (bench) => {
  await aCalendar(bench);
  await aCalendar(bench);
  const budget = startBudget(3_600_000);
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => takeBusyCalendars(bench.runtime.database.within(budget), 1)),
  );
  const taken = answers.flatMap((one) => one.outcome === "found" ? one.calendars : []);
  assert.equal(taken.length, 2);
  assert.equal(new Set(taken.map(({ calendarId }) => calendarId)).size, 2);
});

test("a crash in the middle of replacing leaves the busy times as they were", async (bench) => {
  const { admin } = bench.database;
  const { host, import_, absences } = await aCalendar(bench);
  host.serve([event("1000", "1100"), event("1200", "1300")]);
  await import_();
  const before = await absences();
  host.serve([event("1500", "1600"), event("1700", "1800")]);
  // The rows are gone and the new ones half written when the server ends the connection.
  await admin.unsafe(`
    create function public.crash() returns trigger language plpgsql as $$
    begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
    create trigger crash before insert on public.time_off for each row
      when (new.calendar_id is not null) execute function public.crash()`);
  assert.deepEqual(await import_(), { failed: 1 });
  assert.deepEqual(await absences(), before);
  await admin.unsafe("drop trigger crash on public.time_off; drop function public.crash()");
  assert.deepEqual(await import_(), { replaced: 1 });
  assert.equal((await absences()).filter((span) => before.includes(span)).length, 0);
});

test("a version that is known is asked for, and the whole calendar twice a day", async (bench) => {
  const { sql } = bench.database;
  const { host, import_, absences } = await aCalendar(bench);
  host.serve([event("1000", "1100")], '"v1"');
  await import_();
  host.answer = "HTTP/1.1 304 Not Modified\r\n\r\n";
  assert.deepEqual(await import_(), { unchanged: 1 });
  assert.match(host.asked.at(-1) ?? "", /If-None-Match: "v1"/);
  assert.equal((await absences()).length, 1);
  await sql`update public.busy_calendars set loaded_at = loaded_at - interval '13 hours'`;
  host.serve([event("1000", "1100")], '"v1"');
  await import_();
  assert.doesNotMatch(host.asked.at(-1) ?? "", /If-None-Match/);
});

test("neither an address nor a title is in a log line, an answer, the audit log or a table that is read", async (bench) => {
  const { sql } = bench.database;
  const { clinic, manager, ask, host, import_ } = await aCalendar(bench);
  host.serve([event("1000", "1100")]);
  await import_();
  host.answer = "";
  await import_();
  const [row] = await sql<{ text: string }[]>`
    select string_agg(x, '') as text from (
      select to_jsonb(l)::text as x from public.audit_logs as l
      union all select to_jsonb(t)::text from public.tool_calls as t
      union all select to_jsonb(t)::text from public.time_off as t) as x`;
  const told = row?.text + bench.lines.join() +
    JSON.stringify(await ask("staff_list_calendars", {}));
  assert.ok(told.includes("calendar.example") && told.includes("calendar_import"));
  assert.doesNotMatch(told, /private-6f1c|secret meeting/);
  await assert.rejects(
    withClaims(sql, claimsOf(manager), (tx) => tx`select from public.busy_calendars`),
    { code: "42501" },
  );
  await assert.rejects(
    withClaims(sql, { role: "service_role" }, (tx) => tx`select from public.busy_calendars`),
    { code: "42501" },
  );
  const other = await aMember(sql, (await aClinic(sql)).id, "owner");
  const stolen = await askAs(sql, other, "staff_list_calendars", { p_org: clinic.id });
  assert.equal(stolen.outcome, "unknown_clinic");
});

test("an address that could not be read is refused when it is set", async (bench) => {
  const { set, ask } = await aCalendar(bench);
  for (
    const wrong of [
      ...["http://calendar.example/", "https://me:word@calendar.example/", "calendar", ""],
      ...[
        "https://",
        "https://calendar.example/a b",
        `https://calendar.example/${"x".repeat(2000)}`,
      ],
    ]
  ) {
    assert.equal(await set(wrong), "invalid_address", wrong.slice(0, 60));
  }
  const stranger = await ask("staff_set_busy_calendar", {
    p_provider: crypto.randomUUID(),
    p_address: secret,
  });
  assert.equal(stranger.outcome, "unknown_provider");
});

test("only the database's job may have calendars read, and an address inside is not reached", async (bench) => {
  const { sql } = bench.database;
  const { set } = await aCalendar(bench);
  await set("https://127.0.0.1:9/calendar.ics");
  const post = (secret: string, method = "POST") =>
    busyTimes.using(bench.runtime).fetch(
      new Request("http://f.test/", { method, headers: { authorization: `Bearer ${secret}` } }),
    );
  for (const wrong of ["", "wrong", `${jobsSecret}x`]) {
    assert.equal((await post(wrong)).status, 401);
  }
  assert.equal((await post(jobsSecret, "GET")).status, 405);
  for (let time = 1; time <= 3; time++) {
    assert.ok(!bench.lines.some((line) => line.includes("alarm_raised")));
    await sql`update public.busy_calendars set due_at = now() - interval '1 second'`;
    const answer = await post(jobsSecret);
    assert.deepEqual([answer.status, await answer.json()], [200, { missed: 1 }]);
  }
  const [row] = await sql`select failure from public.busy_calendars`;
  assert.equal(row?.["failure"], "address_not_public");
  const raised = bench.lines.filter((line) => line.includes("alarm_raised"));
  assert.equal(raised.length, 1);
  assert.match(raised[0] ?? "", /"kind":"calendar_unread"/);
});
