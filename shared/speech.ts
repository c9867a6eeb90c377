/**
 * Times and digits the way people say and hear them.
 *
 * @module
 */

let dayFormat: Intl.DateTimeFormat | undefined;

/** Made by the first day that is said: it takes 14 ms, which no import should. */
function formatDay(day: Date): string {
  dayFormat ??= new Intl.DateTimeFormat("en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
    timeZone: "UTC",
  });
  return dayFormat.format(day).replace(",", "");
}

/**
 * A clinic-local time as one says it: `Tuesday 3 March at 2:30 PM`.
 *
 * @param isoLocal ISO 8601 local time with offset; the offset is not needed, the time is local.
 */
export function sayTime(isoLocal: string): string {
  return `${sayDay(isoLocal)} at ${sayClock(isoLocal)}`;
}

/**
 * A day as one says it: `Tuesday 3 March`.
 *
 * @param isoDay A date, or a local time that starts with one.
 */
export function sayDay(isoDay: string): string {
  return formatDay(new Date(`${isoDay.slice(0, 10)}T00:00:00Z`));
}

/** A day with its year, for a model that is wrong about the date: `Tuesday 3 March 2026`. */
export function sayDate(isoDay: string): string {
  return `${sayDay(isoDay)} ${isoDay.slice(0, 4)}`;
}

/** A time of day as one says it: `2:30 PM`, `9 AM`, `noon`. */
export function sayClock(isoLocal: string): string {
  const hour = Number(isoLocal.slice(11, 13));
  const minutes = isoLocal.slice(14, 16);
  if (hour === 12 && minutes === "00") return "noon";
  if (hour === 0 && minutes === "00") return "midnight";
  const clock = `${hour % 12 || 12}${minutes === "00" ? "" : `:${minutes}`}`;
  return `${clock} ${hour < 12 ? "AM" : "PM"}`;
}

/** `a, b or c`. */
export function sayList(items: readonly string[], conjunction: "or" | "and" = "or"): string {
  const last = items.at(-1) ?? "";
  return items.length < 2 ? last : `${items.slice(0, -1).join(", ")} ${conjunction} ${last}`;
}

/** A duration in whole minutes, at least one: `5 minutes`. */
export function sayMinutes(seconds: number): string {
  const minutes = Math.max(1, Math.floor(seconds / 60));
  return minutes === 1 ? "1 minute" : `${minutes} minutes`;
}

const units: Readonly<Record<string, number>> = {
  zero: 0,
  oh: 0,
  o: 0,
  nought: 0,
  naught: 0,
  nil: 0,
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
};
const teens: Readonly<Record<string, number>> = {
  ten: 10,
  eleven: 11,
  twelve: 12,
  thirteen: 13,
  fourteen: 14,
  fifteen: 15,
  sixteen: 16,
  seventeen: 17,
  eighteen: 18,
  nineteen: 19,
};
const tens: Readonly<Record<string, number>> = {
  twenty: 20,
  thirty: 30,
  forty: 40,
  fourty: 40,
  fifty: 50,
  sixty: 60,
  seventy: 70,
  eighty: 80,
  ninety: 90,
};
const repeats: Readonly<Record<string, number>> = { double: 2, triple: 3, treble: 3 };

/**
 * The digits somebody said or typed, in order: `four eight two, double nine one` is `482991`.
 * Knows oh, nought, teens, tens with a unit (`forty-eight`), hundreds, double and triple; other
 * words are left out.
 */
export function readDigits(said: string): string {
  const tokens = said.normalize("NFKC").toLowerCase().match(/\d+|\p{L}+/gu) ?? [];
  let digits = "";
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] ?? "";
    const next = tokens[at + 1] ?? "";
    if (/^\d+$/.test(token)) {
      digits += token;
    } else if (token in repeats) {
      const repeated = digitOf(next);
      if (repeated === undefined) continue;
      digits += repeated.repeat(repeats[token] ?? 1);
      at++;
    } else if (token in tens) {
      const unit = units[next];
      const joins = unit !== undefined && unit > 0;
      digits += String((tens[token] ?? 0) + (joins ? unit : 0));
      if (joins) at++;
    } else if (token in teens) {
      digits += String(teens[token]);
    } else if (token in units && next === "hundred") {
      const rest = tokens[at + 2] === "and" ? tokens.slice(at + 3) : tokens.slice(at + 2);
      const joinsRest = (rest[0] ?? "") in tens || (rest[0] ?? "") in teens;
      digits += joinsRest ? String(units[token]) : `${units[token]}00`;
      at += tokens[at + 2] === "and" ? 2 : 1;
    } else if (token in units) {
      digits += String(units[token]);
    }
  }
  return digits;
}

function digitOf(token: string): string | undefined {
  if (/^\d$/.test(token)) return token;
  return units[token]?.toString();
}

/**
 * A six-digit passcode out of what the model passes on: a JSON number (leading zeros lost, so
 * padded), digits with anything between, words, or `User's Keypad Entry: 482913`.
 *
 * @returns Six digits, or undefined when there are not exactly six: that costs no attempt.
 */
export function readPasscode(given: string | number): string | undefined {
  if (typeof given === "number") {
    const isCode = Number.isInteger(given) && given >= 0 && given <= 999_999;
    return isCode ? String(given).padStart(6, "0") : undefined;
  }
  const digits = readDigits(given);
  return /^\d{6}$/.test(digits) ? digits : undefined;
}
