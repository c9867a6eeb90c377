/**
 * SQL made of static text, quoted identifiers and parameters. A text of a caller can become part of
 * a `Fragment` only through `identifier` (quoted) or `value` (a parameter).
 *
 * @module
 */

/** Text around parameters: `texts` has one element more than `values`. */
export interface Fragment {
  readonly texts: readonly string[];
  readonly values: readonly (string | null)[];
}

/** SQL as written here; the holes take fragments only. */
export function sql(texts: TemplateStringsArray, ...holes: readonly Fragment[]): Fragment {
  let result: Fragment = { texts: [texts[0] ?? ""], values: [] };
  for (const [index, hole] of holes.entries()) {
    result = append(append(result, hole), { texts: [texts[index + 1] ?? ""], values: [] });
  }
  return result;
}

function append(a: Fragment, b: Fragment): Fragment {
  const seam = (a.texts.at(-1) ?? "") + (b.texts[0] ?? "");
  return {
    texts: [...a.texts.slice(0, -1), seam, ...b.texts.slice(1)],
    values: [...a.values, ...b.values],
  };
}

/** A parameter; its type is for PostgreSQL to infer. */
export const value = (content: string | null): Fragment => ({ texts: ["", ""], values: [content] });

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

export function join(parts: readonly Fragment[], separator: string): Fragment {
  const [first, ...rest] = parts;
  if (first === undefined) return nothing;
  return rest.reduce((sum, part) => append(append(sum, trusted(separator)), part), first);
}

/** `schema.name`, or the name alone. */
export const qualified = (schema: string | null, name: string): Fragment =>
  schema === null ? identifier(name) : sql`${identifier(schema)}.${identifier(name)}`;

/** PostgreSQL's array literal of texts, for a parameter. */
export const arrayLiteral = (values: readonly string[]): string =>
  `{${
    values.map((text) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`).join(",")
  }}`;
