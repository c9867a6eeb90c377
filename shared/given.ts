/**
 * Recognizes what language models write when they have no value. Such an argument counts as missing.
 *
 * Seen in public bug reports: the words null, None, N/A and undefined as text, a dash, and template
 * variables that nothing replaced.
 *
 * @module
 */

import { toEnglish } from "./german.ts";

/** A pattern of which one alternative matches. */
function oneOf(...patterns: readonly string[]): string {
  return `(?:${patterns.join("|")})`;
}

/** As words, separated by blanks. */
function oneOfWords(words: string): string {
  return oneOf(...words.split(" "));
}

const person = oneOfWords("caller patient customer");
/** What has not happened to a value that is missing: "not yet provided". */
const missing = `(?:yet |been )?${
  oneOfWords(
    "provided given specified available applicable known set sure mentioned stated said disclosed " +
      "shared supplied recorded collected determined decided found asked",
  )
}`;
const not = oneOf("not", "none", "(?:did|has|does)(?:n't| not)");
/** "not provided by the caller", "patient did not say", "none given yet". */
const notGivenYet = `(?:(?:information|value|caller|patient|customer) )?${not} ${
  oneOf(missing, "say", "provide", "give", "specify", "mention", "answer")
}(?: yet)?(?: by (?:the )?(?:caller|patient|customer|user))?`;
/** "null", "N/A", "TBD", "to be confirmed", "no information". */
const emptyWords = [
  "null|nil|none|nothing|pending|blank",
  "n ?[/.]? ?a|undefined|nan",
  "unknown|unspecified|unset|unavailable|empty",
  "tb[acd]|to be (?:announced|confirmed|determined|decided|provided)",
  "no (?:value|data|info|information|answer|response)",
  "unbekannt|keine angaben?|nicht (?:angegeben|bekannt)",
];
/** "-", "%name%", "{{name}}", "${name}", "<name>", "[name]". */
const placeholders = [
  "[-–—_.?]+",
  "%[a-z _.-]+%",
  String.raw`\$?\{{1,2}[^}]*\}{1,2}`,
  "<[a-z _-]*>",
  String.raw`\[[a-z _-]*\]`,
];
const filler = oneOf(...emptyWords, notGivenYet, ...placeholders);
const notGiven = wordsOf(filler);

const relation = oneOfWords(
  "wife husband partner spouse mother mum mom father daughter sister brother child friend",
);
const callers = `(?:the )?${person}'?s`;
/** Words for a person that are not a name. `My Son` is a name. */
const somebody = oneOf(
  `(?:my|${callers}) ${relation}`,
  `${callers} son`,
  "myself|yes|guest",
  `same(?: as (?:the )?(?:caller|patient|customer|above|before))?`,
);
const noName = wordsOf(oneOf(
  filler,
  somebody,
  "(?:the |an? )?(?:anonymous|caller|patient|customer|user)(?:'?s)?",
  "(?:(?:first|last|full|your|my|the)[ _-]?)?name",
  "first last|not yet|i (?:don'?t|do not) know|no (?:name|idea)",
));

/** Matches a text that has only these words. */
function wordsOf(word: string): RegExp {
  return new RegExp(String.raw`^${word}(?:[\s,/]+${word})*$`, "i");
}

/** Removes surrounding quotes or parentheses and a full stop or comma at the end. */
function bareText(text: string): string {
  return text.replaceAll("’", "'").replace(/^["'`(]+|[)"'`]+$/g, "").replace(/(?<=\w)[.,]+$/, "")
    .trim();
}

/** Whether a text means "no value": `N/A`, `none`, `null null`, `{{customer.name}}`. */
export function isNotGiven(text: string): boolean {
  const bare = bareText(text);
  return bare === "" || notGiven.test(bare);
}

/**
 * Whether a text can be somebody's name. `Unknown Caller`, `Jane [last name]`, an e-mail address or a
 * text with a phone number cannot be one; `Jennifer Null` and `Elizabeth 2` can.
 */
export function isName(text: string): boolean {
  const bare = bareText(text).replace(/[.!]+$/, "");
  return /\p{L}/u.test(bare) &&
    !/[@{}<>]|(?:\p{Nd}[\s().+-]*){5}|\[[^\]]*name[^\]]*\]/iu.test(bare) &&
    !noName.test(bare);
}

const profession = `${
  oneOfWords(
    "doctor dentist provider physician practitioner specialist clinician therapist",
  )
}s?`;
/** Words that can follow "anybody" without naming somebody. */
const detail = oneOf(
  "the|an?|of|them|those|your|you|me|us",
  "have|has|got|is|are|be|can|see|take|works?|on duty|available|availability|free",
  "one|body|person|people|time|day|slot|appointment|opening",
  "first|next|earliest|soonest|sooner|open|at all|possible|there",
  "to|who|which|will do|in particular|fine|okay|ok|please|thanks?|today|tomorrow|clinic",
  profession,
  "drs?$",
);
/** The start of a wish that leaves the choice to the clinic: "any", "the next". */
const anybody = String.raw`${
  oneOf("any(?: ?(?:one|body|thing|time))?", "(?:the |your )?(?:first|next|earliest|soonest)")
}\b`;
const theCaller = oneOf("(?:the )?(?:caller|patient|customer|user)", "s?he|they");
/** "either", "I have no preference", "it doesn't matter", "she doesn't mind", "you choose". */
const indifferent = String.raw`${
  oneOf(
    "either|whoever|whichever|whatever",
    `(?:(?:i|we)(?: have|'ve) |${theCaller} (?:has|have) )?(?:no|without(?: a| any)?) ` +
      "(?:particular |special )?(?:preference|one|body|doctor)",
    "(?:it )?(?:does(?:n't| not|nt)|makes no) (?:really )?(?:matter|difference)",
    `(?:(?:i|we|${theCaller}) )?(?:do(?:es)?(?:n't| not|nt)) (?:really )?(?:mind|care|know)`,
    "nobody (?:in particular|special)",
    `(?:(?:i'm|i am|${theCaller} is) )?flexible`,
    "you (?:can )?(?:choose|decide|pick)|your choice",
  )
}\b`;
const noPreference = new RegExp(
  `^${
    oneOf(
      "all|open",
      `${oneOf(anybody, indifferent)}(?:'s)?(?:[ ,]+${detail})*`,
      `all (?:the |of the )?${profession}`,
      `(?:(?:the|an?|your) )?${profession}`,
    )
  }$`,
  "i",
);
const beginsOpen = new RegExp(`^${anybody}`, "i");
const beginsIndifferent = new RegExp(`^${indifferent}`, "i");
const title = /^(?:dr|doctor|prof|professor)\b\.?\s+/i;
const named = new RegExp(
  String
    .raw`^${anybody}(?:[ ,]+${detail})*?[ ,]+(?:(?:with|for|from)[ ]+|(?=(?:dr|doctor)\b\.?[ ]))(.+)$`,
  "i",
);
const exclusion =
  /\b(?:not|never|except|excluding|besides|avoid|other than|apart from|rather than|instead of)\b|n't\b|^(?:any|all|every)[a-z ]* but\b|^no\s/i;
const described = /\b(?:female|male|woman|lady|women|men|speaking|speaks)\b/i;

/** Before a name: "preferably", "I would like to see". */
const leadingWords = oneOf(
  "either|preferably|ideally|maybe|perhaps|only|just|with|to see|see",
  "i (?:want|prefer|need)",
  "i(?:'d| would) (?:like|prefer|rather have)",
  "(?:can|could|may) i (?:have|see)",
);
const lead = new RegExp(String.raw`^(?:${leadingWords}\b[ ,]*)+(?:to see |with )?`, "i");
/** After a name: "please", "but anyone else will do", "if she is free". */
const trailingWords = oneOf(
  "but any ?(?:one|body)(?: else)?",
  String.raw`whoever\b.*|whichever\b.*|either`,
  "please|thanks?|thank you|preferably|ideally|again|today|tomorrow",
  "is (?:fine|ok|okay)|(?:would|will) do",
  "if (?:possible|(?:s?he|they)(?:'s| is|'re| are) (?:free|available|in|there))",
);
const tail = new RegExp(`(?:[ ,]+${trailingWords})+$`, "i");

/** Not after a title, because somebody may be called Or. */
const conjunction = String
  .raw`(?<=\S\S)(?<!\b(?:dr|doctor|prof|professor)\.?),? (?:or|and|&)(?: else)? (?=\S\S)`;
const slash = String.raw`(?<=\S{2}) ?[/;] ?(?=\S{2})`;
/** Only in a list that ends with a conjunction. */
const comma = ", (?=[^,]* (?:or|and|&) [^,]*$)";
/** Separates names. */
const between = new RegExp(`${conjunction}|${slash}|${comma}`, "i");

/** A wish for a doctor: `anyOf` these names, or `unread` when names cannot express it. */
export type DoctorWish = { readonly anyOf: readonly string[] } | "unread";

/**
 * Reads whom a caller wants to see: `Dr Patel`, `first available with Dr Patel`, `Patel or Hughes`.
 *
 * @returns Undefined when anybody will do (`whoever is free`, `the doctor`); `unread` when the wish is
 * more than names (`anyone but Dr Okafor`, `any female doctor`).
 */
export function readDoctorWish(said: string): DoctorWish | undefined {
  const text = said.replaceAll("’", "'").replace(/[\s_]+/g, " ").replace(/[.!?]+$/, "").trim();
  if (noPreference.test(text)) return undefined;
  if (exclusion.test(text)) return "unread";
  const names = text.split(between);
  return names.length > 1 ? joinWishes(names.map(readDoctorWish)) : readOneWish(text);
}

/** Joins wishes for several doctors. If one of them is for anybody, there is no wish. */
function joinWishes(wishes: readonly (DoctorWish | undefined)[]): DoctorWish | undefined {
  const names: string[] = [];
  for (const wish of wishes) {
    if (wish === undefined || wish === "unread") return wish;
    names.push(...wish.anyOf);
  }
  return { anyOf: names };
}

function readOneWish(said: string): DoctorWish | undefined {
  const text = said.replace(tail, "").replace(lead, "");
  if (text !== said && text !== "") return readDoctorWish(text);
  const name = text.replace(title, "");
  if (beginsIndifferent.test(text) || name === text && described.test(text)) return "unread";
  if (!beginsOpen.test(text)) return { anyOf: [text || said] };
  const whom = named.exec(text)?.[1];
  return whom === undefined ? "unread" : readDoctorWish(whom);
}

/** The parts of the day that can be asked about. */
const partsOfDay = ["am", "pm", "morning", "afternoon", "evening", "night"] as const;
/** One of {@link partsOfDay}. */
export type PartOfDay = typeof partsOfDay[number];

const anyPart = /^(?:any|all|whole|entire|full|no pref|whenever|either|flexible|open)/;
const unconcerned =
  /\b(?:i )?(?:dont|do not|doesnt|does not|makes no) (?:really )?(?:mind|care|matter|difference)\b|\bno (?:particular )?pref(?:erence)?s?\b/g;
const negation =
  /\b(?:not?|never|neither|nor|except|excluding|without|avoid|other than|apart from|besides|cannot|(?:do|does|ca|wo|is|would|should|could)nt)\b|\b(?:any|all|every)[a-z ]* but\b/;

/**
 * Reads a part of the day: `AM`, `in the late afternoon`, `tonight`.
 *
 * @returns Undefined when any time will do (`morning or afternoon`); `unread` when the text cannot be
 * understood or does not mean one continuous part (`not in the morning`, `morning or evening`).
 */
export function readPartOfDay(text: string): PartOfDay | "unread" | undefined {
  const said = toEnglish(text).toLowerCase().replaceAll(/[.'’]/g, "").replaceAll(/\bi a?m\b/g, "")
    .trim();
  const wish = said.replaceAll(unconcerned, "");
  if (negation.test(wish)) return "unread";
  const parts = new Set(partsIn(wish));
  // "am" adds nothing to "morning", and "pm" nothing to "afternoon" or "evening".
  if (parts.has("morning")) parts.delete("am");
  if (parts.has("afternoon") || parts.has("evening")) parts.delete("pm");
  const [part, ...others] = parts;
  if (part === undefined) return anyPart.test(said) || wish !== said ? undefined : "unread";
  if (others.length === 0) return part;
  if (parts.has("morning") && parts.has("afternoon") || parts.has("am") && parts.has("pm")) {
    return undefined;
  }
  const areAll = (...some: readonly PartOfDay[]) => [...parts].every((one) => some.includes(one));
  // The evening includes the night.
  if (areAll("evening", "night")) return "evening";
  return areAll("afternoon", "evening") ? "pm" : "unread";
}

function partsIn(said: string): PartOfDay[] {
  const words = said.matchAll(
    /\b(?:(before|until) )?(?:(morning|afternoon|evening|night|am|pm)s?|(tonight)|lunch\w*|noon|midday)\b/g,
  );
  return [...words].map(([, before, word, tonight]) => {
    if (tonight !== undefined) return "night";
    return partsOfDay.find((part) => part === word) ?? (before ? "morning" : "afternoon");
  });
}
