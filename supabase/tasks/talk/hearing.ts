/**
 * What the scripted agent understands: enough to try the tools. It passes on days, times and digits as
 * they were said, because the tools read them.
 *
 * @module
 */

import { readDay } from "../../../shared/days.ts";
import { readTime } from "../../../shared/times.ts";

/** Purposes of a call, by the tool for them. */
const purposes: readonly (readonly [RegExp, string])[] = [
  [/\b(?:cancel|call off)\b/i, "cancel_appointment"],
  [/\b(?:move|reschedule|postpone|change)\b/i, "reschedule_appointment"],
  [
    /\b(?:what|when|which|have i|do i have)\b.*\b(?:appointment|booked|booking)/i,
    "find_appointments",
  ],
  [/\b(?:message|call me back)\b/i, "leave_message"],
  [/\b(?:book|appointment|see (?:a|the) |check-?up)\b/i, "hold_slot"],
  [/\?\s*$|^(?:where|how|what|which|do you|can i|is there|are you)\b/i, "answer_question"],
];

/** The tool for what the caller wants; booking by default. */
export function readPurpose(said: string): string {
  return purposes.find(([pattern]) => pattern.test(said))?.[1] ?? "hold_slot";
}

/** Whether a caller wants a person. */
export function wantsPerson(said: string): boolean {
  return /\b(?:a (?:real )?(?:person|human)|somebody|someone|front desk|receptionist)\b/i.test(
    said,
  );
}

/** Whether a caller ends the call. */
export function isFarewell(said: string): boolean {
  return /\b(?:good ?bye|bye|hang up)\b/i.test(said);
}

/** Whether a caller who is asked for anything else wants nothing. */
export function isRefusal(said: string): boolean {
  return /\b(?:that'?s (?:all|it)|nothing|no(?:,? thanks?| thank you))\b|^\s*(?:no|nope)[.!]?\s*$/i
    .test(said);
}

/** Whether a caller agrees. */
export function isAgreement(said: string): boolean {
  return /\b(?:yes|yeah|yep|sure|ok(?:ay)?|please|go ahead|do)\b/i.test(said) &&
    !/\b(?:no|don'?t)\b/i.test(said);
}

/** What a caller may say instead of the code. */
export type InsteadOfCode = "nothing_came" | "other_number" | "other_time" | "other_patient";

const insteads: readonly (readonly [RegExp, InsteadOfCode])[] = [
  [
    /\b(?:nothing|not (?:arrived|come|there|got|received)|(?:didn'?t|hasn'?t|haven'?t) (?:arrive|come|get|got|received?)|no text)/i,
    "nothing_came",
  ],
  [/\b(?:another|different|other|wrong) (?:phone|mobile|number)\b/i, "other_number"],
  [
    /\b(?:also|as well|too|another (?:person|patient)|my (?:son|daughter|wife|husband|mother|father))\b/i,
    "other_patient",
  ],
  [/\b(?:another|different|other|earlier|later|instead|rather)\b/i, "other_time"],
];

/** Reads what is said instead of the code; undefined when it may be the code. */
export function readInstead(said: string): InsteadOfCode | undefined {
  return insteads.find(([pattern]) => pattern.test(said))?.[1];
}

/** The longest sequence of words that is a day, as it was said. */
export function findDay(said: string): string | undefined {
  const words = said.replace(/[?!;]/g, " ").split(/\s+/).filter((word) => word !== "");
  for (let length = Math.min(6, words.length); length > 0; length--) {
    for (let start = 0; start + length <= words.length; start++) {
      const phrase = words.slice(start, start + length).join(" ").replace(/[.,]+$/, "");
      if (/^(?:at|on|the|for)\b|\b(?:at|on|the|for)$/i.test(phrase)) continue;
      // "Now" and "sat" are usually not days.
      if (length === 1 && !/^(?:\d|to(?:day|morrow)|\w+day)/i.test(phrase)) continue;
      if (Object.keys(readDay(phrase)).length > 0) return phrase;
    }
  }
  return undefined;
}

/** The part of the day in what was said, as it was said. */
export function findPartOfDay(said: string): string | undefined {
  return /\b(?:morning|afternoon|evening|tonight)\b/i.exec(said)?.[0];
}

/** The first of some names that occurs, in full or by its longest word. */
export function findName(said: string, names: readonly string[]): string | undefined {
  const heard = said.toLowerCase();
  const isSaid = (text: string) =>
    new RegExp(`\\b${RegExp.escape(text.toLowerCase())}\\b`).test(heard);
  const last = (name: string) => name.split(/\s+/).at(-1) ?? name;
  return names.find(isSaid) ?? names.find((name) => last(name).length > 2 && isSaid(last(name)));
}

/** A name without the words that people say around it. */
export function readName(said: string): string {
  return said.trim().replace(/[.!]+$/, "")
    .replace(/^(?:(?:my|the|her|his) name is|(?:it'?s|it is|this is|i'?m|i am|for))\s+/i, "");
}

/** An offer with a start, and how it is said. */
interface Offered {
  readonly startTime: string;
  readonly spoken: string;
}

const ordinals = ["first", "second", "third", "fourth", "fifth"];

/** Which offer was chosen: by its position, its time, or as it was said. */
export function choose<Item extends Offered>(
  said: string,
  offered: readonly Item[],
): Item | undefined {
  const heard = said.toLowerCase().replace(/[.!,]+$/, "");
  const isSaid = (text: string) => heard.includes(text.toLowerCase());
  const whole = offered.find(({ spoken }) => isSaid(spoken));
  if (whole) return whole;
  const place = ordinals.findIndex((ordinal) => new RegExp(`\\b${ordinal}\\b`).test(heard));
  if (place >= 0) return offered[place];
  if (/\b(?:last|latest)\b/.test(heard)) return offered.at(-1);
  if (/\b(?:any|earliest|either|whichever)\b/.test(heard)) return offered[0];
  const clocks = findClocks(heard);
  const day = findDay(heard);
  const atTime = offered.filter(({ startTime }) => clocks.includes(startTime.slice(11, 16)));
  const onDay = day === undefined ? [] : atTime.filter(({ spoken }) => sameDay(spoken, day));
  return onDay[0] ?? (day === undefined || atTime.length === 1 ? atTime[0] : undefined);
}

function sameDay(spoken: string, day: string): boolean {
  return spoken.toLowerCase().includes(day.toLowerCase().replace(/^(?:on|next|this)\s+/, ""));
}

/** Where a time of day may occur. A bare number counts only where it cannot be a day. */
const clocks = [
  /\b(?:noon|midday)\b/,
  /\b\d{1,2}[:.]\d{2}(?:\s*[ap]\.?m\b\.?)?/,
  /\b\d{1,2}\s*[ap]\.?m\b\.?/,
  /(?<=\bat )\d{1,2}\b/,
  /^\d{1,2}\b/,
];

/** Times of day in what was said. `11` and `2:30` may be in either half of the day. */
function findClocks(heard: string): string[] {
  const clock = clocks.map((pattern) => pattern.exec(heard)?.[0]).find((text) =>
    text !== undefined
  );
  const said = clock === undefined ? undefined : readTime(clock);
  return said && "times" in said ? [...said.times] : [];
}
