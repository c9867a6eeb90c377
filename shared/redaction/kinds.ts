/**
 * What makes a window of digits a card, an NHS number, a social security number, a passcode or a
 * phone number: check digits, grouping, numbering plan, and the words around it.
 *
 * @module
 */

import { isPossibleE164 } from "../calling_codes.ts";
import { isMeasured } from "../spoken_digits.ts";
import { Gap, type Piece } from "./pieces.ts";
import type { Label } from "./labels.ts";
import type { Window } from "./window.ts";

/** The kinds of personal data that are numbers. */
export type NumberType = "CARD" | "NHS" | "SSN" | "OTP" | "PHONE";

/** One rule: the windows it looks at, and how sure it is of one. 0 means that it does not match. */
export interface Kind {
  readonly type: NumberType;
  /** The lowest and the highest number of digits. */
  readonly shortest: number;
  readonly longest: number;
  /** Labels of which the number must have one; undefined when the form alone can be enough. */
  readonly labels?: readonly Label[];
  /** Whether `nine hundred twelve` may also be 90012. */
  readonly isReadFreely?: true;
  /** @param digits One reading of the window, with an allowed length. */
  rank(window: Window, digits: string): number;
}

/** ISO/IEC 7812-1: 13 to 19 digits, issuer's first digits and Luhn; or a label that says card. */
export const card: Kind = {
  type: "CARD",
  shortest: 13,
  longest: 19,
  rank(window, digits) {
    if (!startsLikeCard(digits)) return 0;
    const { label } = window;
    if (label === "other" || window.plus !== undefined) return 0;
    const isGrouped = /^(?:\d\d|4-4-4-[1-4]|4-6-[45]|4-4-4-4-[1-3]|6-[78]|8-8)$/.test(window.shape);
    // Some 13 digits of a long row always satisfy the check digit, so the row must begin with them.
    const isRow = window.isSpoken || window.isSingles;
    if (!isGrouped && !isRow || isRow && window.opening?.gap !== Gap.none && label !== "card") {
      return 0;
    }
    if (isLuhn(digits)) return 2;
    return label === "card" && (digits.length === 15 || digits.length === 16) ? 1 : 0;
  },
};

const startsLikeCard = (digits: string) => /^(?:[3456]|2[2-7])/.test(digits);

function isLuhn(digits: string): boolean {
  if (/^(\d)\1+$/.test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at]);
    sum += at % 2 === 0 ? digit : digit < 5 ? digit * 2 : digit * 2 - 9;
  }
  return sum % 10 === 0;
}

/** NHS Data Dictionary, "NHS NUMBER": ten digits with a check digit modulo 11; or a label. */
export const nhs: Kind = {
  type: "NHS",
  shortest: 10,
  longest: 10,
  rank(window, digits) {
    const { label, shape } = window;
    if (label !== undefined && label !== "nhs" || window.plus !== undefined) return 0;
    if (label === "nhs") return 2;
    if (!/^[4679]/.test(digits) || !isNhs(digits)) return 0;
    // The exchange 555 is used in American examples, and Americans write phone numbers with hyphens.
    const isPhone = digits.slice(3, 6) === "555" || /[^\s]/.test(window.separators) ||
      isContinued(window);
    return !isPhone && (shape === "3-3-4" || shape === "10") ? 1 : 0;
  },
};

function isNhs(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < 9; at++) sum += Number(digits[at]) * (10 - at);
  return (11 - sum % 11) % 11 === Number(digits[9]);
}

/** Whether digits with a hyphen or dot precede it: `+91-9876543210`. */
const isContinued = ({ read: { text }, start }: Window) =>
  /\d[-.]$/.test(text.slice(Math.max(0, start - 2), start));

/** `011 44 7700 900123`: a number abroad, as Americans dial it. */
const isDialled = ({ separators, digits, nextGap }: Window) =>
  separators === "" && digits.startsWith("011") && nextGap === Gap.tight;

/** Social Security Administration, POMS RM 10201.030: no area 000, 666 or 9xx, no part all zeros. */
export const ssn: Kind = {
  type: "SSN",
  shortest: 9,
  longest: 9,
  rank(window, digits) {
    const { label } = window;
    if (window.plus !== undefined || label === "other") return 0;
    if (label === "ssn") return 2;
    if (/^(?:000|666|9)|^...00|0000$/.test(digits) || label === "nhs") return 0;
    const isPlain = window.shape === "3-2-4" && window.gap === Gap.tight &&
      !isDialled(window) &&
      /^([-.\p{Pd}]?)\1$/u.test(window.separators);
    return isPlain ? 1 : 0;
  },
};

/** A passcode is recognized only by its label. */
export const passcode: Kind = {
  type: "OTP",
  shortest: 4,
  longest: 8,
  labels: ["code", "passcode"],
  isReadFreely: true,
  rank(window, digits) {
    const { label } = window;
    if (window.plus !== undefined) return 0;
    if (window.nextGap === Gap.tight) return 0;
    // `My code is zero one two three four five` is a code, too.
    if (digits.length === 6) return 3;
    if (isCounting(window)) return 0;
    // In a record, a `code` of another length is an error code.
    if (label === "code" && isField(window)) return 0;
    if (
      window.nextGap !== Gap.none || isMeasured(window.read.tokens, window.ending?.endToken ?? 0)
    ) {
      return 0;
    }
    // Five digits after a plain `code` are a code of a procedure (CPT).
    return label === "passcode" || digits.length !== 5 ? 2 : 0;
  },
};

/** Whether a field's name precedes it: `"code": "4213"`. */
const isField = ({ read: { text }, start }: Window) =>
  /["'] ?: ?["']?$/.test(text.slice(Math.max(0, start - 4), start));

/** Phone numbers by form: a plus, a prefix, or the plans of the United Kingdom and North America. */
export const phone: Kind = {
  type: "PHONE",
  shortest: 7,
  longest: 18,
  isReadFreely: true,
  rank(window, digits) {
    if (window.plus !== undefined) {
      return isAbroad(window, digits) && !isCounting(window) ? 100 : 0;
    }
    const rank = rankStructure(window, digits);
    if (rank === 0 || window.label === "other" || isNegative(window)) return 0;
    return isCounting(window) || isPartOfId(window) || isLoose(window) ? 0 : rank;
  },
};

/** `-2208960000` is a time before 1970 in seconds, unless a phone number was asked for. */
function isNegative({ read: { text }, start, isBare, digits, label }: Window): boolean {
  return isBare && !digits.startsWith("0") && label !== "phone" &&
    /(?:^|[\s([{=:,"'])[-\u2212]$/.test(text.slice(Math.max(0, start - 2), start));
}

/** After a plus: an existing calling code and a possible length. `(0)` is not dialled. */
function isAbroad(window: Window, digits: string): boolean {
  const trunk = window.pieces.findIndex(({ start, end }) =>
    window.read.text.slice(start - 1, end + 1) === "(0)"
  );
  const dialled = trunk === -1
    ? digits
    : window.pieces.filter((_, index) => index !== trunk).map((piece) => piece.digits).join("");
  return isPossibleE164(dialled.replace(/^440/, "44"));
}

/** Commas and words between written digits make a list, unless a number was asked for. */
function isLoose(window: Window): boolean {
  return window.gap > Gap.tight && window.label !== "phone" && !window.isSpoken &&
    !window.isSingles && !isCorrectedAmerican(window) &&
    !/^0\d{2,4}$/.test(window.pieces[0]?.digits ?? "");
}

/** `646 555 01, no wait, 0142`: the last group is repeated. */
function isCorrectedAmerican({ shape, pieces }: Window): boolean {
  return /^3-3-[1-4]-4$/.test(shape) &&
    pieces.slice(1).every(({ gap }, at) => gap === (at < 2 ? Gap.tight : Gap.correction));
}

function rankStructure(window: Window, digits: string): number {
  const abroad = /^(?:00|011)([1-9]\d+)$/.exec(digits)?.[1];
  if (abroad !== undefined && isPossibleE164(abroad.replace(/^440/, "44"))) return 95;
  if (/^0[1-9]\d{9}$/.test(digits)) return 90;
  // A caller who was asked for a number and says one digit too many still says one number.
  const isAllSaid = window.isSpoken && window.nextGap === Gap.none && window.label === "phone";
  if (/^0[1-9]\d{10,11}$/.test(digits) && isAllSaid) return 91;
  if (isGermanMobile(window, digits)) return 91;
  if (digits.length < 10 || digits.length > 12) return 0;
  const { isBare } = window;
  const isAsked = () => window.label === "phone";
  const isNamed = () => !isBare || window.label !== "unknown";
  if (/^44(?:7\d{9}|[12]\d{8,9})$/.test(digits) && isNamed()) return 89;
  if (isAmerican(digits)) {
    if (digits.length === 11) return !isBare || isAsked() ? 88 : 0;
    if (isAsked() || isGroupedLikeAmerican(window) && isNamed() && !isListed(window)) return 87;
  }
  if (/^0[1-9]\d{8}$/.test(digits)) return isGroupedNationally(window) || isAsked() ? 80 : 0;
  return isWrittenLikeAmerican(window) ? 70 : 0;
}

/** `0151 23456789`: one digit longer than a British number, which must not be read in it. */
function isGermanMobile(window: Window, digits: string): boolean {
  if (!/^01[5-7]\d{9}$/.test(digits) || window.nextGap !== Gap.none) return false;
  return window.label === "phone" || window.isSpoken || window.isSingles ||
    /^(?:4-8|4-4-4|4-3-5|4-2-2-2-2)$/.test(window.shape);
}

/** The grouping of ten digits with a leading zero: `06 12 34 56 78`, `087 123 4567`, `03 9555 0123`. */
function isGroupedNationally(window: Window): boolean {
  if (window.isBare || isListed(window)) return false;
  return window.isSpoken || window.isSingles ||
    /^(?:2-2-2-2-2|3-3-4|4-3-3|2-4-4|3-4-3|2-8|3-7|4-6|5-5|5-[23]-[23]|2-3-2-3|3-3-2-2)$/.test(
      window.shape,
    );
}

/**
 * NANP: area code and exchange start with 2 to 9, and an area code has no 9 in the middle. 555 is not
 * an area code, but is used in examples.
 */
const isAmerican = (digits: string) => /^1?(?:[2-9][0-8]\d[2-9]|555\d)\d{6}$/.test(digits);

function isGroupedLikeAmerican(window: Window): boolean {
  if (window.isSpoken) return (isDictated(window) || isInGroups(window)) && !isSchedule(window);
  return window.isSingles || isCorrectedAmerican(window) ||
    /^(?:10|3-3-4|3-7|6-4|3-3-2-2)$/.test(window.shape);
}

/** Whether most of it is said digit by digit. `thirty two, forty one, fifty six` are ages. */
function isDictated({ pieces }: Window): boolean {
  const spoken = pieces.filter(({ isSpoken }) => isSpoken);
  const single = spoken.filter(({ digits, readings }) =>
    readings.length === 1 && /^(\d)\1*$/.test(digits)
  );
  return single.length * 2 > spoken.length;
}

/** Whether pieces end after the area code and after the exchange, in any reading. */
function isInGroups({ pieces }: Window): boolean {
  let ends = new Set([0]);
  const all = new Set<number>();
  for (const { readings } of pieces) {
    const next = new Set<number>();
    for (const start of ends) {
      for (const parts of readings) {
        let end = start;
        for (const { length } of parts) all.add(end += length);
        next.add(end);
      }
    }
    ends = next;
  }
  return all.has(3) && all.has(6) || all.has(4) && all.has(7);
}

/** `two fifteen, two forty five`: times of day. */
function isSchedule({ pieces }: Window): boolean {
  const times = pieces.slice(1).filter(({ digits, isSpoken }, index) =>
    isSpoken && /^[1-5][05]$/.test(digits) && /^(?:[1-9]|1[0-2])$/.test(pieces[index]?.digits ?? "")
  );
  return times.length >= 2;
}

/** Written with spaces among similar numbers, as in `250 500 1000 2000 4000`. */
function isListed(window: Window): boolean {
  const isAmong = window.opening?.gap === Gap.tight || window.nextGap === Gap.tight;
  return isAmong && window.separators === "" && !window.isSpoken && !window.isSingles;
}

/** `123-456-7890`: the form alone, for numbers that cannot exist. */
function isWrittenLikeAmerican(window: Window): boolean {
  return window.last - window.first <= 3 && /^(?:1-)?3-3-4$/.test(window.shape) &&
    window.gap === Gap.tight &&
    /^[-.()/\p{Pd}\u2212]{2,5}$/u.test(window.separators);
}

/** Phone numbers that were asked for: any 7 to 15 digits (ITU-T E.164, 6.1). */
export const askedPhone: Kind = {
  type: "PHONE",
  shortest: 7,
  longest: 15,
  labels: ["phone"],
  rank(window) {
    if (isCounting(window) || isPartOfId(window)) return 0;
    if (isMeasured(window.read.tokens, window.ending?.endToken ?? 0)) return 0;
    if (window.isSpoken) return isSchedule(window) ? 0 : 1;
    if (window.gap === Gap.tight || window.isSingles) return 1;
    // `555-0143, 2 tablets` and `2019, 2020` continue with something else.
    const isOther = ({ digits }: Piece) => /^(?:\d{1,2}|(?:19|20)\d\d)$/.test(digits);
    return window.pieces.some(isOther) ? 0 : 1;
  },
};

/** Digits in a path, a hyphenated word or a longer row are an id: `INV-4155550101`. */
function isPartOfId(window: Window): boolean {
  const { read: { text }, start, end, isBare, digits } = window;
  if (/^[-.]\d/.test(text.slice(end, end + 2))) return true;
  const before = text.slice(Math.max(0, start - 12), start);
  if (/\d[-.,/:^]$/.test(before)) return true;
  if (window.isSpoken || /(?:wa\.me|phone|tel|call)\/$/i.test(before)) return false;
  if (/[\p{L}_]\/$/u.test(before)) return !/\s/.test(window.text);
  if (/[\p{L}_]\.$/u.test(before)) return isBare && !digits.startsWith("0");
  return /\p{L}-$/u.test(before) && !/\b(?:tel|phone|mobile|mob|cell|fax|ph)-$/i.test(before);
}

/** `one two three four ...`, `ten, twenty, thirty`: equal steps between all pieces. */
function isCounting({ pieces }: Window): boolean {
  const numbers = pieces.map(({ digits }) => Number(digits));
  if (numbers.length < 4) return false;
  const step = (numbers[1] ?? 0) - (numbers[0] ?? 0);
  if (step === 0) return false;
  return numbers.every((value, at) => at === 0 || value - (numbers[at - 1] ?? 0) === step);
}

/** The kind of the digits that one speaker dictated over several turns. */
export function kindOfDictated(digits: string, label: Label | undefined): NumberType | undefined {
  switch (label) {
    case "other":
      return undefined;
    case "code":
    case "passcode":
      return digits.length === 6 ? "OTP" : undefined;
    case "nhs":
      return digits.length === 10 ? "NHS" : undefined;
    case "ssn":
      return digits.length === 9 ? "SSN" : undefined;
    case "card":
      return startsLikeCard(digits) && (digits.length === 16 || digits.length === 15)
        ? "CARD"
        : undefined;
    case "phone":
      return digits.length >= 7 && digits.length <= 15 ? "PHONE" : undefined;
    case "unknown":
    case undefined:
      return isWhole(digits) ? "PHONE" : undefined;
  }
}

/** A complete British or American number, to which nothing can be added. */
export function isWhole(digits: string): boolean {
  return /^0[1-9]\d{9}$/.test(digits) || isAmerican(digits);
}
