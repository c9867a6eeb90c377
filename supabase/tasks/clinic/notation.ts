/**
 * The notations for hours, days and absences in a clinic's file: `09:00-17:30`, `monday-friday`,
 * `2026-08-03 to 2026-08-14`.
 *
 * Each notation has a reader, which says what is wrong and what to write instead, and a writer whose
 * text the reader can read.
 *
 * @module
 */

import type { Absence, DayRange } from "./document.ts";

/** The meaning of a text, or what is wrong with it. */
export type Reading<Value> = { readonly value: Value } | { readonly problem: string };

/** A part of a day in local minutes. Above 1440 is the next day. */
export interface Window {
  readonly startMin: number;
  readonly endMin: number;
}

const dayMinutes = 1440;

/** Reads `09:00-12:30, 14:00-18:00` or `22:00-06:00 next day`. */
export function readWindows(text: string): Reading<readonly Window[]> {
  const windows: Window[] = [];
  for (const part of text.split(",")) {
    const read = readWindow(part.trim());
    if ("problem" in read) return read;
    windows.push(read.value);
  }
  return { value: windows };
}

function readWindow(text: string): Reading<Window> {
  const [, start, end, next] = /^(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})(\s+next day)?$/.exec(text) ??
    [];
  const startMin = readClock(start);
  const endMin = readClock(end);
  if (startMin === undefined || endMin === undefined || startMin === dayMinutes) {
    return { problem: `"${text}" is not a time of day; write it as 09:00-17:30` };
  }
  if (next) {
    return endMin <= startMin
      ? { value: { startMin, endMin: endMin + dayMinutes } }
      : { problem: `"${text}" is longer than a day; leave out "next day" or end it earlier` };
  }
  if (endMin > startMin) return { value: { startMin, endMin } };
  return {
    problem: `"${text}" ends before it begins; write "${text} next day" if it runs past midnight`,
  };
}

/** The minutes from midnight of `9:05`; at most those of `24:00`. */
export function readClock(text: string | undefined): number | undefined {
  const [hours = NaN, minutes = NaN] = text?.split(":").map(Number) ?? [];
  const total = hours * 60 + minutes;
  return minutes < 60 && total <= dayMinutes ? total : undefined;
}

/** Writes windows: `09:00-12:30, 14:00-18:00`. */
export function writeWindows(windows: readonly Window[]): string {
  return windows.map(({ startMin, endMin }) =>
    endMin > dayMinutes
      ? `${writeClock(startMin)}-${writeClock(endMin - dayMinutes)} next day`
      : `${writeClock(startMin)}-${writeClock(endMin)}`
  ).join(", ");
}

/** Writes `09:05`. */
export function writeClock(minutes: number): string {
  const padded = (value: number) => String(value).padStart(2, "0");
  return `${padded(Math.floor(minutes / 60))}:${padded(minutes % 60)}`;
}

/** In the order of a working week. The database counts from Sunday. */
const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const dowOf = (index: number) => (index + 1) % 7;

/** Reads `monday`, `monday-friday` or `monday, wednesday` as days of the week, 0 is Sunday. */
export function readWeekdays(text: string): Reading<readonly number[]> {
  const days: number[] = [];
  for (const part of text.toLowerCase().split(",")) {
    const [first = "", last = first] = part.split("-").map((name) => name.trim());
    const from = weekdays.indexOf(first);
    const to = weekdays.indexOf(last);
    if (from < 0 || to < 0) {
      return {
        problem: `"${text}" is not a day of the week; write monday, monday-friday ` +
          "or monday, wednesday",
      };
    }
    // "saturday-monday" continues into the next week.
    const count = (to - from + 7) % 7 + 1;
    days.push(...Array.from({ length: count }, (_, index) => dowOf((from + index) % 7)));
  }
  return { value: days };
}

/**
 * Writes the hours of a week as keys and texts. Days with equal hours share a key.
 *
 * @param hours In any order.
 */
export function writeWeek(
  hours: readonly (Window & { readonly dow: number })[],
): Record<string, string> {
  const texts = weekdays.map((_, index) =>
    writeWindows(
      hours.filter(({ dow }) => dow === dowOf(index)).sort((a, b) => a.startMin - b.startMin),
    )
  );
  const week: Record<string, string> = {};
  for (let first = 0; first < texts.length;) {
    let last = first;
    while (texts[last + 1] === texts[first]) last++;
    const text = texts[first];
    const key = first === last ? weekdays[first] : `${weekdays[first]}-${weekdays[last]}`;
    if (text && key) week[key] = text;
    first = last + 1;
  }
  return week;
}

/** Whether a text is an existing day. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text) && text >= "0001";
}

/** The day a number of days later. */
function addDays(day: string, count: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + count * 86_400_000).toISOString().slice(0, 10);
}

const dayProblem = (text: string) => `"${text}" is not a day; write it as 2026-12-25`;

/** Reads `2026-12-25` or `2026-12-25 to 2026-12-31`. */
export function readDays(text: string): Reading<DayRange> {
  const [first = "", last = first, ...more] = text.split(/\s+to\s+/).map((part) => part.trim());
  const wrong = [first, last].find((part) => !isDay(part));
  if (wrong !== undefined || more.length > 0) {
    return { problem: dayProblem(more.length > 0 ? text : wrong ?? text) };
  }
  return first <= last
    ? { value: { first, last } }
    : { problem: `"${text}" ends before it begins` };
}

/** Writes days. */
export function writeDays({ first, last }: DayRange): string {
  return first === last ? first : `${first} to ${last}`;
}

const absenceHelp = "write 2026-08-03, 2026-08-03 to 2026-08-14, 2026-08-03 14:00-16:00, " +
  "2026-08-03 14:00 to 2026-08-05 12:00 or from 2026-08-03";

const always = "always";

/**
 * Reads an absence: whole days, hours of a day, from one moment to another, or without an end. When
 * clocks go back, a moment can have an offset: `2026-10-25 01:30+00:00`.
 */
export function readAbsence(text: string): Reading<Absence> {
  if (text === always) return { value: { from: null, to: null } };
  const [, day = "", window = ""] = /^(\S+)\s+(\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2})$/.exec(text) ??
    [];
  if (day) {
    const hours = readWindow(window);
    if ("problem" in hours) return hours;
    if (!isDay(day)) return { problem: dayProblem(day) };
    const { startMin, endMin } = hours.value;
    return { value: { from: localTime(day, startMin), to: localTime(day, endMin) } };
  }
  const [, onlyFrom] = /^from\s+(.+)$/.exec(text) ?? [];
  const [, onlyTo] = /^until\s+(.+)$/.exec(text) ?? [];
  const [first = "", last = first, ...more] = text.split(/\s+to\s+/);
  const from = onlyTo === undefined ? readMoment(onlyFrom ?? first, false) : null;
  const to = onlyFrom === undefined ? readMoment(onlyTo ?? last, true) : null;
  const isMoment = first === last && /\d:\d/.test(first);
  if (from === undefined || to === undefined || more.length > 0 || onlyFrom && onlyTo || isMoment) {
    return { problem: `"${text}" is not an absence; ${absenceHelp}` };
  }
  // With offsets, what looks reversed may not be. Then the database decides.
  const isReversed = from?.length === 16 && to?.length === 16 && to <= from;
  return isReversed ? { problem: `"${text}" ends before it begins` } : { value: { from, to } };
}

function localTime(day: string, minutes: number): string {
  return minutes === dayMinutes ? `${addDays(day, 1)}T00:00` : `${day}T${writeClock(minutes)}`;
}

/** `2026-08-03` or `2026-08-03 14:00` as a local time. A day without a time ends with that day. */
function readMoment(text: string, isEnd: boolean): string | undefined {
  const [, day = "", clock, seconds = "", offset = ""] =
    /^(\S{10})(?:[ T](\d{1,2}:\d{2})(:\d{2})?([+-]\d{2}:\d{2})?)?$/.exec(text.trim()) ?? [];
  if (!isDay(day)) return undefined;
  if (clock === undefined) return localTime(day, isEnd ? dayMinutes : 0);
  const minutes = readClock(clock);
  if (minutes === undefined) return undefined;
  return localTime(day, minutes) + seconds + offset;
}

/** Writes an absence. */
export function writeAbsence({ from, to }: Absence): string {
  if (from === null && to === null) return always;
  if (to === null) return `from ${from === null ? "" : writeStart(from)}`;
  const last = isMidnight(to) ? addDays(to.slice(0, 10), -1) : undefined;
  if (from === null) return `until ${last ?? writeMoment(to)}`;
  const first = from.slice(0, 10);
  if (last !== undefined && isMidnight(from)) return writeDays({ first, last });
  const isOneDay = from.length === 16 && to.length === 16 && first === (last ?? to.slice(0, 10));
  return isOneDay
    ? `${writeMoment(from)}-${last === undefined ? to.slice(11) : "24:00"}`
    : `${writeMoment(from)} to ${writeMoment(to)}`;
}

const isMidnight = (local: string) => local.length === 16 && local.endsWith("T00:00");
const writeStart = (local: string) => isMidnight(local) ? local.slice(0, 10) : writeMoment(local);
const writeMoment = (local: string) => local.replace("T", " ");
