/** Members of a clinic: who may do what, and what happens to appointments, numbers and hours. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { aCaller, type Answer, readCode, sendCode, withLine } from "../support/callers.ts";
import { roles } from "../../supabase/desk/app/rows.ts";
import { patient } from "../../supabase/tasks/patient.ts";
import { aClinic, aDay, aPhone, type Clinic } from "../support/clinic.ts";
import { type TestDatabase, testWithDatabase as test } from "../support/database.ts";
import {
  aMember,
  askAs,
  askOnce,
  asMember,
  claimsOf,
  type StaffArguments,
  withClaims,
} from "../support/staff.ts";
import { runHere } from "../support/terminal.ts";

const slot = (time: string) => `consultation/${aDay()}T${time}`;

/** Every function for staff: the lowest role that may call it, and well-formed arguments. */
function everyFunction(clinic: Clinic): readonly [string, string, StaffArguments][] {
  const p_org = clinic.id;
  const id = crypto.randomUUID();
  const asked = { p_org, p_request: crypto.randomUUID() };
  const aFeed = { p_label: "Dr Patel's phone", p_token_hash: "00".repeat(32) };
  return [
    ["viewer", "staff_find_times", { p_org, p_service: "consultation", p_first: aDay() }],
    ["desk", "staff_book", { ...asked, p_slot_id: "nothing", p_patient_name: "Ada Brown" }],
    ["desk", "staff_confirm", { ...asked, p_appointment: id }],
    ["desk", "staff_cancel", { ...asked, p_appointment: id }],
    ["desk", "staff_resolve", { ...asked, p_appointment: id, p_as: "confirmed" }],
    ["desk", "staff_move", { ...asked, p_appointment: id, p_slot_id: "nothing" }],
    ["desk", "staff_mark", { ...asked, p_appointment: id, p_as: "arrived" }],
    ["desk", "staff_handle", { ...asked, p_kind: "message", p_id: id }],
    ["desk", "staff_clear_lock", { ...asked, p_phone: "+447700900001" }],
    ["desk", "staff_block_number", { ...asked, p_phone: "nobody", p_is_blocked: true }],
    ["manager", "staff_set_hours", { ...asked, p_provider: id, p_hours: [] }],
    ["manager", "staff_set_day", { ...asked, p_provider: id, p_day: aDay(), p_hours: [] }],
    ["manager", "staff_add_time_off", { ...asked, p_provider: id, p_from: aDay(), p_to: aDay(3) }],
    ["manager", "staff_remove_time_off", { ...asked, p_time_off: id }],
    ["manager", "staff_set_closing_days", { ...asked, p_days: [] }],
    ["manager", "staff_list_calendars", { p_org }],
    ["manager", "staff_add_calendar_feed", { ...asked, p_provider: id, ...aFeed }],
    ["manager", "staff_revoke_calendar_feed", { ...asked, p_feed: id }],
    ["manager", "staff_set_busy_calendar", { ...asked, p_provider: id, p_address: "x" }],
    ["owner", "staff_list_members", { p_org }],
    ["owner", "staff_change_member", { ...asked, p_user: id, p_role: "viewer" }],
  ];
}

async function rowOf(sql: postgres.Sql, id: unknown): Promise<Record<string, unknown>> {
  const [row] = await sql`select a.*, c.proven_at, c.phone as contact_phone
    from public.appointments as a
    left join public.contacts as c on c.org_id = a.org_id and c.id = a.contact_id
    where a.id = ${String(id)}`;
  return row ?? {};
}

/** Waits until a query finds something, or until something else has happened. */
async function until(sql: postgres.Sql, query: string, orElse = () => false): Promise<void> {
  while (!orElse() && (await sql.unsafe(`select ${query}`)).length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A clinic with a member at its desk who asks and books. */
async function aDesk({ sql }: TestDatabase) {
  const clinic = await aClinic(sql);
  const member = await aMember(sql, clinic.id);
  const ask = asMember(sql, member, clinic);
  const book = (time: string, args: StaffArguments = {}) =>
    ask("staff_book", { p_slot_id: slot(time), p_patient_name: "Ada Brown", ...args });
  return { clinic, member, ask, book };
}

test("each function is for its role and those above, of that clinic, and for nobody else", async ({ sql }) => {
  const [clinic, other] = [await aClinic(sql), await aClinic(sql)];
  const granted = await sql<{ name: string }[]>`
      select proname as name from pg_proc where pronamespace = 'public'::regnamespace
        and has_function_privilege('authenticated', oid, 'execute') order by 1`;
  assert.deepEqual(
    everyFunction(clinic).map(([, name]) => name).sort(),
    granted.map(({ name }) => name),
  );
  const strangers = [
    claimsOf(await aMember(sql, other.id, "owner")),
    claimsOf(await aMember(sql)),
    { role: "authenticated" },
    { role: "authenticated", sub: crypto.randomUUID(), org_id: clinic.id, org_role: "owner" },
  ];
  const viewer = await aMember(sql, clinic.id, "viewer");
  const members = await Promise.all(
    roles.map(async (role) => ({ role, ...await aMember(sql, clinic.id, role) })),
  );
  const forged = { org_role: "owner", user_role: "owner", app_metadata: { role: "owner" } };
  for (const [needed, name, args] of everyFunction(clinic)) {
    const ask = async (claims: Readonly<Record<string, unknown>>) =>
      (await askOnce(sql, claims, name, args)).outcome;
    for (const claims of strangers) assert.equal(await ask(claims), "unknown_clinic", name);
    const claimed = { ...claimsOf(viewer), ...forged, user_metadata: forged };
    assert.equal(await ask(claimed) === "not_allowed", needed !== "viewer", name);
    for (const { role, ...member } of members) {
      const outcome = await ask(claimsOf(member));
      const isAllowed = roles.indexOf(role) >= roles.findIndex((one) => one === needed);
      assert.equal(outcome !== "not_allowed", isAllowed, `${name} by ${role}: ${outcome}`);
    }
    for (const role of ["anon", "service_role"]) {
      await assert.rejects(ask({ role, sub: viewer.userId }), { code: "42501" }, name);
    }
  }
  const [trace] = await sql`select count(*)::int as n from public.audit_logs
      where org_id <> ${clinic.id}`;
  assert.equal(trace?.["n"], 0, "strangers leave no trace");
});

test("the desk books for a patient without a phone, and the audit log says who did", async (database) => {
  const { sql } = database;
  const { clinic, member, book } = await aDesk(database);
  const request = crypto.randomUUID();
  const answer = await book("09:00", { p_request: request });
  assert.equal(answer.outcome, "booked");
  const row = await rowOf(sql, answer["appointmentId"]);
  assert.deepEqual(
    [row["status"], row["patient_name"], row["patient_phone"], row["proven_at"], row["call_id"]],
    ["confirmed", "Ada Brown", null, null, null],
  );
  assert.notEqual(row["contact_id"], null);
  assert.equal((await book("09:00")).outcome, "slot_taken");
  assert.equal((await book("09:15")).outcome, "slot_taken", "off the grid");
  assert.equal((await book("10:00", { p_patient_phone: "07700" })).outcome, "invalid_phone");
  assert.equal(
    (await book("10:00", { p_patient_phone: clinic.number })).outcome,
    "unusable_phone",
  );
  assert.equal((await book("10:00", { p_patient_name: " " })).outcome, "invalid_name");
  const [audited] = await sql`select actor, staff_user, tool_call_id, subject_id, outcome
      from public.audit_logs where org_id = ${clinic.id} and action = 'staff_book' order by at limit 1`;
  assert.deepEqual({ ...audited }, {
    actor: "staff",
    staff_user: member.userId,
    tool_call_id: request,
    subject_id: answer["appointmentId"],
    outcome: "booked",
  });
});

test("a number that staff entered is not proven until a passcode proves it, and stays proven then", async (database) => {
  const { sql } = database;
  const { clinic, book } = await aDesk(database);
  await withLine(database, async (line) => {
    const caller = aCaller(clinic);
    const first = await book("09:00", { p_patient_phone: caller.phone });
    assert.equal((await rowOf(sql, first["appointmentId"]))["proven_at"], null);
    await line.ask("claim_slot_atomic", caller, { p_slot_id: slot("10:00") });
    await sendCode(line, caller, "482913");
    assert.equal((await readCode(line, caller, "482913")).outcome, "confirmed");
    const proven = (await rowOf(sql, first["appointmentId"]))["proven_at"];
    assert.ok(proven instanceof Date);
    const next = await book("11:00", { p_patient_phone: caller.phone });
    assert.deepEqual((await rowOf(sql, next["appointmentId"]))["proven_at"], proven);
  });
});

test("a message, a failed text and an alarm are dealt with once, each at its clinic", async (database) => {
  const { sql } = database;
  const { clinic, member, ask } = await aDesk(database);
  const other = await aClinic(sql);
  const notices = async (orgId: string) => {
    const [row] = await sql<{ message: string; text: string; alarm: string }[]>`
      with m as (insert into public.desk_messages (org_id, caller_name, phone, message)
          values (${orgId}, 'Ada', '+447700900001', 'Call me') returning id),
        t as (insert into public.sms_messages (org_id, id, origin, to_masked)
          values (${orgId}, gen_random_uuid(), 'own_number', '***01') returning id),
        a as (insert into public.alarms (org_id, kind, raised_at, first_at, events)
          values (${orgId}, 'wrong_codes', now(), now(), 50) returning id)
      select m.id as message, t.id as text, a.id as alarm from m, t, a`;
    assert.ok(row);
    return Object.entries(row);
  };
  const strangers = await notices(other.id);
  for (const [p_kind, p_id] of await notices(clinic.id)) {
    const outcomes = [];
    for (const kind of [p_kind, p_kind, "letter"]) {
      outcomes.push((await ask("staff_handle", { p_kind: kind, p_id })).outcome);
    }
    assert.deepEqual(outcomes, ["handled", "unchanged", "unknown_kind"], p_kind);
  }
  for (const [p_kind, p_id] of strangers) {
    assert.equal((await ask("staff_handle", { p_kind, p_id })).outcome, "unknown_notice");
  }
  const handled = await sql`
    select org_id, handled_by from public.desk_messages where handled_at is not null
    union all select org_id, handled_by from public.sms_messages where handled_at is not null
    union all select org_id, handled_by from public.alarms where handled_at is not null`;
  assert.deepEqual(
    handled.map((row) => [row["org_id"], row["handled_by"]]),
    Array.from({ length: 3 }, () => [clinic.id, member.userId]),
  );
});

test("a request counts once, and its id is for no other", async (database) => {
  const { sql } = database;
  const { clinic, member, ask, book } = await aDesk(database);
  const p_request = crypto.randomUUID();
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => book("09:00", { p_request })),
  );
  assert.equal(answers[0]?.outcome, "booked");
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.equal((await book("09:30", { p_request })).outcome, "request_reused");
  const again = { p_request, p_appointment: answers[0]?.["appointmentId"] };
  assert.equal((await ask("staff_cancel", again)).outcome, "request_reused");
  const [rows] = await sql`select count(*)::int as n from public.appointments`;
  assert.equal(rows?.["n"], 1);
  // The same id from another member is a different request.
  const colleague = await aMember(sql, clinic.id);
  assert.equal(
    (await askAs(sql, colleague, "staff_cancel", { p_org: clinic.id, ...again })).outcome,
    "cancelled",
  );
  const without = { p_org: clinic.id, p_request: null, p_appointment: again.p_appointment };
  assert.equal(
    (await askOnce(sql, claimsOf(member), "staff_cancel", without)).outcome,
    "request_needed",
  );
});

test("a membership that ends shuts the door at once", async (database) => {
  const { sql } = database;
  const { clinic, member, ask, book } = await aDesk(database);
  assert.equal((await book("09:00")).outcome, "booked");
  const see = () =>
    withClaims(sql, claimsOf(member), (tx) => tx`select id from public.appointments`);
  assert.equal((await see()).length, 1);
  // A request that waits for the provider when the membership ends is carried out; the end waits for it.
  const holder = await sql.reserve();
  try {
    await holder`begin`;
    await holder`select private.lock_provider(p.org_id, p.id, true)
      from public.providers as p where p.org_id = ${clinic.id}`;
    const waiting = book("10:00");
    await until(
      sql,
      `from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`,
    );
    let hasEnded = false;
    const ending = sql`select public.set_member(${clinic.id}, ${member.userId}, null)`
      .then(() => hasEnded = true);
    await until(
      sql,
      `from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'set_member'
      and datname = current_database()`,
      () => hasEnded,
    );
    await holder`commit`;
    const { outcome } = await waiting;
    await ending;
    const audited = await sql`select action from public.audit_logs
      where action in ('staff_book', 'set_member') and subject_id is not null order by at`;
    assert.deepEqual(audited.map(({ action }) => action), [
      "staff_book",
      // The request may have waited for too long and been repeated after the end.
      ...outcome === "booked" ? ["staff_book"] : [],
      "set_member",
    ], outcome);
  } finally {
    holder.release();
  }
  const [before] = await sql`select count(*)::int as n from public.appointments`;
  assert.equal((await see()).length, 0);
  assert.equal((await book("11:00")).outcome, "unknown_clinic");
  assert.equal(
    (await ask("staff_find_times", { p_service: "x", p_first: aDay() })).outcome,
    "unknown_clinic",
  );
  const [after] = await sql`select count(*)::int as n from public.appointments`;
  assert.deepEqual(before, after);
});

test("a hold is confirmed at the desk; one that expired only while its time is free", async (database) => {
  const { sql } = database;
  const { clinic, ask, book } = await aDesk(database);
  await withLine(database, async (line) => {
    const hold = async (time: string, caller = aCaller(clinic)) => ({
      caller,
      id: (await line.ask("claim_slot_atomic", caller, { p_slot_id: slot(time) })).holdId,
    });
    const expire = (id: unknown) =>
      sql`update public.appointments set expires_at = now() - interval '1 second'
          where id = ${String(id)}`;
    const live = await hold("09:00");
    assert.equal((await ask("staff_confirm", { p_appointment: live.id })).outcome, "confirmed");
    const row = await rowOf(sql, live.id);
    assert.deepEqual(
      [row["status"], row["contact_phone"], row["proven_at"]],
      ["confirmed", live.caller.phone, null],
    );
    const wrong = await ask("staff_confirm", { p_appointment: live.id });
    assert.deepEqual([wrong.outcome, wrong["status"]], ["wrong_status", "confirmed"]);

    const late = await hold("10:00");
    await expire(late.id);
    assert.equal((await ask("staff_confirm", { p_appointment: late.id })).outcome, "confirmed");

    const lost = await hold("11:00");
    await expire(lost.id);
    assert.equal((await book("11:00")).outcome, "booked");
    const taken = await ask("staff_confirm", { p_appointment: lost.id });
    assert.deepEqual([taken.outcome, taken["taken"]], ["slot_taken", true]);
    assert.ok(Array.isArray(taken["slots"]) && taken["slots"].length > 0);

    const away = await hold("12:00");
    await expire(away.id);
    await sql`update public.organizations set closing_days = datemultirange(
        daterange(${aDay()}::date, ${aDay()}::date, '[]')) where id = ${clinic.id}`;
    const closed = await ask("staff_confirm", { p_appointment: away.id });
    assert.deepEqual([closed.outcome, closed["taken"]], ["slot_taken", false]);
    await sql`update public.organizations set closing_days = '{}' where id = ${clinic.id}`;

    // The new time of a move is not a separate booking.
    const moving = { ...aCaller(clinic), phone: live.caller.phone };
    await line.ask("reschedule_appointment", moving, { p_slot_id: slot("13:00") });
    const [newTime] = await sql`select id from public.appointments where status = 'held'
        and call_id = ${moving.callId}`;
    assert.equal(
      (await ask("staff_confirm", { p_appointment: newTime?.["id"] })).outcome,
      "new_time",
    );
  });
});

test("appointments that wait for the desk are resolved or moved to another time", async (database) => {
  const { sql } = database;
  const { clinic, ask, book } = await aDesk(database);
  await withLine(database, async (line) => {
    const lockedOut = async (time: string) => {
      const held = await line.ask("claim_slot_atomic", aCaller(clinic), {
        p_slot_id: slot(time),
      });
      await sql`update public.appointments set status = 'requires_manual_followup'
        where id = ${held.holdId ?? ""}`;
      return held.holdId;
    };
    const resolve = (p_appointment: unknown, p_as: string) =>
      ask("staff_resolve", { p_appointment, p_as });
    const comes = await lockedOut("09:00");
    assert.equal((await resolve(comes, "perhaps")).outcome, "unknown_resolution");
    assert.equal((await resolve(comes, "confirmed")).outcome, "confirmed");
    assert.equal((await rowOf(sql, comes))["status"], "confirmed");
    assert.equal((await resolve(comes, "cancelled")).outcome, "wrong_status");

    const goes = await lockedOut("10:00");
    assert.equal((await resolve(goes, "cancelled")).outcome, "cancelled");

    const late = await lockedOut("11:00");
    assert.equal((await book("11:00")).outcome, "booked");
    assert.equal((await resolve(late, "confirmed")).outcome, "slot_taken");
    const moved = await ask("staff_move", { p_appointment: late, p_slot_id: slot("12:00") });
    assert.equal(moved.outcome, "moved");
    const row = await rowOf(sql, moved["appointmentId"]);
    assert.deepEqual([row["status"], row["proven_at"]], ["confirmed", null]);
    assert.equal((await rowOf(sql, late))["status"], "cancelled");
  });
});

test("an appointment moves, even to a time that overlaps its own, and keeps its patient", async (database) => {
  const { sql } = database;
  const { ask, book, clinic } = await aDesk(database);
  await sql`update public.services set step_min = 15 where org_id = ${clinic.id}`;
  const phone = aPhone();
  const first = await book("09:00", { p_patient_phone: phone });
  const other = await book("10:00");
  const move = (p_appointment: unknown, time: string) =>
    ask("staff_move", { p_appointment, p_slot_id: slot(time) });
  assert.equal((await move(first["appointmentId"], "10:15")).outcome, "slot_taken");
  assert.equal((await move(first["appointmentId"], "09:00")).outcome, "unchanged");
  assert.equal((await move(first["appointmentId"], "nonsense")).outcome, "invalid_slot");
  const moved = await move(first["appointmentId"], "09:15");
  assert.equal(moved.outcome, "moved");
  const row = await rowOf(sql, moved["appointmentId"]);
  assert.deepEqual([row["patient_phone"], row["contact_phone"], row["status"]], [
    phone,
    phone,
    "confirmed",
  ]);
  assert.equal((await move(first["appointmentId"], "12:00"))["status"], "cancelled");
  const cancelled = await ask("staff_cancel", { p_appointment: other["appointmentId"] });
  assert.equal(cancelled.outcome, "cancelled");
  assert.equal((await book("10:00")).outcome, "booked");
  const gone = await ask("staff_cancel", { p_appointment: crypto.randomUUID() });
  assert.equal(gone.outcome, "appointment_not_found");
});

test("on its day an appointment can be marked, and a mark undone", async (database) => {
  const { sql } = database;
  const { ask, book } = await aDesk(database);
  const { appointmentId } = await book("09:00");
  const mark = async (p_as: string) =>
    (await ask("staff_mark", { p_appointment: appointmentId, p_as })).outcome;
  assert.equal(await mark("arrived"), "too_early");
  await sql`update public.appointments set starts_at = starts_at - interval '3 days',
    ends_at = ends_at - interval '3 days',
    busy = tstzrange(lower(busy) - interval '3 days', upper(busy) - interval '3 days')
    where id = ${String(appointmentId)}`;
  const state = async () => {
    const { status, arrived_at } = await rowOf(sql, appointmentId);
    return [status, arrived_at !== null];
  };
  assert.equal(await mark("thinking"), "unknown_mark");
  assert.equal(await mark("arrived"), "marked");
  assert.deepEqual(await state(), ["confirmed", true]);
  assert.equal(await mark("completed"), "marked");
  assert.deepEqual(await state(), ["completed", true]);
  assert.equal(await mark("no_show"), "wrong_status");
  assert.equal(await mark("expected"), "marked");
  assert.deepEqual(await state(), ["confirmed", false]);
  assert.equal(await mark("no_show"), "marked");
  assert.deepEqual(await state(), ["no_show", false]);
});

test("an appointment is completed only after its start, and the mark undone only if its seat still exists", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql, { capacity: 3 });
  const member = await aMember(sql, clinic.id);
  const ask = asMember(sql, member, clinic);
  const book = (name: string) =>
    ask("staff_book", { p_slot_id: slot("09:00"), p_patient_name: name });
  const { appointmentId } = await book("Ada Brown");
  const mark = async (p_as: string) =>
    (await ask("staff_mark", { p_appointment: appointmentId, p_as })).outcome;
  const start = (minutes: number) =>
    sql`update public.appointments set starts_at = now() + ${minutes} * interval '1 minute',
        ends_at = now() + ${minutes + 30} * interval '1 minute',
        busy = tstzrange(now() + ${minutes} * interval '1 minute',
          now() + ${minutes + 30} * interval '1 minute')`;
  await start(1);
  assert.equal(await mark("completed"), "too_early");
  await start(-1);
  assert.equal(await mark("completed"), "marked");
  await sql`update public.services set capacity = 1`;
  assert.equal((await book("Bob White")).outcome, "booked");
  await start(-1);
  assert.equal(await mark("expected"), "slot_taken");
  const [row] = await sql`
      select count(*)::int as n from public.appointments where status = 'confirmed'`;
  assert.equal(row?.["n"], 1);
});

test("the audit log keeps the words it knows of a request, and nothing else of it", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  const owner = await aMember(sql, clinic.id, "owner");
  const ask = asMember(sql, owner, clinic);
  const secret = "Ada +447700900123";
  const [provider] = await sql`select id from public.providers limit 1`;
  const p_provider = provider?.["id"];
  const hours = [{ dow: 1, startMin: 540, endMin: 600, note: secret }];
  await ask("staff_mark", { p_appointment: crypto.randomUUID(), p_as: secret });
  await ask("staff_change_member", { p_user: owner.userId, p_role: secret });
  const outcomes = [
    await ask("staff_set_hours", { p_provider, p_hours: hours }),
    await ask("staff_set_day", { p_provider, p_day: aDay(), p_hours: hours }),
    await ask("staff_set_closing_days", {
      p_days: [{ first: aDay(9), last: aDay(9), note: secret }],
    }),
  ].map(({ outcome }) => outcome);
  assert.deepEqual(outcomes, ["changed", "changed", "changed"]);
  const [row] = await sql`select string_agg(to_jsonb(l)::text, ' ') as text
      from public.audit_logs as l where l.org_id = ${clinic.id}`;
  assert.doesNotMatch(String(row?.["text"]), /Ada|447700900123/);
  assert.match(String(row?.["text"]), /"startMin": 540/);
});

test("a member who asks without pause cannot keep the membership from being ended", async (database) => {
  const { sql } = database;
  const { clinic, member, ask } = await aDesk(database);
  let asked = 0;
  const atOnce = async () => {
    // Many more requests than it takes until a waiting one gets its turn.
    for (let outcome = ""; outcome !== "unknown_clinic" && asked < 3000; asked++) {
      outcome = (await ask("staff_cancel", { p_appointment: crypto.randomUUID() })).outcome;
    }
  };
  const asking = Array.from({ length: 8 }, atOnce);
  while (asked < 50) await new Promise((resolve) => setTimeout(resolve, 1));
  await sql`select public.set_member(${clinic.id}, ${member.userId}, null)`;
  const askedBefore = asked;
  await Promise.all(asking);
  assert.ok(askedBefore < 3000, "the member had to stop asking first");
});

test("a blocked number holds nothing, gets no text and leaves no message, until it is unblocked", async (database) => {
  const { sql } = database;
  const { clinic, ask } = await aDesk(database);
  await withLine(database, async (line) => {
    const caller = aCaller(clinic);
    const held = () => line.ask("claim_slot_atomic", caller, { p_slot_id: slot("09:00") });
    const message = async () => {
      const call = {
        calledNumber: clinic.number,
        callId: "c",
        toolCallId: crypto.randomUUID(),
        callerNumber: caller.phone,
      };
      const [row] = await sql`select public.leave_message(${sql.json(call)}, 'Ada', ${caller.phone},
          null, 'Please call back') as answer`;
      return row?.["answer"].outcome;
    };
    const block = async (p_is_blocked: boolean) =>
      (await ask("staff_block_number", { p_phone: caller.phone, p_is_blocked })).outcome;
    assert.equal((await held()).outcome, "held");
    assert.equal(await block(true), "blocked");
    assert.equal(await block(true), "unchanged");
    assert.equal((await sendCode(line, caller, "482913")).outcome, "phone_send_limit");
    const other = aCaller(clinic, caller.phone, aPhone());
    const forOther = await line.ask("claim_slot_atomic", other, { p_slot_id: slot("10:00") });
    const byOther = await line.ask("claim_slot_atomic", aCaller(clinic, aPhone(), caller.phone), {
      p_slot_id: slot("10:00"),
    });
    assert.deepEqual([forOther.outcome, byOther.outcome], ["hold_limit", "hold_limit"]);
    assert.equal(await message(), "message_limit");
    // Another clinic has not blocked it.
    const elsewhere = aCaller(await aClinic(sql), caller.phone);
    assert.equal(
      (await line.ask("claim_slot_atomic", elsewhere, { p_slot_id: slot("09:00") })).outcome,
      "held",
    );
    assert.equal(await block(false), "unblocked");
    assert.equal(await message(), "left");
    assert.equal((await sendCode(line, caller, "482913")).outcome, "claimed");
  });
});

test("a patient's number is cleared twice a day, and a stranger's not at all", async (database) => {
  const { sql } = database;
  const { clinic, ask, book } = await aDesk(database);
  const phone = aPhone();
  const count = () =>
    sql`insert into public.phone_counts as c (phone_hash, wrong_at)
      values (sha256(convert_to(${phone}, 'UTF8')), array[now()])
      on conflict (phone_hash) do update set wrong_at = excluded.wrong_at`;
  const clear = async () => (await ask("staff_clear_lock", { p_phone: phone })).outcome;
  await count();
  assert.equal(await clear(), "unknown_number");
  assert.equal((await book("09:00", { p_patient_phone: phone })).outcome, "booked");
  assert.equal(await clear(), "unknown_number", "what the desk itself wrote proves nothing");
  await withLine(database, async ({ ask }) => {
    await ask("claim_slot_atomic", aCaller(clinic, phone), { p_slot_id: slot("10:00") });
  });
  assert.equal(await clear(), "cleared");
  assert.equal(await clear(), "cleared", "nothing is counted now, which costs no turn");
  await count();
  assert.equal(await clear(), "cleared");
  await count();
  assert.equal(await clear(), "clear_limit");
  const [row] = await sql`select wrong_at from public.phone_counts`;
  assert.equal(row?.["wrong_at"].length, 1);
  const rows = await sql`select to_jsonb(l)::text as text from public.audit_logs as l
      where l.org_id = ${clinic.id}`;
  for (const { text } of rows) assert.ok(!text.includes(phone.slice(1)), "no number in the log");
});

test("hours and days off change, and affected bookings are listed, not moved", async (database) => {
  const { sql } = database;
  const { clinic, book } = await aDesk(database);
  const manager = await aMember(sql, clinic.id, "manager");
  const ask = asMember(sql, manager, clinic);
  const [provider] = await sql`select id from public.providers where org_id = ${clinic.id}`;
  const p_provider = provider?.["id"];
  const { appointmentId } = await book("09:00");
  const named = (answer: Answer) =>
    (answer["bookings"] as { appointmentId: string; reason: string }[])
      .map((one) => [one.appointmentId, one.reason]);
  const day = { p_provider, p_day: aDay() };
  const off = await ask("staff_set_day", { ...day, p_hours: [] });
  assert.deepEqual([off.outcome, named(off)], ["changed", [[appointmentId, "outside_hours"]]]);
  assert.equal((await book("10:00")).outcome, "slot_taken");
  const short = await ask("staff_set_day", { ...day, p_hours: [{ startMin: 540, endMin: 660 }] });
  assert.deepEqual([short.outcome, named(short)], ["changed", []]);
  assert.equal((await book("10:00")).outcome, "booked");
  assert.equal((await ask("staff_set_day", { ...day, p_hours: null })).outcome, "changed");
  assert.equal((await book("14:00")).outcome, "booked");

  const hours = await ask("staff_set_hours", { p_provider, p_hours: [] });
  assert.equal(named(hours).length, 3);
  const all = [0, 1, 2, 3, 4, 5, 6].map((dow) => ({ dow, startMin: 0, endMin: 1380 }));
  assert.equal((await ask("staff_set_hours", { p_provider, p_hours: all })).outcome, "changed");
  for (
    const p_hours of [{}, [{ dow: 9, startMin: 0, endMin: 60 }], [{ dow: 1 }], [all[1], all[1]]]
  ) {
    const refused = await ask("staff_set_hours", { p_provider, p_hours });
    assert.equal(refused.outcome, "invalid_schedule", JSON.stringify(p_hours));
    assert.ok(String(refused["reason"]).length > 10);
  }
  const [kept] = await sql`select count(*)::int as n from public.working_hours`;
  assert.equal(kept?.["n"], 7);

  const away = await ask("staff_add_time_off", {
    p_provider,
    p_from: `${aDay()} 08:00 Europe/London`,
    p_to: `${aDay()} 09:30 Europe/London`,
  });
  assert.deepEqual(named(away), [[appointmentId, "time_off"]]);
  const remove = () => ask("staff_remove_time_off", { p_time_off: away["timeOffId"] });
  assert.equal((await remove()).outcome, "removed");
  assert.equal((await remove()).outcome, "unknown_time_off");
  const backwards = { p_provider, p_from: aDay(3), p_to: aDay(2) };
  assert.equal((await ask("staff_add_time_off", backwards)).outcome, "invalid_schedule");

  const closed = await ask("staff_set_closing_days", {
    p_days: [{ first: aDay(), last: aDay() }],
  });
  assert.equal(named(closed).length, 3);
  assert.equal((await ask("staff_set_closing_days", { p_days: [] })).outcome, "changed");
  const stranger = await aClinic(sql);
  const [theirs] = await sql`select id from public.providers where org_id = ${stranger.id}`;
  const other = await ask("staff_set_hours", { p_provider: theirs?.["id"], p_hours: [] });
  assert.equal(other.outcome, "unknown_provider");
});

test("an owner sees and changes the members, and one owner stays", async ({ sql }) => {
  const clinic = await aClinic(sql);
  const owner = await aMember(sql, clinic.id, "owner");
  const desk = await aMember(sql, clinic.id, "desk");
  await aMember(sql, (await aClinic(sql)).id, "owner");
  const ask = asMember(sql, owner, clinic);
  const change = async (p_user: string, p_role: string | null) =>
    (await ask("staff_change_member", { p_user, p_role })).outcome;
  const list = await ask("staff_list_members");
  assert.deepEqual(
    (list["members"] as { email: string; role: string }[]).map(({ email, role }) => [email, role]),
    [[owner.email, "owner"], [desk.email, "desk"]].sort(),
  );
  assert.equal(await change(owner.userId, "desk"), "last_owner");
  assert.equal(await change(owner.userId, null), "last_owner");
  assert.equal(await change(desk.userId, "king"), "unknown_role");
  assert.equal(await change((await aMember(sql)).userId, "desk"), "unknown_member");
  assert.equal(await change(desk.userId, "owner"), "changed");
  assert.equal(await change(owner.userId, null), "removed");
  assert.equal(await change(owner.userId, "owner"), "unknown_clinic");
});

test("the functions' key cannot write to the audit log as staff", async ({ sql }) => {
  const clinic = await aClinic(sql);
  const call = { calledNumber: clinic.number, callId: "c", staff: "staff/x", toolCallId: "t" };
  await assert.rejects(
    withClaims(
      sql,
      { role: "service_role" },
      (tx) =>
        tx`select public.claim_slot_atomic(${sql.json(call)}, ${slot("09:00")}, 'Ada Brown',
          '+447700900123', 'GB')`,
    ),
    /audit_logs_staff_named/,
  );
});

test("a patient without a phone is shown and erased by the name", async (database) => {
  const { sql } = database;
  const { clinic, book } = await aDesk(database);
  const ids = [];
  for (const [time, name] of [["09:00", "Ada Brown"], ["10:00", "Ben Green"]] as const) {
    ids.push((await book(time, { p_patient_name: name }))["appointmentId"]);
  }
  await book("11:00", { p_patient_phone: aPhone() });
  const run = (...args: string[]) =>
    runHere(patient, [...args, "--org", clinic.slug, "--db", database.url()]);
  const ada = ["--without-phone", "--name", "Ada Brown"];
  const shown = await run("export", ...ada);
  assert.equal(shown.code, 0, shown.said);
  assert.equal(JSON.parse(shown.said)["public.appointments"].length, 1);
  assert.equal(JSON.parse(shown.said)["public.contacts"].length, 1);
  assert.equal((await run("erase", ...ada, "--yes")).code, 0);
  const names = await sql`select patient_name from public.appointments order by starts_at`;
  assert.deepEqual(names.map(({ patient_name }) => patient_name), [null, "Ben Green", "Ada Brown"]);
  const contacts = await sql`select name, phone is null as bare from public.contacts order by name`;
  assert.deepEqual(contacts.map(({ name, bare }) => [name, bare]), [
    ["Ada Brown", false],
    ["Ben Green", true],
  ]);
  assert.equal((await run("erase", ...ada, "--yes")).code, 1, "nothing is left of that name");
  for (
    const wrong of [["--without-phone"], ["--name", "Ada Brown"], [
      ...ada,
      "--phone",
      "+447700900123",
    ]]
  ) {
    assert.equal((await run("export", ...wrong)).code, 2, wrong.join(" "));
  }
});

test("a caller moves an appointment by phone that the desk booked for the number", async (database) => {
  const { clinic, book } = await aDesk(database);
  await withLine(database, async (line) => {
    const caller = aCaller(clinic);
    const booked = await book("09:00", { p_patient_phone: caller.phone });
    assert.equal(booked.outcome, "booked");
    const asked = await line.ask("reschedule_appointment", caller, { p_slot_id: slot("10:00") });
    assert.equal(asked.outcome, "code_needed");
    assert.equal((await sendCode(line, caller, "482913"))["isDue"], true);
    assert.equal((await readCode(line, caller, "482913")).outcome, "rescheduled");
    assert.equal((await rowOf(database.sql, booked["appointmentId"]))["status"], "cancelled");
  });
});
