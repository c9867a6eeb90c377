/**
 * What the words around a number say it is. The nearest label counts: in the same sentence, in the one
 * before, or in the question that the number answers.
 *
 * @module
 */

import { Mark, type Token } from "../tokens.ts";
import type { ReadText, Turn } from "./text.ts";
import {
  abbreviations,
  attaching,
  bodily,
  codeWords,
  copulas,
  dialledCodes,
  freeTexts,
  functionWords,
  lineOwners,
  lineWords,
  links,
  modifiers,
  numberWords,
  openOwners,
  otherCards,
  otherCodes,
  otherNouns,
  participles,
  passcodeOwners,
  passcodes,
  phoneNouns,
  phoneOwners,
  phoneVerbs,
  prepositions,
  pronouns,
  topicWords,
  verifying,
} from "./vocabulary.ts";

/**
 * What a number is said to be. `other` is an order, a dose or an id, and never personal. `unknown` is
 * the number of any other noun; only its form can tell whether it is a phone's.
 */
export type Label = "phone" | "passcode" | "code" | "nhs" | "ssn" | "card" | "other" | "unknown";

/** How many words a label reaches: in its sentence, across a full stop, and in a question. */
const reach = { sentence: 14, verb: 5, code: 7, afterDigits: 5, stop: 8, question: 30 };
const answerLimit = 12;
const turnLimit = 4;
/** Length of a turn between question and answer that only holds the line: `One moment.` */
const shortTurnLimit = 8;
const boundary = Mark.record | Mark.newline;
const pause = Mark.stop | Mark.newline;

/** The label before a token. */
export function labelBefore(read: ReadText, at: number): Label | undefined {
  const index = read.turnOf[at] ?? -1;
  const turn = read.turns[index];
  const own = labelInSentence(read, at, turn);
  if (own !== undefined && own !== "unknown") return own;
  const isAnswer = turn !== undefined && at - turn.firstToken <= answerLimit;
  return (isAnswer ? labelOfQuestion(read, index) : undefined) ?? own;
}

/** What the preceding turns asked for. The nearest one counts that says more than `One moment`. */
function labelOfQuestion(read: ReadText, answer: number): Label | undefined {
  for (let index = answer - 1; index >= Math.max(0, answer - turnLimit); index--) {
    const turn = read.turns[index];
    if (turn === undefined) return undefined;
    // Nobody answers their own question of a while ago.
    const isOwn = turn.speaker === read.turns[answer]?.speaker && index < answer - 1;
    const label = isOwn ? undefined : labelOfTurn(read, turn);
    if (label !== undefined) return label;
    if (turn.endToken - turn.firstToken > shortTurnLimit) return undefined;
  }
  return undefined;
}

/** The last label of a turn. A label that may be the channel, not what is asked for, counts less. */
function labelOfTurn(read: ReadText, { firstToken, endToken }: Turn): Label | undefined {
  const asked = { steps: 1, isNear: true, isObject: true, isNumbered: false };
  let weaker: Label | undefined;
  for (let at = endToken - 1; at >= Math.max(firstToken, endToken - reach.question); at--) {
    const found = labelAt(read, at, asked);
    if (found === undefined || isUnasked(read, at)) continue;
    // In `the number to reach you` the number belongs to the verb.
    const isVerb = phoneVerbs.has(read.tokens[at]?.value ?? "");
    const head = isVerb ? undefined : labelOfHead(read, at);
    // In `the number on the account` it may be the account's.
    if (head !== undefined) return head === "phone" && !isPhone(read, at) ? "unknown" : head;
    if (found !== "unknown" && !isWay(read, at)) return found;
    weaker ??= found;
  }
  return weaker;
}

/** `Thanks for calling` asks for nothing; `How can we reach you?` does. */
function isUnasked({ tokens }: ReadText, at: number): boolean {
  return phoneVerbs.has(tokens[at]?.value ?? "") &&
    !/^(?:you|back|them|him|her)$/.test(tokens[at + 1]?.value ?? "");
}

/** Whether a phone is only the channel: `a code to your phone`, `the code we texted you` */
function isWay({ tokens }: ReadText, at: number): boolean {
  const value = (index: number) => tokens[index]?.value ?? "";
  if (phoneVerbs.has(value(at))) return true;
  return phoneNouns.has(value(at)) && !numberWords.has(value(at + 1)) &&
    /^(?:to|on|by|via|over)$/.test(value(at - 2));
}

/**
 * The nearest label before a token, in its sentence or the one before.
 *
 * @param turn The turn of the token, if any. The speaker's name may be a label (`Phone:`).
 */
function labelInSentence(read: ReadText, at: number, turn: Turn | undefined): Label | undefined {
  const { nameToken = 0, firstToken = 0 } = turn ?? {};
  let weaker: Label | undefined;
  let [isNear, isStated, isSameSentence] = [true, false, true];
  let limit = reach.sentence;
  for (let steps = 1; steps <= limit && at - steps >= nameToken; steps++) {
    const token = read.tokens[at - steps];
    const marks = read.tokens[at - steps + 1]?.marks ?? 0;
    if (token === undefined || isNextField(marks)) break;
    if ((marks & pause) !== 0 && !isAbbreviation(token, marks)) {
      if (!isSameSentence) break;
      isSameSentence = false;
      isNear &&= (marks & Mark.stop) === 0;
      limit = Math.min(limit, steps + reach.stop);
    }
    if (token.kind !== "word") {
      // Another number is in between, and the noun belongs to that one.
      isNear = false;
      const isNumber = token.kind === "marker" || token.value.length >= 3;
      if (isNumber) limit = Math.min(limit, steps + reach.afterDigits);
      continue;
    }
    const isSaidOf = copulas.has(read.tokens[at - steps + 1]?.value ?? "");
    if (topicWords.has(token.value) && !isSaidOf) break;
    const isNumbered = steps === 1 && isBeforeSign(read, token);
    const isObject = isSameSentence && !isStated;
    // Such as `the order I phoned about is`
    const isSubject = isStated && pronouns.has(read.tokens[at - steps + 1]?.value ?? "");
    const place = { steps, isNear: isNear || isSubject, isObject, isNumbered };
    const found = labelAt(read, at - steps, place);
    const isAside = steps > 1 || (marks & Mark.colon) !== 0;
    const isHeaded = isAside && (found !== undefined || isStated);
    const label = (isHeaded ? labelOfHead(read, at - steps) : undefined) ?? found;
    if (label === "unknown" || label === "other" && !isSameSentence) weaker ??= "unknown";
    else if (label !== undefined) return label;
    if (steps === 1 && at - steps >= firstToken && isNounOf(token, marks)) weaker = "unknown";
    isNear &&= links.has(token.value);
    isStated ||= copulas.has(token.value);
  }
  return weaker;
}

/** How many words a noun may follow its preposition, a relative clause may have, nouns may be nested. */
const phraseLimits = { noun: 4, clause: 3, nested: 2 };

/**
 * The label of the noun that a noun with a preposition belongs to. In `the number on the order is ...`
 * it is the number; in `the serial number on the phone is ...` it is the serial number.
 */
function labelOfHead(read: ReadText, at: number, depth = 1): Label | undefined {
  const value = (index: number) => isPhrase(read, index + 1) ? read.tokens[index]?.value ?? "" : "";
  let before = at - 1;
  // `on my son's account`, `on the claim form`: at most one word without a meaning for the label.
  let others = 0;
  while (at - before <= phraseLimits.noun && !attaching.has(value(before))) {
    const isModifier = modifiers.has(value(before)) || otherNouns.has(value(before));
    if (value(before) === "" || !isModifier && ++others > 1) return undefined;
    before--;
  }
  if (!attaching.has(value(before))) return undefined;
  let head = before - 1;
  if (participles.has(value(head)) || copulas.has(value(head))) head--;
  // `the number (that) we have on the order`
  for (let back = 0; back < phraseLimits.clause && !isHead(value(head)); back++) {
    if (pronouns.has(value(head - back))) head -= back + 1;
  }
  if (isHead(value(head))) {
    return labelAt(read, head, { steps: 1, isNear: true, isObject: false, isNumbered: false });
  }
  // `the number on file for the claim`
  return depth < phraseLimits.nested ? labelOfHead(read, head, depth + 1) : undefined;
}

const isHead = (word: string) =>
  [numberWords, phoneNouns, codeWords, otherNouns].some((words) => words.has(word));

/** Whether the words before a noun name a phone. */
function isPhone({ tokens }: ReadText, at: number): boolean {
  return tokens.slice(Math.max(0, at - reach.verb), at).some(({ value }) => phoneNouns.has(value));
}

/** Whether only a space precedes a token. */
function isPhrase({ tokens }: ReadText, at: number): boolean {
  return ((tokens[at]?.marks ?? Mark.stop) & ~(Mark.space | Mark.other)) === 0;
}

/** In records, a field's name belongs to the next field: `{"order":"...","phone":`. */
function isNextField(marks: number): boolean {
  if ((marks & Mark.colon) !== 0) return false;
  return (marks & Mark.record) !== 0 ||
    (marks & (Mark.quote | Mark.comma)) === (Mark.quote | Mark.comma);
}

const isAbbreviation = (token: Token, marks: number) =>
  (marks & Mark.newline) === 0 && abbreviations.has(token.value);

/** Whether the digits belong to the noun: `parcel 4155550123`, `"asset": 4155550123`. */
function isNounOf(token: Token, marks: number): boolean {
  const { value } = token;
  if (functionWords.has(value) || freeTexts.has(value) || phoneOwners.has(value)) return false;
  if (value.length === 1) return false;
  return marks === Mark.space || marks === Mark.aside || (marks & Mark.colon) !== 0;
}

interface Place {
  /** Distance to the number in words; 1 for the word next to it. */
  readonly steps: number;
  /** Whether only linking words are in between. */
  readonly isNear: boolean;
  /** Whether the number can belong to a verb: in the same sentence, without `is` in between. */
  readonly isObject: boolean;
  /** Whether a number sign follows: `Group #`. */
  readonly isNumbered: boolean;
}

/** What the word at a place says. The word before it can change that. */
function labelAt(read: ReadText, at: number, place: Place): Label | undefined {
  const word = read.tokens[at]?.value ?? "";
  const owner = ownerOf(read, at);
  if (place.isNumbered) return labelOfSign(read, at + 1, word);
  if (numberWords.has(word)) return labelOfNumber(read, at, owner);
  if (codeWords.has(word)) return labelOfCode(read, at, owner, place);
  if (word === "fa" && read.tokens[at - 1]?.value === "2") return "passcode";
  const label = identityOf(word, owner, place) ?? phoneOf(word, owner, place);
  if (label !== undefined || !place.isNear) return label;
  if (/^n(?:o|r|os)$/.test(word)) {
    return owner.length > 1 && !functionWords.has(owner) ? labelOfSign(read, at, owner) : undefined;
  }
  if (word === "n") return owner === "s" ? "other" : undefined;
  const isIdiom = owner === "in" && /^(?:case|order|time|total)$/.test(word);
  return otherNouns.has(word) && !isIdiom ? "other" : undefined;
}

function identityOf(word: string, owner: string, { steps, isNear }: Place): Label | undefined {
  if (passcodes.has(word)) return "passcode";
  switch (word) {
    case "keypad":
    case "enter":
    case "entered":
      return "code";
    case "digits":
    case "ziffern":
    case "stellen":
      return /^(?:six|sechs)$/.test(owner) ? "code" : undefined;
    case "nhs":
      return isNear || steps <= reach.stop ? "nhs" : undefined;
    case "ssn":
      return "ssn";
    case "security":
      return owner === "social" ? "ssn" : undefined;
    case "social":
      return isNear ? "ssn" : undefined;
    case "card":
    case "visa":
    case "mastercard":
    case "amex":
      return otherCards.has(owner) ? "other" : "card";
    default:
      return undefined;
  }
}

function phoneOf(word: string, owner: string, { steps, isObject }: Place): Label | undefined {
  if (phoneNouns.has(word)) return bodily.has(owner) ? undefined : "phone";
  if (phoneVerbs.has(word)) return isObject && steps <= reach.verb ? "phone" : undefined;
  const isPhrase = lineWords.has(word) && lineOwners.has(owner) ||
    word === "id" && owner === "caller" || word === "app" && owner === "whats";
  return isPhrase ? "phone" : undefined;
}

function labelOfNumber(read: ReadText, at: number, owner: string): Label | undefined {
  // `number of slots`, `the number ending 23`
  if (/^(?:of|ending|ends)$/.test(read.tokens[at + 1]?.value ?? "")) return undefined;
  if (owner === "s" && otherNouns.has(ownerOf(read, at - 1))) return "other";
  if (owner === "nhs") return "nhs";
  if (owner === "security") return "ssn";
  if (/^(?:card|credit|debit)$/.test(owner)) {
    return otherCards.has(ownerOf(read, at - 1)) ? "other" : "card";
  }
  if (passcodes.has(owner)) return "passcode";
  if (phoneNouns.has(owner) || owner === "" || phoneOwners.has(owner)) return "phone";
  if (/(?:ish|ian|ese)$/.test(owner)) return "phone";
  // In `my Vodafone number` it is a name, in `Policy Number` a field.
  const isName = !otherNouns.has(owner) && isCapital(read, at - 1) && !isCapital(read, at);
  return isName ? "unknown" : "other";
}

/** `group #`, `group no.`; in `mobile number #` and `mobile number no.` it is the mobile's. */
function labelOfSign(read: ReadText, at: number, owner: string): Label | undefined {
  return isNumberWord(read, at - 1)
    ? labelOfNumber(read, at - 1, ownerOf(read, at - 1))
    : labelOfNumber(read, at, owner);
}

/** `number`, or a `no` that is not an answer: `order no.`. */
function isNumberWord(read: ReadText, at: number): boolean {
  const word = read.tokens[at]?.value ?? "";
  const isShort = /^n(?:o|r|os)$/.test(word) && !functionWords.has(ownerOf(read, at));
  return numberWords.has(word) || isShort && ownerOf(read, at) !== "";
}

/** Whether a number sign follows. After a word for a number it may be separated: `number: #`. */
function isBeforeSign({ text }: ReadText, { value, end }: Token): boolean {
  const sign = /^([.:]?) ?#/.exec(text.slice(end, end + 3));
  return sign !== null && (sign[1] === "" || numberWords.has(value) || /^n(?:o|r|os)$/.test(value));
}

function isCapital({ text, tokens }: ReadText, at: number): boolean {
  return /\p{Lu}/u.test(text[tokens[at]?.start ?? 0] ?? "");
}

function labelOfCode(read: ReadText, at: number, owner: string, place: Place): Label | undefined {
  if (dialledCodes.has(owner)) return "phone";
  if (passcodeOwners.has(owner)) return "passcode";
  if (owner !== "" && !openOwners.has(owner) && (otherCodes.has(owner) || !isSomebodys(read, at))) {
    return "other";
  }
  return place.isNear || place.steps <= reach.code ? "code" : undefined;
}

/** `your Sunrise Dental code` */
function isSomebodys({ tokens }: ReadText, at: number): boolean {
  return tokens.slice(Math.max(0, at - 5), at).some(({ value }) => /^(?:your|my)$/.test(value));
}

/** The word before, in the same phrase. `patient's number` is owned by `s`. */
function ownerOf(read: ReadText, at: number): string {
  const token = read.tokens[at];
  const before = read.tokens[at - 1];
  if (token === undefined || before?.kind !== "word") return "";
  const allowed = Mark.space | Mark.other | (isAbbreviation(before, token.marks) ? Mark.stop : 0);
  const isPhrase = (token.marks & ~allowed) === 0 && token.start - before.end <= 2;
  return isPhrase && read.turnOf[at] === read.turnOf[at - 1] ? before.value : "";
}

const lookAhead = 7;

/** What the words after a number say it was: `482913 is your code`, `555-0143 (mobile)`. */
export function labelAfter(read: ReadText, behind: number): Label | undefined {
  const isHedged = /^(?:think|believe|guess)$/.test(read.tokens[behind + 1]?.value ?? "");
  const end = isHedged ? behind + 2 : behind;
  const next = read.tokens[end];
  if (next?.kind !== "word" || (next.marks & (Mark.newline | Mark.record)) !== 0) return undefined;
  // `5550143. That's my mobile.`
  const isNextSentence = (next.marks & Mark.stop) !== 0;
  if (isNextSentence && next.value !== "that" && next.value !== "this") return undefined;
  if (next.value === "to" && verifying.has(read.tokens[end + 1]?.value ?? "")) return "code";
  const isAside = (next.marks & Mark.aside) !== 0 ||
    (next.marks & Mark.comma) !== 0 && /^(?:my|his|her|our|their)$/.test(next.value);
  const copula = /^(?:that|this|which)$/.test(next.value) ? end + 1 : end;
  if (!isAside && !copulas.has(read.tokens[copula]?.value ?? "")) return undefined;
  for (let at = isAside ? end : copula + 1; at < end + lookAhead; at++) {
    const token = read.tokens[at];
    if (token?.kind !== "word" || prepositions.has(token.value)) return undefined;
    if (at > end && (token.marks & (pause | boundary)) !== 0) return undefined;
    const place = {
      steps: at - end + 1,
      isNear: at <= end + 2,
      isObject: false,
      isNumbered: false,
    };
    const label = labelAt(read, at, place);
    if (label === undefined || isOwner(read, at)) continue;
    // `is a number` says nothing.
    if (/^an?$/.test(read.tokens[at - 1]?.value ?? "")) return undefined;
    return isAside && isOfNext(read, at + 1) ? undefined : label;
  }
  return undefined;
}

/** `(order 4155)`, `, my order number is 4155`: the word labels the number after it. */
function isOfNext({ tokens }: ReadText, at: number): boolean {
  const next = tokens[at];
  return next !== undefined && (next.kind !== "word" || copulas.has(next.value));
}

/** Whether the noun only says whose number follows: `order` in `is the order number`. */
function isOwner(read: ReadText, at: number): boolean {
  const next = read.tokens[at + 1]?.value ?? "";
  return numberWords.has(next) || codeWords.has(next);
}
