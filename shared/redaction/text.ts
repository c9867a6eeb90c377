/**
 * A text with its tokens and its turns, read once for all kinds of personal data.
 *
 * @module
 */

import { readTokens, type Token } from "../tokens.ts";

/** What one speaker said: `User: ...` up to the next speaker's name. */
export interface Turn {
  readonly speaker: string;
  /** First token of a name that is not a role: it may be a label (`Phone:`). */
  readonly nameToken: number;
  /** First token after the speaker's name, and the one after the last token. */
  readonly firstToken: number;
  readonly endToken: number;
}

/** The text and everything that is read from it once. */
export interface ReadText {
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly turns: readonly Turn[];
  /** The index into `turns` for each token; -1 outside of a turn. */
  readonly turnOf: Int32Array;
}

/** Reads a text in one pass. */
export function readText(text: string): ReadText {
  const tokens = readTokens(text);
  const turns = text.includes(":") ? readTurns(text, tokens) : [];
  const turnOf = new Int32Array(tokens.length).fill(-1);
  turns.forEach((turn, index) => turnOf.fill(index, turn.firstToken, turn.endToken));
  return { text, tokens, turns, turnOf };
}

const turnStart =
  /(^|[\n.?!…/|"]|\\n| (?=(?:AI|Assistant|Bot|User|Caller|Customer): ))[ \t>*-]{0,4}(?:\[?[\d:., ]{4,12}\]? ?)?(\p{L}[\p{L}\d_ .']{0,20}?) ?(?:\(?[\d:., ]{4,12}\)?)?:(?!\/)/gu;
const roles =
  /^(?:ai|assistant|bot|agent|voice ?bot|voice agent|user|customer|caller|patient|human|client|receptionist|reception|operator|clinic|staff|nurse|doctor|dr|system|me|you|them|person|speaker[ _]?\w{0,2}|clerk|rep|advisor|adviser|desk|front desk|member|parent|mum|mom|dad|[apqcu])$/i;

/**
 * A turn begins with a role (`AI:`, `User:`), even in the middle of a line, or at the start of a line
 * with a name that occurs twice.
 */
function readTurns(text: string, tokens: readonly Token[]): Turn[] {
  const starts = [...text.matchAll(turnStart)].map((match) => ({
    speaker: (match[2] ?? "").trim().toLowerCase(),
    isLine: match[1] === "" || /\n|\\n/.test(match[1] ?? ""),
    nameStart: match.index + match[0].indexOf(match[2] ?? ""),
    end: match.index + match[0].length,
  }));
  const lines = new Map<string, number>();
  for (const { speaker, isLine } of starts) {
    if (isLine) lines.set(speaker, (lines.get(speaker) ?? 0) + 1);
  }
  const turns: Turn[] = [];
  let token = 0;
  for (const { speaker, isLine, nameStart, end } of starts) {
    const isRole = roles.test(speaker);
    if (!isRole && !(isLine && (lines.get(speaker) ?? 0) > 1)) continue;
    while ((tokens[token]?.start ?? Infinity) < nameStart) token++;
    const last = turns.pop();
    if (last) turns.push({ ...last, endToken: token });
    const name = token;
    while ((tokens[token]?.start ?? Infinity) < end) token++;
    const nameToken = isRole ? token : name;
    turns.push({ speaker, nameToken, firstToken: token, endToken: tokens.length });
  }
  return turns;
}
