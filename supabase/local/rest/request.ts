/**
 * From URL and headers to a typed request, in PostgREST's order of checks: path, schema, method,
 * query string, range, body.
 *
 * @module
 */
import { notImplemented, RestError } from "./errors.ts";
import { isRecord, parseJson } from "./json.ts";
import { decodeUtf8, type Query, readQuery } from "./query.ts";

/** What a request does; `describe` is OPTIONS. */
export type Action = "call" | "read" | "insert" | "update" | "delete" | "describe";

/** The words of the header Prefer. */
export interface Preferences {
  readonly returns: "return=representation" | "return=minimal" | null;
  readonly count: "count=exact" | "count=estimated" | null;
  readonly missing: "missing=null" | null;
  readonly handling: "handling=strict" | "handling=lenient" | null;
  readonly maxAffected: number | null;
  readonly unknown: readonly string[];
}

/** A JSON body: its keys (or those of `columns`), sorted, and its text for the database. */
export interface Payload {
  readonly keys: readonly string[];
  readonly isObject: boolean;
  readonly text: string;
}

/** What a caller asks for, before anything is looked up. */
export interface RestRequest {
  readonly action: Action;
  readonly isCall: boolean;
  readonly method: string;
  /** Without the base path. */
  readonly path: string;
  readonly target: string;
  readonly schema: string;
  /** Whether answers name the schema (Content-Profile). */
  readonly namesSchema: boolean;
  readonly query: Query;
  readonly prefer: Preferences;
  /** Media types, the most wanted first. */
  readonly accept: readonly string[];
  readonly payload: Payload | null;
}

const actions = new Map<string, Action>([
  ["GET", "read"],
  ["HEAD", "read"],
  ["POST", "insert"],
  ["PATCH", "update"],
  ["DELETE", "delete"],
  ["OPTIONS", "describe"],
]);

/** Reads a request. `search` is without `?`, `body` null where it was not UTF-8. */
export function readRequest(
  { method, path, search, headers, body }: {
    method: string;
    path: string;
    search: string;
    headers: Headers;
    body: string | null;
  },
  schemas: readonly string[],
): RestRequest {
  const segments = path.split("/").slice(1).map(decodeSegment);
  const isCall = segments.length === 2 && segments[0] === "rpc";
  const [target = ""] = segments.slice(-1);
  if (segments.length === 1 && target === "") throw notImplemented("The OpenAPI root");
  if (segments.length !== 1 && !isCall) {
    throw new RestError(404, "PGRST125", "Invalid path specified in request URL");
  }
  const profile = headers.get(
    ["POST", "PATCH", "PUT", "DELETE"].includes(method) ? "content-profile" : "accept-profile",
  );
  const schema = profile ?? schemas[0] ?? "public";
  if (!schemas.includes(schema)) {
    throw new RestError(406, "PGRST106", `Invalid schema: ${schema}`, {
      hint: `Only the following schemas are exposed: ${schemas.join(", ")}`,
    });
  }
  const action = actionOf(isCall, method);
  const query = readQuery(search, action === "call" && method !== "POST");
  if (method === "GET" && /^\d+-\d*$/.test(headers.get("range") ?? "")) {
    throw notImplemented("The header Range");
  }
  const takesBody = method === "POST" || action === "update";
  return {
    action,
    isCall,
    method,
    path,
    target,
    schema,
    namesSchema: profile !== null || schemas.length > 1,
    query,
    prefer: readPreferences(headers.get("prefer")),
    accept: readAccept(headers.get("accept")),
    payload: takesBody ? readPayload(headers.get("content-type"), body, isCall, query) : null,
  };
}

const decodeSegment = (segment: string): string =>
  decodeUtf8(segment.replaceAll(
    /%([0-9a-f]{2})/gi,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  ));

function actionOf(isCall: boolean, method: string): Action {
  const action = actions.get(method);
  if (isCall && (action === "read" || action === "insert")) return "call";
  if (isCall && action !== "describe") {
    throw new RestError(405, "PGRST101", `Cannot use the ${method} method on RPC`);
  }
  if (method === "PUT") throw notImplemented("Upsert by PUT");
  if (action === undefined) {
    throw new RestError(405, "PGRST117", `Unsupported HTTP method: ${method}`);
  }
  return action;
}

/** Words whose meaning is not implemented; `tx=` is known and, as configured, without effect. */
const refusedWord =
  /^(?:resolution=(?:merge|ignore)-duplicates|count=planned|missing=default|return=headers-only|timezone=.*|max-affected=(?!\d{1,15}$).*)$/;
const knownWord =
  /^(?:return=(?:representation|minimal)|count=(?:exact|estimated)|missing=null|handling=(?:strict|lenient)|tx=(?:commit|rollback)|max-affected=\d+)$/;

function readPreferences(header: string | null): Preferences {
  const words = header === null ? [] : header.split(",").map((word) => word.trim());
  const refused = words.find((word) => refusedWord.test(word));
  if (refused !== undefined) throw notImplemented(`Prefer: ${refused}`);
  const first = <Word extends string>(...known: Word[]): Word | null =>
    words.flatMap((word) => known.find((each) => each === word) ?? [])[0] ?? null;
  const maxAffected = words.find((word) => word.startsWith("max-affected="));
  return {
    returns: first("return=representation", "return=minimal"),
    count: first("count=exact", "count=estimated"),
    missing: first("missing=null"),
    handling: first("handling=strict", "handling=lenient"),
    maxAffected: maxAffected === undefined ? null : Number(maxAffected.split("=")[1]),
    unknown: words.filter((word) => !knownWord.test(word)),
  };
}

/** As wai's parseHttpAccept: without qualities, what says more comes first. */
function readAccept(header: string | null): string[] {
  const types = (header ?? "*/*").split(",").map((type) => type.trim());
  if (types.length > 1 && types.some((type) => type.includes(";"))) {
    throw notImplemented(`Accept: ${header}`);
  }
  const stars = (type: string) => type.split("*").length;
  return types.toSorted((a, b) => stars(a) - stars(b));
}

const jsonType = /^application\/json(?: *; *[A-Za-z0-9-]+=[A-Za-z0-9|-]+)*$/;
const otherTypes = /csv|urlencoded|octet-stream|plain|xml|json|[^a-z\d/.+-]/;

function readPayload(
  contentType: string | null,
  body: string | null,
  isCall: boolean,
  { columns }: Query,
): Payload {
  if (contentType !== null && !jsonType.test(contentType)) {
    if (otherTypes.test(contentType)) throw notImplemented(`Content-Type: ${contentType}`);
    throw invalidBody(`Content-Type not acceptable: ${contentType}`);
  }
  if (columns !== null) {
    if (body === null) throw notImplemented("A body that is not UTF-8");
    return { keys: sorted(columns), isObject: /^[ \t\r\n]*\{/.test(body), text: body };
  }
  return readJson(body === "" && isCall ? "{}" : body ?? "");
}

const invalidBody = (message: string): RestError => new RestError(400, "PGRST102", message);
const sorted = (keys: readonly string[]): string[] => [...new Set(keys)].sort();

function readJson(text: string): Payload {
  const parsed = parseJson(text);
  // Where PostgREST's parser may differ: halves of surrogate pairs, control characters in strings.
  // deno-lint-ignore no-control-regex -- they are meant
  if (/\\u[dD][89a-fA-F]/.test(text) || (parsed === undefined && /[\x00-\x1f]/.test(text))) {
    throw notImplemented("Escaped surrogates or control characters in a body");
  }
  if (parsed === undefined) throw invalidBody("Empty or invalid json");
  if (isRecord(parsed)) return { keys: sorted(Object.keys(parsed)), isObject: true, text };
  // What is neither object nor list counts as an empty list.
  if (!Array.isArray(parsed) || parsed.length === 0) {
    return { keys: [], isObject: false, text: "[]" };
  }
  const keys = parsed.map((item) => isRecord(item) ? sorted(Object.keys(item)) : null);
  const [first] = keys;
  const same = JSON.stringify(first);
  if (!first || keys.some((each) => JSON.stringify(each) !== same)) {
    throw invalidBody("All object keys must match");
  }
  return { keys: first, isObject: false, text };
}
