/**
 * Phone numbers as people say them, in the form in which speech recognition writes them.
 *
 * @module
 */

import fc from "fast-check";

/** A text with a spoken number, and the parts of the text that form the number. */
export interface SpokenNumber {
  readonly text: string;
  readonly parts: readonly string[];
  /** The number before it was spoken, with its plus if it has one. */
  readonly digits: string;
}

const units: readonly (readonly string[])[] = [
  ["oh", "zero", "nought", "o"],
  ["one"],
  ["two"],
  ["three"],
  ["four"],
  ["five"],
  ["six"],
  ["seven"],
  ["eight"],
  ["nine", "niner"],
];
const teens = ("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
  .split(" ");
const tens = ["", "", ..."twenty thirty forty fifty sixty seventy eighty ninety".split(" ")];

type Pick = (choices: number) => number;

function sayDigit(digit: string, pick: Pick): string {
  const words = units[Number(digit)] ?? [];
  // The first word is the most common one.
  return words[Math.max(0, pick(words.length + 2) - 2)] ?? "";
}

function sayTwo(digits: string): string {
  const value = Number(digits);
  if (value < 20) return teens[value - 10] ?? "";
  const unit = value % 10 === 0 ? "" : `-${units[value % 10]?.[0]}`;
  return `${tens[Math.floor(value / 10)]}${unit}`;
}

/** Says digits one by one, doubled, as teens and tens, or as hundreds. */
function sayDigits(digits: string, pick: Pick): string {
  const words: string[] = [];
  for (let at = 0; at < digits.length;) {
    const rest = digits.slice(at);
    const style = pick(5);
    const triple = /^(\d)\1\1/.exec(rest);
    const double = /^(\d)\1/.exec(rest);
    if (triple && style > 0) {
      words.push(`${["triple", "treble"][pick(2)]} ${sayDigit(triple[1] ?? "", pick)}`);
      at += 3;
    } else if (/^[1-9]00/.test(rest) && style > 1) {
      words.push(`${sayDigit(rest[0] ?? "", pick)} hundred`);
      at += 3;
    } else if (/^[1-9][1-9]\d/.test(rest) && style === 4) {
      const hundreds = `${sayDigit(rest[0] ?? "", pick)} hundred`;
      words.push(`${hundreds}${["", " and"][pick(2)]} ${sayTwo(rest.slice(1, 3))}`);
      at += 3;
    } else if (double && style > 0) {
      words.push(`double ${sayDigit(double[1] ?? "", pick)}`);
      at += 2;
    } else if (/^[1-9]\d/.test(rest) && style === 3) {
      words.push(sayTwo(rest.slice(0, 2)));
      at += 2;
    } else {
      words.push(sayDigit(rest[0] ?? "", pick));
      at += 1;
    }
  }
  return words.join(" ");
}

const pauses = [
  " ",
  ", ",
  " ",
  "... ",
  " um ",
  ", uh, ",
  " and then ",
  ". ",
  " - ",
  " er, ",
  " then ",
];
const openings = [
  "",
  "my number is ",
  "Yeah it's ",
  "you can call me on ",
  "So the best number would be ",
  "Sure. ",
  "my mobile, that's ",
  "AI: What's the best number to reach you?\nUser: ",
  "AI: Could I take a contact number?\nUser: yes, ",
  "assistant: Can I get your phone number please?\nuser: um, it's ",
];
const closings = ["", ".", ", thanks", ". That's my mobile.", "\nAI: Thank you."];
const holds = ["AI: Okay.", "AI: mm-hmm", "AI: Go on.", "AI: Got it, and the rest?", "AI: Yes?"];

const someDigits = (length: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length })
    .map((digits) => digits.join(""));

/** Numbers in the groups between which people pause; the plus is a separate word. */
const groups = fc.oneof(
  someDigits(6).map((rest) => ["07700", `${rest.slice(0, 3)}`, rest.slice(3)]),
  someDigits(8).map((rest) => [`07${rest.slice(0, 3)}`, rest.slice(3, 6), `${rest.slice(6)}0`]),
  someDigits(7).map((rest) => ["020", `7${rest.slice(0, 3)}`, rest.slice(3)]),
  someDigits(6).map((rest) => ["01632", rest]),
  someDigits(7).map((rest) => ["0113", rest.slice(0, 3), rest.slice(3)]),
  someDigits(4).map((rest) => ["212", "555", rest]),
  someDigits(6).map((rest) => ["415", `2${rest.slice(0, 2)}`, rest.slice(2)]),
  someDigits(4).map((rest) => ["1", "800", "555", rest]),
  someDigits(6).map((rest) => ["plus", "44", "7700", rest]),
  someDigits(8).map((rest) => ["plus", "33", "6", ...(rest.match(/../g) ?? [])]),
  someDigits(7).map((rest) => ["plus", "1", "202", `5${rest.slice(0, 2)}`, rest.slice(2, 6)]),
);

/** Spoken numbers from the United Kingdom, North America and the rest of the world. */
export const spokenNumbers: fc.Arbitrary<SpokenNumber> = fc
  .tuple(groups, fc.infiniteStream(fc.nat(1_000_000)), fc.boolean())
  .map(([spoken, stream, isSplit]) => {
    const pick: Pick = (choices) => (stream.next().value ?? 0) % choices;
    const digits = spoken.join("").replace("plus", "+");
    const said = spoken.map((group) => group === "plus" ? group : sayGroup(group, pick));
    const opening = openings[pick(openings.length)] ?? "";
    const closing = closings[pick(closings.length)] ?? "";
    if (isSplit && opening.includes("User: ") && spoken[0] !== "plus") {
      const turns = said.map((part, index) =>
        index === 0 ? part : `\n${holds[pick(holds.length)]}\nUser: ${part}`
      );
      return { text: `${opening}${turns.join("")}${closing}`, parts: said, digits };
    }
    const pauseOf = (index: number) =>
      said[index - 1] === "plus" ? " " : pauses[pick(pauses.length)] ?? " ";
    const number = said.map((part, index) => index === 0 ? part : pauseOf(index) + part).join("");
    return { text: `${opening}${number}${closing}`, parts: [number], digits };
  });

/** Speech recognition sometimes writes digits. */
function sayGroup(group: string, pick: Pick): string {
  return pick(6) === 0 ? group : sayDigits(group, pick);
}
