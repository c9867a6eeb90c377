/**
 * What can be read from the text of a SQL function without running it: calls and literals.
 *
 * @module
 */

/** A function call in a body. */
export interface SqlCall {
  readonly name: string;
  /** Each argument as written. */
  readonly args: readonly string[];
  /** The text after the closing parenthesis. */
  readonly rest: string;
  /** The offset of the call in the body. */
  readonly start: number;
  readonly end: number;
}

/** Calls of functions whose names match, including calls inside arguments. */
export function findCalls(body: string, names: RegExp): SqlCall[] {
  return [...body.matchAll(new RegExp(`\\b(${names.source})\\(`, "g"))].map((match) => {
    const args: string[] = [];
    let end = match.index + match[0].length;
    while (end < body.length && body[end - 1] !== ")" || args.length === 0) {
      const arg = readArgument(body.slice(end));
      args.push(arg.trim());
      end += arg.length + 1;
    }
    return { name: match[1] ?? "", args, rest: body.slice(end), start: match.index, end };
  });
}

/** The text up to the comma or parenthesis that ends an argument. */
function readArgument(text: string): string {
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === "'") index = text.indexOf("'", index + 1);
    else if (character === "(") depth++;
    else if (character === ")" && depth-- === 0 || character === "," && depth === 0) {
      return text.slice(0, index);
    }
  }
  return text;
}

/**
 * The values that a body writes under a key of a JSON object: as JSON (`{"outcome": "held"}`), as a
 * pair (`'outcome', 'held'`) that may hold a `case`, or through a variable in such a pair.
 *
 * @throws {Error} If a value is not written as a literal.
 */
export function literalsUnder(key: string, body: string): string[] {
  const json = [...body.matchAll(new RegExp(`"${key}":\\s*"(\\w+)"`, "g"))];
  // After an arrow the key is read, not written.
  const pairs = [...body.matchAll(new RegExp(`(?<!->>? ?)'${key}',`, "g"))];
  return [
    ...json.map(([, value = ""]) => value),
    ...pairs.flatMap(({ 0: { length }, index }) => {
      const expression = readArgument(body.slice(index + length)).trim();
      const literals = /^v_\w+$/.test(expression)
        ? assignmentsOf(expression, body).flatMap(resultsOf)
        : resultsOf(expression);
      if (literals.length > 0) return literals;
      throw new Error(`Cannot read "${key}" from ${expression}: write its values as literals`);
    }),
  ];
}

/** The possible values of an expression: a literal, or the results of a `case`. */
export function resultsOf(expression: string): string[] {
  const results = expression.matchAll(/(?:^|\b(?:then|else))\s*'(\w+)'/g);
  return [...results].map(([, literal = ""]) => literal);
}

function assignmentsOf(variable: string, body: string): string[] {
  const assigned = new RegExp(`\\b${variable}(?: constant text)?\\s*:=\\s*([^;]*);`, "g");
  return [...body.matchAll(assigned)].map(([, expression = ""]) => expression);
}
