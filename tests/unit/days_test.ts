/** Days, parts of the day and empty values, as callers and models write them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readDay, type SaidDay } from "../../shared/days.ts";
import { isName, isNotGiven, readDoctorWish, readPartOfDay } from "../../shared/given.ts";

Deno.test("days are read as they are written or said", () => {
  const read: [string, SaidDay][] = [
    ["2026-12-01", { date: "2026-12-01" }],
    ["2026-12-1", { date: "2026-12-01" }],
    [" 2026-12-01T14:30 ", { date: "2026-12-01" }],
    ["2026-12-01T14:30:00.000Z", { instant: "2026-12-01T14:30:00.000Z" }],
    ["2026-12-01T23:30:00-05:00", { instant: "2026-12-01T23:30:00-05:00" }],
    ["20261201", { date: "2026-12-01" }],
    ["20261301", {}],
    ["2026-12-011", {}],
    ["2026-02-30", {}],
    ["2026-13-01", {}],
    ["0000-01-01", {}],
    ["12/01/2026", { parts: [12, 1], year: 2026 }],
    ["31/12/2026", { dayOfMonth: 31, month: 12, year: 2026 }],
    ["12/31/26", { dayOfMonth: 31, month: 12, year: 2026 }],
    ["1.12.", { parts: [1, 12] }],
    ["5/5/2027", { dayOfMonth: 5, month: 5, year: 2027 }],
    ["32/12/2026", {}],
    ["13/13/2026", {}],
    ["today", { daysAhead: 0 }],
    ["Tomorrow morning.", { daysAhead: 1 }],
    ["the day after tomorrow", { daysAhead: 2 }],
    ["in three days", { daysAhead: 3 }],
    ["two weeks from now", { daysAhead: 14 }],
    ["in a week", { daysAhead: 7 }],
    ["next week", { weekday: 1, next: true }],
    ["Tuesday", { weekday: 2, next: false }],
    ["this Thurs", { weekday: 4, next: false }],
    ["next Tuesday", { weekday: 2, next: true }],
    ["the 14th", { dayOfMonth: 14 }],
    ["Monday the 14th", { dayOfMonth: 14, weekday: 1 }],
    ["the 19th, a Tuesday", { dayOfMonth: 19, weekday: 2 }],
    ["Tuesday 19", { dayOfMonth: 19, weekday: 2 }],
    ["next Tuesday the nineteenth", { dayOfMonth: 19, weekday: 2 }],
    ["Tuesday 2027-01-19", { date: "2027-01-19", weekday: 2 }],
    ["2027-01-19 (Tuesday)", { date: "2027-01-19", weekday: 2 }],
    ["Mon 19 January", { dayOfMonth: 19, month: 1, weekday: 1 }],
    ["Tue 19/01/2027", { dayOfMonth: 19, month: 1, year: 2027, weekday: 2 }],
    ["Sun 1/3", { parts: [1, 3], weekday: 0 }],
    ["tomorrow, Tuesday", { daysAhead: 1, weekday: 2 }],
    ["December 1st", { dayOfMonth: 1, month: 12 }],
    ["Tuesday, 1 December 2026", { dayOfMonth: 1, month: 12, year: 2026, weekday: 2 }],
    ["2027/01/15", { date: "2027-01-15" }],
    ["15-01-2027", { dayOfMonth: 15, month: 1, year: 2027 }],
    ["Jan-15-2027", { dayOfMonth: 15, month: 1, year: 2027 }],
    ["the fourteenth", { dayOfMonth: 14 }],
    ["twenty-first of March", { dayOfMonth: 21, month: 3 }],
    ["March the twenty first, twenty twenty-seven", { dayOfMonth: 21, month: 3, year: 2027 }],
    ["thirtieth of May two thousand and twenty-seven", { dayOfMonth: 30, month: 5, year: 2027 }],
    ["the 14th of next month", { dayOfMonth: 14, monthsAhead: 1 }],
    ["in a fortnight", { daysAhead: 14 }],
    ["in two weeks' time", { daysAhead: 14 }],
    ["a week tomorrow", { daysAhead: 8 }],
    ["a week from Monday", { weekday: 1, next: false, weeks: 1 }],
    ["a week from next Monday", { weekday: 1, next: true, weeks: 1 }],
    ["Friday week", { weekday: 5, next: false, weeks: 1 }],
    ["Monday fortnight", { weekday: 1, next: false, weeks: 2 }],
    ["Tuesday of next week", { weekday: 2, next: true }],
    ["the week after next", { weekday: 1, next: true, weeks: 1 }],
    ["Tuesday at 10", { weekday: 2, next: false }],
    ["the 5th at half past ten", { dayOfMonth: 5 }],
    ["2027-01-19 10:00 AM", { date: "2027-01-19" }],
    ["tonight", { daysAhead: 0 }],
    ["tomorrow night", { daysAhead: 1 }],
    ["Friday night", { weekday: 5, next: false }],
    ["Friday at night", { weekday: 5, next: false }],
    ["starting Monday", { weekday: 1, next: false }],
    ["in 0 days", { daysAhead: 0 }],
    ["Weds", { weekday: 3, next: false }],
    ["next weds", { weekday: 3, next: true }],
    ["end of next week", {}],
    ["early next week", {}],
    ["this weekend", {}],
    ["in a week or two", {}],
    ["the second Tuesday", {}],
    ["the first Monday of January", {}],
    ["Tuesday 10", {}],
    ["the Tuesday after next", {}],
    ["Monday to Friday", {}],
    ["Mon 32/01/2027", {}],
    ["days", {}],
    ["TBD", {}],
    ["the first available", {}],
    ["14", {}],
    ["soon", {}],
    ["", {}],
    ["the 40th", {}],
    ["monday or tuesday", {}],
  ];
  for (const [text, expected] of read) assert.deepEqual(readDay(text), expected, text);
});

Deno.test("whatever text comes, a day is read in little time or not at all", () => {
  fc.assert(fc.property(fc.string({ maxLength: 80, unit: "grapheme" }), (text) => {
    assert.equal(typeof readDay(text), "object");
    readPartOfDay(text);
    isNotGiven(text);
    readDoctorWish(text);
    isName(text);
  }));
});

Deno.test("words for no value are no value; names and times are", () => {
  for (
    const text of [
      ...["null", "None", "N/A", "n/a", "undefined", "unknown", "not provided", "Not given", "-"],
      ...["n.a.", "N / A", "null.", "None.", "(none)", "{}", "${name}", "{customer}", "TBC"],
      ...["not yet provided", "to be confirmed", "no value", "unavailable", "not disclosed"],
      ...["nothing", "pending", "Blank", "null,", "null/undefined", "%name%", "%first_name%"],
      ...["information not provided", "caller did not say", "not specified by caller"],
      ...["--", "{{customer.name}}", "{{ customer.number }}", "<name>", "''", '"null"', "?", "NaN"],
    ]
  ) assert.ok(isNotGiven(text), text);
  for (
    const text of [
      "Nancy",
      "Noneman",
      "Una Known",
      "Noah",
      "N. Adams",
      "Not Sure Ltd",
      "No Data Smith",
      "0",
      "A-1",
      "no",
      "Nona",
      "any",
      "Null Smith",
    ]
  ) {
    assert.ok(!isNotGiven(text), text);
  }
});

Deno.test("fillers alone are not a name, a filler next to a real name is part of it", () => {
  for (
    const text of [
      ...["null null", "undefined undefined", "None None", "N/A N/A", "Unknown Unknown", "Unknown"],
      ...["<first name> <last name>", "[First Name] [Last Name]", "{{first}} {{last}}", "TBD"],
      ...[
        "not given yet",
        "Unknown Caller",
        "Caller",
        "the patient",
        "I don't know",
        "I don’t know.",
      ],
      ...[
        ...[
          "my wife",
          "myself",
          "Yes",
          "same as caller",
          "Guest",
          "Caller's wife",
          "the caller’s son",
        ],
        "First Name Last Name",
        "Jane [last name]",
        "jane@example.com",
        "Jane Doe 07700 900123",
        "0172 555",
        "?!",
      ],
    ]
  ) assert.ok(!isName(text), text);
  for (
    const text of [
      ...["Jane Guest", "Guest, Ada", "Yesim", "Jane Blank", "My Son", "Will Pending"],
      ...["Jennifer Null", "Ada", "Wallis Caller", "Jane O'Brien", "Ana-Lía Núñez", "王芳"],
      ...[
        "Patel, Amara",
        "John Smith III",
        "Dr. No",
        "Noah None",
        "Na Young",
        "St. John",
        "A",
        "Jane 2",
      ],
    ]
  ) assert.ok(isName(text), text);
});

Deno.test("a wish for a doctor is found in a sentence, or said to be unread", () => {
  const read: [string, ReturnType<typeof readDoctorWish>][] = [
    ["first available with Dr Patel", { anyOf: ["Dr Patel"] }],
    ["next available with Dr Patel", { anyOf: ["Dr Patel"] }],
    ["The earliest appointment with Dr. Patel, please", { anyOf: ["Dr. Patel"] }],
    ["any time with Amara Patel", { anyOf: ["Amara Patel"] }],
    ["next available Dr Free", { anyOf: ["Dr Free"] }],
    ["Dr Or Cohen", { anyOf: ["Dr Or Cohen"] }],
    ["Dr But", { anyOf: ["Dr But"] }],
    ["first available with anyone", undefined],
    ["whoever has the first opening", undefined],
    ["any of the doctors is fine", undefined],
    ["either Dr Patel or Dr Hughes", { anyOf: ["Dr Patel", "Dr Hughes"] }],
    ["Dr Patel or Dr Hughes", { anyOf: ["Dr Patel", "Dr Hughes"] }],
    ["Patel/Hughes, please", { anyOf: ["Patel", "Hughes"] }],
    ["Patel and Hughes", { anyOf: ["Patel", "Hughes"] }],
    ["Dr Patel but anyone is fine", { anyOf: ["Dr Patel"] }],
    ["Dr Patel, but anybody else will do", { anyOf: ["Dr Patel"] }],
    ["Dr Patel but anyone except Hughes", "unread"],
    ["Amara_Patel", { anyOf: ["Amara Patel"] }],
    ["Either Dr Patel", { anyOf: ["Dr Patel"] }],
    ["I'd like Dr Patel if she's available", { anyOf: ["Dr Patel"] }],
    ["preferably Patel", { anyOf: ["Patel"] }],
    ["with Dr Patel please", { anyOf: ["Dr Patel"] }],
    ["Dr Patel or whoever is free", undefined],
    ["Dr Patel or anyone but Okafor", "unread"],
    ["Dr Patel, Amara", { anyOf: ["Dr Patel, Amara"] }],
    ["anyone but Dr Okafor", "unread"],
    ["first available, not Dr Okafor", "unread"],
    ["I don't mind, but no Dr Okafor", "unread"],
    ["any female doctor", "unread"],
    ["first available with a female doctor", "unread"],
    ["whoever Dr Patel recommends", "unread"],
  ];
  for (const [text, expected] of read) assert.deepEqual(readDoctorWish(text), expected, text);
});

Deno.test("a wish for nobody in particular does not name a doctor", () => {
  for (
    const text of [
      ...[
        "any",
        "anyone",
        "any doctor",
        "either",
        "either one",
        "no preference",
        "first available",
      ],
      ...["whoever is free", "doesn't matter", "It doesn’t matter", "I don't mind", "the doctor"],
      ...["no_preference", "any_available", "first_available", "ANY_PROVIDER", "flexible"],
      ...["Caller has no preference", "The patient doesn't mind", "nobody in particular"],
      ...["you choose", "You can choose", "your choice", "I'm flexible"],
      ...["no one in particular", "Whoever's first.", "earliest", "your dentist"],
    ]
  ) assert.equal(readDoctorWish(text), undefined, text);
  for (
    const text of [
      "Dr Amara Patel",
      "Patel",
      "Anya Smith",
      "Nobody",
      "my doctor",
      "Dr Allen",
      "Dr. No",
      "Noah",
    ]
  ) {
    assert.deepEqual(readDoctorWish(text), { anyOf: [text] }, text);
  }
});

Deno.test("parts of the day", () => {
  const read: [string, ReturnType<typeof readPartOfDay>][] = [
    ["AM", "am"],
    ["p.m.", "pm"],
    ["Morning", "morning"],
    ["in the late afternoon", "afternoon"],
    ["tonight", "night"],
    ["any", undefined],
    ["anytime", undefined],
    ["doesn't matter", undefined],
    ["lunchtime", "afternoon"],
    ["before noon", "morning"],
    ["not in the morning", "unread"],
    ["anything but mornings", "unread"],
    ["I don't want the afternoon", "unread"],
    ["morning or afternoon", undefined],
    ["AM or PM", undefined],
    ["a.m./p.m.", undefined],
    ["I don't mind, morning or afternoon", undefined],
    ["no preference", undefined],
    ["afternoon or evening", "pm"],
    ["evening or night", "evening"],
    ["morning or evening", "unread"],
    ["no pref", undefined],
    ["9 am, in the morning", "morning"],
    ["I am free in the afternoon", "afternoon"],
    ["any afternoon", "afternoon"],
    ["blue", "unread"],
    ["unread", "unread"],
  ];
  for (const [text, expected] of read) assert.equal(readPartOfDay(text), expected, text);
});
