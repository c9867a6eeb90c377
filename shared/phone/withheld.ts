/**
 * What networks send instead of the number of a caller who withholds it.
 *
 * @module
 */

import { hasPossibleLength } from "../calling_codes.ts";
import type { Token } from "../tokens.ts";

/** The words that networks and SIP use. */
const withheldWords = "anonymous restricted blocked unknown unavailable private withheld".split(
  " ",
);

/** Whether words mean a withheld number. */
export function isWithheldWord(tokens: readonly Token[]): boolean {
  const [first, second] = tokens.map(({ value }) => value);
  if (first === "sip" || first === "sips") return true;
  const isPhrase = second === undefined || /^(?:caller|number|id)$/.test(second);
  return first !== undefined && withheldWords.includes(first) && isPhrase && tokens.length <= 3;
}

/**
 * Twilio sends such a word as keys of a phone keypad: +266696687 is ANONYMOUS
 * (https://www.twilio.com/docs/voice/twiml#request-parameters).
 */
const keyedWords = new Set(withheldWords.map((word) => word.replace(/./g, keyOf)));

/** Whether digits, with or without a plus, are such a word. */
export function isKeyedWord(written: string): boolean {
  return keyedWords.has(written.replace(/^\+/, ""));
}

/** The key of a letter (ITU-T E.161). */
function keyOf(letter: string): string {
  return "22233344455566677778889999"[letter.charCodeAt(0) - 0x61] ?? "";
}

/**
 * Whether a number means that there is none: a word as keys, or a number that its plan cannot have,
 * such as +10000000000. In North America area codes do not begin with 0 or 1 or have a 9 in the middle.
 *
 * @param e164 With its plus.
 */
export function isWithheldNumber(e164: string): boolean {
  const digits = e164.replace(/^\+/, "");
  return isKeyedWord(digits) || !hasPossibleLength(digits) || /^1(?:[01]|.9)/.test(digits);
}
