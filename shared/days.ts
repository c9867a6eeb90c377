/**
 * Days as callers and models write them. What depends on the clinic (its date today, the order of day
 * and month) is decided by the database, which knows it and is asked anyway.
 *
 * @module
 */

import { z } from "zod";
import { toEnglish } from "./german.ts";

/** A date. Which one may depend on the clinic's today. */
type SaidDate =
  | { readonly date: string }
  /** ISO 8601 with an offset: the clinic-local day of that instant. */
  | { readonly instant: string }
  | { readonly daysAhead: number }
  /** The day of this month (0), the next one (1) and so on, or the next such day of any month. */
  | {
    readonly dayOfMonth: number;
    readonly month?: number;
    readonly year?: number;
    readonly monthsAhead?: number;
  }
  /** `12/01/2026`: day and month in the clinic's order. */
  | { readonly parts: readonly [number, number]; readonly year?: number };

/** A day as it was said, for `private.resolve_day`. An empty object could not be read. */
export type SaidDay =
  /** With a weekday (0 is Sunday), which must be that of the date. */
  | SaidDate & { readonly weekday?: number }
  /** The coming weekday, or with `next` that of the next calendar week, plus a number of weeks. */
  | { readonly weekday: number; readonly next: boolean; readonly weeks?: number }
  | Readonly<Record<string, never>>;

const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const months = [
  ...["january", "february", "march", "april", "may", "june", "july", "august", "september"],
  ...["october", "november", "december"],
];
/** The numbers from zero to nineteen. */
export const cardinals = [
  ...["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
  ...["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"],
  "nineteen",
];
const ordinals = [
  ...["zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"],
  ...["ninth", "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth"],
  ...["sixteenth", "seventeenth", "eighteenth", "nineteenth"],
];
const tens = ["", "", "twenty", "thirty"];
const tenths = ["", "", "twentieth", "thirtieth"];

/**
 * An argument that is a day. The database decides whether it can be read, because only there the
 * clinic's today is known. A missing argument or one that is not a text cannot be read.
 */
export const saidDay = () =>
  z.preprocess((given) => {
    if (typeof given === "number") return String(given);
    return typeof given === "string" ? given.slice(0, 80) : "";
  }, z.string());

/**
 * Reads a day: `2026-12-1`, `20261201`, `12/01/2026`, `tomorrow`, `Friday week`, `Tuesday the 19th`,
 * `the fourteenth of next month`, `1 December`. A time of day next to it is ignored.
 */
export function readDay(text: string): SaidDay {
  const said = toEnglish(text).toLowerCase().replaceAll("’", "'").replace(/[\s,;()]+/g, " ")
    .replace(/^(?: |from |starting |beginning )+|(?: |\bon|\bonwards?)+$/g, "");
  return readDate(said) ?? readWithWeekday(withoutTime(said)) ?? {};
}

/** Reads a date without a weekday. */
function readDate(said: string): SaidDay | undefined {
  const date = said.replace(/[.!]$/, "");
  return readIso(date) ?? readNumeric(said) ?? readWords(toWords(withoutTime(said)));
}

function readIso(said: string): SaidDay | undefined {
  const compact = /^(\d{4})(\d{2})(\d{2})$/.exec(said);
  const match = compact ??
    /^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[t ]+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(z|[+-]\d{2}:?\d{2}|[ap]\.?m)?)?$/
      .exec(said);
  if (!match) return undefined;
  const [year = "", month = "", day = ""] = compact
    ? match.slice(1)
    : [match[1], match[3], match[4]];
  const [time, offset] = compact ? [] : [match[5], match[6]];
  const date = `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
  if (!isDate(Number(year), Number(month), Number(day))) return {};
  return time !== undefined && offset !== undefined && !/^[ap]/.test(offset)
    ? { instant: `${date}T${time.padStart(5, "0")}${offset.toUpperCase()}` }
    : { date };
}

function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function readNumeric(said: string): SaidDay | undefined {
  const match = /^(\d{1,2})([/.-])(\d{1,2})(?:\2(\d{4}|\d{2}))?\.?$/.exec(said);
  // "1-2" could as well be a range.
  if (!match || match[2] === "-" && match[4] === undefined) return undefined;
  const [first, second] = [Number(match[1]), Number(match[3])];
  const year = match[4] === undefined ? {} : { year: Number(match[4].padStart(4, "20")) };
  const isOutside = (part: number) => part < 1 || part > 31;
  if (first > 12 && second > 12 || isOutside(first) || isOutside(second)) return {};
  if (first > 12) return { dayOfMonth: first, month: second, ...year };
  if (second > 12) return { dayOfMonth: second, month: first, ...year };
  return first === second
    ? { dayOfMonth: first, month: second, ...year }
    : { parts: [first, second], ...year };
}

const clock = String
  .raw`(?:\d{1,2}(?:[:.]\d{2})?|noon|midday|midnight|(?:${cardinals.slice(1, 13).join("|")}))`;
const timeOfDay = new RegExp(
  String
    .raw`\b(?:at|around|about|@) (?:half past |half |(?:a )?quarter (?:past|to) )?${clock}(?: (?:thirty|fifteen|forty[ -]five))?(?: ?(?:[ap]\.?m\b\.?|o'?clock))?(?= |$)|\b\d{1,2}(?:[:.]\d{2})? ?(?:[ap]\.?m\b\.?|o'?clock)|\b\d{1,2}:\d{2}\b|\b(?:noon|midday|midnight)\b`,
  "g",
);
const partOfDay =
  /\b(?:first thing|at night|(?:in the )?(?:(?:early|late) )?(?:mornings?|afternoons?|evenings?|nights?))\b/g;

/** Removes times and parts of the day, which have arguments of their own. */
function withoutTime(said: string): string {
  return said.replace(timeOfDay, " ").replace(
    /\btonight\b|\bthis (?=\w*(?:noon|ning)\b)/g,
    "today ",
  )
    .replace(partOfDay, " ").replace(/ +/g, " ").trim();
}

/** A number in a text: `14`, `the fourteenth`, `twenty-first`. */
interface Count {
  readonly value: number;
  readonly isOrdinal: boolean;
}
type Word = string | Count;

const fillers = new Set(
  ["", "on", "the", "of", "please", "at", "for", "maybe", "day", "date", "it's", "is"],
);

/** Splits a text into words without fillers, and joins words that form a number. */
function toWords(said: string): Word[] {
  const words = said.replace(/[-/.!?]/g, " ").split(/\s+/);
  return joinYears(joinTens(words)).filter((word) =>
    typeof word !== "string" || !fillers.has(word)
  );
}

function joinTens(words: readonly string[]): Word[] {
  const joined: Word[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const ten = tens.indexOf(word, 2);
    const next = ten < 0 ? undefined : readNumber(words[at + 1] ?? "");
    if (
      next !== undefined && next.value > 0 && next.value < 10 && /[a-z]/.test(words[at + 1] ?? "")
    ) {
      joined.push({ value: 10 * ten + next.value, isOrdinal: next.isOrdinal });
      at++;
    } else if (ten >= 0) joined.push({ value: 10 * ten, isOrdinal: false });
    else joined.push(readNumber(word) ?? word);
  }
  return joined;
}

function readNumber(word: string): Count | undefined {
  const [, digits, suffix] = /^(\d{1,4})(st|nd|rd|th)?$/.exec(word) ?? [];
  if (digits !== undefined) return { value: Number(digits), isOrdinal: suffix !== undefined };
  const lists = [{ list: cardinals, by: 1 }, { list: ordinals, by: 1 }, { list: tenths, by: 10 }];
  const found = lists.map(({ list, by }, index) => ({
    value: word === "" ? -1 : list.indexOf(word) * by,
    isOrdinal: index > 0,
  }));
  return found.find(({ value }) => value >= 0);
}

/** `twenty twenty-seven` and `two thousand (and) twenty-seven` are 2027. */
function joinYears(words: readonly Word[]): Word[] {
  const joined: Word[] = [];
  for (const word of words) {
    const before = joined.at(-1);
    const value = typeof word === "string" || word.isOrdinal ? undefined : word.value;
    if (word === "thousand" && typeof before === "object" && before.value === 2) {
      joined.splice(-1, 1, { value: 2000, isOrdinal: false });
    } else if (word === "and" && typeof before === "object" && before.value === 2000) continue;
    else if (
      value !== undefined && typeof before === "object" && !before.isOrdinal &&
      (before.value === 2000 && value < 100 || before.value === 20 && value > 19 && value < 100)
    ) {
      joined.splice(-1, 1, { value: 2000 + value, isOrdinal: false });
    } else joined.push(word);
  }
  return joined;
}

function readWords(words: readonly Word[]): SaidDay | undefined {
  return readAhead(words) ?? readDayOfMonth(words);
}

/** `tomorrow`, `in three days`, `a week from tomorrow`, `in a fortnight's time`. */
function readAhead(words: readonly Word[]): SaidDay | undefined {
  const text = write(words);
  switch (text) {
    case "today":
    case "now":
    case "asap":
    case "as soon as possible":
      return { daysAhead: 0 };
    case "tomorrow":
      return { daysAhead: 1 };
    case "after tomorrow":
      return { daysAhead: 2 };
    case "yesterday":
      return { daysAhead: -1 };
    case "next week":
      return { weekday: 1, next: true };
    case "week after next":
      return { weekday: 1, next: true, weeks: 1 };
  }
  const [, from, later] = /^(today|tomorrow) (week|fortnight)$/.exec(text) ?? [];
  if (from !== undefined && later !== undefined) {
    return { daysAhead: (from === "tomorrow" ? 1 : 0) + daysIn(later) };
  }
  const [, count, unit, start] = ahead.exec(text) ?? [];
  // "week" alone is not a day.
  const isCounted = count !== undefined || start !== undefined || unit === "fortnight";
  return unit !== undefined && isCounted
    ? { daysAhead: toCount(count) * daysIn(unit) + (start === "tomorrow" ? 1 : 0) }
    : undefined;
}

const span = String.raw`(an?|\d+|couple)? ?(days?|weeks?|fortnights?)`;
const ahead = new RegExp(
  `^(?:in )?${span}(?:'?s?'? time)?(?: ahead)?(?: (?:(?:from|after) )?(now|today|tomorrow))?$`,
);
const aheadOfWeekday = new RegExp(
  `^${span}(?: (?:from|after|this|coming|from this|after this|from next|after next))?$`,
);

function toCount(count: string | undefined): number {
  if (count === "couple") return 2;
  return count === undefined || /^an?$/.test(count) ? 1 : Number(count);
}

function daysIn(unit: string): number {
  if (unit.startsWith("fortnight")) return 14;
  return unit.startsWith("week") ? 7 : 1;
}

function write(words: readonly Word[]): string {
  return words.map((word) => typeof word === "string" ? word : String(word.value)).join(" ")
    .replace(/\ba couple\b/, "couple");
}

/** `14th`, `1 december`, `december 1st 2026`, `14th of next month`. */
function readDayOfMonth(words: readonly Word[]): SaidDay | undefined {
  const month = words.map((word) => nameOf(word, months)).find((found) => found !== undefined);
  const [, which] = /\b(this|next) month$/.exec(write(words)) ?? [];
  const rest = words.filter((word) =>
    nameOf(word, months) === undefined && !(which && (word === which || word === "month"))
  );
  const numbers = rest.filter((word) => typeof word === "object");
  const [day, year, ...more] = numbers;
  if (numbers.length < rest.length || day === undefined || more.length > 0) return undefined;
  if (day.value > 99 || year !== undefined && (year.value < 1000 || year.isOrdinal)) {
    return undefined;
  }
  // A bare "14" is not a day unless a month is named.
  if (month === undefined && !which && (!day.isOrdinal || year !== undefined)) return undefined;
  if (day.value < 1 || day.value > 31 || month !== undefined && which) return {};
  return {
    dayOfMonth: day.value,
    ...(month === undefined ? {} : { month: month + 1 }),
    ...(year === undefined ? {} : { year: year.value }),
    ...(which ? { monthsAhead: which === "next" ? 1 : 0 } : {}),
  };
}

/** `next Tuesday`, `a week from Monday`, `Friday week`, `Tuesday the 19th`, `Mon 2027-01-18`. */
function readWithWeekday(said: string): SaidDay | undefined {
  const words = said.split(" ").map((word) => word.replace(/^[-/]|[-/.!?]$/g, ""));
  const named = words.map((word) => nameOf(word, weekdays));
  const found = new Set(named.filter((weekday) => weekday !== undefined));
  const [weekday, ...others] = found;
  if (weekday === undefined || others.length > 0) return undefined;
  const before = words.slice(0, named.indexOf(weekday));
  // "the second Tuesday" is not the 2nd of a month.
  if (/^(?:[1-5](?:st|nd|rd|th)|first|second|third|fourth|fifth|last)$/.test(before.at(-1) ?? "")) {
    return undefined;
  }
  const rest = words.filter((_, index) => named[index] === undefined);
  const plain = rest.filter((word) => !/^(?:next|this|coming)$/.test(word)).join(" ");
  return readCounted(weekday, write(toWords(rest.join(" "))), before) ??
    readBeside(weekday, plain);
}

/** Reads a weekday that says how far ahead it is. */
function readCounted(
  weekday: number,
  text: string,
  before: readonly string[],
): SaidDay | undefined {
  switch (text) {
    case "":
    case "this":
    case "coming":
    case "this coming":
    case "this week":
      return { weekday, next: false };
    case "next":
      return before.includes("next") ? { weekday, next: true } : undefined;
    case "next week":
      // "next Friday week" can mean two days.
      return before.at(-1) === "next" ? undefined : { weekday, next: true };
    case "week after next":
      return { weekday, next: true, weeks: 1 };
    case "week":
      return { weekday, next: false, weeks: 1 };
    case "fortnight":
      return { weekday, next: false, weeks: 2 };
  }
  const [, count, unit = ""] = aheadOfWeekday.exec(text) ?? [];
  const isAhead = /^(?:week|fortnight)/.test(unit) && before.some((word) => unit === word);
  return isAhead
    ? { weekday, next: before.includes("next"), weeks: toCount(count) * daysIn(unit) / 7 }
    : undefined;
}

/** Reads a date next to a weekday. */
function readBeside(weekday: number, rest: string): SaidDay | undefined {
  const date = readDate(rest.replace(/ an?$/, ""));
  if (date !== undefined && isDated(date)) return { ...date, weekday };
  // "Tuesday 19" is a date, while "Tuesday 10" could be a time of day.
  const [, day] = /^(?:the )?(\d{2})$/.exec(rest) ?? [];
  const dayOfMonth = Number(day);
  return dayOfMonth > 12 && dayOfMonth < 32 ? { dayOfMonth, weekday } : undefined;
}

function isDated(day: SaidDay): day is SaidDate {
  return Object.keys(day).length > 0 && !("next" in day);
}

/** The index of a name that is written in full or by its first letters, at least three. */
function nameOf(word: Word, names: readonly string[]): number | undefined {
  if (typeof word !== "string" || !/^[a-z]{3,}$/.test(word)) return undefined;
  const said = word === "weds" ? "wed" : word;
  const at = names.findIndex((name) => name.startsWith(said));
  return at < 0 ? undefined : at;
}
