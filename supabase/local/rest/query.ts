/**
 * PostgREST's query string: columns, filters, order, limit. Everything outside this grammar is refused,
 * including what PostgREST itself would refuse with a parser message.
 *
 * @module
 */
import { notImplemented } from "./errors.ts";
import { arrayLiteral } from "./sql.ts";

/** A condition on a row; `operator` is SQL, the operand a parameter. */
export interface Filter {
  readonly column: string;
  readonly isNegated: boolean;
  readonly operator: string;
  readonly operand: string | null;
}

/** A column and its SQL suffix: an alias, or an order. */
export interface ColumnTerm {
  readonly name: string;
  readonly alias: string | null;
  readonly order: string;
}

/** The query string of a request; the column `*` means all. */
export interface Query {
  readonly select: readonly ColumnTerm[];
  readonly filters: readonly Filter[];
  readonly order: readonly ColumnTerm[];
  readonly columns: readonly string[] | null;
  readonly limit: number | null;
  readonly offset: number;
  /** Every parameter; for Content-Location. */
  readonly pairs: readonly (readonly [string, string])[];
  /** Arguments of a function called by GET. */
  readonly args: ReadonlyMap<string, string>;
}

// For PostgREST a column named "*" means all columns, even in quotes. So it is not a name here.
const name = String.raw`"(?!\*")[^"\\]+"|[A-Za-z0-9_]+`;
const namePattern = new RegExp(`^(?<name>${name})$`);
const selectPattern = new RegExp(`^(?:(?<alias>${name}):)?(?<name>${name})$|^(?<all>\\*)$`);
const orderPattern = new RegExp(
  `^(?<name>${name})(?:\\.(?<by>asc|desc))?(?:\\.nulls(?<nulls>first|last))?$`,
);

const unquoted = (text: string): string => text.startsWith('"') ? text.slice(1, -1) : text;

/** Reads a list. A comma within quotes splits an item into halves that no pattern accepts. */
const readColumns = (list: string, pattern: RegExp): ColumnTerm[] =>
  list.split(",").map((item) => {
    const groups = pattern.exec(item)?.groups;
    if (groups === undefined) throw notImplemented(`The item ${item} of ${list}`);
    const { alias, all, by, nulls } = groups;
    return {
      name: all ?? unquoted(groups.name ?? ""),
      alias: alias === undefined ? null : unquoted(alias),
      order: (by === undefined ? "" : ` ${by}`) + (nulls === undefined ? "" : ` nulls ${nulls}`),
    };
  });

const operators = new Map([
  ["eq", "="],
  ["neq", "<>"],
  ["gt", ">"],
  ["gte", ">="],
  ["lt", "<"],
  ["lte", "<="],
  ["like", "like"],
  ["ilike", "ilike"],
  ["match", "~"],
  ["imatch", "~*"],
  ["cs", "@>"],
  ["cd", "<@"],
  ["ov", "&&"],
  ["sl", "<<"],
  ["sr", ">>"],
  ["nxr", "&<"],
  ["nxl", "&>"],
  ["adj", "-|-"],
  ["isdistinct", "is distinct from"],
]);

function readFilter(column: string, text: string): Filter {
  const [, not, word = "", operand = ""] = /^(not\.)?([a-z]+)\.(.*)$/s.exec(text) ?? [];
  const filter = { column, isNegated: not !== undefined };
  if (word === "in") return { ...filter, operator: "= any", operand: readOperands(operand) };
  if (word === "is" && /^(?:(?:not_)?null|true|false|unknown)$/.test(operand)) {
    return { ...filter, operator: `is ${operand.replace("_", " ")}`, operand: null };
  }
  const operator = operators.get(word);
  if (operator === undefined) throw notImplemented(`The filter ${column}=${text}`);
  const isPattern = operator.endsWith("like");
  return { ...filter, operator, operand: isPattern ? operand.replaceAll("*", "%") : operand };
}

/** Whether PostgREST might read a value as a condition, because it begins like one. */
const looksLikeFilter = (text: string): boolean => {
  const [, not, word = ""] = /^(not\.)?([a-z]+)[.(]/.exec(text) ?? [];
  return not !== undefined || text.startsWith("not.") || operators.has(word) ||
    /^(?:in|is|(?:pl|ph|w)?fts)$/.test(word);
};

/** `(a,"b, c")` as an array literal. */
function readOperands(list: string): string {
  const item = String.raw`"(?:[^"\\]|\\.)*"|[^",()]*`;
  if (!new RegExp(`^\\((?:${item})(?:,(?:${item}))*\\)$`, "s").test(list)) {
    throw notImplemented(`The list in.${list}`);
  }
  if (list === "()") return "{}";
  const items = list.slice(1, -1).match(new RegExp(`(?<=^|,)(?:${item})(?=,|$)`, "gs")) ?? [];
  return arrayLiteral(
    items.map((text) =>
      text.startsWith('"') ? text.slice(1, -1).replaceAll(/\\(.)/gs, "$1") : text
    ),
  );
}

/** Text of a URL; refuses invalid escapes and bytes that are not UTF-8. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notImplemented(`The text ${text} in a URL`);
  }
}

function readPairs(search: string): (readonly [string, string])[] {
  // PostgREST also separates at ";", and drops what has no "=".
  return search.split("&").filter((part) => part !== "").map((part) => {
    const [key = "", ...content] = part.replaceAll("+", " ").split("=");
    if (content.length === 0 || part.includes(";")) throw notImplemented(`The parameter ${part}`);
    return [decode(key), decode(content.join("="))];
  });
}

const reserved = ["select", "order", "columns", "limit", "offset"];

/** Reads a query string without its `?`. `takesArguments`: anything but a condition is an argument. */
export function readQuery(search: string, takesArguments: boolean): Query {
  const pairs = readPairs(search);
  const known = new Map<string, string>();
  const args = new Map<string, string>();
  const filters: Filter[] = [];
  for (const [key, text] of pairs) {
    if (reserved.includes(key)) {
      if (known.has(key)) throw notImplemented(`${key} given twice`);
      known.set(key, text);
    } else if (!namePattern.test(key) || ["or", "and", "on_conflict"].includes(key)) {
      throw notImplemented(`The parameter ${key}`);
    } else if (takesArguments && !looksLikeFilter(text)) args.set(unquoted(key), text);
    else filters.push(readFilter(unquoted(key), text));
  }
  const [order, columns] = [known.get("order"), known.get("columns")];
  return {
    select: readColumns(known.get("select") ?? "*", selectPattern),
    filters,
    order: order === undefined ? [] : readColumns(order, orderPattern),
    columns: columns === undefined
      ? null
      : readColumns(columns, namePattern).map((column) => column.name),
    limit: readNumber("limit", known.get("limit") ?? null),
    offset: readNumber("offset", known.get("offset") ?? null) ?? 0,
    pairs,
    args,
  };
}

function readNumber(key: string, text: string | null): number | null {
  if (text !== null && !/^\d{1,15}$/.test(text)) throw notImplemented(`${key}=${text}`);
  return text === null ? null : Number(text);
}
