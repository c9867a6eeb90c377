/**
 * Digits the way people say them: phone numbers and passcodes as a model passes them on.
 *
 * @module
 */

const units = words({
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
});
const teens = words({
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
});
const tens = words({
  twenty: 20,
  thirty: 30,
  forty: 40,
  fourty: 40,
  fifty: 50,
  sixty: 60,
  seventy: 70,
  eighty: 80,
  ninety: 90,
});
const repeats = words({ double: 2, triple: 3, treble: 3 });

/** A map, since an object also has what every object inherits: `constructor` is no number. */
function words(values: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
  return new Map(Object.entries(values));
}

/** A word or a run of digits, and whether a pause (punctuation but a hyphen) is before it. */
interface Token {
  readonly text: string;
  readonly isHyphenated: boolean;
  readonly isAfterPause: boolean;
}

/** One way to understand the tokens from a place on: its digits, and how many tokens it took. */
interface Reading {
  readonly digits: string;
  readonly length: number;
}

/** "Six-digit code" tells how long the code is, not what it is. */
const notSaid = /\b(?:six|6)[\s-]*digits?\b/g;

function tokenize(said: string): Token[] {
  const text = said.normalize("NFKC").toLowerCase().replace(notSaid, " ");
  return [...text.matchAll(/([^\d\p{L}]*)(\d+|\p{L}+)/gu)].map(([, gap = "", word = ""]) => ({
    text: word,
    isHyphenated: /^[-\u2010-\u2015]$/.test(gap),
    isAfterPause: /[^\s\d\p{L}\u2010-\u2015-]/u.test(gap),
  }));
}

/**
 * Every way to understand the token at a place, likeliest first: "twenty one" is 21, or 20 and then
 * 1. Words that are no numbers have one reading, no digits.
 */
function readingsAt(tokens: readonly Token[], at: number): Reading[] {
  const { text = "" } = tokens[at] ?? {};
  const next = tokens[at + 1];
  if (/^\d+$/.test(text)) return [{ digits: text, length: 1 }];
  const times = repeats.get(text);
  const repeated = times === undefined ? undefined : digitOf(next?.text ?? "");
  if (times !== undefined && repeated !== undefined) {
    return [{ digits: repeated.repeat(times), length: 2 }];
  }
  const cardinals = [thousandsAt, hundredsAt, belowHundred].flatMap((read) => read(tokens, at))
    .filter(({ length }) => !/^(hundred|thousand)$/.test(tokens[at + length]?.text ?? ""));
  if (cardinals.length === 0) return [{ digits: "", length: 1 }];
  const readings = cardinals.map(({ value, length }) => ({ digits: String(value), length }));
  // "Oh, it's four eight ...": an exclamation, or the digit.
  const mayExclaim = text === "oh" && at === 0 && next !== undefined &&
    (next.isAfterPause || digitOf(next.text) === undefined);
  return mayExclaim ? [...readings, { digits: "", length: 1 }] : readings;
}

interface Cardinal {
  readonly value: number;
  readonly length: number;
}

/** `forty-eight`, `forty`, `thirteen`, `five`. A hyphen joins for certain, a pause never does. */
function belowHundred(tokens: readonly Token[], at: number): Cardinal[] {
  const { text = "" } = tokens[at] ?? {};
  const ten = tens.get(text);
  if (ten === undefined) {
    const value = teens.get(text) ?? units.get(text);
    return value === undefined ? [] : [{ value, length: 1 }];
  }
  const next = tokens[at + 1];
  const unit = units.get(next?.text ?? "") ?? 0;
  const alone = { value: ten, length: 1 };
  if (next === undefined || unit === 0 || next.isAfterPause) return [alone];
  const joined = { value: ten + unit, length: 2 };
  return next.isHyphenated ? [joined] : [joined, alone];
}

/** `four hundred (and) eighty two`, `twelve hundred`; an "and" joins for certain. */
function hundredsAt(tokens: readonly Token[], at: number): Cardinal[] {
  return countsAt(belowHundred(tokens, at), "hundred", tokens, at).flatMap((hundreds) => {
    const { value, length, hasAnd } = hundreds;
    const alone = { value: value * 100, length };
    const joined = restAt(belowHundred, hundreds, tokens, at)
      .map((rest) => ({ value: value * 100 + rest.value, length: rest.length }));
    if (hasAnd && joined.length > 0) return joined;
    const isBareUnit = joined.length === 1 && (joined[0]?.value ?? 0) % 100 < 10;
    return isBareUnit ? [alone, ...joined] : [...joined, alone];
  });
}

/** `four hundred eighty two thousand (and) thirteen`: the rest has three places. */
function thousandsAt(tokens: readonly Token[], at: number): Cardinal[] {
  const belowThousand = (tokens: readonly Token[], at: number) =>
    [...hundredsAt(tokens, at), ...belowHundred(tokens, at)].filter(({ value }) => value < 1000);
  return countsAt(belowThousand(tokens, at), "thousand", tokens, at).flatMap((thousands) => {
    const { value, length, hasAnd } = thousands;
    const joined = restAt(belowThousand, thousands, tokens, at)
      .map((rest) => ({ value: value * 1000 + rest.value, length: rest.length }));
    return hasAnd && joined.length > 0 ? joined : [...joined, { value: value * 1000, length }];
  });
}

interface Count extends Cardinal {
  /** Whether an "and" leads on to the rest. */
  readonly hasAnd: boolean;
}

/** The cardinals that a "hundred" or "thousand" follows: how many of them there are. */
function countsAt(
  counts: readonly Cardinal[],
  magnitude: "hundred" | "thousand",
  tokens: readonly Token[],
  at: number,
): Count[] {
  return counts
    .filter(({ value, length }) => value > 0 && tokens[at + length]?.text === magnitude)
    .map(({ value, length }) => ({
      value,
      length: length + 1,
      hasAnd: tokens[at + length + 1]?.text === "and",
    }));
}

/** What a "hundred" or "thousand" goes on with, and the length of both; nothing after a pause. */
function restAt(
  read: (tokens: readonly Token[], at: number) => Cardinal[],
  { length, hasAnd }: Count,
  tokens: readonly Token[],
  at: number,
): Cardinal[] {
  if (tokens[at + length]?.isAfterPause) return [];
  const start = hasAnd ? length + 1 : length;
  return read(tokens, at + start)
    .filter(({ value }) => value > 0)
    .map((rest) => ({ value: rest.value, length: start + rest.length }));
}

function digitOf(token: string): string | undefined {
  if (/^\d$/.test(token)) return token;
  return units.get(token)?.toString();
}

/**
 * The digits somebody said or typed, in order, at every place in the likeliest way: `four eight
 * two, double nine one` is `482991`. Knows oh, nought, teens, tens, hundreds, thousands, double and
 * triple; other words are left out.
 */
export function readDigits(said: string): string {
  const tokens = tokenize(said);
  let digits = "";
  for (let at = 0; at < tokens.length;) {
    const [likeliest] = readingsAt(tokens, at);
    digits += likeliest?.digits ?? "";
    at += likeliest?.length ?? 1;
  }
  return digits;
}

/**
 * A six-digit passcode out of what the model passes on: a JSON number (leading zeros lost, so
 * padded), digits with anything between, words, or `User's Keypad Entry: 482913`.
 *
 * What was said may be understood in several ways ("twenty one" is two digits or three). It is a
 * passcode when exactly one code of six digits can be meant; two codes, or more digits, are none.
 *
 * @returns Six digits, or undefined: that costs no attempt.
 */
export function readPasscode(given: string | number): string | undefined {
  if (typeof given === "number") {
    const isCode = Number.isInteger(given) && given >= 0 && given <= 999_999;
    return isCode ? String(given).padStart(6, "0") : undefined;
  }
  const tokens = tokenize(given);
  // What can have been said before each token; readings of more than six digits are dropped.
  const said = Array.from({ length: tokens.length + 1 }, () => new Set<string>());
  said[0]?.add("");
  for (let at = 0; at < tokens.length; at++) {
    for (const { digits, length } of readingsAt(tokens, at)) {
      for (const before of said[at] ?? []) {
        if (before.length + digits.length <= 6) said[at + length]?.add(before + digits);
      }
    }
  }
  const codes = [...said.at(-1) ?? []].filter((digits) => digits.length === 6);
  return codes.length === 1 ? codes[0] : undefined;
}
