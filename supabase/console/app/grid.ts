/**
 * A day's book as a table: a row for each start, a column for each doctor.
 *
 * @module
 */

import type { Book, BookedTime, OpenTime } from "../book.ts";

/** What a doctor has at a time. */
export type Cell =
  | { readonly kind: "open"; readonly open: OpenTime }
  | { readonly kind: "booked"; readonly booked: BookedTime; readonly isStart: boolean }
  | { readonly kind: "closed" };

/** A row of the table. */
export interface Row {
  /** Local minutes from midnight. */
  readonly from: number;
  /** In the order of the doctors. */
  readonly cells: readonly Cell[];
}

/**
 * The rows from the first open or booked time to the last.
 *
 * @param now A hold that has expired by then is no longer shown; milliseconds since 1970.
 */
export function rowsOf({ doctors, open, booked, service: { step } }: Book, now: number): Row[] {
  const live = booked.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
  const starts = [...open, ...live].map(({ from }) => from);
  if (starts.length === 0) return [];
  const first = Math.floor(Math.min(...starts) / step) * step;
  const last = Math.max(...open.map(({ from }) => from + step), ...live.map(({ to }) => to));
  const count = Math.max(1, Math.ceil((last - first) / step));
  return Array.from({ length: count }, (_, place) => {
    const from = first + place * step;
    return { from, cells: doctors.map(({ slug }) => cellOf(slug, from, step, open, live)) };
  });
}

function cellOf(
  doctor: string,
  from: number,
  step: number,
  open: readonly OpenTime[],
  live: readonly BookedTime[],
): Cell {
  const booked = live.find((one) =>
    one.doctor === doctor && one.from < from + step && one.to > from
  );
  if (booked) return { kind: "booked", booked, isStart: booked.from >= from };
  const free = open.find((one) =>
    one.doctor === doctor && one.from >= from && one.from < from + step
  );
  return free ? { kind: "open", open: free } : { kind: "closed" };
}
