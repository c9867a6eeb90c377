/**
 * Times of day as callers and models write them. The database decides which half of the day "2:30"
 * means: the one in which there is an appointment.
 *
 * @module
 */

import { cardinals, readDay } from "./days.ts";
import { toEnglish } from "./german.ts";

/** A time as it was said, for `private.is_said_time`. */
export type SaidTime =
  /** `HH:MM`. Each may be meant, at the clinic or where clocks have the offset `+HH:MM`. */
  | { readonly times: readonly string[]; readonly offset?: string }
  /** ISO 8601 with a date and an offset. */
  | { readonly instant: string };

/** Minutes from midnight, each of which may be meant. */
type Minutes = readonly number[];

const clock = String.raw`\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?`;
const offset = String.raw`z|utc|gmt|[+-](?:0\d|1[0-4]):?[0-5]\d`;
const half =
  /\b(am|pm|(?:in the |at |this |tomorrow )?(?:late |early )?(?:morning|afternoon|evening|night|tonight))\b/;

/**
 * Reads the time at which something starts: `14:30`, `2:30`, `half past two`, `2 PM`, `9 at night`,
 * `14:30 - 15:00`, `1430`, `noon`, `2027-01-11T14:30:00Z`, `Monday 11 January at 2:30 PM`.
 *
 * @returns Undefined when it is not one time.
 */
export function readTime(text: string): SaidTime | undefined {
  const written = toDigits(
    toEnglish(text.slice(0, 120)).normalize("NFKC").toLowerCase().replace(/[–—−]/g, "-").replace(
      /’/g,
      "'",
    )
      .replace(/(^|[\d ])([ap])\.? ?m\b\.?/g, "$1 $2m").replace(/(\d)([ap])\b/g, "$1 $2m")
      .replace(hyphen, " ").replace(/[\s,]+/g, " ").replace(/[.!? ]+$/, "").trim(),
  );
  const said = written.replace(/^t(?=\d)/, "");
  return readIso(said) ?? readOffset(written) ?? toTimes(readStartOrRange(said));
}

/** "10 to 11" can mean 10:50 or 10:00 to 11:00. Both starts may be meant. */
function readStartOrRange(said: string): Minutes | undefined {
  const start = readStart(said);
  if (start !== undefined && !/(?:^| )(?:5|10) (?:to|till) \d/.test(said)) return start;
  const range = readRange(said);
  return start && range ? [...new Set([...start, ...range])] : start ?? range;
}

function toTimes(minutes: Minutes | undefined, zone?: string): SaidTime | undefined {
  if (minutes === undefined) return undefined;
  const write = (part: number) => String(part).padStart(2, "0");
  const times = minutes.map((at) => `${write(Math.floor(at / 60))}:${write(at % 60)}`);
  return zone === undefined ? { times } : { times, offset: toOffset(zone) };
}

function toOffset(zone: string): string {
  return /^[+-]/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(-2)}` : "+00:00";
}

/** A date with a time, and perhaps the end after a slash or a dash. */
function readIso(said: string): SaidTime | undefined {
  const match = new RegExp(
    String.raw`^(\d{4})-(\d{1,2})-(\d{1,2})[t ](${clock}) ?(${offset})?(?: ?(?:/| - ).*)?$`,
  ).exec(said);
  if (!match) return undefined;
  const [, year = "", month = "", day = "", time = "", zone] = match;
  if (zone === undefined) return toTimes(readClock(time));
  const instant = `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}T` +
    `${time.replace(/^\d:/, "0$&")}${toOffset(zone)}`;
  return Number.isNaN(Date.parse(instant)) ? undefined : { instant };
}

/** A time with an offset and no date, in 24 hours, where clocks have that offset. */
function readOffset(said: string): SaidTime | undefined {
  const [, iso, time = "", zone = ""] = new RegExp(`^(t)?(${clock}) ?(${offset})$`).exec(said) ??
    [];
  const from = time.padStart(5, "0");
  // "10:30-11:00" is a range, and so is "11:30-01:00". "14:30-05:00" is a time in New York.
  const isRange = iso === undefined && zone.startsWith("-") && time.length <= 5 &&
    (zone.slice(1) > from || from < "13");
  const minutes = isRange ? undefined : readClock(time)?.slice(0, 1);
  return toTimes(minutes, zone);
}

/** The start of `14:30 - 15:00`, `from 2 to 3 PM`, `between 2 and 3`. The end tells AM from PM. */
function readRange(said: string): Minutes | undefined {
  // Without "between", "9 and 2:30" are two times.
  const [, start = "", end = ""] = /^between (.+?) and (.+)$/.exec(said) ??
    /^(?:from |between )?(.+?) ?(?:-|\bto\b|\b(?:un)?till?\b) ?(.+)$/.exec(said) ?? [];
  const [starts, ends] = [readStart(start), readStart(end)];
  if (starts === undefined || ends === undefined) return undefined;
  const before = starts.filter((at) => at < Math.min(...ends));
  return ends.length === 1 && before.length > 0 ? before.slice(-1) : starts;
}

const loose = /\b(?:around|about|exactly|sharp|o'?clock|hours|hrs|or so|please)\b/g;

function tidy(text: string): string {
  return text.replace(/ +/g, " ").trim();
}

/** One time, possibly after a day: `tuesday at 2:30 in the afternoon`. */
function readStart(said: string): Minutes | undefined {
  const part = half.exec(said)?.[1];
  const whole = tidy(said.replace(half, " ").replace(loose, ""));
  const [, before = "", text = ""] = /^(?:(.*)(?:\bat\b|@))? ?(.*)$/.exec(whole) ?? [];
  if (!isOnlyDay(before)) return undefined;
  const minutes = readNoon(text) ?? readClock(text) ?? readPast(text) ?? readOnly(text);
  if (minutes === undefined || part === undefined) return minutes;
  const meant = minutes.filter((at) => isInHalf(at, part));
  return meant.length > 0 ? meant : undefined;
}

function isInHalf(minutes: number, part: string): boolean {
  if (/am|morning/.test(part)) return minutes < 720;
  return /night/.test(part) ? minutes >= 18 * 60 || minutes < 6 * 60 : minutes >= 720;
}

function readNoon(text: string): Minutes | undefined {
  if (/^(?:12 )?(?:noon|midday)$/.test(text)) return [720];
  return /^(?:12 )?midnight$/.test(text) ? [0] : undefined;
}

/** `14:30`, `2:30`, `14.30`, `14h30`, `1430`, `2`. */
function readClock(text: string): Minutes | undefined {
  const [, hour, minute = "0"] =
    /^(\d{1,2})(?:[:.h ](\d{2})(?::\d{2}(?:\.\d+)?)?|h)?$/.exec(text) ??
      /^(\d{1,2})(\d{2})$/.exec(text) ?? [];
  return hour === undefined ? undefined : inHalves(Number(hour), Number(minute));
}

/** An hour up to 12 can be in either half of the day. */
function inHalves(hour: number, minute: number): Minutes | undefined {
  if (hour > 24 || minute > 59 || hour === 24 && minute > 0) return undefined;
  const at = 60 * (hour % 24) + minute;
  if (hour < 1 || hour > 12) return [at];
  return hour === 12 ? [minute, at] : [at, at + 720];
}

/** `half past 2`, `half 2`, `quarter to 3`, `10 after 2`. */
function readPast(text: string): Minutes | undefined {
  const [, part = "", unit, direction = "", hour = ""] =
    /^(?:a )?(quarter|half|\d{1,2})( minutes?)? (past|after|to|of|before|till) (\d{1,2})$/
      .exec(text.replace(/^half (?=\d)/, "half past ")) ?? [];
  const minute = part === "half" ? 30 : part === "quarter" ? 15 : Number(part);
  if (hour === "" || minute > 59) return undefined;
  if (direction === "past" || direction === "after") return inHalves(Number(hour), minute);
  // "2 to 3" and "14 to 15" are ranges: nobody says these numbers of minutes or these hours.
  const isCounted = unit !== undefined || minute > 12 || minute % 5 === 0;
  if (/^to|^till/.test(direction) && !(isCounted && Number(hour) <= 12)) return undefined;
  return inHalves((Number(hour) + 11) % 12 || 12, 60 - minute);
}

/** The only time in a text that says nothing else but a day and "the appointment". */
function readOnly(text: string): Minutes | undefined {
  const [found, ...more] = text.matchAll(/(?<=^|\s)\d{1,2}[:.]\d{2}(?=$|\s)/g);
  if (found === undefined || more.length > 0) return undefined;
  return isOnlyDay(text.replace(found[0], " ")) ? readClock(found[0]) : undefined;
}

/** A second time next to a day. readDay() would ignore it. */
const otherTime = /\d:\d|\b(?:at|[ap]m|noon|midday|midnight)\b|@/;
// The number belongs to "the one at 2:30".
const ofAppointment =
  /\b(?:(?:the|that) 1|the|that|my|an?|appointment|booking|visit|slot|it'?s|is|starts|i have|for|on|with (?:dr\b\.?|doctor) [a-z'-]+)(?= |$)/g;

/**
 * Whether the words next to a time only name its day and the appointment. Any other word could change
 * the meaning, as "not", "or", "before" and "instead of" do. In that case it is better to ask.
 */
function isOnlyDay(text: string): boolean {
  if (otherTime.test(text)) return false;
  const rest = tidy(tidy(text).replace(ofAppointment, " "));
  return rest === "" || Object.keys(readDay(rest)).length > 0;
}

const tens = ["twenty", "thirty", "forty", "fifty"];
const inTens = new RegExp(
  `\\b(${tens.join("|")})(?:[ -](${cardinals.slice(1, 10).join("|")}))?\\b`,
  "g",
);
const single = new RegExp(`\\b(?:${cardinals.join("|")})\\b`, "g");

/** The hyphens of `two-thirty` and `half-past-two`. The hyphen of `ten-eleven` means a range. */
const hyphen =
  /(?<=[a-z])-(?=(?:oh|past|to|fifteen|twenty|thirty|forty|fifty)\b)|(?<=\b(?:oh|past|to))-/g;

/** Writes numbers up to 59 as digits: `two forty-five` becomes `2 45`, `two oh five` becomes `2 05`. */
function toDigits(text: string): string {
  const valueOf = (ten: string, one: string | undefined) =>
    10 * (tens.indexOf(ten) + 2) + Math.max(0, cardinals.indexOf(one ?? ""));
  return text.replace(inTens, (_, ten: string, one?: string) => String(valueOf(ten, one)))
    .replace(single, (word) => String(cardinals.indexOf(word)))
    .replace(/\boh? (?=\d\b)/g, "0").replace(/ hundred\b/, "00");
}
