/**
 * What a doctor's day looks like: when it is open, and where each appointment is drawn. All minutes are
 * local ones of that day, from 0 to 1440.
 *
 * @module
 */

import { addDays, type Day, minuteOf, type Moment, weekdayOf } from "../../page/app/clinic_time.ts";

/** From one minute of a day to another, half open. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Weekly hours; `until` is the first day on which they no longer hold. */
export interface WeeklyHours {
  readonly providerId: string;
  readonly dow: number;
  readonly startMin: number;
  readonly endMin: number;
  readonly from: Day | null;
  readonly until: Day | null;
}

/** The hours of one day, in place of the weekly ones; null minutes mean a day off. */
export interface DayHours {
  readonly providerId: string;
  readonly day: Day;
  readonly startMin: number | null;
  readonly endMin: number | null;
}

/** An absence; a missing beginning or end is infinite. */
export interface Absence {
  readonly id: string;
  readonly providerId: string;
  readonly from: Moment;
  readonly to: Moment;
}

/** Days on which the clinic is closed; `until` is the first day after them. */
export interface ClosedDays {
  readonly from: Day;
  readonly until: Day;
}

/** When the doctors of a clinic work. */
export interface Schedule {
  readonly zone: string;
  readonly weekly: readonly WeeklyHours[];
  readonly days: readonly DayHours[];
  readonly absences: readonly Absence[];
  readonly closed: readonly ClosedDays[];
}

/** Whether the whole clinic is closed on a day. */
export const isClosed = ({ closed }: Schedule, day: Day): boolean =>
  closed.some(({ from, until }) => day >= from && day < until);

/** The hours that begin on a day. They may end after midnight. */
function hoursOf(schedule: Schedule, providerId: string, day: Day): Stretch[] {
  if (isClosed(schedule, day)) return [];
  const own = schedule.days.filter((one) => one.providerId === providerId && one.day === day);
  if (own.length > 0) {
    return own.flatMap(({ startMin, endMin }) =>
      startMin === null || endMin === null ? [] : [{ from: startMin, to: endMin }]
    );
  }
  return schedule.weekly
    .filter((one) =>
      one.providerId === providerId && one.dow === weekdayOf(day) &&
      (one.from === null || day >= one.from) && (one.until === null || day < one.until)
    )
    .map(({ startMin, endMin }) => ({ from: startMin, to: endMin }));
}

const clip = ({ from, to }: Stretch): Stretch => ({
  from: Math.max(from, 0),
  to: Math.min(to, 1440),
});

const isSome = ({ from, to }: Stretch): boolean => from < to;

/** Stretches in order; those that touch or overlap become one. */
function join(stretches: readonly Stretch[]): Stretch[] {
  const joined: { from: number; to: number }[] = [];
  for (const { from, to } of stretches.filter(isSome).toSorted((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else joined.push({ from, to });
  }
  return joined;
}

/** What is left of some stretches without others. */
export function without(stretches: readonly Stretch[], taken: readonly Stretch[]): Stretch[] {
  return join(taken).reduce<Stretch[]>(
    (left, hole) =>
      left.flatMap(({ from, to }) =>
        [{ from, to: Math.min(to, hole.from) }, { from: Math.max(from, hole.to), to }]
          .filter(isSome)
      ),
    join(stretches),
  );
}

/** The part of a day that lies between two moments. */
export function stretchOf(from: Moment, to: Moment, zone: string, day: Day): Stretch {
  const minute = (at: Moment) =>
    at === -Infinity ? 0 : at === Infinity ? 1440 : minuteOf(at, zone, day);
  return clip({ from: minute(from), to: minute(to) });
}

/** When a doctor works on a day, also in hours that began the day before. */
export function workOf(schedule: Schedule, providerId: string, day: Day): Stretch[] {
  const before = hoursOf(schedule, providerId, addDays(day, -1))
    .map(({ from, to }) => ({ from: from - 1440, to: to - 1440 }));
  const away = schedule.absences
    .filter((one) => one.providerId === providerId)
    .map(({ from, to }) => stretchOf(from, to, schedule.zone, day));
  const hours = [...before, ...hoursOf(schedule, providerId, day)].map(clip);
  return without(hours, away);
}

/** Something drawn in a column: its lane, and how many lanes there are side by side. */
export interface Placed<Entry> {
  readonly entry: Entry;
  readonly lane: number;
  readonly lanes: number;
}

/** Gives overlapping entries, such as the seats of a group session, lanes side by side. */
export function place<Entry extends Stretch>(entries: readonly Entry[]): Placed<Entry>[] {
  const placed: Placed<Entry>[] = [];
  let group: { entry: Entry; lane: number }[] = [];
  let ends: number[] = [];
  const close = () => {
    for (const { entry, lane } of group) placed.push({ entry, lane, lanes: ends.length });
    [group, ends] = [[], []];
  };
  for (const entry of entries.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
    if (ends.every((end) => end <= entry.from)) close();
    const free = ends.findIndex((end) => end <= entry.from);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = entry.to;
    group.push({ entry, lane });
  }
  close();
  return placed;
}

/** The hours that a calendar shows, whole ones: those in which something is open or booked. */
export function shownHours(stretches: readonly Stretch[]): Stretch {
  const some = stretches.filter(isSome);
  if (some.length === 0) return { from: 9 * 60, to: 17 * 60 };
  return {
    from: Math.floor(Math.min(...some.map(({ from }) => from)) / 60) * 60,
    to: Math.ceil(Math.max(...some.map(({ to }) => to)) / 60) * 60,
  };
}
