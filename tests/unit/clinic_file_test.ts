/** A clinic's file: what it may contain, which line is wrong, and that it survives a round trip. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { readClinicFile, writeClinicFile } from "../../supabase/tasks/clinic/file.ts";
import { readAbsence, readWeekdays, readWindows } from "../../supabase/tasks/clinic/notation.ts";
import { randomFrom } from "../../supabase/tasks/simulate/random.ts";
import { atLength } from "../support/length.ts";
import { aRandomDocument } from "../support/random_document.ts";

const folder = new URL("../../supabase/clinics/", import.meta.url);

function problemsOf(text: string): string[] {
  const read = readClinicFile(text);
  return read.ok ? [] : read.problems.map(({ line, message }) => `${line}: ${message}`);
}

const smallest = `clinic: a
name: A
zone: Europe/London
country: GB
services: [{id: checkup, name: Checkup, minutes: 30}]
doctors: [{id: b, name: Dr B, hours: {monday: 09:00-17:00}}]
`;

Deno.test("the clinics of the local stack can be read", () => {
  const files = readdirSync(folder);
  assert.ok(files.length > 1);
  for (const file of files) {
    assert.deepEqual(problemsOf(readFileSync(new URL(file, folder), "utf8")), [], file);
  }
});

Deno.test("the example of the documents can be read, and added to the local stack", () => {
  const page = readFileSync(new URL("../../docs/clinic-file.md", import.meta.url), "utf8");
  const [, example = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
  assert.deepEqual(problemsOf(example), []);
  const read = readClinicFile(example);
  assert.ok(read.ok);
  assert.equal(read.clinic.providers[1]?.hours.length, 7);
  const taken = readdirSync(folder).flatMap((file) => {
    const known = readClinicFile(readFileSync(new URL(file, folder), "utf8"));
    return known.ok ? known.clinic.numbers : [];
  });
  assert.deepEqual(read.clinic.numbers.filter((number) => taken.includes(number)), []);
});

Deno.test("a file needs name, zone, country, services and doctors, and has defaults for the rest", () => {
  const read = readClinicFile(smallest);
  assert.ok(read.ok);
  assert.deepEqual(read.clinic.services[0], {
    slug: "checkup",
    name: "Checkup",
    durationMin: 30,
    stepMin: 30,
    bufferBeforeMin: 0,
    bufferAfterMin: 0,
    noticeMin: 60,
    horizonDays: 90,
    capacity: 1,
  });
  assert.deepEqual(read.clinic.smsCountries, ["GB"]);
  assert.equal(read.clinic.textsAtHold, false);
  assert.deepEqual(read.clinic.assistant, {
    language: "en",
    voice: "cartesia",
    model: "openai",
    greeting: null,
    recordsCalls: false,
    keepsTranscript: true,
  });
  assert.deepEqual(problemsOf("{}").map((problem) => problem.split(":")[1]), [
    ' "clinic" is missing',
    ' "name" is missing',
    ' "zone" is missing',
    ' "country" is missing',
    ' "services" is missing',
    ' "doctors" is missing',
  ]);
  assert.match(problemsOf("").join(), /^1: a clinic with name, zone, .* is needed$/);
});

Deno.test("a text that PostgreSQL cannot store is refused with its line", () => {
  for (const escape of ["\\0", "\\ud83d", "\\u0000"]) {
    const problems = problemsOf(`${smallest}address: "1 High Street ${escape}"\n`);
    assert.match(problems.join(), /^\d+: address: it has a character that cannot be stored$/);
  }
});

Deno.test("a clinic chooses in its file to text the code with the hold", () => {
  for (const [said, textsAtHold] of [["true", true], ["yes", true], ["no", false]] as const) {
    const read = readClinicFile(`${smallest}texts: { at_hold: ${said} }\n`);
    assert.ok(read.ok);
    assert.equal(read.clinic.textsAtHold, textsAtHold);
    assert.match(
      writeClinicFile(read.clinic),
      new RegExp(`at_hold: ${textsAtHold ? "yes" : "no"}`),
    );
  }
});

Deno.test("a clinic chooses in its file to give out patients' names in its calendars", () => {
  for (
    const [said, names] of [["", false], ["calendar: { patient_names: yes }\n", true]] as const
  ) {
    const read = readClinicFile(`${smallest}${said}`);
    assert.ok(read.ok);
    assert.equal(read.clinic.calendarPatientNames, names);
    assert.match(
      writeClinicFile(read.clinic),
      new RegExp(`patient_names: ${names ? "yes" : "no"}`),
    );
  }
});

Deno.test("every problem has its line and says what to write", () => {
  const text = `# A file of mistakes
clinic: Sunrise Dental
nmae: x
zone: europe/london
country: gb
numbers:
  - 02079460123
  - +442079460
desk:
  transfer_number: +44 20 7946 0123
  hours: {mondayfriday: 09:00-17:00}
texts:
  countries: [UK]
  follow_up: maybe
closed:
  - 2026-02-30
  - 2026-12-31 to 2026-12-01
services:
  - {id: a, name: A, minutes: 0}
  - checkup
doctors:
  - id: x
    name: ""
    hours:
      - from: 2026-09-01
        until: 2026-08-01
        monday: 17:00-09:00
      - tuesday: [10:00-11:00, 9]
    days:
      2026-1-1: closed
      2026-01-02: open
    off:
      - 2026-08-03 14:00
      - next week
facts:
  - question: Where can I park?
assistant:
  language: English
  voice: sarah
  model: gpt-4.1
  greeting: ""
  recording: yes
`;
  const expected = [
    /^2: clinic: "Sunrise Dental" is not an id: lower-case letters, digits and single dashes/,
    /^2: "name" is missing: a name such as Sunrise Dental is needed$/,
    /^3: "nmae" is not known here; remove it or correct its name$/,
    /^4: zone: "europe\/london" is not a time zone; write Europe\/London$/,
    /^5: country: "gb" is not a country: two capital letters, such as GB$/,
    /^7: numbers: "02079460123" has no country code; write it as \+44 20 7946 0123$/,
    /^8: numbers: "\+442079460" is not a phone number that exists; check its digits$/,
    /^11: mondayfriday: "mondayfriday" is not a day of the week; write monday/,
    /^13: countries: "UK" is not a country/,
    /^14: follow_up: yes or no is needed, not "maybe"$/,
    /^16: closed: "2026-02-30" is not a day; write it as 2026-12-25$/,
    /^17: closed: "2026-12-31 to 2026-12-01" ends before it begins$/,
    /^19: minutes: a whole number from 1 to 1440 minutes is needed, not "0"$/,
    /^20: services: a service with id, name and minutes is needed$/,
    /^23: name: a name such as Dr Amara Patel is needed$/,
    /^26: until: the hours end on 2026-08-01, before they begin on 2026-09-01$/,
    /^27: monday: "17:00-09:00" ends before it begins; write "17:00-09:00 next day" if/,
    /^28: tuesday: "9" is not a time of day; write it as 09:00-17:30$/,
    /^30: 2026-1-1: "2026-1-1" is not a day; write it as 2026-12-25$/,
    /^31: 2026-01-02: "open" is not a time of day; write it as 09:00-17:30, or closed$/,
    /^33: off: "2026-08-03 14:00" is not an absence; write 2026-08-03, /,
    /^34: off: "next week" is not an absence/,
    /^36: "answer" is missing: the answer, as it is said to the caller, is needed$/,
    /^38: language: "English" is not a language; write a tag such as en, de or pt-BR$/,
    /^39: voice: there is no voice "sarah"; choose one of cartesia, .*elevenlabs$/,
    /^40: model: there is no model "gpt-4.1"; choose one of openai, .*google$/,
    /^41: greeting: a sentence that the caller hears first is needed$/,
    /^42: "recording" is not known here; remove it or correct its name$/,
  ];
  const problems = problemsOf(text);
  for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? "", pattern);
  assert.equal(problems.length, expected.length, problems.slice(expected.length).join("\n"));
});

Deno.test("a contradiction is reported at the line that contradicts another", () => {
  const contradictions: Readonly<Record<string, RegExp>> = {
    "closed: [2026-12-25, 2026-12-24 to 2026-12-26]": /^7: these days are already closed/,
    "numbers: [+44 20 7946 0123, +442079460123]": /^7: "\+442079460123" occurs twice/,
    "desk: {transfer_number: +44 20 7946 0123}": /^7: no call is transferred without hours/,
    "numbers: [+44 20 7946 0123]\ndesk: {transfer_number: +44 20 7946 0123, hours: {monday: 09:00-17:00}}":
      /^8: \+442079460123 is one of the clinic's numbers, so a transferred call would come back/,
    "desk: {hours: {monday-friday: 09:00-17:00, tuesday: 16:00-18:00}}": /^7: these hours overlap/,
    "facts:\n- {question: Parking?, answer: Yes.}\n- {question: parking?, answer: No.}":
      /^9: "parking\?" occurs twice/,
  };
  for (const [line, pattern] of Object.entries(contradictions)) {
    const problems = problemsOf(`${smallest}${line}\n`);
    assert.equal(problems.length, 1, line);
    assert.match(problems[0] ?? "", pattern);
  }
  const doctors: Readonly<Record<string, RegExp>> = {
    "services: [facelift]": /^9: "facelift" is not a service of this file; there are checkup$/,
    "hours: {monday: [09:00-12:00, 11:00-13:00]}": /^9: these hours overlap/,
    "hours: [{monday: 09:00-12:00}, {until: 2026-01-01, monday: 11:00-13:00}]": /^9: these hours/,
    "days: {2026-12-24: [09:00-12:00, 11:00-13:00]}": /^9: these hours overlap/,
    "days: {2026-12-25: 09:00-12:00}": /^9: the clinic is closed on 2026-12-25/,
    "off: [2026-08-03, 2026-08-03]": /^9: .* occurs twice/,
  };
  for (const [line, pattern] of Object.entries(doctors)) {
    const text = `${smallest.replace(/doctors:.*\n/, "")}closed: [2026-12-25]
doctors:
- {id: b, name: Dr B}
- {id: c, name: Dr C, ${line}}
`;
    const problems = problemsOf(text);
    assert.equal(problems.length, 1, `${line}: ${problems}`);
    assert.match(problems[0] ?? "", pattern);
  }
  const seasons = `{id: b, name: Dr B, hours: [{until: 2026-01-01, monday: 09:00-12:00},
    {from: 2026-01-02, monday: 11:00-13:00}], days: {2026-12-25: closed}}`;
  assert.deepEqual(problemsOf(smallest.replace(/doctors:.*\n/, `doctors: [${seasons}]\n`)), []);
});

Deno.test("invalid YAML and repeated keys are reported with their line", () => {
  assert.deepEqual(problemsOf(`${smallest}name: B\n`), [
    "7: this key occurs twice; merge the two",
  ]);
  const [unclosed] = problemsOf(`${smallest}closed: [2026-12-25\nnumbers: []\n`);
  assert.match(unclosed ?? "", /^[78]: this is not YAML: /);
  const bomb = ["a: &a [1,1,1,1,1,1,1,1,1]"];
  for (const [name, before] of ["ba", "cb", "dc", "ed", "fe"]) {
    bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join()}]`);
  }
  assert.match(problemsOf(bomb.join("\n")).join(), /^1: this is not YAML: /);
  assert.match(problemsOf("a: 1\n---\nb: 2\n").join(), /not YAML/);
});

Deno.test("hours, weekdays and absences mean what they say", () => {
  const value = <Value>(read: { readonly value: Value } | { readonly problem: string }) =>
    "value" in read ? read.value : read.problem;
  assert.deepEqual(value(readWindows("9:00-12:30, 22:00 - 06:00 next day")), [
    { startMin: 540, endMin: 750 },
    { startMin: 1320, endMin: 1800 },
  ]);
  assert.deepEqual(value(readWindows("00:00-24:00")), [{ startMin: 0, endMin: 1440 }]);
  assert.deepEqual(value(readWindows("08:00-08:00 next day")), [{ startMin: 480, endMin: 1920 }]);
  assert.match(String(value(readWindows("08:00-09:00 next day"))), /longer than a day/);
  assert.match(String(value(readWindows("24:00-25:00"))), /not a time of day/);
  assert.deepEqual(value(readWeekdays("Saturday-Monday, wednesday")), [6, 0, 1, 3]);
  const absences: Readonly<Record<string, readonly [string | null, string | null]>> = {
    "2026-08-03": ["2026-08-03T00:00", "2026-08-04T00:00"],
    "2026-12-31 to 2027-01-02": ["2026-12-31T00:00", "2027-01-03T00:00"],
    "2026-08-03 9:00-24:00": ["2026-08-03T09:00", "2026-08-04T00:00"],
    "2026-08-03 14:00 to 2026-08-05 12:00": ["2026-08-03T14:00", "2026-08-05T12:00"],
    "2026-10-25 01:30+01:00 to 2026-10-25 01:30+00:00": [
      "2026-10-25T01:30+01:00",
      "2026-10-25T01:30+00:00",
    ],
    "from 2026-08-03": ["2026-08-03T00:00", null],
    "until 2026-08-03": [null, "2026-08-04T00:00"],
    "always": [null, null],
  };
  for (const [text, [from, to]] of Object.entries(absences)) {
    assert.deepEqual(value(readAbsence(text)), { from, to }, text);
  }
});

const clinicCount = atLength({ short: 40, full: 200 });

Deno.test(`${clinicCount} random clinics survive a round trip through their files`, () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = randomFrom(seed);
  for (let count = 0; count < clinicCount; count++) {
    const clinic = aRandomDocument(random, `clinic-${count}`);
    const text = writeClinicFile(clinic);
    const read = readClinicFile(text);
    assert.ok(read.ok, `seed ${seed}: ${JSON.stringify(!read.ok && read.problems)}\n${text}`);
    assert.deepEqual(sorted(read.clinic), sorted(clinic), `seed ${seed}\n${text}`);
  }
});

/** A file lists hours by day; the database orders them by season and day. */
function sorted(clinic: ReturnType<typeof aRandomDocument>) {
  const byText = <Item>(items: readonly Item[]) =>
    items.toSorted((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  return {
    ...clinic,
    deskHours: byText(clinic.deskHours),
    providers: clinic.providers.map((provider) => ({
      ...provider,
      hours: byText(provider.hours),
    })),
  };
}
