/**
 * Templates of texts: sentences with `{placeholders}`, and `[optional parts]`.
 *
 * An optional part is left out if one of its placeholders is blank, or if the text would get longer than
 * its limit with it; earlier parts come first. Square brackets are not in the basic alphabet of GSM-7,
 * so no text needs them for itself.
 *
 * @module
 */

import { countSegments, findForeign, partLength, segmentLength } from "./gsm.ts";
import { answerLetters, type TextKind, textKinds } from "./patient_texts.ts";

/** What placeholders stand for, by name. */
export type TextValues = Readonly<Record<string, string>>;

interface Part {
  readonly text: string;
  readonly isOptional: boolean;
}

const partPattern = /\[([^\][]*)\]|[^\][]+/g;
const placeholder = /\{(\w+)\}/g;

function partsOf(template: string): Part[] {
  return [...template.matchAll(partPattern)].map(([whole, optional]) => ({
    text: optional ?? whole,
    isOptional: optional !== undefined,
  }));
}

const fill = (text: string, values: TextValues) =>
  text.replaceAll(placeholder, (_, name: string) => values[name] ?? "");

/** The names of the placeholders of a template. */
function placeholdersOf(template: string): string[] {
  return [...template.matchAll(placeholder)].map(([, name = ""]) => name);
}

/**
 * Fills in a template.
 *
 * @param limit The most characters with which an optional part is still added.
 */
export function fillTemplate(template: string, values: TextValues, limit: number): string {
  const parts = partsOf(template);
  const filled = parts.map(({ text }) => fill(text, values));
  const isIn = parts.map(({ isOptional }) => !isOptional);
  const compose = () => filled.filter((_, index) => isIn[index]).join("");
  for (const [index, { text, isOptional }] of parts.entries()) {
    if (!isOptional || placeholdersOf(text).some((name) => !values[name])) continue;
    isIn[index] = true;
    if (compose().length > limit) isIn[index] = false;
  }
  return compose();
}

/** The placeholders that a text of a kind makes no sense without. */
function requiredOf(kind: TextKind): readonly string[] {
  const possible: readonly string[] = textKinds[kind];
  return ["time", "choices", "offer", "confirm", "cancel"].filter((name) =>
    possible.includes(name)
  );
}

/** What is wrong with a template that a clinic has written, or nothing. */
export function findTemplateProblem(kind: TextKind, template: string): string | undefined {
  const possible: readonly string[] = textKinds[kind];
  const unknown = placeholdersOf(template).find((name) => !possible.includes(name));
  if (template.trim() === "") return "a text is needed";
  if (unknown !== undefined) {
    const known = possible.map((name) => `{${name}}`).join(", ") || "none";
    return `{${unknown}} is not a placeholder of this text; possible are: ${known}`;
  }
  return findForeignProblem(template) ?? findLetterProblem(kind, template) ??
    findLengthProblem(kind, template);
}

const letters = Object.values(answerLetters).join("");
/** A letter that stands alone, and is not part of "X-ray" or "C'est". */
const loneLetter = new RegExp(`(?<![\\p{L}\\p{N}'-])[${letters}](?![\\p{L}\\p{N}'-])`, "iu");

/** Letters that are written out could say the contrary of what they do. */
function findLetterProblem(kind: TextKind, template: string): string | undefined {
  const possible: readonly string[] = textKinds[kind];
  if (!possible.includes("confirm") && !possible.includes("offer")) return undefined;
  const [letter] = loneLetter.exec(template) ?? [];
  return letter === undefined ? undefined : `"${letter}" stands for itself; ` +
    (possible.includes("offer")
      ? "{offer} says with which letters the reminder is answered"
      : `write {confirm} for the letter that confirms, and {cancel} for the one that cancels`);
}

function findForeignProblem(template: string): string | undefined {
  const plain = template.replaceAll(placeholder, "")
    .replaceAll(partPattern, (part, optional) => optional ?? part);
  const foreign = findForeign(plain).map((char) => `"${char}"`);
  return foreign.length === 0 ? undefined : `${foreign.join(", ")} would make the text more than ` +
    "twice as expensive; write it with the letters of GSM-7, placeholders as {time}, optional " +
    "parts as [...]";
}

/** Only what is always there counts: the rest is left out where it does not fit. */
function findLengthProblem(kind: TextKind, template: string): string | undefined {
  const always = partsOf(template).filter(({ isOptional }) => !isOptional)
    .map(({ text }) => text).join("");
  const missing = requiredOf(kind).find((name) => !placeholdersOf(always).includes(name));
  if (missing !== undefined) return `{${missing}} is missing, outside of square brackets`;
  const longest = fill(always, longestValues);
  const limit = limitOf(kind);
  return longest.length <= limit
    ? undefined
    : `it has up to ${longest.length} characters, which is ${countSegments(longest)} texts; ` +
      `${limit} are possible. Shorten it, or put what can be left out into [...]`;
}

/** With an offer of this length, a reminder still fits into one segment. */
const longestOffer = 45;

function limitOf(kind: TextKind): number {
  if (kind === "offer") return longestOffer;
  return kind === "which_confirm" || kind === "which_cancel" ? 2 * partLength : segmentLength;
}

/** As long as these get, but for the names of months and weekdays in some languages. */
const longestValues: TextValues = {
  ...answerLetters,
  clinic: "x".repeat(25),
  time: "Wednesday 30 September at 10:30 AM",
  doctor: "x".repeat(30),
  number: "+4420794601234",
  offer: ` ${"x".repeat(longestOffer)}`,
  choices: "1: Wednesday 30 September 10:30 AM, 2: Wednesday 30 September 11:30 AM",
};
