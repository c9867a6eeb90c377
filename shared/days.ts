/**
 * Days the way callers and models write them. What depends on the clinic (its today, the order of day
 * and month) is left to the database, which knows it in the same round trip.
 *
 * @module
 */

import { z } from "zod";

/** A day as it was said, for `private.resolve_day`; an empty one could not be read. */
export type SaidDay =
  | { readonly date: string }
  /** ISO 8601 with an offset: the clinic-local day of that instant. */
  | { readonly instant: string }
  | { readonly daysAhead: number }
  /** 0 is Sunday; `next` is the one of the next calendar week. */
  | { readonly weekday: number; readonly next: boolean }
  | { readonly dayOfMonth: number; readonly month?: number; readonly year?: number }
  /** `12/01/2026`: day and month in the clinic's order. */
  | { readonly parts: readonly [number, number]; readonly year?: number }
  | Readonly<Record<string, never>>;

const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const months = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
const counts = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
];

/** An argument that is a day; whether it can be read is decided where the clinic's today is known. */
export const saidDay = (message: string) =>
  z.preprocess((given) => {
    if (typeof given === "number") return String(given);
    return typeof given === "string" ? given.slice(0, 80) : given;
  }, z.string(message));

/** Reads a day: `2026-12-1`, `20261201`, `12/01/2026`, `tomorrow`, `next Tuesday`, `the 14th`, `1 December`. */
export function readDay(text: string): SaidDay {
  const said = text.trim();
  return readIso(said) ?? readNumeric(said) ?? readWords(said) ?? {};
}

function readIso(said: string): SaidDay | undefined {
  const compact = /^(\d{4})(\d{2})(\d{2})$/.exec(said);
  const match = compact ??
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?$/i
      .exec(said);
  if (!match) return undefined;
  const [, year = "", month = "", day = "", time, offset] = match;
  const date = `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
  if (!isDate(Number(year), Number(month), Number(day))) return {};
  return time !== undefined && offset !== undefined
    ? { instant: `${date}T${time.padStart(5, "0")}${offset.toUpperCase()}` }
    : { date };
}

function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function readNumeric(said: string): SaidDay | undefined {
  const match = /^(\d{1,2})[/.](\d{1,2})(?:[/.](\d{4}|\d{2}))?\.?$/.exec(said);
  if (!match) return undefined;
  const [first, second] = [Number(match[1]), Number(match[2])];
  const year = match[3] === undefined ? {} : { year: Number(match[3].padStart(4, "20")) };
  const isOutside = (part: number) => part < 1 || part > 31;
  if (first > 12 && second > 12 || isOutside(first) || isOutside(second)) return {};
  if (first > 12) return { dayOfMonth: first, month: second, ...year };
  if (second > 12) return { dayOfMonth: second, month: first, ...year };
  return first === second
    ? { dayOfMonth: first, month: second, ...year }
    : { parts: [first, second], ...year };
}

function readWords(said: string): SaidDay | undefined {
  const words = said.toLowerCase().replace(/[,.!]/g, " ").split(/\s+/)
    .filter((word) => !fillers.has(word));
  const text = words.join(" ");
  return readAhead(text) ?? readDayOfMonth(words) ?? readWeekday(words);
}

const fillers = new Set(
  ["", "on", "the", "of", "please", "morning", "afternoon", "evening", "at", "for", "maybe"],
);

function readAhead(text: string): SaidDay | undefined {
  switch (text) {
    case "today":
    case "now":
    case "asap":
    case "as soon as possible":
      return { daysAhead: 0 };
    case "tomorrow":
      return { daysAhead: 1 };
    case "day after tomorrow":
      return { daysAhead: 2 };
    case "yesterday":
      return { daysAhead: -1 };
    case "next week":
      return { weekday: 1, next: true };
  }
  const match = /^(?:in )?(an?|\d{1,2}|[a-z]+) (day|week)s?(?: from (?:now|today)| ahead)?$/.exec(
    text,
  );
  const count = /^an?$/.test(match?.[1] ?? "") ? 1 : readCount(match?.[1] ?? "");
  return match && count !== undefined
    ? { daysAhead: count * (match[2] === "week" ? 7 : 1) }
    : undefined;
}

function readCount(word: string): number | undefined {
  if (/^\d{1,2}$/.test(word)) return Number(word);
  const count = counts.indexOf(word);
  return count < 0 ? undefined : count;
}

/** `14th`, `1 december`, `december 1st 2026`; a weekday beside it is not looked at. */
function readDayOfMonth(words: readonly string[]): SaidDay | undefined {
  const rest = words.filter((word) => nameOf(word, weekdays) === undefined);
  const month = rest.map((word) => nameOf(word, months)).find((found) => found !== undefined);
  const numbers = rest.filter((word) => nameOf(word, months) === undefined);
  const [day, year, ...more] = numbers.map((word) => /^(\d{1,4})(?:st|nd|rd|th)?$/.exec(word)?.[1]);
  const isOrdinal = /\D/.test(numbers[0] ?? "");
  if (day === undefined || day.length > 2 || more.length > 0) return undefined;
  if (year !== undefined && year.length !== 4 || numbers.length > 1 && year === undefined) {
    return undefined;
  }
  // A bare "14" is no day unless a month is named.
  if (month === undefined && (!isOrdinal || year !== undefined)) return undefined;
  const dayOfMonth = Number(day);
  if (dayOfMonth < 1 || dayOfMonth > 31) return {};
  return {
    dayOfMonth,
    ...(month === undefined ? {} : { month: month + 1 }),
    ...(year === undefined ? {} : { year: Number(year) }),
  };
}

function readWeekday(words: readonly string[]): SaidDay | undefined {
  const [first = "", second, ...more] = words;
  const isPrefixed = ["next", "this", "coming"].includes(first);
  const weekday = nameOf(isPrefixed ? second ?? "" : first, weekdays);
  const surplus = isPrefixed ? more : words.slice(1);
  return weekday === undefined || surplus.length > 0
    ? undefined
    : { weekday, next: first === "next" };
}

/** The place of a name, whole or by its first three letters or more. */
function nameOf(word: string, names: readonly string[]): number | undefined {
  if (!/^[a-z]{3,}$/.test(word)) return undefined;
  const at = names.findIndex((name) => name.startsWith(word));
  return at < 0 ? undefined : at;
}
