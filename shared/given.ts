/**
 * What language models write where they have no value: an argument that says so is not given.
 *
 * Seen in public bug reports: the words null, None, N/A and undefined as text, a
 * dash, and variables of a template that nothing replaced.
 *
 * @module
 */

const filler = String
  .raw`(?:null|nil|none|n\/?a|undefined|nan|unknown|unspecified|unset|empty|tb[ad]|(?:not|none) (?:provided|given|specified|available|applicable|known|set|sure|mentioned|stated)(?: yet)?|[-–—_.?]+|\{\{[^}]*\}\}|<[a-z _-]*>|\[[a-z _-]*\])`;
const notGiven = wordsOf(filler);
const noName = wordsOf(
  String
    .raw`(?:${filler}|(?:the |an? )?(?:anonymous|caller|patient|customer|user)(?:'?s)?|(?:(?:first|last|full|your|my|the)[ _-]?)?name|first last|not yet|i (?:don'?t|do not) know|no (?:name|idea))`,
);

/** A text of nothing but these words. */
function wordsOf(word: string): RegExp {
  return new RegExp(String.raw`^${word}(?:[\s,]+${word})*$`, "i");
}

/** Without quotes around it and the full stop at its end. */
function bareText(text: string): string {
  return text.replaceAll("’", "'").replace(/^["'`]|["'`]$/g, "").trim();
}

/** Whether a text stands for "no value": `N/A`, `none`, `null null`, `{{customer.name}}`. */
export function isNotGiven(text: string): boolean {
  const bare = bareText(text);
  return bare === "" || notGiven.test(bare);
}

/**
 * Whether a text can be somebody's name. `Unknown Caller`, `Jane [last name]`, an address and a
 * number cannot; `Jennifer Null` can.
 */
export function isName(text: string): boolean {
  const bare = bareText(text).replace(/[.!]+$/, "");
  return /\p{L}/u.test(bare) && !/[@{}<>\p{Nd}]|\[[^\]]*name[^\]]*\]/iu.test(bare) &&
    !noName.test(bare);
}

const noPreference =
  /^(?:(?:no|without(?: a| any)?) (?:particular |special )?(?:preference|one|body|doctor)(?: in particular)?|any(?: ?one|body)?\b.*|either\b.*|all|open|whoever\b.*|whichever\b.*|whatever\b.*|(?:the )?(?:first|next|earliest|soonest)\b.*|(?:it )?(?:does(?:n't| not|nt)|makes no) (?:matter|difference).*|(?:i )?(?:do(?:n't| not|nt)) (?:mind|care).*|(?:the|a|your) (?:doctor|dentist|provider|physician|practitioner|specialist)|doctor|dentist|provider)$/i;

/** Whether a wish for a doctor names nobody: `whoever is free`, `doesn't matter`, `the doctor`. */
export function isNoPreference(text: string): boolean {
  return noPreference.test(text.replaceAll("’", "'").replace(/[.!]+$/, "").trim());
}

/** A part of the day that can be asked about. */
export const partsOfDay = ["am", "pm", "morning", "afternoon", "evening", "night"] as const;
/** One of them. */
export type PartOfDay = typeof partsOfDay[number];

/**
 * A part of the day as it is written: `AM`, `in the late afternoon`, `tonight`.
 *
 * @returns Undefined where any time will do; `unread` where nobody knows what is meant.
 */
export function readPartOfDay(text: string): PartOfDay | "unread" | undefined {
  const said = text.toLowerCase().replaceAll(".", "").trim();
  if (/^(?:any|all|whole|entire|full|no pref|whenever|either|doesn|don|flexible|open)/.test(said)) {
    return undefined;
  }
  const word = /\b(morning|afternoon|evening|night|tonight|lunch\w*|noon|midday|am|pm)\b/.exec(
    said,
  );
  switch (word?.[1]?.replace(/^lunch.*/, "noon")) {
    case undefined:
      return "unread";
    case "noon":
    case "midday":
      return /\b(?:before|until)\b/.test(said) ? "morning" : "afternoon";
    case "tonight":
      return "night";
    default:
      return partsOfDay.find((part) => part === word?.[1]) ?? "unread";
  }
}
