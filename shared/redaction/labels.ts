/**
 * What the words before and after a number say it is: the nearest label counts.
 *
 * @module
 */

import type { ReadText, Token } from "./text.ts";

/** What a number is said to be; `other` is an order, a dose, an id: never personal. */
export type Label = "phone" | "code" | "passcode" | "nhs" | "ssn" | "nino" | "card" | "other";

const setOf = (words: string) => new Set(words.split(/\s+/));

const phoneWords = setOf(
  `phone phones telephone tel mobile mob cell cellphone landline fax ph whatsapp sms callback
  call called calling ring dial reach reachable contact text texted msisdn voicemail pager hotline
  helpline handy telefon telefono teléfono téléphone portable móvil movil cellulare nummer numéro
  número numero caller wa`,
);
/** `my number`, `the best number`, `work numbers`: a phone's unless another noun stands there. */
const phoneOwners = setOf(
  `my your her his their our the a best new old contact callback back same another other which what
  whose this that home work daytime evening personal preferred direct good mum mums dad dads office
  reception emergency alternative backup current correct right wrong s uk us british american
  french german irish two both different next whatsapp`,
);
const numberWords = setOf("number numbers num nummer");
/** Nouns whose number is no phone's, when one of `numberWords` or an id follows. */
const otherOwners = setOf(
  `order reference ref invoice account acct policy member membership claim case serial batch lot
  tracking ticket booking confirmation receipt parcel shipment flight prescription rx license
  licence passport tax record chart encounter accession specimen sample group plan payer part model
  room bed ward transaction company registration vat employee staff student customer patient
  hospital unit file docket job medical insurance insured driver drivers vehicle plate charity
  catalogue item product stock purchase po routing sort bank house flat street apartment suite box
  page line row version build seat gate lottery gmc gdc nmc npi mrn dea upin ein tin gp practice
  subscriber authorization authorisation approval referral protocol study trial requisition
  delivery consignment bib seed port`,
);
/** Nouns that label the number right after them. */
const otherWords = setOf(
  `order invoice mrn npi reference ref epoch timestamp ticket tracking account acct policy serial
  sku isbn issn barcode booking claim case flight parcel receipt passport version build lot batch id
  ids uuid guid count pid ndc loinc snomed cpt icd dea vat rx prescription iat exp nbf ms us ns
  duration seconds gbp usd eur cad aud chf inr total amount price fee balance sum cost size bytes
  zip postcode postal oid section chapter pmid doi nct ean upc gtin udi po sha hash seed room page
  date dob birth born year years age aged old quantity qty snapshot revision release firmware gmc
  gdc nmc ein tin catalogue protocol accession specimen drg hcpcs transaction member subscriber
  bates confirmation time unix offset score lottery imei iccid vin bmi weight height ubrn odsn crn
  pin7 number1`,
);
/** These are labels only in front of a number or id word: a patient is not his number. */
const links = setOf(
  "is was are number numbers num no nr id code it its s the a reads of as says be for_ : now",
);
const codeWords = setOf("code codes");
const passcodeWords = setOf("passcode passcodes otp totp 2fa mfa password pin pincode passkey");
const passcodeOwners = setOf(
  `verification security pass login signin authentication auth activation validation sms otp pin
  confirmation access time factor recovery`,
);
const otherCodes = setOf(
  `cpt icd zip post postal area error status country sort procedure diagnosis billing hcpcs snomed
  read drug bar qr product promo promotion promotional discount coupon voucher dress response exit
  region dialling dialing reason revenue modifier item tariff department cost color colour fault
  branch store course tax city route routing swift bic currency language airport airline station
  source ndc loinc opcs cm pcs condition service specialty referral booking appointment clinic
  site room place key colour hex trip result return twilio http sql postcode morse gift`,
);
const endings = /[.!?\n]/;
const tokenLimit = 14;
const afterStopLimit = 7;
const turnTokenLimit = 30;
const turnLimit = 4;
/** A turn between question and answer that only holds the line: `One moment.` */
const shortTurnLimit = 8;

/** The label before a token, or undefined. */
export function labelBefore(read: ReadText, at: number): Label | undefined {
  const { tokens, text } = read;
  let from = tokens[at];
  let stops = 0;
  let isAdjacent = true;
  let turn = read.turnOf[at] ?? -1;
  let turns = 0;
  let limit = tokenLimit;
  for (let index = at - 1, steps = 1; index >= 0 && from; index--, steps++) {
    const token = tokens[index];
    if (token === undefined) return undefined;
    const isOtherTurn = (read.turnOf[index] ?? -1) !== turn;
    if (isOtherTurn) {
      if (turn === -1 || (read.turnOf[index] ?? -1) === -1) return undefined;
      turns++;
      if (turns > turnLimit || (turns > 1 && isLong(read, turn))) return undefined;
      turn = read.turnOf[index] ?? -1;
      [stops, isAdjacent, limit] = [0, false, steps + turnTokenLimit];
      // The speaker's name is a token of its own turn's line, not of what was said before.
    } else if (endings.test(text.slice(token.end, from.start))) {
      stops++;
      isAdjacent = false;
      if (turns === 0) limit = Math.min(limit, afterStopLimit);
    } else if (/[;{}|]|",?\s*"|,\s*"|&/.test(text.slice(token.end, from.start)) && steps > 1) {
      // The next field of a record: its label is its own.
      return undefined;
    }
    if (steps > limit || stops > 1 + turns) return undefined;
    if (token.kind === "word") {
      const label = labelAt(read, index, isAdjacent || turns > 0);
      if (label !== undefined) return label;
      if (!links.has(token.value)) isAdjacent = false;
    } else if (token.kind === "marker" || token.value.length >= 3) {
      isAdjacent = false;
      if (token.kind === "digits" && turns === 0) limit = Math.min(limit, steps + 5);
    }
    from = token;
  }
  return undefined;
}

function isLong(read: ReadText, turn: number): boolean {
  const { firstToken = 0, endToken = 0 } = read.turns[turn] ?? {};
  return endToken - firstToken > shortTurnLimit;
}

function labelAt(read: ReadText, at: number, isAdjacent: boolean): Label | undefined {
  const word = read.tokens[at]?.value ?? "";
  const before = previousWord(read, at);
  if (word === "nhs") return "nhs";
  if (
    word === "ssn" || (word === "social" && before !== "via") ||
    (word === "security" && before === "social")
  ) {
    return "ssn";
  }
  if (word === "nino" || (word === "insurance" && before === "national")) return "nino";
  if (word === "card" || word === "visa" || word === "mastercard" || word === "amex") return "card";
  if (passcodeWords.has(word)) return "passcode";
  if (codeWords.has(word)) return codeLabel(read, at, before);
  if ((word === "entry" && before === "keypad") || word === "enter" || word === "entered") {
    return "code";
  }
  if (numberWords.has(word) || ((word === "no" || word === "nr") && isAdjacent)) {
    return numberLabel(read, at, before, word);
  }
  if (phoneWords.has(word)) return "phone";
  if (!isAdjacent || !otherWords.has(word)) return undefined;
  const isIdiom = before === "in" && (word === "case" || word === "order");
  return isIdiom ? undefined : "other";
}

function numberLabel(read: ReadText, at: number, before: string, word: string): Label | undefined {
  if (otherOwners.has(before) || otherWords.has(before)) return "other";
  if (before === "nhs") return "nhs";
  if (before === "security") return "ssn";
  if (before === "card") return "card";
  if (phoneWords.has(before) || phoneOwners.has(before) || isFirst(read, at)) {
    return word === "no" || word === "nr"
      ? (phoneWords.has(before) ? "phone" : undefined)
      : "phone";
  }
  return undefined;
}

function codeLabel(read: ReadText, at: number, before: string): Label | undefined {
  if (passcodeOwners.has(before)) return "passcode";
  if (otherCodes.has(before) || (before === "10" && previousWord(read, at - 1) === "icd")) {
    return "other";
  }
  return "code";
}

function previousWord(read: ReadText, at: number): string {
  const token = read.tokens[at];
  const before = read.tokens[at - 1];
  if (token === undefined || before === undefined) return "";
  const isSameTurn = read.turnOf[at] === read.turnOf[at - 1];
  return isSameTurn && !/[.!?\n:;,{}"]/.test(read.text.slice(before.end, token.start))
    ? before.value
    : "";
}

function isFirst(read: ReadText, at: number): boolean {
  return previousWord(read, at) === "";
}

const lookAhead = 7;
const phoneAfter =
  /^(?:is|as|was|are)? ?(?:the|my|your|her|his|their|our|a)? ?(?:s )?(?:best|new|old|main|only|direct|home|work)? ?(?:phone|mobile|cell|telephone|landline|number|callback|contact|fax)\b(?! of\b)/;
const codeAfter =
  /^(?:(?:is|as|was) (?:your|my|the|a|our)\b.*\b(?:code|passcode|otp|pin|password)\b|to (?:verify|confirm|log in|sign in)\b|as (?:the )?(?:code|passcode))/;

/** What the words right after a number say it was: `482913 is your code`. */
export function labelAfter(read: ReadText, end: number): "phone" | "code" | undefined {
  const words: string[] = [];
  let last: Token | undefined = read.tokens[end - 1];
  for (let at = end; at < end + lookAhead; at++) {
    const token = read.tokens[at];
    if (token?.kind !== "word" || last === undefined) break;
    if (/[.!?;\n{}"]/.test(read.text.slice(last.end, token.start))) break;
    words.push(token.value);
    last = token;
  }
  const said = words.join(" ");
  if (codeAfter.test(said)) return "code";
  if (phoneAfter.test(said)) return "phone";
  return undefined;
}

const unitWords = setOf(
  `mg mcg ug g kg ml l dl iu units unit mmol mol nmol pmol mmhg bpm cm mm km pounds pound dollars
  euros euro pence cents percent hours hour days weeks months years minutes seconds ms copies cells
  rows slots steps calories kcal tablets capsules patients people times records bytes characters
  million billion thousand ago gbp usd eur`,
);

/** Whether a measure follows: `1234567 rows`. */
export function isMeasured(read: ReadText, end: number): boolean {
  const token = read.tokens[end];
  const last = read.tokens[end - 1];
  if (token === undefined || last === undefined || !unitWords.has(token.value)) return false;
  return /^\s?$/.test(read.text.slice(last.end, token.start));
}
