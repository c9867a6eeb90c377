/**
 * What a patient's text means: confirm, cancel, a choice, a wish for no more texts, or something else.
 *
 * Confirming does no harm, so whatever says yes confirms. A cancellation cannot be undone, so only the
 * letter that the reminder offers cancels. The word "cancel" alone is one of Twilio's keywords for no
 * more texts, and counts as that; the front desk is asked to find out whether the appointment was meant.
 *
 * @module
 */

/** What a text means. */
export interface PatientAnswer {
  readonly meaning: "confirm" | "cancel" | "choice" | "stop" | "start" | "help" | "other";
  /** The numbers of a choice, from 1; 0 for all. */
  readonly choices?: readonly number[];
  /** Whether the phone's owner wants no texts, or wants them again. */
  readonly wish?: "stop" | "start";
  /** Whether it may also mean the appointment: a person has to ask. */
  readonly asksDesk?: boolean;
}

/**
 * Twilio's default keywords, which it acts on itself where a text is nothing else.
 * https://help.twilio.com/articles/223134027
 */
const stopWords = new Set([
  ...["stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "optout", "opt out"],
  "revoke",
]);
const startWords = new Set(["start", "unstop"]);
const helpWords = new Set(["help", "info"]);

/** A text that begins with one of these says yes, unless the rest takes it back. */
const yesWords = [
  ...["c", "y", "yes", "yep", "yeah", "yup", "ok", "okay", "k", "sure", "confirm", "confirmed"],
  ...["confirming", "absolutely", "definitely", "ja", "si", "oui", "bestatigt", "bestatigen"],
  ...["confirmo", "confirme"],
];
const yesPhrases = [
  new RegExp(`^(?:${yesWords.join("|")})\\b`),
  /^i (?:can |will |do )?confirm\b/,
  /^i ?(?:ll|will) (?:be there|come|attend|see you)\b/,
  /^(?:thanks|thank you) (?:yes|confirmed|see you)\b/,
  /^see you (?:then|there|tomorrow)\b/,
  /^(?:please |pls )(?:c|confirm|yes)\b/,
];
/** Emoji that say yes by themselves. */
const yesEmoji = /^(?:👍|👌|✅|☑|✔|🆗)+$/u;
/** With one of these in it, a yes is none: it takes something back or asks for something. */
const butWords = new Set([
  ...["no", "not", "nope", "dont", "don", "cant", "can", "cannot", "wont", "won", "but", "however"],
  ...["except", "unless", "if", "maybe", "might", "perhaps", "change", "changed", "move", "moved"],
  ...["reschedule", "rebook", "postpone", "later", "earlier", "late", "another", "different"],
  ...[
    "instead",
    "cancel",
    "cancelled",
    "canceled",
    "cancellation",
    "stop",
    "call",
    "ring",
    "wrong",
  ],
  ...[
    "nein",
    "nicht",
    "kein",
    "aber",
    "mais",
    "pas",
    "pero",
    "what",
    "when",
    "which",
    "who",
    "why",
  ],
]);
/** "Yes please, see you then" is an answer; a longer text says more than that. */
const longestYes = 9;

/** A word that begins with one of these says that the patient does not come, in several languages. */
const butStems = [
  ...["cancel", "annul", "anul", "absag", "storn", "verschieb", "verleg", "verhinder", "krank"],
  ...["leider", "reschedul", "postpon", "unable", "sorry", "unfortunat", "apolog", "next"],
  ...["never", "prefer", "better", "sick"],
];

/**
 * Said with a letter or a number without changing its meaning. Thanks come only after it: in "Thanks x"
 * the letter is a kiss.
 */
const politely = "(?:[ .,!]+(?:please|pls|plz|thanks|thank you|thx|ta|cheers))*[.,!]*";
/** The letter that cancels and nothing else: not a kiss after a smile or an emoji, and not a question. */
const onlyX = new RegExp(`^(?:(?:please|pls|plz) )?(?:x|"x"|\\(x\\))${politely}$`);
const choice = "(?:number |option |n[or]\\. ?|nr |#)?[1-9]";
const onlyChoices = new RegExp(
  `^(?:(?:please|pls|plz) )?${choice}(?:(?: ?[,+&] ?|,? and | und | )${choice})*\\)?${politely}$`,
);
const onlyAll = new RegExp(`^(?:all|both|alle|beide)${politely}$`);

/**
 * Reads a text.
 *
 * @param body As received.
 * @param optOutType Twilio's word for a keyword that it has acted on, where the clinic uses its
 * advanced opt-out: STOP, START or HELP.
 */
export function readPatientAnswer(body: string, optOutType?: string): PatientAnswer {
  const keyword = optOutType?.toLowerCase();
  const words = wordsOf(body);
  const said = words.join(" ");
  if (keyword === "stop" || keyword === undefined && stopWords.has(said)) {
    return { meaning: "stop", wish: "stop", ...(said === "cancel" ? { asksDesk: true } : {}) };
  }
  if (keyword === "help" || keyword === undefined && helpWords.has(said)) {
    return { meaning: "help" };
  }
  const meant = readMeaning(body, words);
  // YES is one of Twilio's keywords for wanting texts again, and a yes to the reminder.
  const wantsTexts = keyword === "start" || startWords.has(said) ||
    said === "yes" && meant.meaning === "confirm";
  if (!wantsTexts) return meant;
  return meant.meaning === "other"
    ? { meaning: "start", wish: "start" }
    : { ...meant, wish: "start" };
}

function readMeaning(body: string, words: readonly string[]): PatientAnswer {
  const said = plain(body).replace(/[\p{C}\s]+/gu, " ").replace(/["\u201c\u201d\u2018]/g, '"')
    .trim();
  if (onlyX.test(said)) return { meaning: "cancel" };
  const choices = readChoices(said);
  if (choices) return { meaning: "choice", choices };
  return saysYes(body, words) ? { meaning: "confirm" } : { meaning: "other" };
}

/** `2`, `no. 2`, `1 and 2`, `both`. */
function readChoices(said: string): number[] | undefined {
  if (onlyAll.test(said)) return [0];
  if (!onlyChoices.test(said)) return undefined;
  return [...new Set(said.match(/[1-9]/g)?.map(Number))].sort((one, other) => one - other);
}

function saysYes(body: string, words: readonly string[]): boolean {
  if (yesEmoji.test(body.replace(/[\s\ufe0f\u{1f3fb}-\u{1f3ff}.!]/gu, ""))) return true;
  // A kiss at the end of a text is not the letter that cancels.
  const rest = words.filter((word, index) => index === 0 || !/^x{1,4}$/.test(word));
  const hasKiss = rest.length < words.length;
  const said = rest.join(" ");
  if (hasKiss && rest[0] === "c" || rest.length > longestYes || body.includes("?")) return false;
  const phrase = yesPhrases.map((known) => known.exec(said)?.[0]).find((found) => found);
  return phrase !== undefined &&
    !said.slice(phrase.length).split(" ").some(takesBack);
}

function takesBack(word: string): boolean {
  return butWords.has(word) || butStems.some((stem) => word.startsWith(stem));
}

/** The words of a text in small letters, without accents, punctuation and emoji. */
function wordsOf(body: string): string[] {
  return plain(body).split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "");
}

/** A text in small letters, without accents and apostrophes. */
function plain(body: string): string {
  return body.normalize("NFKD").replace(/[\p{M}'\u2019]/gu, "").toLowerCase();
}
