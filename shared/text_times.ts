/**
 * Times in texts, in the language of the text and in the alphabet of GSM-7.
 *
 * @module
 */

import { toGsmText } from "./gsm.ts";
import { sayClock, sayDay, sayList, sayTime } from "./speech.ts";

/** Longer than any date in words. */
const longestTime = 80;

function format(isoLocal: string, language: string, options: Intl.DateTimeFormatOptions): string {
  const at = new Date(`${isoLocal.slice(0, 19)}Z`);
  return new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" }).format(at);
}

const day = { weekday: "long", day: "numeric", month: "long" } as const;
const clock = { hour: "numeric", minute: "2-digit" } as const;

/**
 * A clinic-local time: `Tuesday 3 March at 2:30 PM`, `Dienstag, 3. März um 14:30 Uhr`.
 *
 * @param isoLocal ISO 8601 local time; an offset is ignored.
 */
export function writeTime(isoLocal: string, language: string): string {
  if (language === "en") return sayTime(isoLocal);
  const [date, time] = [format(isoLocal, language, day), format(isoLocal, language, clock)];
  return toGsmText(language === "de" ? `${date} um ${time} Uhr` : `${date}, ${time}`, longestTime);
}

/** A shorter time, for one of several: `Tuesday 3 March 2:30 PM`. */
export function writeShortTime(isoLocal: string, language: string): string {
  if (language === "en") return `${sayDay(isoLocal)} ${sayClock(isoLocal)}`;
  return toGsmText(
    `${format(isoLocal, language, day)} ${format(isoLocal, language, clock)}`,
    longestTime,
  );
}

/** `a, b and c`. */
export function writeList(items: readonly string[], language: string): string {
  if (language === "en") return sayList(items, "and");
  return toGsmText(
    new Intl.ListFormat(language, { type: "conjunction" }).format(items),
    longestTime * items.length,
  );
}
