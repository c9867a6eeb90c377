/** What the desk's page computes by itself: local times, a doctor's day, and its words. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import * as libphonenumber from "libphonenumber-js/min";
import {
  createCalendarToken as createToken,
  hashCalendarToken as hashToken,
  orgOfToken,
} from "../../shared/calendar_token.ts";
import { sayAudit } from "../../supabase/desk/app/audit_words.ts";
import {
  checkHours,
  dayOf,
  isDay,
  minuteOf,
  momentOf,
  mondayOf,
  readHoursList,
  sayDay,
  sayHours,
  sayLeft,
  sayMoment,
  saySpan,
} from "../../supabase/page/app/clinic_time.ts";
import {
  place,
  type Schedule,
  shownHours,
  type Stretch,
  without,
  workOf,
} from "../../supabase/desk/app/day_layout.ts";
import { createCalendarToken } from "../../supabase/desk/app/calendar_token.ts";
import type { SentText } from "../../supabase/desk/app/client.ts";
import { hashHex } from "../../supabase/desk/app/hash.ts";
import { readPhone } from "../../supabase/desk/app/phone.ts";
import { type AuditRow, readClosedDays, readSpan } from "../../supabase/desk/app/rows.ts";
import { sayText, sentenceFor, sentences, stateOf } from "../../supabase/desk/app/words.ts";
import { makeDesk } from "../../supabase/desk/site.ts";
import { readFunctions, readMigrations } from "../support/migrations.ts";
import { outcomesListed } from "../support/outcomes.ts";

const london = "Europe/London";

Deno.test("a local time is one moment, even on days when the clocks change", () => {
  const iso = (day: string, minute: number, zone = london) =>
    new Date(momentOf(day, minute, zone)).toISOString();
  assert.equal(iso("2026-12-01", 570), "2026-12-01T09:30:00.000Z");
  assert.equal(iso("2026-07-01", 570), "2026-07-01T08:30:00.000Z");
  // 01:30 comes twice, and the first counts; 01:30 is left out, and the clock then shows 02:30.
  assert.equal(iso("2026-10-25", 90), "2026-10-25T00:30:00.000Z");
  assert.equal(iso("2026-03-29", 90), "2026-03-29T01:30:00.000Z");
  assert.equal(iso("2026-12-01", 0, "Pacific/Kiritimati"), "2026-11-30T10:00:00.000Z");
  assert.equal(sayMoment(Date.parse("2026-12-01T23:30:00Z"), "Asia/Tokyo"), "Wed 2 Dec, 08:30");
  assert.equal(sayDay("2026-12-01"), "Tuesday 1 December 2026");
  assert.deepEqual(["2026-11-30", "2026-12-06"].map(mondayOf), ["2026-11-30", "2026-11-30"]);
  assert.deepEqual(["2026-02-29", "2026-2-1", "x", "2028-02-29"].map(isDay), [
    false,
    false,
    false,
    true,
  ]);
});

Deno.test("day and minute of a moment lead back to it, in every zone", () => {
  const zones = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
  fc.assert(fc.property(
    fc.constantFrom(...zones),
    fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2030, 0) }),
    (zone, at) => {
      const minute = Math.floor(at / 60_000) * 60_000;
      const day = dayOf(minute, zone);
      const back = momentOf(day, minuteOf(minute, zone, day), zone);
      // In the hour that comes twice, the first one.
      assert.ok(back === minute || (back < minute && minute - back <= 3_600_000), `${zone} ${at}`);
      assert.equal(dayOf(back, zone), day);
    },
  ));
});

Deno.test("hours are written as they are read", () => {
  for (const text of ["", "09:00-12:30, 13:30-17:00", "22:00-30:00"]) {
    assert.equal(sayHours(readHoursList(text) ?? []), text);
  }
  assert.deepEqual(readHoursList("9:00 to 12:30"), [{ startMin: 540, endMin: 750 }]);
  for (const wrong of ["9", "9:00", "09:00-", "09:00-12:00-13:00", "09:70-10:00", "closed"]) {
    assert.equal(readHoursList(wrong), undefined, wrong);
  }
});

Deno.test("impossible hours are explained in a clinic's words", () => {
  const check = (text: string) => checkHours(readHoursList(text) ?? []);
  for (const right of ["", "13:30-17:00, 09:00-12:30", "22:00-30:00", "09:00-12:00, 12:00-17:00"]) {
    assert.equal(check(right), undefined, right);
  }
  assert.match(check("17:00-09:00") ?? "", /^17:00-09:00 ends before it begins\./);
  assert.match(check("09:00-09:00") ?? "", /ends before it begins/);
  assert.equal(check("11:00-13:00, 09:00-12:00"), "09:00-12:00, 11:00-13:00 overlap.");
  assert.equal(check("25:00-26:00"), "25:00-26:00 begins on the next day.");
  assert.equal(check("01:00-47:00"), "01:00-47:00 is longer than a day.");
});

Deno.test("time off is described in days if it is whole days in the clinic's zone", () => {
  const say = (first: string, start: number, last: string, end: number, zone = london) =>
    saySpan(momentOf(first, start, zone), momentOf(last, end, zone), zone);
  assert.equal(say("2026-12-07", 0, "2026-12-08", 1440), "Mon 7 Dec to Tue 8 Dec");
  assert.equal(say("2026-10-25", 0, "2026-10-25", 1440, "Asia/Tokyo"), "Sun 25 Oct");
  assert.equal(say("2026-10-25", 0, "2026-10-25", 1440), "Sun 25 Oct");
  assert.equal(say("2026-12-07", 540, "2026-12-07", 720), "Mon 7 Dec, 09:00 to Mon 7 Dec, 12:00");
  assert.equal(
    saySpan(-Infinity, momentOf("2026-12-07", 0, london), london),
    "ever since to Mon 7 Dec, 00:00",
  );
});

const hours = { providerId: "a", dow: 2, startMin: 540, endMin: 1020, from: null, until: null };
const schedule: Schedule = { zone: london, weekly: [hours], days: [], absences: [], closed: [] };

Deno.test("a number that is not complete is not read as a shorter one", () => {
  // The page loads the library as a script, which sets this name.
  Object.assign(globalThis, { libphonenumber });
  const read = (text: string, country = "GB") => readPhone(text, country)?.number;
  assert.equal(read("07700 900 555"), "+447700900555");
  assert.equal(read("0044 7700 900555"), "+447700900555");
  assert.equal(read("020 7946 0123"), "+442079460123");
  assert.equal(read("(212) 555-0123", "US"), "+12125550123");
  assert.equal(read("06 12 34 56 78", "FR"), "+33612345678");
  assert.equal(read("+39 06 698 12345", "GB"), "+390669812345");
  for (
    const text of ["07700 90", "0770 0900 55", "020 7946", "0207946", "999", "+44 123", "soon"]
  ) {
    assert.equal(read(text), undefined, text);
  }
});

Deno.test("a doctor works in the hours of the day, but not when away, off or closed", () => {
  const day = "2026-12-01";
  const work = (changes: Partial<Schedule>) => workOf({ ...schedule, ...changes }, "a", day);
  const whole = [{ from: 540, to: 1020 }];
  assert.deepEqual(work({}), whole);
  assert.deepEqual(workOf(schedule, "b", day), []);
  assert.deepEqual(workOf(schedule, "a", "2026-12-02"), []);
  assert.deepEqual(work({ weekly: [{ ...hours, until: day }] }), []);
  assert.deepEqual(work({ weekly: [{ ...hours, from: day }] }), whole);
  const off = { providerId: "a", day, startMin: null, endMin: null };
  assert.deepEqual(work({ days: [off] }), []);
  assert.deepEqual(work({ days: [{ ...off, startMin: 600, endMin: 660 }] }), [{
    from: 600,
    to: 660,
  }]);
  assert.deepEqual(work({ closed: [{ from: day, until: "2026-12-02" }] }), []);
  assert.deepEqual(work({ closed: [{ from: "2026-12-02", until: "2026-12-05" }] }), whole);
  const away = {
    id: "x",
    providerId: "a",
    from: Date.parse("2026-12-01T10:00Z"),
    to: Date.parse("2026-12-01T11:00Z"),
  };
  assert.deepEqual(work({ absences: [away] }), [{ from: 540, to: 600 }, { from: 660, to: 1020 }]);
  assert.deepEqual(work({ absences: [{ ...away, to: Infinity }] }), [{ from: 540, to: 600 }]);
  // A night's hours end on the next morning.
  assert.deepEqual(work({ weekly: [{ ...hours, dow: 1, startMin: 1320, endMin: 1560 }] }), [{
    from: 0,
    to: 120,
  }]);
});

const stretches = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 1440 }), fc.integer({ min: 0, max: 1440 }))
    .map(([one, other]): Stretch => ({ from: Math.min(one, other), to: Math.max(one, other) })),
  { maxLength: 8 },
);
const covers = (list: readonly Stretch[], minute: number) =>
  list.some(({ from, to }) => from <= minute && minute < to);

Deno.test("the open times are the working hours without what is taken, minute by minute", () => {
  fc.assert(fc.property(stretches, stretches, (work, taken) => {
    const open = without(work, taken);
    for (let minute = 0; minute < 1440; minute += 7) {
      assert.equal(covers(open, minute), covers(work, minute) && !covers(taken, minute));
    }
  }));
});

Deno.test("entries that overlap have lanes of their own, and all of them are drawn", () => {
  fc.assert(fc.property(stretches, (entries) => {
    const placed = place(entries);
    assert.equal(placed.length, entries.length);
    for (const [index, one] of placed.entries()) {
      assert.ok(one.lane < one.lanes);
      for (const other of placed.slice(index + 1)) {
        const overlap = one.entry.from < other.entry.to && other.entry.from < one.entry.to;
        assert.ok(!overlap || one.lane !== other.lane);
      }
    }
  }));
  assert.deepEqual(shownHours([{ from: 545, to: 1019 }]), { from: 540, to: 1020 });
  assert.deepEqual(shownHours([]), { from: 540, to: 1020 });
});

Deno.test("ranges are read as PostgreSQL writes them", () => {
  assert.deepEqual(readSpan('["2026-12-01 09:00:00+00","2026-12-01 09:30:00+00")'), {
    from: Date.parse("2026-12-01T09:00Z"),
    to: Date.parse("2026-12-01T09:30Z"),
  });
  assert.deepEqual(readSpan("(,)"), { from: -Infinity, to: Infinity });
  assert.deepEqual(readSpan("[-infinity,infinity]"), { from: -Infinity, to: Infinity });
  assert.deepEqual(readClosedDays("{[2026-12-25,2026-12-27),[2027-01-01,2027-01-02)}"), [
    { from: "2026-12-25", until: "2026-12-27" },
    { from: "2027-01-01", until: "2027-01-02" },
  ]);
  assert.deepEqual(readClosedDays("{}"), []);
});

Deno.test("an appointment has the state that the clock gives it", () => {
  const now = Date.parse("2026-12-01T09:00Z");
  const held = {
    ...{ status: "held", expires_at: "2026-12-01T09:00:01+00:00", handed_over_at: null },
    arrived_at: null,
  };
  assert.equal(stateOf(held, now), "held");
  assert.equal(stateOf({ ...held, handed_over_at: held.expires_at }, now + 1000), "followup");
  assert.equal(stateOf(held, now + 1000), "expired");
  assert.equal(stateOf({ ...held, status: "confirmed" }, now), "confirmed");
  assert.equal(
    stateOf({ ...held, status: "confirmed", arrived_at: held.expires_at }, now),
    "arrived",
  );
  assert.equal(stateOf({ ...held, status: "requires_manual_followup" }, now), "followup");
  assert.deepEqual([224_100_000, 3_600_000, 3_599_000, 245_000, 59_001, 0, -5].map(sayLeft), [
    "62 h 15 min",
    "1 h 00 min",
    "59 min 59 s",
    "4 min 05 s",
    "1 min 00 s",
    "0 s",
    "0 s",
  ]);
});

Deno.test("the page has a sentence for each outcome of the functions that it asks, and no other", () => {
  const functions = readMigrations().flatMap(({ text }) => readFunctions(text));
  for (const [name, known] of Object.entries(sentences)) {
    const found = functions.find((one) => one.name === `public.${name}`);
    assert.ok(found, name);
    assert.deepEqual(Object.keys(known).sort(), outcomesListed(found).toSorted(), name);
  }
});

Deno.test("answers that no function gives have sentences too", () => {
  assert.match(
    sentenceFor("staff_book", { outcome: "unreachable" }),
    /may or may not have been done/,
  );
  assert.match(sentenceFor("staff_book", { outcome: "refused" }), /Sign in again/);
  assert.match(
    sentenceFor("staff_book", { outcome: "slot_taken", taken: true }),
    /just been taken/,
  );
  assert.match(
    sentenceFor("staff_book", { outcome: "slot_taken", taken: false }),
    /outside the hours/,
  );
});

/** What `private.audit` is called with, as literals, about an appointment. */
function auditedPairs(): [string, string][] {
  const text = readMigrations().map((one) => one.text).join("\n");
  return [...text.matchAll(/private\.audit\(\s*[\w.()]+,\s*\w+,\s*'(\w+)',\s*[\w.()]+,\s*'(\w+)'/g)]
    .map(([, action = "", outcome = ""]) => [action, outcome]);
}

const aRow = (changes: Partial<AuditRow>): AuditRow => ({
  id: "1",
  at: "2026-12-01T09:00:00+00:00",
  actor: "call",
  call_id: "c",
  caller_masked: "***56",
  staff_user: null,
  action: "hold_slot",
  outcome: "held",
  details: {},
  ...changes,
});

Deno.test("the audit log says in plain words who did what", () => {
  const who = (user: string) => user === "u" ? "ada@clinic.test" : "A member of staff";
  const say = (changes: Partial<AuditRow>) => sayAudit(aRow(changes), who);
  assert.equal(say({}), "The caller (***56) put this time on hold.");
  assert.equal(
    say({ actor: "system", outcome: "expired" }),
    "The system let the hold go: its time was over.",
  );
  const staff = { actor: "staff", staff_user: "u", caller_masked: null };
  assert.equal(
    say({ ...staff, action: "staff_mark", outcome: "marked", details: { as: "no_show" } }),
    "ada@clinic.test noted that the patient did not come.",
  );
  assert.equal(
    say({ ...staff, staff_user: "x", action: "staff_mark", outcome: "too_early" }),
    "A member of staff tried to mark this: too early.",
  );
  assert.ok(auditedPairs().length > 15);
  for (const [action, outcome] of auditedPairs()) {
    // Without a word of its own it still names no function.
    const sentence = say({ action, outcome });
    assert.doesNotMatch(sentence, /_/, sentence);
  }
});

Deno.test("a calendar's token from the page is one that the server reads", async () => {
  for (let tries = 0; tries < 50; tries++) {
    const orgId = crypto.randomUUID();
    const token = createCalendarToken(orgId);
    assert.equal(orgOfToken(token), orgId);
    assert.equal(token.length, createToken(orgId).length);
    assert.equal(await hashHex(token), hashToken(token));
    assert.notEqual(token, createCalendarToken(orgId));
  }
});

Deno.test("every state of a text about an appointment is described in plain words", () => {
  const text: SentText = {
    ...{
      id: "1",
      kind: "reminder",
      state: "sent",
      reason: null,
      due_at: "due",
      updated_at: "then",
    },
    ...{ send_id: null, delivery: null, errorCode: null },
  };
  const say = (changes: Partial<SentText>) => sayText({ ...text, ...changes }, (at) => at);
  assert.equal(say({}), "Reminder: sent, then.");
  assert.equal(say({ delivery: "delivered" }), "Reminder: arrived, then.");
  assert.equal(
    say({ delivery: "undelivered", errorCode: 30006 }),
    "Reminder: did not arrive (error 30006), then.",
  );
  assert.equal(
    say({ state: "waiting", reason: "night" }),
    "Reminder: waits to be sent from due on: it is night at the clinic.",
  );
  assert.equal(
    say({ state: "failed", reason: "new_reason" }),
    "Reminder: not sent: new reason.",
  );
  for (const state of ["sending", "unknown", "dropped"] as const) {
    assert.match(say({ state }), /^Reminder: .*\.$/);
  }
});

Deno.test("the page is made of its own files, and its policy lets nothing else in", async () => {
  const url = "https://abc.supabase.co";
  const { files, headers } = await makeDesk({ url, key: 'sb_publishable_"x' });
  const page = files.get("index.html")?.text ?? "";
  const policy = headers["content-security-policy"] ?? "";
  assert.deepEqual(policy.match(/https?:[^ ;]*/g), [url]);
  assert.match(policy, /^default-src 'none'; script-src 'self' 'sha256-[^ ']+'; style-src 'self';/);
  assert.match(page, /data-key="sb_publishable_&#34;x"/);
  for (const [, path = ""] of page.matchAll(/(?:src|href)="([^"]*)"/g)) {
    assert.ok(path === "data:," || files.has(path), path);
  }
  for (const  of of["desk", "page"]) {
    const folder = new URL(`../../supabase/${of}/app/`, import.meta.url);
    for (const name of readdirSync(folder).filter((one) => one.endsWith(".ts"))) {
      const text = files.get(name.replace(/ts$/, "js"))?.text ?? "";
      assert.doesNotMatch(text, /from "\.\.?\/[^"]*\.ts"|dangerouslySetInnerHTML|innerHTML/, name);
      // Types are blanked out, so a line of the source is a line of the page.
      assert.equal(
        text.split("\n").length,
        readFileSync(new URL(name, folder), "utf8").split("\n").length,
      );
    }
  }
});
