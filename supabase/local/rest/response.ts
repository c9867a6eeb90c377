/**
 * Turns the answer of a transaction into an HTTP response with PostgREST's status and headers.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { notImplemented, RestError } from "./errors.ts";
import type { Result } from "./executor.ts";
import { isRecord, parseJson } from "./json.ts";
import type { Plan } from "./planner.ts";
import type { RestRequest } from "./request.ts";

/** The answer to a request that was run. @throws {RestError} for bad `response.*` settings */
export function writeResponse(
  request: RestRequest,
  plan: Plan,
  result: Result,
  maxRows: number | null,
): Response {
  const { count, returns, query } = request;
  const isRead = plan.action === "call" || plan.action === "read";
  const counted = isRead ? result.total : result.page;
  const total = isRead || count !== null ? counted : null;
  if (plan.action === "read" && count === "estimated" && (total ?? 0) > (maxRows ?? -1)) {
    throw notImplemented("count=estimated of more rows than an answer may have");
  }
  const { status, range } = statusAndRange(request, plan, result.page, total);
  const headers = new Headers({ "Content-Range": range });
  const applied = [
    ...isRead || returns === null ? [] : [`return=${returns}`],
    ...count === null ? [] : [`count=${count}`],
  ];
  if (applied.length > 0) headers.set("Preference-Applied", applied.join(", "));
  if (plan.action === "read") headers.set("Content-Location", contentLocation(request));
  if (plan.hasBody) {
    const type = plan.isObject ? "vnd.pgrst.object+json" : "json";
    headers.set("Content-Type", `application/${type}; charset=utf-8`);
    if (request.namesSchema) headers.set("Content-Profile", request.schema);
  }
  setHeaders(headers, result.headers);
  const code = readStatus(result.status) ?? status;
  const isEmpty = !plan.hasBody || request.method === "HEAD" || [204, 205, 304].includes(code);
  const content = status === 416 ? outOfBounds(query.offset, total ?? 0) : result.body;
  return new Response(isEmpty ? null : content, { status: code, headers });
}

function statusAndRange(
  { query: { offset } }: RestRequest,
  { action, hasBody }: Plan,
  page: number,
  total: number | null,
): { status: number; range: string } {
  const rows = total !== 0 && page > 0 ? `${offset}-${offset + page - 1}` : "*";
  const range = `${action === "insert" || action === "delete" ? "*" : rows}/${total ?? "*"}`;
  if (action === "insert") return { status: 201, range };
  if (!hasBody) return { status: 204, range };
  if (total === null || action === "update" || action === "delete") return { status: 200, range };
  return { status: offset > total ? 416 : page < total ? 206 : 200, range };
}

function outOfBounds(offset: number, total: number): string {
  const details = `An offset of ${offset} was requested, but there are only ${total} rows.`;
  const error = new RestError(416, "PGRST103", "Requested range not satisfiable", { details });
  return JSON.stringify(error.body);
}

const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** PostgREST encodes bytes as if they were characters. */
const bytes = (text: string): string => Buffer.from(text).toString("latin1");

/** Sorted by name; a name given twice has a list of values. */
function contentLocation({ target, query }: RestRequest): string {
  if (/[^\x20-\x7e]/.test(target)) throw notImplemented("Names of tables beyond ASCII");
  const sorted = query.pairs.toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  const params = [...Map.groupBy(sorted, ([name]) => name)].map(([name, pairs]) =>
    `${encode(bytes(name))}=${pairs.map(([, item]) => encode(bytes(item))).join(",")}`
  );
  return params.length === 0 ? `/${target}` : `/${target}?${params.join("&")}`;
}

/** The number at the start of a text, as PostgREST reads it. */
function readStatus(text: string | null): number | null {
  if (text === null) return null;
  const digits = /^\d+/.exec(text)?.[0];
  if (digits === undefined) {
    throw new RestError(500, "PGRST112", "response.status guc must be a valid status code");
  }
  const status = Number(digits);
  if (status < 200 || status > 599) throw notImplemented(`response.status ${text}`);
  return status;
}

/** Headers set by SQL replace ours; one that is set twice is a list with a comma, as HTTP allows. */
function setHeaders(headers: Headers, text: string | null): void {
  const given = text === null ? [] : readHeaders(text);
  try {
    for (const [name] of given) headers.delete(name);
    for (const [name, content] of given) headers.append(name, content);
  } catch {
    throw notImplemented(`These response.headers: ${text}`);
  }
}

function readHeaders(text: string): [string, string][] {
  const parsed = parseJson(text);
  const pairs = (Array.isArray(parsed) ? parsed : [null]).map((item) => {
    const [pair, ...more] = isRecord(item) ? Object.entries(item) : [];
    const [name, content] = pair ?? [];
    return name !== undefined && typeof content === "string" && more.length === 0
      ? [[name, content] satisfies [string, string]]
      : [];
  });
  if (pairs.every((pair) => pair.length === 1)) return pairs.flat();
  throw new RestError(
    500,
    "PGRST111",
    "response.headers guc must be a JSON array composed of objects with a single key and a string value",
  );
}
