/**
 * Callers: what they want, how they speak, and what they do that nobody expects.
 *
 * Everything is drawn from the seed before the call begins.
 *
 * @module
 */

import { drawFrom, type Random } from "./random.ts";

/** What a call is for. Moves, cancellations and questions about a booking follow a booking. */
export type Errand = "book" | "move" | "cancel" | "ask" | "question" | "message";

/** What a caller says before the right code. */
export type CodeMistake = "wrong" | "misheard" | "nothing_came" | "other_time";

/** How a caller reads digits. */
export type DigitStyle = "digits" | "spaced" | "words" | "doubled" | "keypad" | "whole_text";

/** One caller. */
export interface Persona {
  /** Index of the caller, from 0. */
  readonly place: number;
  /** Index of the clinic. */
  readonly clinic: number;
  /** Names of the patients, the caller first. Each gets an appointment. */
  readonly patients: readonly [string, ...string[]];
  /** What each call is for. The first one books. */
  readonly errands: readonly [Errand, ...Errand[]];
  readonly isWithheld: boolean;
  readonly service: string;
  /** Days from today to the first wanted day. */
  readonly daysAhead: number;
  readonly dayStyle: "iso" | "ahead" | "named" | "weekday";
  readonly choiceStyle: "ordinal" | "spoken" | "clock";
  readonly digitStyle: DigitStyle;
  /** Whether the caller wants another day after hearing the first times. */
  readonly isUndecided: boolean;
  readonly mistakes: readonly CodeMistake[];
  /** The call ends after this many turns: by hanging up, or without Vapi being told. */
  readonly hangsUp: { readonly afterTurns: number; readonly isTold: boolean } | undefined;
  /** When a caller mentions further patients. */
  readonly familyAt: "before_code" | "after_code";
  /** One in this many tool calls is repeated; 0 for never. */
  readonly repeatsOneIn: number;
  /** Whether the request of the first hold is repeated at the very end. */
  readonly isLate: boolean;
  /** For what is drawn during the call. */
  readonly seed: number;
}

const firstNames = [
  "Ada",
  "Amara",
  "Ben",
  "Chloe",
  "Dmitri",
  "Elena",
  "Farid",
  "Grace",
  "Hana",
  "Ivo",
  "Jun",
  "Kofi",
  "Lucia",
  "Marek",
  "Nadia",
  "Omar",
  "Priya",
  "Quentin",
  "Rosa",
  "Sven",
  "Tomas",
  "Uma",
  "Vera",
  "Wanda",
  "Ximena",
  "Yusuf",
  "Zoe",
] as const;
const lastNames = [
  "Abbott",
  "Brown",
  "Castillo",
  "Dubois",
  "Eriksen",
  "Fischer",
  "Garcia",
  "Haddad",
  "Ibrahim",
  "Jansen",
  "Kowalski",
  "Lindgren",
  "Mendes",
  "Novak",
  "Osei",
  "Petrov",
  "Quigley",
  "Rossi",
  "Sato",
  "Turner",
  "Ueda",
  "Varga",
  "Watanabe",
  "Young",
  "Zimmer",
] as const;

/** Draws the caller with an index. The same seed draws the same caller. */
export function drawPersona(seed: number, place: number, clinics: number): Persona {
  const random = drawFrom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(place + 1, 0x85ebca6b));
  const isFamily = random.oneIn(6);
  const hangsUp = !isFamily && random.oneIn(8)
    ? { afterTurns: 1 + random.below(5), isTold: !random.oneIn(3) }
    : undefined;
  const last = random.pick(lastNames);
  return {
    place,
    clinic: random.below(clinics),
    patients: drawPatients(random, last, isFamily ? 2 + random.below(2) : 1),
    errands: hangsUp || isFamily ? ["book"] : drawErrands(random),
    isWithheld: random.oneIn(20),
    service: random.pick(["consultation", "consultation", "treatment", "Prenatal class"]),
    daysAhead: 1 + random.below(18),
    dayStyle: random.pick(["iso", "ahead", "named", "weekday"]),
    choiceStyle: random.pick(["ordinal", "spoken", "clock"]),
    digitStyle: random.pick(["digits", "spaced", "words", "doubled", "keypad", "whole_text"]),
    isUndecided: random.oneIn(5),
    mistakes: drawMistakes(random),
    hangsUp,
    familyAt: random.pick(["before_code", "after_code"]),
    repeatsOneIn: random.pick([0, 3, 6]),
    isLate: random.oneIn(4),
    seed: random.below(2 ** 31),
  };
}

function drawPatients(random: Random, last: string, count: number): [string, ...string[]] {
  const names = new Set<string>();
  while (names.size < count) names.add(`${random.pick(firstNames)} ${last}`);
  const [first = "", ...others] = names;
  return [first, ...others];
}

function drawErrands(random: Random): [Errand, ...Errand[]] {
  return random.pick<[Errand, ...Errand[]]>([
    ["book"],
    ["book"],
    ["book"],
    ["book", "move"],
    ["book", "cancel"],
    ["book", "ask"],
    ["question", "book"],
    ["message"],
  ]);
}

function drawMistakes(random: Random): CodeMistake[] {
  const count = Math.max(0, random.below(5) - 1);
  return Array.from(
    { length: count },
    () => random.pick<CodeMistake>(["wrong", "misheard", "nothing_came", "other_time"]),
  ).filter((mistake, at, all) => mistake !== "other_time" || all.indexOf(mistake) === at);
}

/**
 * Numbers for callers: Ofcom's fictional range, then American 555 numbers, which no subscriber has.
 * British ones come first, for clinics that text only one country.
 */
export function listNumbers(): string[] {
  const two = (value: number, length: number) => String(value).padStart(length, "0");
  return [
    ...Array.from({ length: 1000 }, (_, at) => `+447700900${two(at, 3)}`),
    ...areaCodes.flatMap((area) =>
      Array.from({ length: 100 }, (_, at) => `+1${area}55501${two(at, 2)}`)
    ),
  ];
}

/** The most callers of a run. Each has its own number. */
export const mostCallers = 10_000;

/** A hundred area codes of the United States. */
const areaCodes = (
  "201 202 203 205 206 207 208 209 210 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 " +
  "248 251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 " +
  "314 315 316 317 318 319 320 321 323 325 330 331 334 336 337 339 347 351 352 360 361 386 401 402 " +
  "404 405 406 407 408 409 410 412 413 414 415 417 419 423 424 425 430 432 434 435 440 443 469 470 " +
  "478 479 480 501"
).split(" ");
