/**
 * Removes accents, so that `José` and `Jose` are one name, and keeps track of the letters' offsets.
 *
 * @module
 */

import type { Range } from "../tokens.ts";

/** A text without accents. */
export interface Folded {
  readonly text: string;
  /** Converts offsets into `text` to offsets into the original. */
  locate<R extends Range>(range: R): R;
}

/** Letters with a stroke and ligatures, which Unicode does not decompose. */
const whole = new Map(Object.entries({
  ...{ ø: "o", Ø: "O", ł: "l", Ł: "L", đ: "d", Đ: "D", ı: "i", ß: "ss", ẞ: "SS" },
  ...{ æ: "ae", Æ: "AE", œ: "oe", Œ: "OE" },
}));

/** Removes the accents of a text and keeps the case, in time proportional to its length. */
export function fold(original: string): Folded {
  let text = "";
  const starts: number[] = [];
  let at = 0;
  for (const character of original) {
    const plain = withoutAccents(character);
    for (let unit = 0; unit < plain.length; unit++) starts.push(at);
    text += plain;
    at += character.length;
  }
  starts.push(at);
  // A combining accent after a letter ends where the next letter starts.
  const offset = (index: number) => starts[index] ?? at;
  return {
    text,
    locate: (range) => ({ ...range, start: offset(range.start), end: offset(range.end) }),
  };
}

function withoutAccents(character: string): string {
  if (character < "\x80") return character;
  return whole.get(character) ??
    character.normalize("NFD").replace(/\p{M}/gu, "").normalize("NFC");
}
