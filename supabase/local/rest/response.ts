/**
 * From what a transaction answered to an HTTP response with PostgREST's status and headers.
 *
 * @module
 */
import { notImplemented, RestError } from "./errors.ts";
import type { Result } from "./executor.ts";
import { isRecord, parseJson } from "./json.ts";
import type { Description, Plan } from "./planner.ts";
import type { RestRequest } from "./request.ts";

/** The answer to a request that was run. @throws {RestError} for bad `response.*` settings */
export function writeResponse(
  request: RestRequest,
  plan: Plan,
  result: Result,
  maxRows: number | null,
): Response {
  const { count, returns } = request.prefer;
  const isWrite = plan.kind !== "call" && plan.kind !== "read";
  const total = !isWrite ? result.total : count === null ? null : result.page;
  if (plan.kind === "read" && count === "count=estimated" && (total ?? 0) > (maxRows ?? -1)) {
    throw notImplemented(`${count} of more rows than an answer may have`);
  }
  const { status, range } = statusAndRange(request, plan, result.page, total);
  const headers = new Headers({ "Content-Range": range });
  const applied = appliedPreferences(request, plan);
  if (applied !== "") headers.set("Preference-Applied", applied);
  if (plan.kind === "read") headers.set("Content-Location", contentLocation(request));
  const hasBody = !plan.isVoid && (!isWrite || returns === "return=representation");
  if (hasBody) {
    headers.set("Content-Type", `${plan.mediaType}; charset=utf-8`);
    if (request.namesSchema) headers.set("Content-Profile", request.schema);
  }
  setHeaders(headers, result.headers);
  const code = readStatus(result.status) ?? status;
  const isEmpty = !hasBody || request.method === "HEAD" || [204, 205, 304].includes(code);
  const content = status === 416 ? outOfBounds(request, total) : result.body;
  return new Response(isEmpty ? null : content, { status: code, headers });
}

/** The answer to OPTIONS. */
export const writeDescription = ({ allow }: Description): Response =>
  new Response(null, { headers: { "Access-Control-Allow-Origin": "*", "Allow": allow } });

function statusAndRange(
  { query: { limit, offset }, prefer }: RestRequest,
  { kind, isVoid }: Plan,
  page: number,
  total: number | null,
): { status: number; range: string } {
  const lower = limit === 0 ? 0 : offset;
  const rows = (from: number) =>
    total !== 0 && page > 0 ? `${from}-${from + page - 1}/${total ?? "*"}` : `*/${total ?? "*"}`;
  const written = prefer.returns === "return=representation" ? 200 : 204;
  if (kind === "insert") return { status: 201, range: `*/${total ?? "*"}` };
  if (kind === "delete") return { status: written, range: `*/${total ?? "*"}` };
  if (kind === "update") return { status: written, range: rows(0) };
  const read = total === null ? 200 : lower > total ? 416 : page < total ? 206 : 200;
  return { status: isVoid ? 204 : read, range: rows(lower) };
}

function outOfBounds({ query: { offset } }: RestRequest, total: number | null): string {
  const details = `An offset of ${offset} was requested, but there are only ${total ?? 0} rows.`;
  const error = new RestError(416, "PGRST103", "Requested range not satisfiable", { details });
  return JSON.stringify(error.body);
}

function appliedPreferences({ prefer }: RestRequest, { kind }: Plan): string {
  const { missing, returns, count, handling, maxAffected } = prefer;
  const isLimited = handling === "handling=strict" && maxAffected !== null &&
    kind !== "read" && kind !== "insert";
  return [
    kind === "insert" || kind === "update" ? missing : null,
    kind === "call" || kind === "read" ? null : returns,
    count,
    handling,
    isLimited ? `max-affected=${maxAffected}` : null,
  ].filter((word) => word !== null).join(", ");
}

const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** PostgREST encodes bytes as if they were characters; names repeated share one list of values. */
function contentLocation({ target, query }: RestRequest): string {
  if (/[^\x20-\x7e]/.test(target)) throw notImplemented("Names of tables beyond ASCII");
  const sorted = query.pairs.toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  const params = [...Map.groupBy(sorted, ([name]) => name)].map(([name, pairs]) =>
    `${encode(name)}=${pairs.map(([, item]) => encode(item)).join(",")}`
  );
  return params.length === 0 ? `/${target}` : `/${target}?${params.join("&")}`;
}

/** The number that a text begins with, as PostgREST reads it. */
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

/** Headers set by SQL replace ours; one that is set twice is sent twice. */
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
