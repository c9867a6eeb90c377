/**
 * What the words around a number say it is: the nearest label counts, in the same sentence, in the
 * one before, or in the question that the number answers.
 *
 * @module
 */

import { Mark, type ReadText, type Token } from "./text.ts";

/**
 * What a number is said to be. `other` is an order, a dose, an id, and never personal; `unknown` is
 * some noun's number, which only its form can tell from a phone's.
 */
export type Label = "phone" | "passcode" | "code" | "nhs" | "ssn" | "card" | "other" | "unknown";

const setOf = (words: string) => new Set(words.trim().split(/\s+/));

const phoneNouns = setOf(
  `phone phones telephone telephones tel mobile mobiles mob cell cellphone landline landlines fax ph
  whatsapp callback msisdn voicemail pager hotline helpline handy telefon telefono teléfono téléphone
  handynummer telefonnummer mobilnummer rufnummer portable móvil movil cellulare nummer numéro número numero wa switchboard`,
);
/** What one does with a phone number: a label for what follows at once (`call me on ...`). */
const phoneVerbs = setOf(
  `call calls called calling ring rings ringing rang dial dials dialled dialed reach reached reachable
  contact contacted text texts texted texting sms message messaged try tried caller`,
);
const numberWords = setOf("number numbers num nummer");
/** Whose number is a phone's, when no other noun stands before the word. */
const phoneOwners = setOf(
  `my your her his their our its the a an s best better new old contact callback back same another
  other which what whose this that these those home house work daytime day night evening personal
  private preferred direct good mum mums mom dad dads mother father husband wife son daughter partner
  brother sister parent carer friend neighbour boss kin doctor doctors gp nurse dentist pharmacy
  clinic surgery office reception receptionist emergency alternative alternate backup secondary
  primary main current correct right wrong full uk us british american french german irish spanish
  italian dutch indian polish foreign international local two both different next first second last
  toll free freephone caller calling called reachable school shop hotel taxi vet landlord plumber
  hospice care site branch is was at on to from with for via by and or but call dial ring text use take
  have give get got leave confirm need lost changed only spare temporary burner google skype line
  voice any long short`,
);
/** Nouns that say what the number right behind them is. */
const otherNouns = setOf(
  `aba accession account acct age aged agreement amount application asset aud authorisation
 authorization badge balance barcode batch bates bill bin birth bmi booking born build bus bytes
 cad case catalog catalogue certificate chapter chart chassis checksum cheque chf claim coach
 commit complaint confirmation consignment contract coordinates cost count coupon cpt crn date
 dea deposit depth diagnosis dispute dob docket doi drg duration ean ein elapsed encounter engine
 epoch eur exp fee firmware flight gate gbp gdc gmc gtin guid hash hcpcs height iat iccid
 icd id identifier ids imei incident inr inventory invoice isbn issn item key lat latitude
 licence license loan locker log loinc lon longitude lot lottery member meter model mortgage mrn
 ms nbf nct ndc nmc npi odsn offset oid old order orders page parcel part passport payment permit
 pid pmid po policy postal postcode prescription price procedure protocol qty quantity quotation
 quote receipt ref reference references referral refs registration release request
 requisition revision room routing row rx score seat seconds section seed sequence serial sha
 shelf shipment size sku snapshot snomed sort span specimen submission subscriber sum swift tax
 ticket time timestamp tin token total trace tracking train transaction transfer ubrn udi unix
 upc usd uuid value vat version vin volume voucher warrant warranty weight wire year years zip`,
);
/** May stand between a noun and its number: `order number is now ...`. */
const links = setOf(
  "is was are were number numbers num no nr id code it its s the a reads of as says be now called",
);
/** Cards that pay nothing. */
const otherCards = setOf(
  "sim gift library loyalty membership id key business appointment green store",
);
const codeWords = setOf("code codes");
const passcodes = setOf("passcode passcodes otp totp 2fa mfa password pin pincode passkey");
const passcodeOwners = setOf(
  `verification verify security pass login signin authentication auth activation validation sms otp
  pin confirmation access time factor recovery texted`,
);
/** Before `code` these leave open what it is for. */
const openOwners = setOf(
  `my your the a an this that our their his her digit new same wrong correct last latest right s
  number first second is was enter use with got get have send sent and or read says me you invalid
  expired following entered received which what whose typed tried`,
);
/** Whose code is no passcode, also when it is somebody's: `your zip code`. */
const otherCodes = setOf(
  `cpt icd zip post postal error status country sort procedure diagnosis billing hcpcs snomed read drug
  bar qr product promo promotion promotional discount coupon voucher dress response exit region reason
  revenue modifier item tariff department cost color colour fault branch store course tax city route
  routing swift bic currency language airport airline station source ndc loinc opcs cm pcs condition
  service specialty referral booking appointment site room place key hex trip result return twilio http
  sql postcode morse gift building`,
);
/** A code of these is dialled: it begins a phone number. */
const dialledCodes = setOf("area country region dialling dialing dial calling international std");
/** Function words; any other word right before a bare run of digits is the noun it belongs to. */
const functionWords = setOf(
  `is was are were be been at on to from with for via by and or but my your her his their our the a an
  it its s this that me him us them you i we he she they just only also either then still please thanks
  thank ok okay yes yeah no not so um uh er well sure actually now here there today tomorrow if when
  as like plus double triple try trying tried use used using got get gets has have had does did do can
  could would will should may re m ll ve d both all again instead after before until since because
  left gave gives give take took says said hi hello hey ask asked asking who which what`,
);
/** Fields that hold what somebody wrote or said. */
const freeTexts = setOf(
  "note notes comment comments content reason description query answer reply said utterance memo",
);
const topicWords = setOf("about regarding concerning re");

/** How many words a label reaches in its own sentence, over a full stop, and in a question. */
const reach = { sentence: 14, verb: 5, code: 7, afterDigits: 5, stop: 8, question: 30 };
const answerLimit = 12;
const turnLimit = 4;
/** A turn between question and answer that only holds the line: `One moment.` */
const shortTurnLimit = 8;
const boundary = Mark.record | Mark.newline;
const pause = Mark.stop | Mark.newline;

/** The label before a token. */
export function labelBefore(read: ReadText, at: number): Label | undefined {
  const turn = read.turnOf[at] ?? -1;
  const { nameToken = 0, firstToken = 0 } = read.turns[turn] ?? {};
  const own = labelBackwards(read, at, { first: nameToken, said: firstToken, isQuestion: false });
  if (own !== undefined && own !== "unknown") return own;
  return (turn >= 0 && at - firstToken <= answerLimit ? labelOfQuestion(read, turn) : undefined) ??
    own;
}

/** What the turns before asked for; the nearest that says more than `One moment`. */
function labelOfQuestion(read: ReadText, answer: number): Label | undefined {
  for (let index = answer - 1; index >= Math.max(0, answer - turnLimit); index--) {
    const turn = read.turns[index];
    if (turn === undefined) return undefined;
    const first = Math.max(turn.firstToken, turn.endToken - reach.question);
    const label = labelBackwards(read, turn.endToken, { first, said: Infinity, isQuestion: true });
    if (label !== undefined) return label;
    if (turn.endToken - turn.firstToken > shortTurnLimit) return undefined;
  }
  return undefined;
}

/** Where to look: from `first` on, where a speaker's name may stand; what was said begins at `said`. */
interface Reach {
  readonly first: number;
  readonly said: number;
  readonly isQuestion: boolean;
}

function labelBackwards(
  read: ReadText,
  at: number,
  { first, said, isQuestion }: Reach,
): Label | undefined {
  let limit = isQuestion ? reach.question : reach.sentence;
  let isNear = true;
  let isSameSentence = true;
  let weaker: Label | undefined;
  let isStated = false;
  for (let index = at - 1; index >= Math.max(first, at - limit); index--) {
    const token = read.tokens[index];
    const marks = isQuestion && index === at - 1 ? Mark.space : read.tokens[index + 1]?.marks ?? 0;
    if (token === undefined) break;
    if (!isQuestion && isNextField(marks)) break;
    if (!isQuestion && (marks & pause) !== 0 && !isAbbreviation(token, marks)) {
      if (!isSameSentence) break;
      isSameSentence = false;
      if ((marks & Mark.stop) !== 0) isNear = false;
      limit = Math.min(limit, at - index + reach.stop);
    }
    if (token.kind !== "word") {
      // Another number stands between: the noun was that one's.
      isNear = isQuestion;
      if (token.kind === "marker" || token.value.length >= 3) {
        limit = Math.min(limit, at - index + reach.afterDigits);
      }
      continue;
    }
    if (topicWords.has(token.value) && isNear) break;
    const steps = at - index;
    const label = labelAt(read, index, {
      steps: isQuestion ? 1 : steps,
      isNear: isNear || isQuestion,
      isObject: isSameSentence && !isStated,
      isNumbered: steps === 1 && !isQuestion && read.text[token.end] === "#" ||
        read.text.slice(token.end, token.end + 2) === " #",
    });
    // `How can we reach you?` asks for a number, `the code we texted you` does not.
    const isWeak = label === "unknown" || isQuestion && phoneVerbs.has(token.value);
    if (isWeak) weaker ??= label;
    else if (label === "other" && !isSameSentence && !isQuestion) weaker ??= "unknown";
    else if (label !== undefined) return label;
    if (steps === 1 && index >= said && isNounOf(token, marks)) weaker = "unknown";
    if (!links.has(token.value)) isNear = false;
    if (copulas.has(token.value)) isStated = true;
  }
  return weaker;
}

/** In records the next field's name is the next field's: `{"order":"...","phone":`. */
function isNextField(marks: number): boolean {
  if ((marks & Mark.colon) !== 0) return false;
  return (marks & Mark.record) !== 0 ||
    (marks & (Mark.quote | Mark.comma)) === (Mark.quote | Mark.comma);
}

const abbreviations = setOf(
  "tel ph mob no nr ref inv acct ext num dr mr mrs approx dept st reg med hosp pat",
);
const isAbbreviation = (token: Token, marks: number) =>
  (marks & Mark.newline) === 0 && abbreviations.has(token.value);

/** `parcel 4155550123`, `"asset": 4155550123`: the digits are the noun's. */
function isNounOf(token: Token, marks: number): boolean {
  const { value } = token;
  if (functionWords.has(value) || freeTexts.has(value) || phoneOwners.has(value)) return false;
  if (value.length === 1) return false;
  return marks === Mark.space || marks === Mark.aside || (marks & Mark.colon) !== 0;
}

interface Place {
  /** Words from the number, 1 for the one beside it. */
  readonly steps: number;
  /** Whether only link words are between. */
  readonly isNear: boolean;
  /** Whether the number can be a verb's: in its sentence, with no `is` between. */
  readonly isObject: boolean;
  /** `Group #`: the word owns a number. */
  readonly isNumbered?: boolean;
}

function labelAt(read: ReadText, at: number, place: Place): Label | undefined {
  const word = read.tokens[at]?.value ?? "";
  const owner = ownerOf(read, at);
  // `S/N`, a serial number.
  if (word === "n" && owner === "s" && place.isNear) return "other";
  if (place.isNumbered) return labelOfNumber(read, at + 1, word);
  if (word === "nhs") return place.steps <= reach.stop || place.isNear ? "nhs" : undefined;
  if (word === "ssn" || (word === "security" && owner === "social")) return "ssn";
  if (word === "social" && place.isNear) return "ssn";
  if (/^(?:card|visa|mastercard|amex)$/.test(word)) return otherCards.has(owner) ? "other" : "card";
  if (passcodes.has(word)) return "passcode";
  if (codeWords.has(word)) return labelOfCode(read, at, owner, place);
  if (/^(?:keypad|enter|entered)$/.test(word)) return "code";
  if (numberWords.has(word)) return labelOfNumber(read, at, owner);
  if (/^n(?:o|r|os)$/.test(word) && place.isNear && owner.length > 1 && !functionWords.has(owner)) {
    return labelOfNumber(read, at, owner);
  }
  if (phoneNouns.has(word)) return isBodily(owner) ? undefined : "phone";
  if (
    /^(?:line|lines|handset)$/.test(word) &&
    /^(?:direct|main|office|work|home|private)$/.test(owner)
  ) {
    return "phone";
  }
  if (phoneVerbs.has(word)) {
    return place.isObject && place.steps <= reach.verb ? "phone" : undefined;
  }
  if (word === "id" && owner === "caller" || word === "app" && owner === "whats") return "phone";
  if (!place.isNear || !otherNouns.has(word)) return undefined;
  return owner === "in" && /^(?:case|order|time|total)$/.test(word) ? undefined : "other";
}

const isBodily = (owner: string) => /^(?:white|red|blood|t|b|stem|per|each|single)$/.test(owner);

function labelOfNumber(read: ReadText, at: number, owner: string): Label | undefined {
  if (read.tokens[at + 1]?.value === "of") return undefined;
  if (owner === "nhs") return "nhs";
  if (owner === "security") return "ssn";
  if (/^(?:card|credit|debit)$/.test(owner)) {
    return otherCards.has(ownerOf(read, at - 1)) ? "other" : "card";
  }
  if (passcodes.has(owner)) return "passcode";
  if (phoneNouns.has(owner) || owner === "" || phoneOwners.has(owner)) return "phone";
  if (/(?:ish|ian|ese)$/.test(owner)) return "phone";
  // `my Vodafone number` is a name's, `Policy Number` is a field's.
  const isName = !otherNouns.has(owner) && isCapital(read, at - 1) && !isCapital(read, at);
  return isName ? "unknown" : "other";
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

/** The word before, in the same phrase; `patient's number` is owned by `s`. */
function ownerOf(read: ReadText, at: number): string {
  const token = read.tokens[at];
  const before = read.tokens[at - 1];
  if (token === undefined || before?.kind !== "word") return "";
  const allowed = Mark.space | Mark.other | (isAbbreviation(before, token.marks) ? Mark.stop : 0);
  const isPhrase = (token.marks & ~allowed) === 0 && token.start - before.end <= 2;
  return isPhrase && read.turnOf[at] === read.turnOf[at - 1] ? before.value : "";
}

const lookAhead = 7;
const copulas = setOf("is was are were s as being");
const prepositions = setOf("in on at to from with by of until till since during");
const verifying = setOf("verify confirm log sign authenticate");

/** What the words after a number say it was: `482913 is your code`, `555-0143 (mobile)`. */
export function labelAfter(read: ReadText, end: number): Label | undefined {
  const next = read.tokens[end];
  if (next?.kind !== "word" || (next.marks & (pause | Mark.record)) !== 0) return undefined;
  if (next.value === "to" && verifying.has(read.tokens[end + 1]?.value ?? "")) return "code";
  const isAside = (next.marks & Mark.aside) !== 0;
  const copula = next.value === "that" || next.value === "which" ? end + 1 : end;
  if (!isAside && !copulas.has(read.tokens[copula]?.value ?? "")) return undefined;
  for (let at = isAside ? end : copula + 1; at < end + lookAhead; at++) {
    const token = read.tokens[at];
    if (token?.kind !== "word" || prepositions.has(token.value)) return undefined;
    if (at > end && (token.marks & (pause | boundary)) !== 0) return undefined;
    const isNear = at <= end + 2;
    const label = labelAt(read, at, { steps: at - end + 1, isNear, isObject: false });
    if (label === undefined || isOwner(read, at)) continue;
    // `is a number` says nothing.
    if (/^an?$/.test(read.tokens[at - 1]?.value ?? "")) return undefined;
    // `(order 4155)`: the word labels the number behind it.
    return isAside && read.tokens[at + 1]?.kind === "digits" ? undefined : label;
  }
  return undefined;
}

/** Whether the noun only says whose number follows: `order` in `is the order number`. */
function isOwner(read: ReadText, at: number): boolean {
  const next = read.tokens[at + 1]?.value ?? "";
  return numberWords.has(next) || codeWords.has(next);
}

const measures = setOf(
  `mg mcg ug g kg ml l dl iu units unit mmol mol nmol pmol mmhg bpm cm mm km pounds pound dollars
  euros euro pence cents percent hours hour days weeks months years minutes seconds ms copies cells
  rows slots steps calories kcal tablets tabs capsules puffs drops patients people times records bytes
  characters milligrams micrograms grams kilograms millilitres litres am pm million billion thousand
  ago gbp usd eur degrees`,
);

/** Whether a measure follows: `1234567 rows`, `500 mg`. */
export function isMeasured(read: ReadText, end: number): boolean {
  const token = read.tokens[end];
  return token !== undefined && measures.has(token.value) &&
    (token.marks === 0 || token.marks === Mark.space) &&
    token.start - (read.tokens[end - 1]?.end ?? 0) <= 1;
}
