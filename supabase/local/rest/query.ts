/**
 * PostgREST's query string: columns, filters, order, limit. What this grammar does not know is
 * refused, also what PostgREST itself would refuse in the words of its parser.
 *
 * @module
 */
import { notImplemented } from "./errors.ts";

/** A condition on a row; `operator` is SQL, the operand of `is` too. */
export type Filter =
  & { readonly column: string; readonly negated: boolean }
  & (
    | { readonly kind: "compare"; readonly operator: string; readonly operand: string }
    | { readonly kind: "in"; readonly operands: readonly string[] }
    | { readonly kind: "is"; readonly operand: string }
  );

/** A column of the answer; the name `*` means all. */
export interface SelectItem {
  readonly name: string;
  readonly alias: string | null;
}

/** A column to order by; `suffix` is SQL. */
export interface OrderTerm {
  readonly name: string;
  readonly suffix: string;
}

/** The query string of a request. */
export interface Query {
  readonly select: readonly SelectItem[];
  readonly filters: readonly Filter[];
  readonly order: readonly OrderTerm[];
  readonly columns: readonly string[] | null;
  readonly limit: number | null;
  readonly offset: number;
  /** Arguments of a function called by GET. */
  readonly args: readonly (readonly [string, string])[];
  /** As sent, each byte one character: for Content-Location. */
  readonly pairs: readonly (readonly [string, string])[];
}

const name = String.raw`"[^"\\]+"|[A-Za-z0-9_]+`;
const namePattern = new RegExp(`^(${name})$`);
const selectPattern = new RegExp(`^(?:(${name}):)?(${name}|\\*)$`);
const orderPattern = new RegExp(`^(${name})(\\.asc|\\.desc)?(\\.nullsfirst|\\.nullslast)?$`);

const unquoted = (text: string): string => text.startsWith('"') ? text.slice(1, -1) : text;

/** The groups of each item of a list; a comma in a quoted name makes two items of no pattern. */
const readList = (list: string, pattern: RegExp, what: string): RegExpExecArray[] =>
  list.split(",").map((item) => {
    const match = pattern.exec(item);
    if (match === null) throw notImplemented(`${what}=${list}`);
    return match;
  });

const readSelect = (list: string): SelectItem[] =>
  readList(list, selectPattern, "select").map(([, alias, column = ""]) => {
    if (column === "*" && alias !== undefined) throw notImplemented(`select=${list}`);
    return { name: unquoted(column), alias: alias === undefined ? null : unquoted(alias) };
  });

const orderWords = new Map([
  [".asc", " ASC"],
  [".desc", " DESC"],
  [".nullsfirst", " NULLS FIRST"],
  [".nullslast", " NULLS LAST"],
]);

const readOrder = (list: string): OrderTerm[] =>
  readList(list, orderPattern, "order").map(([, column = "", by = "", nulls = ""]) => ({
    name: unquoted(column),
    suffix: (orderWords.get(by) ?? "") + (orderWords.get(nulls) ?? ""),
  }));

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
  ["isdistinct", "IS DISTINCT FROM"],
]);
const isWords = new Map([
  ["null", "NULL"],
  ["not_null", "NOT NULL"],
  ["true", "TRUE"],
  ["false", "FALSE"],
  ["unknown", "UNKNOWN"],
]);

/** Whether PostgREST might take a value for a condition: it begins as one does. */
const looksLikeCondition = (text: string): boolean =>
  /^(?:not\.)*(?:in|is|(?:pl|ph|w)?fts)[.(]/.test(text) || text.startsWith("not.") ||
  operators.has(/^([a-z]+)[.(]/.exec(text)?.[1] ?? "");

function readFilter(column: string, text: string): Filter {
  const [, not, word = "", operand = ""] = /^(not\.)?([a-z]+)\.(.*)$/s.exec(text) ?? [];
  const common = { column, negated: not !== undefined };
  if (word === "in") return { ...common, kind: "in", operands: readOperands(operand) };
  const is = word === "is" ? isWords.get(operand) : undefined;
  if (is !== undefined) return { ...common, kind: "is", operand: is };
  const operator = operators.get(word);
  if (operator === undefined) throw notImplemented(`The filter ${column}=${text}`);
  const isPattern = word === "like" || word === "ilike";
  const written = isPattern ? operand.replaceAll("*", "%") : operand;
  return { ...common, kind: "compare", operator, operand: written };
}

/** The items of `(a,"b, c")`; none for `()`. */
function readOperands(list: string): string[] {
  const item = String.raw`"(?:[^"\\]|\\.)*"|[^",()]*`;
  if (!new RegExp(`^\\((?:${item})(?:,(?:${item}))*\\)$`, "s").test(list)) {
    throw notImplemented(`The list in.${list}`);
  }
  const items = list.slice(1, -1).match(new RegExp(`(?<=^|,)(?:${item})(?=,|$)`, "gs")) ?? [];
  if (items.length === 1 && items[0] === "") return [];
  return items.map((text) =>
    unquoted(text).replaceAll(/\\(.)/gs, text.startsWith('"') ? "$1" : "$&")
  );
}

/** Pairs of a query string; a name without `=` has the value null. Bytes stand as characters. */
function readPairs(search: string): (readonly [string, string | null])[] {
  const decode = (part: string) =>
    part.replaceAll("+", " ").replaceAll(
      /%([0-9a-f]{2})/gi,
      (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
    );
  return search.split(/[&;]/).filter((part) => part !== "").map((part) => {
    const at = part.indexOf("=");
    return at < 0 ? [decode(part), null] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
  });
}

/** UTF-8 whose bytes stand as characters; refuses what is no UTF-8. */
export function decodeUtf8(bytes: string): string {
  if (/^[\x20-\x7e]*$/.test(bytes)) return bytes;
  try {
    const array = Uint8Array.from(bytes, (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(array);
  } catch {
    throw notImplemented("Text that is not UTF-8");
  }
}

const reserved = ["select", "order", "columns", "limit", "offset"];

/** Reads a query string without its `?`. `takesArguments`: what is no condition is an argument. */
export function readQuery(search: string, takesArguments: boolean): Query {
  const pairs = readPairs(search);
  const params = pairs.flatMap(([key, item]) =>
    item === null ? [] : [[decodeUtf8(key), decodeUtf8(item)] as const]
  );
  const known = new Map<string, string>();
  const filters: Filter[] = [];
  const args: (readonly [string, string])[] = [];
  for (const [key, item] of params) {
    if (reserved.includes(key)) {
      if (known.has(key)) throw notImplemented(`${key} given twice`);
      known.set(key, item);
    } else if (!namePattern.test(key) || ["or", "and", "on_conflict"].includes(key)) {
      throw notImplemented(`The parameter ${key}`);
    } else if (takesArguments && !looksLikeCondition(item)) args.push([unquoted(key), item]);
    else filters.push(readFilter(unquoted(key), item));
  }
  const [order, columns] = [known.get("order"), known.get("columns")];
  return {
    select: readSelect(known.get("select") ?? "*"),
    filters,
    order: order === undefined ? [] : readOrder(order),
    columns: columns === undefined
      ? null
      : readList(columns, namePattern, "columns").map(([, column = ""]) => unquoted(column)),
    limit: readNumber("limit", known.get("limit")),
    offset: readNumber("offset", known.get("offset")) ?? 0,
    args,
    pairs: pairs.map(([key, item]) => [key, item ?? ""]),
  };
}

function readNumber(key: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,15}$/.test(text)) throw notImplemented(`${key}=${text}`);
  return Number(text);
}
