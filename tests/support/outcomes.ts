/**
 * The outcomes of an entry function, as its SQL returns them and as its comment lists them.
 *
 * @module
 */

import type { SqlFunction } from "./migrations.ts";
import { findCalls, literalsUnder } from "./sql_text.ts";

/**
 * Outcomes written in an entry function and in every function of `private` that it calls, directly or
 * indirectly. A call of which only the outcome is read (`private.f(...) ->> 'outcome'`) adds nothing.
 *
 * @throws {Error} If a function computes an outcome in a way that cannot be read from the source.
 */
export function outcomesReached(
  entry: string,
  functions: ReadonlyMap<string, SqlFunction>,
): Set<string> {
  const outcomes = new Set<string>();
  const seen = new Set<string>();
  const visit = (name: string): void => {
    const found = functions.get(name);
    if (!found || seen.has(name)) return;
    seen.add(name);
    for (const outcome of outcomesWritten(found)) outcomes.add(outcome);
    for (const call of findCalls(found.body, /private\.\w+/)) {
      if (!call.rest.startsWith(" ->> ")) visit(call.name);
    }
  };
  visit(entry);
  return outcomes;
}

function outcomesWritten({ name, body }: SqlFunction): string[] {
  // Outcomes in the audit log and in metric labels are not answers.
  if (name === "private.audit" || name === "private.count_audit") return [];
  const notes = findCalls(body, /private\.(?:audit|tally)/);
  const answers = notes.reduceRight(
    (text, { start, end }) => text.slice(0, start) + text.slice(end),
    body,
  );
  try {
    return literalsUnder("outcome", answers);
  } catch (cause) {
    throw new Error(`Cannot read the outcomes of ${name}`, { cause });
  }
}

/**
 * Outcomes that the header of an entry function lists after `Outcomes`. Remarks are in parentheses or
 * after a semicolon.
 *
 * @throws {Error} If the list contains anything but names.
 */
export function outcomesListed({ name, header }: SqlFunction): string[] {
  const lines = header.split("\n").map((line) => line.replace(/^ \* ?/, ""));
  const first = lines.findIndex((line) => line.startsWith("Outcomes  "));
  if (first < 0) return [];
  const after = lines.slice(first + 1);
  const end = after.findIndex((line) => !line.startsWith("   "));
  const listed = [lines[first]?.slice("Outcomes".length), ...after.slice(0, end)].join(" ");
  const [names = ""] = withoutParentheses(listed).split(";");
  return names.split(",").map((outcome) => {
    if (/^\s*\w+\s*$/.test(outcome)) return outcome.trim();
    throw new Error(`Cannot read the outcomes of ${name}: "${outcome.trim()}" is not a name`);
  });
}

function withoutParentheses(text: string): string {
  const shorter = text.replace(/\s*\([^()]*\)/g, "");
  return shorter === text ? text : withoutParentheses(shorter);
}
