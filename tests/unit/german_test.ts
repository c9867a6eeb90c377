/** Days and times that a caller says in German mean the same, and no English text is taken for German. */
import assert from "node:assert/strict";
import { readDay } from "../../shared/days.ts";
import { toEnglish } from "../../shared/german.ts";
import { isNotGiven, readPartOfDay } from "../../shared/given.ts";
import { readTime } from "../../shared/times.ts";

Deno.test("German days are read, and what is more than a day is not", () => {
  const days: Readonly<Record<string, unknown>> = {
    heute: { daysAhead: 0 },
    Morgen: { daysAhead: 1 },
    "morgen früh": { daysAhead: 1 },
    übermorgen: { daysAhead: 2 },
    "u\u0308bermorgen": { daysAhead: 2 },
    "am Freitag": { weekday: 5, next: false },
    "Freitag Morgen": { weekday: 5, next: false },
    Freitagnachmittag: { weekday: 5, next: false },
    "nächsten Dienstag": { weekday: 2, next: true },
    "diesen Mittwoch": { weekday: 3, next: false },
    "nächste Woche": { weekday: 1, next: true },
    "in einer Woche": { daysAhead: 7 },
    "in zwei Wochen": { daysAhead: 14 },
    "am dritten März": { dayOfMonth: 3, month: 3 },
    "der einunddreißigste": { dayOfMonth: 31 },
    "Freitag, den 4. Dezember 2026": { dayOfMonth: 4, month: 12, year: 2026, weekday: 5 },
    "morgen um halb drei": { daysAhead: 1 },
    "nicht am Freitag": {},
    "kein Freitag": {},
    "Montag oder Dienstag": {},
    "vor Freitag": {},
    "am Morgen": {},
  };
  for (const [said, day] of Object.entries(days)) assert.deepEqual(readDay(said), day, said);
});

Deno.test("German times are read, and halb drei is half past two", () => {
  const times: Readonly<Record<string, readonly string[] | undefined>> = {
    "14 Uhr 30": ["14:30"],
    "14:30 Uhr": ["14:30"],
    "fünfzehn Uhr fünfundvierzig": ["15:45"],
    "acht Uhr": ["08:00", "20:00"],
    "ein Uhr": ["01:00", "13:00"],
    "um acht Uhr morgens": ["08:00"],
    "um 3 Uhr nachmittags": ["15:00"],
    "halb drei": ["02:30", "14:30"],
    "halb eins": ["00:30", "12:30"],
    "Viertel nach zwei": ["02:15", "14:15"],
    "viertel vor drei": ["02:45", "14:45"],
    "dreiviertel drei": ["02:45", "14:45"],
    "zehn vor drei": ["02:50", "14:50"],
    mittags: ["12:00"],
    Mitternacht: ["00:00"],
    "von 14 bis 15 Uhr": ["14:00"],
    "der Termin am Freitag um 10 Uhr": ["10:00", "22:00"],
    // A quarter past two in some places, a quarter to three in others.
    "viertel drei": undefined,
    "nicht um drei": undefined,
    "um 9 oder 10 Uhr": undefined,
    "kurz nach acht": undefined,
  };
  for (const [said, expected] of Object.entries(times)) {
    const read = readTime(said);
    assert.deepEqual(read && "times" in read ? read.times : read, expected, said);
  }
});

Deno.test("German parts of the day and missing values are read", () => {
  const parts = ["vormittags", "am Nachmittag", "abends", "nicht vormittags", "egal"];
  assert.deepEqual(parts.map(readPartOfDay), [
    ...["morning", "afternoon", "evening", "unread", undefined],
  ]);
  for (const said of ["unbekannt", "keine Angabe", "nicht angegeben"]) assert.ok(isNotGiven(said));
});

Deno.test("texts in English stay as they are", () => {
  const texts = [
    ...["seven am", "eight in the morning", "um, next Friday", "the eleventh at 10", "I am free"],
    ...[
      "den",
      "at ten",
      "latest",
      "first thing",
      "der",
      "2 PM",
      "2027-01-11T14:30:00Z",
      "August 3",
    ],
  ];
  for (const text of texts) assert.equal(toEnglish(text), text);
});
