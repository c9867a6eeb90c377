/**
 * The keys of a clinic's file, with their limits and defaults, and how each becomes part of the
 * clinic's document.
 *
 * Every scalar is read as its text. So `+442079460123`, `no` and `2026-12-25` stay what they look like,
 * and do not become a number, a boolean and an instant.
 *
 * @module
 */

import {
  getCountries,
  isSupportedCountry,
  parsePhoneNumberFromString,
} from "libphonenumber-js/max";
import { z } from "zod";
import { models, voices } from "../../../shared/line/presets.ts";
import { isTextKind, textKinds } from "../../../shared/patient_texts.ts";
import { findTemplateProblem } from "../../../shared/text_template.ts";
import type { DatedHours, DayHours, WeekdayHours } from "./document.ts";
import {
  isDay,
  readAbsence,
  readClock,
  readDays,
  type Reading,
  readWeekdays,
  readWindows,
} from "./notation.ts";

/** A text that PostgreSQL can store. YAML can write a NUL and half of a character (`"\ud83d"`). */
function storable(needed: string) {
  return z.string(needed).refine((text) => text.isWellFormed() && !text.includes("\0"), {
    error: "it has a character that cannot be stored",
    abort: true,
  });
}

/** A text field with its own notation. */
function notation<Value>(needed: string, read: (text: string) => Reading<Value>) {
  return storable(needed).transform((text, context): Value => {
    const reading = read(text.trim());
    if ("value" in reading) return reading.value;
    context.issues.push({ code: "custom", message: reading.problem, input: text });
    return z.NEVER;
  });
}

function text(needed: string, limit: number) {
  return notation(needed, (given) => {
    if (given === "") return { problem: needed };
    return given.length <= limit
      ? { value: given.normalize("NFC") }
      : { problem: `it has ${given.length} characters, and ${limit} are possible` };
  });
}

function whole(from: number, to: number, unit = "") {
  const needed = `a whole number from ${from} to ${to}${unit && ` ${unit}`} is needed`;
  return notation(needed, (given) => {
    const value = Number(given);
    return /^\d+$/.test(given) && value >= from && value <= to
      ? { value }
      : { problem: `${needed}, not "${given}"` };
  });
}

const flag = notation("yes or no is needed", (given) => {
  if (/^(yes|true|on)$/i.test(given)) return { value: true };
  return /^(no|false|off)$/i.test(given)
    ? { value: false }
    : { problem: `yes or no is needed, not "${given}"` };
});

/** The earliest and the latest time of day for reminders, which are not sent at night. */
const reminderHours = { from: 8 * 60, to: 20 * 60 + 30 };

const reminder = notation("no or a time of day such as 17:00 is needed", (given) => {
  if (/^(no|false|off)$/i.test(given)) return { value: null };
  const value = readClock(given);
  return value !== undefined && value >= reminderHours.from && value <= reminderHours.to
    ? { value }
    : { problem: `no or a time of day from 08:00 to 20:30 is needed, not "${given}"` };
});

const id = notation(
  "an id such as dr-patel is needed",
  (given) =>
    /^[a-z0-9]+(-[a-z0-9]+)*$/.test(given) && given.length <= 80 ? { value: given } : {
      problem: `"${given}" is not an id: lower-case letters, digits and single dashes, such as ` +
        "amara-patel",
    },
);

const country = notation(
  "a country such as GB is needed",
  (given) =>
    isSupportedCountry(given) ? { value: given as string } : {
      problem: `"${given}" is not a country: two capital letters, such as ` +
        (getCountries().find((known) => known === given.toUpperCase()) ?? "GB"),
    },
);

const zone = notation("a time zone such as Europe/London is needed", (given) => {
  const known = Intl.supportedValuesOf("timeZone");
  const alike = known.find((name) => name.toLowerCase() === given.toLowerCase());
  if (alike === given || alike === undefined && isOtherZone(given)) return { value: given };
  const advice = alike === undefined ? "take a name such as Europe/London" : `write ${alike}`;
  return { problem: `"${given}" is not a time zone; ${advice}` };
});

/** Whether it is an older or newer name of a zone, such as Asia/Kolkata, and not an offset. */
function isOtherZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return /^[A-Z][A-Za-z_]+(\/[A-Za-z0-9_+-]+)*$/.test(name);
  } catch {
    return false;
  }
}

const phone = notation("a phone number such as +44 20 7946 0123 is needed", (given) => {
  const parsed = parsePhoneNumberFromString(given, { extract: false });
  if (parsed?.isValid()) return { value: parsed.number as string };
  return {
    problem: given.startsWith("+")
      ? `"${given}" is not a phone number that exists; check its digits`
      : `"${given}" has no country code; write it as +44 20 7946 0123`,
  };
});

const vapiId = notation(
  "an id of Vapi's is needed",
  (given) =>
    /^[A-Za-z0-9_-]{1,200}$/.test(given)
      ? { value: given }
      : { problem: `"${given}" is not an id of Vapi's; copy it from the dashboard` },
);

const language = notation(
  "a language such as en is needed",
  (given) =>
    isLanguage(given)
      ? { value: given }
      : { problem: `"${given}" is not a language; write a tag such as en, de or pt-BR` },
);

/** Whether the database accepts the tag and its language has a name. */
function isLanguage(tag: string): boolean {
  if (!/^[a-z]{2}(-[A-Za-z0-9]{2,8})?$/.test(tag)) return false;
  const names = new Intl.DisplayNames("en", { type: "language", fallback: "none" });
  return names.of(tag.slice(0, 2)) !== undefined;
}

/** A name in shared/line/presets.ts. */
function preset(what: string, presets: Readonly<Record<string, unknown>>) {
  const known = Object.keys(presets).join(", ");
  return notation(
    `one of ${known} is needed`,
    (given) =>
      Object.hasOwn(presets, given)
        ? { value: given }
        : { problem: `there is no ${what} "${given}"; choose one of ${known}` },
  );
}

const week = z.record(z.string(), z.union([z.string(), z.array(z.string())]), {
  error: "hours by days of the week are needed, such as monday-friday: 09:00-17:30",
}).transform((given, context) => {
  const hours: WeekdayHours[] = [];
  for (const [key, windows] of Object.entries(given)) {
    const days = readWeekdays(key);
    const read = readWindows([windows].flat().join(","));
    const problem = "problem" in days ? days.problem : "problem" in read ? read.problem : undefined;
    if ("value" in days && "value" in read) {
      hours.push(...days.value.flatMap((dow) => read.value.map((window) => ({ dow, ...window }))));
    } else {
      context.issues.push({ code: "custom", message: problem ?? "", path: [key], input: windows });
    }
  }
  return hours;
});

const optionalDay = notation(
  "a day such as 2026-09-01 is needed",
  (given) =>
    isDay(given)
      ? { value: given }
      : { problem: `"${given}" is not a day; write it as 2026-09-01` },
).optional();

const hoursNeeded = "hours by days of the week are needed, such as monday-friday: 09:00-17:30";

/** Hours of a season: a week with `from` and `until` next to its days. */
const season = z.looseObject({ from: optionalDay, until: optionalDay }, hoursNeeded)
  .transform(({ from = null, until = null, ...days }, context): DatedHours[] => {
    if (from !== null && until !== null && until < from) {
      context.issues.push({
        code: "custom",
        message: `the hours end on ${until}, before they begin on ${from}`,
        path: ["until"],
        input: until,
      });
    }
    return parseInside(week, days, context).map((hours) => ({ ...hours, from, until }));
  });

/** One week for always, or a list of seasons. */
const seasons = z.unknown().transform((given, context) =>
  Array.isArray(given)
    ? parseInside(z.array(season), given, context).flat()
    : parseInside(season, given, context)
);

/** Parses a list by a schema that depends on the value. Problems in it are problems of the value. */
function parseInside<Item>(
  schema: z.ZodType<Item[]>,
  given: unknown,
  context: z.core.$RefinementCtx,
): Item[] {
  const read = schema.safeParse(given);
  if (read.success) return read.data;
  for (const { message, path } of read.error.issues) {
    context.issues.push({ code: "custom", message, path: [...path], input: given });
  }
  return [];
}

const singleDays = z.record(z.string(), z.union([z.string(), z.array(z.string())]), {
  error: "single days are needed, such as 2026-12-24: 09:00-12:00 or 2026-12-31: closed",
}).transform((given, context) => {
  const overrides: DayHours[] = [];
  for (const [day, windows] of Object.entries(given)) {
    const refuse = (message: string) =>
      context.issues.push({ code: "custom", message, path: [day], input: windows });
    if (!isDay(day)) {
      refuse(`"${day}" is not a day; write it as 2026-12-25`);
      continue;
    }
    const said = [windows].flat().join(",").trim();
    if (said === "closed") {
      overrides.push({ day, startMin: null, endMin: null });
      continue;
    }
    const read = readWindows(said);
    if ("problem" in read) refuse(`${read.problem}, or closed`);
    else overrides.push(...read.value.map((window) => ({ day, ...window })));
  }
  return overrides;
});

const service = z.strictObject({
  id,
  name: text("a name such as Consultation is needed", 120),
  minutes: whole(1, 1440, "minutes"),
  step_minutes: whole(1, 1440, "minutes").default(30),
  buffer_before_minutes: whole(0, 1440, "minutes").default(0),
  buffer_after_minutes: whole(0, 1440, "minutes").default(0),
  seats: whole(1, 1000).default(1),
  notice_minutes: whole(0, 525_600, "minutes").default(60),
  horizon_days: whole(0, 730, "days").default(90),
}, "a service with id, name and minutes is needed");

const doctor = z.strictObject({
  id,
  name: text("a name such as Dr Amara Patel is needed", 120),
  services: z.union([
    z.literal("all").transform(() => "all" as const),
    z.array(id),
  ], "ids of services are needed, such as [consultation], or all").default("all"),
  hours: seasons.default([]),
  days: singleDays.default([]),
  off: z.array(
    notation("an absence such as 2026-08-03 to 2026-08-14 is needed", readAbsence),
    "a list of absences is needed",
  ).default([]),
}, "a doctor with id, name and hours is needed");

const fact = z.strictObject({
  question: text("a question such as Where can I park? is needed", 300),
  also: z.array(text("another way to ask it is needed", 300), "a list of questions is needed")
    .max(20, "at most 20 other ways to ask it are possible").default([]),
  answer: text("the answer, as it is said to the caller, is needed", 600),
  tags: z.array(text("a word such as parking is needed", 40), "a list of words is needed")
    .max(20, "at most 20 tags are possible").default([]),
  in_prompt: flag.default(false),
}, "a question and its answer are needed");

const list = <Item extends z.ZodType>(item: Item, needed: string) =>
  z.array(item, `a list of ${needed} is needed`);

/** Texts about appointments in the clinic's own words, by kind. */
const ownTexts = z.record(z.string(), storable("a text is needed"), {
  error: "texts by their kinds are needed, such as reminder",
}).transform((given, context) => {
  for (const [kind, text] of Object.entries(given)) {
    const problem = isTextKind(kind)
      ? findTemplateProblem(kind, text)
      : `"${kind}" is not a text; there are ${Object.keys(textKinds).join(", ")}`;
    if (problem !== undefined) {
      context.issues.push({ code: "custom", message: problem, path: [kind], input: text });
    }
  }
  return given;
});

/** The clinic's own texts, by language and kind. */
const words = z.record(z.string(), ownTexts, {
  error: "texts by language and kind are needed, such as de: { reminder: ... }",
});

/** The whole file. */
export const clinicFields = z.strictObject({
  clinic: id,
  name: text("a name such as Sunrise Dental is needed", 120),
  zone,
  country,
  address: text("an address such as 12 High Street, London is needed", 80).optional(),
  numbers: list(phone, "phone numbers").default([]),
  vapi: z.strictObject({
    phone_numbers: list(vapiId, "ids").optional(),
    assistants: list(vapiId, "ids").optional(),
  }, "ids by phone_numbers and assistants are needed").default({}),
  shared_lines: list(phone, "phone numbers").default([]),
  desk: z.strictObject({ transfer_number: phone.optional(), hours: week.default([]) }, {
    error: "a transfer_number and the hours in which it is answered are needed",
  }).prefault({}),
  assistant: z.strictObject({
    language: language.default("en"),
    voice: preset("voice", voices).default("cartesia"),
    model: preset("model", models).default("openai"),
    greeting: text("a sentence that the caller hears first is needed", 300).optional(),
    records_calls: flag.default(false),
    keeps_transcript: flag.default(true),
  }, "language, voice, model, greeting, records_calls and keeps_transcript are possible").prefault(
    {},
  ),
  hold_minutes: whole(1, 120, "minutes").default(10),
  desk_hold_minutes: whole(0, 1440, "minutes").default(60),
  texts: z.strictObject({
    countries: list(country, "countries").min(1, "at least one country is needed").optional(),
    an_hour: whole(1, 1_000_000).default(200),
    follow_up: flag.default(false),
    at_hold: flag.default(false),
    confirmation: flag.default(true),
    change: flag.default(false),
    cancellation: flag.default(false),
    reminder: reminder.default(null),
    reminder_notice_hours: whole(0, 720, "hours").default(24),
    answers: flag.default(false),
    language: notation(
      "a language such as en is needed",
      (given) =>
        isLanguage(given) && given.length === 2
          ? { value: given }
          : { problem: `"${given}" is not a language; write two letters such as en or de` },
    ).default("en"),
    words: words.default({}),
  }, {
    error:
      "countries, an_hour, follow_up, at_hold, confirmation, change, cancellation, reminder, " +
      "reminder_notice_hours, answers, language and words are possible",
  }).prefault({}),
  calendar: z.strictObject({
    patient_names: flag.default(false),
  }, "patient_names is possible").prefault({}),
  messages_an_hour: whole(0, 1_000_000).default(30),
  retention: z.strictObject({
    days: whole(1, 3650, "days").default(90),
    audit_days: whole(30, 36_500, "days").default(2555),
  }, "days and audit_days are possible").prefault({}),
  closed: list(notation("a day such as 2026-12-25 is needed", readDays), "days").default([]),
  services: list(service, "services").min(1, "at least one service is needed"),
  doctors: list(doctor, "doctors").min(1, "at least one doctor is needed"),
  facts: list(fact, "questions and answers").max(500, "at most 500 facts are possible").default([]),
}, "a clinic with name, zone, country, services and doctors is needed");

/** The content of the file, with its defaults. */
export type ClinicFields = z.output<typeof clinicFields>;
