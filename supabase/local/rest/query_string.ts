/**
 * PostgREST's query string: select, filters, order, columns. What this grammar does not know is
 * refused (PGRST127), but for a filter without operator, whose error is known to the word.
 *
 * @module
 */
import { notImplemented, RestError } from "./errors.ts";

/** A column and a path into its JSON. */
export interface Field {
  readonly name: string;
  readonly path: readonly {
    readonly arrow: string;
    readonly key: string;
    readonly isIndex: boolean;
  }[];
}

/** What a field is compared with; operators are SQL, operands are not. */
export type Operation =
  | { kind: "compare"; operator: string; quantifier: string; operand: string }
  | { kind: "in"; operands: readonly string[] }
  | { kind: "is"; operand: string };

/** A condition on a row; `embed` names the embedded resource that it was written for. */
export interface Filter {
  readonly field: Field;
  readonly embed: string | null;
  readonly negated: boolean;
  readonly operation: Operation;
}

/** An item of `select`. */
export interface SelectItem {
  readonly field: Field;
  readonly alias: string | null;
  readonly cast: string | null;
}

/** An item of `order`; `suffix` is SQL. */
export interface OrderTerm {
  readonly field: Field;
  readonly suffix: string;
}

/** The query string of a request. */
export interface Query {
  readonly select: readonly SelectItem[];
  readonly filters: readonly Filter[];
  readonly order: readonly OrderTerm[];
  readonly columns: readonly string[] | null;
  /** Arguments of a function called by GET. */
  readonly params: readonly (readonly [string, string])[];
  readonly limit: string | null;
  readonly offset: string | null;
  /** As sent, each byte one character: for Content-Location. */
  readonly pairs: readonly (readonly [string, string])[];
}

const ident = String.raw`[\p{L}\d_ $]+`;
const named = String.raw`"(?:[^"\\]|\\.)*"|${ident}(?:-(?!>)${ident})*`;
const key = String.raw`"(?:[^"\\]|\\.)*"|[^(\-:.,>)"]+(?:-[^(\-:.,>)]+)*|-\d+`;
const pattern = (text: string) => new RegExp(text, "us");
const fieldPattern = `\\s*(?<name>${named})(?<path>(?:->>?(?:${key}))*)\\s*`;
const selectPattern = pattern(
  `^(?:\\s*(?<alias>${named}):(?!:))?${fieldPattern}(?:::(?<cast>${ident}))?$`,
);
const orderPattern = pattern(
  `^${fieldPattern}(?<by>\\.asc|\\.desc)?(?<nulls>\\.nullsfirst|\\.nullslast)?\\s*$`,
);
const keyPattern = pattern(`^(?:(?<embed>${named})\\.)?(?:(?:${named})\\.)*${fieldPattern}$`);
const namePattern = pattern(`^\\s*(?<name>${named})\\s*$`);
const stepPattern = new RegExp(`(->>?)(${key})`, "gus");

const unquote = (text: string) =>
  text.startsWith('"')
    ? text.slice(1, -1).replace(/\\(.)/gs, "$1")
    : text.split("-").map((part) => part.trim()).join("-");

function fieldOf(groups: Readonly<Record<string, string>>): Field {
  const steps = [...(groups.path ?? "").matchAll(stepPattern)];
  return {
    name: unquote(groups.name ?? ""),
    path: steps.map(([, arrow = "", step = ""]) => {
      const isIndex = /^-?\d+$/.test(step);
      const index = step.startsWith("-") ? step : `+${step}`;
      return { arrow, key: isIndex ? index : unquote(step), isIndex };
    }),
  };
}

function groupsOf(by: RegExp, text: string, what: string): Record<string, string> {
  const match = by.exec(text);
  if (match?.groups === undefined) throw notImplemented(`This ${what}: ${text}`);
  return match.groups;
}

/** Parts between commas that stand outside quotes and brackets. */
function split(text: string): string[] {
  const parts = text.match(/(?:"(?:[^"\\]|\\.)*"|\([^()]*\)|[^,"(]|["(])+|(?<=,|^)(?=,|$)/gs);
  return parts ?? [];
}

/** Types whose names may stand in a cast: names cannot be parameters, and quoting changes them. */
const castTypes = new Set(
  ("text varchar bool boolean int2 int4 int8 smallint int integer bigint numeric decimal real float4 " +
    "float8 uuid date time timestamp timestamptz interval json jsonb").split(" "),
);

function readSelect(text: string): SelectItem[] {
  if (text === "") return [{ field: { name: "*", path: [] }, alias: null, cast: null }];
  return split(text).map((part) => {
    if (part.trim() === "*") return { field: { name: "*", path: [] }, alias: null, cast: null };
    if (/^(?:[^(]*[.:])?(?:sum|avg|count|max|min)\(\)(?:::[\w ]+)?$/.test(part.trim())) {
      throw new RestError(400, "PGRST123", "Use of aggregate functions is not allowed");
    }
    if (part.includes("(")) throw notImplemented(`Embedding, as in select=${part}`);
    const groups = groupsOf(selectPattern, part, "item of select");
    const { alias, cast } = groups;
    if (cast !== undefined && !castTypes.has(cast.trim())) {
      throw notImplemented(`The cast ::${cast}`);
    }
    return {
      field: fieldOf(groups),
      alias: alias === undefined ? null : unquote(alias),
      cast: cast === undefined ? null : cast.trim(),
    };
  });
}

const orderWords = new Map([
  [".asc", " ASC"],
  [".desc", " DESC"],
  [".nullsfirst", " NULLS FIRST"],
  [".nullslast", " NULLS LAST"],
]);

const readOrder = (text: string): OrderTerm[] =>
  split(text).map((part) => {
    const groups = groupsOf(orderPattern, part, "item of order");
    const word = (suffix: string | undefined) => orderWords.get(suffix ?? "") ?? "";
    return { field: fieldOf(groups), suffix: word(groups.by) + word(groups.nulls) };
  });

const readNames = (text: string): string[] =>
  split(text).map((part) => fieldOf(groupsOf(namePattern, part, "list of columns")).name);

const operators = new Map([
  ["eq", "="],
  ["gte", ">="],
  ["gt", ">"],
  ["lte", "<="],
  ["lt", "<"],
  ["like", "like"],
  ["ilike", "ilike"],
  ["match", "~"],
  ["imatch", "~*"],
  ["neq", "<>"],
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

/** The condition that `text` is, or null where PostgREST's parser finds no operator in it. */
function readCondition(text: string): Pick<Filter, "negated" | "operation"> | null {
  const negated = text.startsWith("not.");
  const rest = negated ? text.slice(4) : text;
  if (rest.startsWith("in.")) {
    const list = /^[ \t]*\((.*)\)[ \t]*$/s.exec(rest.slice(3))?.[1];
    if (list === undefined) throw notImplemented(`This list: ${text}`);
    return { negated, operation: { kind: "in", operands: readList(list) } };
  }
  if (rest.startsWith("is.")) {
    const word = [...isWords.keys()].find((word) => rest.slice(3).toLowerCase().startsWith(word));
    const operand = isWords.get(word ?? "");
    if (operand === undefined) throw notImplemented(`This operand of is: ${text}`);
    return { negated, operation: { kind: "is", operand } };
  }
  if (/^(?:fts|plfts|phfts|wfts)[.(]/.test(rest)) throw notImplemented("Full-text operators");
  const match = /^([a-z]+)(?:\((any|all)\))?\.(.*)$/s.exec(rest);
  const [, word = "", quantifier = "", operand = ""] = match ?? [];
  const operator = operators.get(word);
  const canQuantify = [...operators.keys()].indexOf(word) < 9;
  if (operator === undefined || (quantifier !== "" && !canQuantify)) {
    if (negated) throw notImplemented(`This filter: ${text}`);
    return null;
  }
  const like = operator === "like" || operator === "ilike";
  return {
    negated,
    operation: {
      kind: "compare",
      operator,
      quantifier,
      operand: like ? operand.replaceAll("*", "%") : operand,
    },
  };
}

/** Items of a list; an item in quotes ends at a comma, else its quotes are text. */
function readList(list: string): string[] {
  const items: string[] = [];
  const item = /("(?:[^"\\]|\\.)*"|[^,)]*)(?:,|$)/suy;
  for (let at = 0; at <= list.length; at = item.lastIndex) {
    item.lastIndex = at;
    const [whole, content = ""] = item.exec(list) ?? [];
    if (whole === undefined) throw notImplemented(`This list: ${list}`);
    items.push(/^"(?:[^"\\]|\\.)*"$/s.test(content) ? unquote(content) : content);
    if (!whole.endsWith(",") || item.lastIndex === at) break;
  }
  return items;
}

/** Parsec's report of a filter whose operator is unknown. */
function operatorError(text: string): RestError {
  const all = [...operators.keys(), "in", "is", "fts", "plfts", "phfts", "wfts"];
  const words = all.filter((word) => text.startsWith(word));
  const at = Math.max(0, ...words.map((word) => word.length));
  if (text.startsWith("not") || (at > 0 && text[at] === "(")) {
    throw notImplemented(`This filter: ${text}`);
  }
  const shared = at > 0 ? at : [..."not"].findIndex((char, index) => text[index] !== char);
  const found = [...text.slice(shared)][0];
  if (found !== undefined && !/^[!#-[\]-~]$/.test(found)) {
    throw notImplemented(`This filter: ${text}`);
  }
  const expected = (at > 0 ? "" : '"not" or ') + "operator (eq, gt, ...)";
  const unexpected = found === undefined ? "end of input" : `"${found}"`;
  const source = JSON.stringify(`failed to parse filter (${text})`);
  return new RestError(400, "PGRST100", `${source} (line 1, column ${at + 1})`, {
    details: `unexpected ${unexpected} expecting ${expected}`,
  });
}

/** Pairs of a query string or form; a name without `=` has the value null. Bytes as characters. */
export function readPairs(text: string): (readonly [string, string | null])[] {
  const decode = (part: string) =>
    part.replaceAll("+", " ").replace(
      /%([0-9a-f]{2})/gi,
      (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
    );
  return text.split(/[&;]/).filter((part) => part !== "").map((part) => {
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

/** Reads a query string without its `?`. `isCall`: what is no filter is an argument. */
export function readQuery(text: string, isCall: boolean): Query {
  const bytes = readPairs(text);
  const pairs = bytes.flatMap(([name, item]) =>
    item === null ? [] : [[decodeUtf8(name), decodeUtf8(item)] as const]
  );
  const first = (wanted: string) => pairs.find(([name]) => name === wanted)?.[1] ?? null;
  const filters: Filter[] = [];
  const params: [string, string][] = [];
  for (const [name, item] of pairs) {
    const last = name.slice(name.lastIndexOf(".") + 1);
    if (
      ["or", "and"].includes(last) || (name !== last && ["order", "limit", "offset"].includes(last))
    ) {
      throw notImplemented(`The parameter ${name}`);
    }
    if (["order", "limit", "offset", "select", "columns", "on_conflict"].includes(name)) continue;
    const groups = groupsOf(keyPattern, name, "name of a parameter");
    const embed = groups.embed === undefined ? null : unquote(groups.embed);
    const condition = readCondition(item);
    if (condition) filters.push({ field: fieldOf(groups), embed, ...condition });
    else if (isCall) params.push([fieldOf(groups).name, item]);
    else throw operatorError(item);
  }
  if (first("on_conflict") !== null) throw notImplemented("Upsert (on_conflict)");
  const [columns, order] = [first("columns"), first("order")];
  return {
    select: readSelect(first("select") ?? "*"),
    filters,
    order: order === null ? [] : readOrder(order),
    columns: columns === null ? null : readNames(columns),
    params,
    limit: first("limit"),
    offset: first("offset"),
    pairs: bytes.map(([name, item]) => [name, item ?? ""]),
  };
}
