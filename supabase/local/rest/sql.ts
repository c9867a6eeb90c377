/**
 * SQL made of static text, quoted names and parameters. A caller's text can become part of a
 * `Fragment` only through `identifier` (quoted) or `value` (a parameter).
 *
 * @module
 */

/** Placeholder for the body of the request, which is inserted when the statement runs. */
export const bodySlot = Symbol("body");

/** A parameter's content, always text: its type is for PostgreSQL to infer. */
export type Value = string | null | typeof bodySlot;

/** Text around parameters: `texts` has one element more than `values`. */
export interface Fragment {
  readonly texts: readonly string[];
  readonly values: readonly Value[];
}

/** SQL as written here; the holes take fragments only. */
export const sql = (texts: TemplateStringsArray, ...holes: readonly Fragment[]): Fragment =>
  chain(holes, texts);

/** `parts` with a text before each and after the last. */
function chain(parts: readonly Fragment[], between: readonly string[]): Fragment {
  const texts: string[] = [];
  const values: Value[] = [];
  let open = between[0] ?? "";
  for (const [index, part] of parts.entries()) {
    const [first = "", ...rest] = part.texts;
    open += first;
    for (const text of rest) {
      texts.push(open);
      open = text;
    }
    open += between[index + 1] ?? "";
    values.push(...part.values);
  }
  return { texts: [...texts, open], values };
}

/** A parameter. */
export const value = (content: Value): Fragment => ({ texts: ["", ""], values: [content] });

/** The text of a quoted name, cut at a NUL as PostgREST does. */
export const quoted = (name: string): string =>
  `"${(name.split("\0")[0] ?? "").replaceAll('"', '""')}"`;

/** A quoted name. */
export const identifier = (name: string): Fragment => trusted(quoted(name));

/** `schema.name`. */
export const qualified = ({ schema, name }: { schema: string; name: string }): Fragment =>
  trusted(`${quoted(schema)}.${quoted(name)}`);

/** Text from the database's catalogue or from this folder: types, keywords, operators. */
export const trusted = (text: string): Fragment => ({ texts: [text], values: [] });

export const nothing: Fragment = trusted("");

export const join = (parts: readonly Fragment[], separator: string): Fragment =>
  chain(parts, ["", ...parts.slice(1).map(() => separator), ""]);

/** PostgreSQL's array literal of texts, for a parameter. */
export const arrayLiteral = (items: readonly string[]): string =>
  `{${items.map((item) => `"${item.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;

/** A statement as it is sent. */
export interface Statement {
  readonly text: string;
  readonly values: readonly Value[];
}

/** Numbers the parameters. */
export const statementOf = ({ texts, values }: Fragment): Statement => ({
  text: texts.map((text, index) => index === 0 ? text : `$${index}${text}`).join(""),
  values,
});
