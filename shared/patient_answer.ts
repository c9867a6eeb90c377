/**
 * What a patient's text means: confirm, cancel, a choice, a wish for no more texts, or something else.
 *
 * Only a bare answer is read as one, so nothing that says more confirms or cancels by mistake:
 *
 * ```text
 * text    = answer, also in quotes or brackets, then any "." and "!"
 * answer  = yes [numbers] [thanks] | X [numbers] | numbers
 * yes     = C, Y, yes, ok, ja, 👍 and the others below
 * numbers = 1 to 9, several with "," "+" "&" "and" or "und" between; or all, both, alle, beide
 * thanks  = please, thanks, thank you, bitte or danke
 * ```
 *
 * Capitals, accents and spaces do not matter. Nothing is said with X, because a cancellation cannot be
 * undone, and "Thanks x" ends with a kiss. Numbers choose from the appointments of the question that waits,
 * with a yes or X only if the question was about that. The word "cancel" alone is one of Twilio's
 * keywords for no more texts, and counts as that; the front desk is asked to find out whether the
 * appointment was meant.
 *
 * @module
 */

import { answerLetters } from "./patient_texts.ts";

/** What a text means. */
export interface PatientAnswer {
  readonly meaning: "confirm" | "cancel" | "choice" | "stop" | "start" | "help" | "other";
  /** The numbers of a choice, from 1; 0 for all. */
  readonly choices?: readonly number[];
  /** What to do with the chosen ones, if the text says it. */
  readonly chosenTo?: "confirm" | "cancel";
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

const oneOf = (...words: readonly string[]) => `(?:${words.join("|")})`;

const yes = oneOf(
  ...[answerLetters.confirm.toLowerCase(), "y", "yes", "yep", "yeah", "yup", "ok", "okay", "sure"],
  ...["confirm", "confirmed", "i confirm", "ja", "si", "oui", "bestatigt", "bestatige"],
  ...["confirmo", "confirme", "(?:[👍👌✅☑✔🆗] ?)+"],
);
const no = answerLetters.cancel.toLowerCase();
const all = oneOf("all", "both", "alle", "beide");
const numbers = oneOf("[1-9](?:(?: ?[,+&] ?| and | und | )[1-9])*", all);
const thanks = `[ ,.!]+${oneOf("please", "thanks", "thank you", "bitte", "danke")}`;

const confirms = new RegExp(`^${yes}(?: ?(${numbers}))?(?:${thanks})?$`, "u");
const cancels = new RegExp(`^${no}(?: ?(${numbers}))?$`, "u");
const chooses = new RegExp(`^(${numbers})$`, "u");

/**
 * Reads a text.
 *
 * @param body As received.
 * @param optOutType Twilio's word for a keyword that it has acted on, where the clinic uses its
 * advanced opt-out: STOP, START or HELP.
 */
export function readPatientAnswer(body: string, optOutType?: string): PatientAnswer {
  const keyword = optOutType?.toLowerCase();
  const said = wordsOf(body);
  if (keyword === "stop" || keyword === undefined && stopWords.has(said)) {
    return { meaning: "stop", wish: "stop", ...(said === "cancel" ? { asksDesk: true } : {}) };
  }
  if (keyword === "help" || keyword === undefined && helpWords.has(said)) {
    return { meaning: "help" };
  }
  const meant = readAnswer(bareOf(body));
  // YES is one of Twilio's keywords for wanting texts again, and a yes to the reminder.
  const wantsTexts = keyword === "start" || startWords.has(said) ||
    said === "yes" && meant.meaning === "confirm";
  if (!wantsTexts) return meant;
  return meant.meaning === "other"
    ? { meaning: "start", wish: "start" }
    : { ...meant, wish: "start" };
}

function readAnswer(said: string): PatientAnswer {
  const chosen = chooses.exec(said);
  if (chosen) return { meaning: "choice", choices: readNumbers(chosen[1]) };
  for (const [meaning, pattern] of [["confirm", confirms], ["cancel", cancels]] as const) {
    const found = pattern.exec(said);
    if (!found) continue;
    return found[1] === undefined
      ? { meaning }
      : { meaning: "choice", choices: readNumbers(found[1]), chosenTo: meaning };
  }
  return { meaning: "other" };
}

/** `2`, `1 and 2`, `both`. */
function readNumbers(said = ""): number[] {
  const digits = said.match(/[1-9]/g) ?? ["0"];
  return [...new Set(digits.map(Number))].sort((one, other) => one - other);
}

/** The words of a text, with a space between. */
function wordsOf(body: string): string {
  return plain(body).split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "").join(" ");
}

/** A text without the characters that may surround an answer. */
function bareOf(body: string): string {
  return plain(body).replace(/[\p{C}\s]+/gu, " ").replace(/[\u201c\u201d\u201e\u2018]/g, '"').trim()
    .replace(/[ .!]+$/, "").replace(/^(?:"(.*)"|\((.*)\))$/, "$1$2").replace(/[ .!]+$/, "");
}

/** A text in small letters, without accents, apostrophes and colours of skin. */
function plain(body: string): string {
  return body.normalize("NFKD").replace(/[\p{M}'\u2019\u{1f3fb}-\u{1f3ff}]/gu, "").toLowerCase();
}
