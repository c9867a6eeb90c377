/**
 * From URL, headers and body to a typed request, in PostgREST's order of checks: path, schema,
 * method, query string, body.
 *
 * @module
 */
import { notImplemented, RestError } from "./errors.ts";
import { isRecord, parseJson } from "./json.ts";
import { decode, type Query, readQuery } from "./query.ts";

/** What a request does. */
export type Action = "call" | "read" | "insert" | "update" | "delete";

/** A JSON body: its keys (or those of `columns`), sorted, and its text for the database. */
export interface Payload {
  readonly keys: readonly string[];
  readonly isObject: boolean;
  readonly text: string;
}

/** What a caller asks for, before anything is looked up in the catalogue. */
export interface RestRequest {
  readonly action: Action;
  readonly method: string;
  /** Without the base path. */
  readonly path: string;
  readonly target: string;
  readonly schema: string;
  /** Whether answers name the schema (Content-Profile). */
  readonly namesSchema: boolean;
  readonly query: Query;
  /** Prefer: `return=`, `count=`. */
  readonly returns: "representation" | "minimal" | null;
  readonly count: "exact" | "estimated" | null;
  /** Media types, the most wanted first. */
  readonly accept: readonly string[];
  readonly payload: Payload | null;
}

/** The parts of an HTTP request; `search` is without `?`, `body` null where it was not UTF-8. */
export interface HttpParts {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly headers: Headers;
  readonly body: string | null;
}

/** For callers who open the root to see what there is. The full list is in `gateway.ts`. */
const alsoRefused = "Tables are at /NAME, functions at /rpc/NAME. Not implemented are also " +
  "embedding, aggregates, casts, JSON paths, or and and, full text search, upsert, PUT, the header " +
  "Range, bodies and answers other than JSON, and variadic functions";

/** Reads a request. @throws {RestError} */
export function readRequest(parts: HttpParts, schemas: readonly string[]): RestRequest {
  const { method, path, headers } = parts;
  const segments = path.split("/").slice(1).map(decode);
  const [target = ""] = segments.slice(-1);
  const isCall = segments.length === 2 && segments[0] === "rpc";
  if (path === "/") throw notImplemented("The OpenAPI root", alsoRefused);
  if (segments.length !== 1 && !isCall) {
    throw new RestError(404, "PGRST125", "Invalid path specified in request URL");
  }
  const isWrite = ["POST", "PATCH", "PUT", "DELETE"].includes(method);
  const profile = headers.get(isWrite ? "content-profile" : "accept-profile");
  const schema = profile ?? schemas[0] ?? "public";
  if (!schemas.includes(schema)) {
    throw new RestError(406, "PGRST106", `Invalid schema: ${schema}`, {
      hint: `Only the following schemas are exposed: ${schemas.join(", ")}`,
    });
  }
  const action = actionOf(isCall, method);
  const query = readQuery(parts.search, action === "call" && method !== "POST");
  if (query.limit === 0 && query.offset > 0) {
    throw new RestError(416, "PGRST103", "Requested range not satisfiable", {
      details: "Limit should be greater than or equal to zero.",
    });
  }
  if (method === "GET" && headers.has("range")) throw notImplemented("The header Range");
  return {
    action,
    method,
    path,
    target,
    schema,
    namesSchema: profile !== null || schemas.length > 1,
    query,
    ...readPreferences(headers.get("prefer")),
    accept: readAccept(headers.get("accept")),
    payload: method === "POST" || action === "update" ? readPayload(parts, isCall, query) : null,
  };
}

const actions = new Map<string, Action>([
  ["GET", "read"],
  ["HEAD", "read"],
  ["POST", "insert"],
  ["PATCH", "update"],
  ["DELETE", "delete"],
]);

function actionOf(isCall: boolean, method: string): Action {
  const action = actions.get(method);
  if (method === "OPTIONS") throw notImplemented("The method OPTIONS, except for CORS");
  if (isCall && (action === "read" || action === "insert")) return "call";
  if (isCall) throw new RestError(405, "PGRST101", `Cannot use the ${method} method on RPC`);
  if (method === "PUT") throw notImplemented("Upsert by PUT");
  if (action !== undefined) return action;
  throw new RestError(405, "PGRST117", `Unsupported HTTP method: ${method}`);
}

const refusedWord =
  /^(?:resolution|missing|handling|timezone|max-affected)=|^count=planned$|^return=headers-only$/;

/** If a word is given twice, the first counts; unknown words are ignored. */
function readPreferences(header: string | null): Pick<RestRequest, "returns" | "count"> {
  const words = (header ?? "").split(",").map((word) => word.trim());
  const refused = words.find((word) => refusedWord.test(word));
  if (refused !== undefined) throw notImplemented(`Prefer: ${refused}`);
  const first = <Word extends string>(key: string, ...known: Word[]): Word | null =>
    words.flatMap((word) => known.find((each) => word === `${key}=${each}`) ?? [])[0] ?? null;
  return {
    returns: first("return", "representation", "minimal"),
    count: first("count", "exact", "estimated"),
  };
}

/** Like wai's parseHttpAccept: without qualities, the more specific type comes first. */
function readAccept(header: string | null): string[] {
  const types = (header ?? "*/*").split(",").map((type) => type.trim());
  if (types.length > 1 && header?.includes(";")) throw notImplemented(`Accept: ${header}`);
  const stars = (type: string) => type.split("*").length;
  return types.toSorted((a, b) => stars(a) - stars(b));
}

const jsonType = /^application\/json(?: *; *[A-Za-z0-9-]+=[A-Za-z0-9|-]+)*$/;
/** Types that PostgREST knows, or might write differently. */
const unclearType = /csv|urlencoded|octet-stream|plain|xml|json|[^a-z\d/.+-]/;

function readPayload({ headers, body }: HttpParts, isCall: boolean, { columns }: Query): Payload {
  const type = headers.get("content-type") ?? "application/json";
  if (!jsonType.test(type)) {
    if (unclearType.test(type)) throw notImplemented(`Content-Type: ${type}`);
    throw invalidBody(`Content-Type not acceptable: ${type}`);
  }
  if (columns === null) return readJson(body === "" && isCall ? "{}" : body ?? "");
  if (body === null) throw notImplemented("A body that is not UTF-8");
  return { keys: sorted(columns), isObject: /^[ \t\r\n]*\{/.test(body), text: body };
}

const invalidBody = (message: string): RestError => new RestError(400, "PGRST102", message);
const sorted = (keys: readonly string[]): string[] => [...new Set(keys)].sort();

function readJson(text: string): Payload {
  const parsed = parseJson(text);
  // Where PostgREST's parser may differ: halves of surrogate pairs, control characters in strings.
  const hasHalves = /(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]/.test(text);
  // deno-lint-ignore no-control-regex -- intended
  if (hasHalves || (parsed === undefined && /[\x00-\x1f]/.test(text))) {
    throw notImplemented("Escaped surrogates or control characters in a body");
  }
  if (parsed === undefined) throw invalidBody("Empty or invalid json");
  if (isRecord(parsed)) return { keys: sorted(Object.keys(parsed)), isObject: true, text };
  // Anything but an object or a list counts as an empty list.
  const items = Array.isArray(parsed) ? parsed : [];
  if (items.length === 0) return { keys: [], isObject: false, text: "[]" };
  const keys = items.map((item) => isRecord(item) ? sorted(Object.keys(item)) : null);
  const [first] = keys;
  const same = JSON.stringify(first);
  if (!first || keys.some((each) => JSON.stringify(each) !== same)) {
    throw invalidBody("All object keys must match");
  }
  return { keys: first, isObject: false, text };
}
