/**
 * SQL made of static text, quoted identifiers and parameters. A text of a caller can become part of
 * a `Fragment` only through `identifier` (quoted) or `value` (a parameter).
 *
 * @module
 */

/** Stands for the body of the request, which is put in when the statement runs. */
export const bodySlot = Symbol("body");

/** A parameter's content. */
export type Value = string | null | typeof bodySlot;

/** Text around parameters: `texts` has one element more than `values`. */
export interface Fragment {
  readonly texts: readonly string[];
  readonly values: readonly Value[];
}

/** SQL as written here; the holes take fragments only. */
export function sql(texts: TemplateStringsArray, ...holes: readonly Fragment[]): Fragment {
  return chain(holes, (index) => texts[index] ?? "");
}

/** Fragments with a text before each and after the last: `texts(0)` to `texts(parts.length)`. */
function chain(parts: readonly Fragment[], texts: (index: number) => string): Fragment {
  const whole: string[] = [];
  const values: Value[] = [];
  let open = texts(0);
  for (const [index, part] of parts.entries()) {
    const last = part.texts.length - 1;
    for (let at = 0; at < last; at++) {
      whole.push(open + (part.texts[at] ?? ""));
      open = "";
    }
    open += (part.texts[last] ?? "") + texts(index + 1);
    values.push(...part.values);
  }
  whole.push(open);
  return { texts: whole, values };
}

/** A parameter; its type is for PostgreSQL to infer. */
export const value = (content: Value): Fragment => ({ texts: ["", ""], values: [content] });

/** A quoted name, cut at a NUL as PostgREST does. */
export const identifier = (name: string): Fragment => trusted(quoted(name));

/** The text of a quoted name. */
export const quoted = (name: string): string =>
  `"${(name.split("\0")[0] ?? "").replaceAll('"', '""')}"`;

/** Text that the database's own catalogue or this module wrote (types, defaults, keywords). */
export const trusted = (text: string): Fragment => ({ texts: [text], values: [] });

/** A literal of a name that the catalogue knows. */
export const literal = (text: string): Fragment => {
  const doubled = text.replaceAll("'", "''");
  return trusted(
    doubled.includes("\\") ? `E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`,
  );
};

export const nothing: Fragment = trusted("");

export const join = (parts: readonly Fragment[], separator: string): Fragment =>
  chain(parts, (index) => index === 0 || index === parts.length ? "" : separator);

/** `schema.name`, or the name alone. */
export const qualified = (schema: string | null, name: string): Fragment =>
  schema === null ? identifier(name) : sql`${identifier(schema)}.${identifier(name)}`;

/** PostgreSQL's array literal of texts, for a parameter. */
export const arrayLiteral = (values: readonly string[]): string =>
  `{${
    values.map((text) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`).join(",")
  }}`;
