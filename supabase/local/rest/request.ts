/**
 * From an HTTP request to a typed request, in PostgREST's order of checks: path, schema, method,
 * query string, range, body.
 *
 * @module
 */
import { notImplemented, RestError } from "./errors.ts";
import { decodeUtf8, type Query, readPairs, readQuery } from "./query_string.ts";

/** Rows asked for; `upper` is inclusive, null for all. `upper < lower` is the empty range. */
export interface Range {
  readonly lower: bigint;
  readonly upper: bigint | null;
}

/** What the body is: JSON, arguments of a form, or one raw value. */
export type Payload =
  | { kind: "json"; isObject: boolean }
  | { kind: "form"; params: readonly (readonly [string, string])[] }
  | { kind: "raw" };

/** A body: what it is, its keys (or those of `columns`), sorted, and its text for the database. */
export interface Body {
  readonly payload: Payload | null;
  readonly columns: readonly string[];
  readonly content: string | null;
}

/** Preferences that are known; `applied` are the words for Preference-Applied. */
export interface Preferences {
  readonly returns: string | null;
  readonly count: string | null;
  readonly missing: string | null;
  readonly isStrict: boolean;
  readonly handling: string | null;
  readonly timezone: string | null;
  readonly maxAffected: bigint | null;
  readonly unknown: readonly string[];
}

export type Action = "call" | "read" | "insert" | "update" | "delete" | "describe";

/** What a caller asks for, but for the body. */
export interface Head {
  readonly action: Action;
  readonly isCall: boolean;
  readonly method: string;
  readonly path: string;
  readonly target: string;
  readonly schema: string;
  /** Whether answers name the schema (Content-Profile). */
  readonly namesSchema: boolean;
  readonly query: Query;
  readonly range: Range;
  readonly preferences: Preferences;
  readonly accept: readonly string[];
  readonly contentType: string;
}

/** What a caller asks for, before anything is looked up; the body's text is not in it. */
export type RestRequest = Head & Omit<Body, "content">;

const methods = new Map<string, Action>([
  ["GET", "read"],
  ["HEAD", "read"],
  ["POST", "insert"],
  ["PATCH", "update"],
  ["DELETE", "delete"],
  ["OPTIONS", "describe"],
]);

/** The headers that `readHead` reads. */
export const readingHeaders = [
  "accept-profile",
  "content-profile",
  "range",
  "content-type",
  "prefer",
  "accept",
];

/** Reads all but the body. `path` is raw and without base, `search` without `?`. */
export function readHead(
  { method, path, search, headers }: {
    method: string;
    path: string;
    search: string;
    headers: Headers;
  },
  schemas: readonly string[],
): Head {
  const segments = path.split("/").slice(1).map(decodeSegment);
  const isCall = segments.length === 2 && segments[0] === "rpc";
  if (segments.length === 1 && segments[0] === "") throw notImplemented("The OpenAPI root");
  if (segments.length !== 1 && !isCall) {
    throw new RestError(404, "PGRST125", "Invalid path specified in request URL");
  }
  const writes = ["POST", "PATCH", "PUT", "DELETE"].includes(method);
  const profile = headers.get(writes ? "content-profile" : "accept-profile");
  const schema = profile ?? schemas[0] ?? "public";
  if (!schemas.includes(schema)) {
    throw new RestError(406, "PGRST106", `Invalid schema: ${schema}`, {
      hint: `Only the following schemas are exposed: ${schemas.join(", ")}`,
    });
  }
  const action = actionOf(isCall, method);
  const query = readQuery(search, action === "call" && method !== "POST");
  const range = readRange(method, query, headers.get("range"));
  const contentType = mediaType(headers.get("content-type") ?? "application/json");
  return {
    action,
    isCall,
    method,
    path,
    target: segments.at(-1) ?? "",
    schema,
    namesSchema: profile !== null || schemas.length > 1,
    query,
    range,
    preferences: readPreferences(headers.get("prefer")),
    accept: readAccept(headers.get("accept")),
    contentType,
  };
}

const decodeSegment = (segment: string) =>
  decodeUtf8(
    segment.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
  );

function actionOf(isCall: boolean, method: string): Action {
  if (method === "PUT" && !isCall) throw notImplemented("Upsert by PUT");
  const action = methods.get(method);
  if (isCall && (action === "read" || action === "insert")) return "call";
  if (isCall && action !== "describe") {
    throw new RestError(405, "PGRST101", `Cannot use the ${method} method on RPC`);
  }
  if (action === undefined) {
    throw new RestError(405, "PGRST117", `Unsupported HTTP method: ${method}`);
  }
  return action;
}

const emptyRange: Range = { lower: 1n, upper: 0n };
const isEmpty = ({ lower, upper }: Range) => upper !== null && upper < lower;

function intersection(a: Range, b: Range): Range {
  if (isEmpty(a) || isEmpty(b)) return emptyRange;
  const upper = a.upper === null || (b.upper !== null && b.upper < a.upper) ? b.upper : a.upper;
  return { lower: a.lower > b.lower ? a.lower : b.lower, upper };
}

/** At most `rows` of a range; asking for none is an answer, not an error. */
export function limited(range: Range, rows: number | null): Range {
  if (rows === null || range.upper === -1n) return range;
  return intersection(range, { lower: range.lower, upper: range.lower + BigInt(rows) - 1n });
}

function readRange(method: string, query: Query, header: string | null): Range {
  const integer = (text: string | null) =>
    text !== null && /^\s*-?\d+\s*$/.test(text) ? BigInt(text.trim()) : null;
  const all: Range = { lower: 0n, upper: null };
  const limit = integer(query.limit);
  const offset = integer(query.offset) ?? 0n;
  let asked: Range = query.offset === null ? all : { lower: offset, upper: null };
  if (query.limit !== null && query.offset === null && limit !== null) {
    asked = { lower: 0n, upper: limit - 1n };
  } else if (query.limit !== null && query.offset !== null) {
    asked = { lower: offset, upper: offset + (limit ?? 0n) - 1n };
  }
  const match = method === "GET" ? /^(\d+)-(\d*)$/.exec(header ?? "") : null;
  const [, from = "0", to = ""] = match ?? [];
  const byHeader = intersection({ lower: BigInt(from), upper: null }, {
    lower: 0n,
    upper: to === "" ? null : BigInt(to),
  });
  const range = asked.upper === -1n ? { lower: 0n, upper: -1n } : intersection(byHeader, asked);
  if (isEmpty(range) && asked.upper !== -1n) {
    throw new RestError(416, "PGRST103", "Requested range not satisfiable", {
      details: isEmpty(byHeader)
        ? "The lower boundary must be lower than or equal to the upper boundary in the Range header."
        : "Limit should be greater than or equal to zero.",
    });
  }
  return range;
}

function readPreferences(header: string | null): Preferences {
  const given = (header ?? "").split(",").map((part) => part.trim());
  const one = (...known: string[]) => given.find((part) => known.includes(part)) ?? null;
  const after = (prefix: string) =>
    given.find((part) => part.startsWith(prefix))?.slice(prefix.length) ?? null;
  if (one("resolution=merge-duplicates", "resolution=ignore-duplicates")) {
    throw notImplemented("Upsert (Prefer: resolution)");
  }
  const known =
    /^(?:return=(?:representation|minimal|headers-only)|count=(?:exact|planned|estimated)|tx=(?:commit|rollback)|missing=(?:default|null)|handling=(?:strict|lenient)|max-affected=.*|timezone=.*)$/;
  const maxAffected = after("max-affected=");
  const handling = one("handling=strict", "handling=lenient");
  return {
    returns: one("return=representation", "return=minimal", "return=headers-only"),
    count: one("count=exact", "count=planned", "count=estimated"),
    missing: one("missing=default", "missing=null"),
    handling,
    isStrict: handling === "handling=strict",
    timezone: after("timezone="),
    maxAffected: maxAffected !== null && /^-?\d+$/.test(maxAffected) ? BigInt(maxAffected) : null,
    unknown: header === null ? [] : given.filter((part) => !known.test(part)),
  };
}

/** Media types by quality, then by how much they say; as wai's parseHttpAccept. */
function readAccept(header: string | null): string[] {
  if (header === null) return ["*/*"];
  const ranked = header.split(",").map((part) => {
    const [type = "", quality] = part.replaceAll(" ", "").split(";q=");
    const rank = parseFloat(quality ?? "1");
    const detail = type.split(";").length - type.split("*").length;
    return { type, rank: Number.isNaN(rank) ? 1 : rank, detail };
  });
  ranked.sort((a, b) => b.rank - a.rank || b.detail - a.detail);
  return ranked.map(({ type }) => mediaType(type));
}

const knownTypes = new Set([
  "application/json",
  "application/geo+json",
  "text/csv",
  "text/plain",
  "text/xml",
  "application/openapi+json",
  "application/x-www-form-urlencoded",
  "application/octet-stream",
  "*/*",
]);

/** A media type's canonical name; an unknown one stays as it was written. */
function mediaType(text: string): string {
  if (knownTypes.has(text)) return text;
  const [main = "", ...params] = text.split(";");
  const type = main.trim().toLowerCase();
  const stripped = params.some((param) => param.trim().replaceAll('"', "") === "nulls=stripped");
  if (/^application\/vnd\.pgrst\.plan(\+|$)/.test(type)) return "application/vnd.pgrst.plan";
  if (/^application\/vnd\.pgrst\.object(\+json)?$/.test(type)) {
    return "application/vnd.pgrst.object+json" + (stripped ? ";nulls=stripped" : "");
  }
  if (/^application\/vnd\.pgrst\.array(\+json)?$/.test(type)) {
    return stripped ? "application/vnd.pgrst.array+json;nulls=stripped" : "application/json";
  }
  return knownTypes.has(type) ? type : text;
}

const invalidBody = (message: string) => new RestError(400, "PGRST102", message);

/** Reads the body of a request whose head is known. */
export function readPayload(head: Head, body: Uint8Array<ArrayBuffer>): Body {
  const { action, isCall, method, contentType, query: { columns } } = head;
  const hasBody = action === "insert" || action === "update" || (isCall && method === "POST");
  if (!hasBody) return { payload: null, columns: [], content: null };
  if (contentType === "application/json") return readJson(body, isCall, columns);
  if (contentType === "text/csv") throw notImplemented("CSV bodies");
  const isRaw = ["text/plain", "text/xml", "application/octet-stream"].includes(contentType);
  if (isCall && isRaw) {
    const hex = () => `\\x${[...body].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    const content = contentType === "application/octet-stream" ? hex() : utf8.decode(body);
    return { payload: { kind: "raw" }, columns: columns ?? [], content };
  }
  if (contentType !== "application/x-www-form-urlencoded") {
    throw invalidBody(`Content-Type not acceptable: ${contentType}`);
  }
  const pairs = readPairs([...body].map((byte) => String.fromCharCode(byte)).join(""));
  const params = pairs.map(([key, item]) => [decodeUtf8(key), decodeUtf8(item ?? "")] as const);
  const keys = sorted(params.map(([key]) => key));
  if (!isCall) {
    const content = JSON.stringify(Object.fromEntries(params));
    return { payload: { kind: "json", isObject: true }, columns: keys, content };
  }
  return { payload: { kind: "form", params }, columns: keys, content: null };
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const sorted = (keys: readonly string[]) => [...new Set(keys)].sort();

function readJson(
  body: Uint8Array<ArrayBuffer>,
  isCall: boolean,
  columns: readonly string[] | null,
): Body {
  const json = (content: string, keys: readonly string[]): Body => ({
    payload: { kind: "json", isObject: /^[ \t\r\n]*\{/.test(content) },
    columns: keys,
    content,
  });
  if (columns !== null) return json(utf8.decode(body), sorted(columns));
  if (body.length === 0 && isCall) return json("{}", []);
  const { text, parsed } = parseJson(body);
  if (!Array.isArray(parsed)) {
    return isObject(parsed) ? json(text, sorted(Object.keys(parsed))) : json("[]", []);
  }
  if (parsed.length === 0) return json("[]", []);
  const keys = parsed.map((item) => isObject(item) ? sorted(Object.keys(item)) : null);
  const [first] = keys;
  const same = JSON.stringify(first);
  if (!first || !keys.every((each) => JSON.stringify(each) === same)) {
    throw invalidBody("All object keys must match");
  }
  return json(text, first);
}

const isObject = (item: unknown): item is object =>
  typeof item === "object" && item !== null && !Array.isArray(item);

function parseJson(body: Uint8Array<ArrayBuffer>): { text: string; parsed: unknown } {
  try {
    const text = strictUtf8.decode(body);
    return { text, parsed: JSON.parse(text) };
  } catch {
    throw invalidBody("Empty or invalid json");
  }
}
