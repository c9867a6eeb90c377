/**
 * From what a transaction answered to an HTTP response with PostgREST's status and headers.
 *
 * @module
 */
import { notImplemented, RestError } from "./errors.ts";
import type { Row } from "./executor.ts";
import type { Description, Plan } from "./plan.ts";
import type { Head } from "./request.ts";

/** The answer to a request that was run. @throws {RestError} for bad response.* settings */
export function writeResponse(
  request: Head,
  plan: Plan,
  row: Row,
  maxRows: number | null,
): Response {
  const headers = new Headers();
  const { count } = request.preferences;
  const counted = count === "count=exact" || count === "count=estimated";
  const total = plan.kind === "call" || plan.kind === "read"
    ? row.total
    : counted
    ? row.page
    : null;
  if (
    plan.kind === "read" && count === "count=estimated" && maxRows !== null &&
    Number(total) > maxRows
  ) {
    throw notImplemented(`Prefer: ${count} of more than ${maxRows} rows`);
  }
  const { status, range } = rowsAnswer(request, plan, row, total);
  headers.set("Content-Range", range);
  const applied = appliedPreferences(request, plan, row);
  if (applied !== "") headers.set("Preference-Applied", applied);
  if (plan.kind === "read") headers.set("Content-Location", contentLocation(request));
  if (row.location !== "") headers.set("Location", `/${request.target}?${keyQuery(row.location)}`);
  const hasBody = !plan.isVoid &&
    (plan.kind === "call" || plan.kind === "read" ||
      request.preferences.returns === "return=representation");
  if (hasBody) {
    headers.set("Content-Type", `${plan.mediaType}; charset=utf-8`);
    if (request.namesSchema) headers.set("Content-Profile", request.schema);
  }
  override(headers, row.headers);
  const content = status === 416 ? outOfBounds(request, total) : row.body;
  const code = readStatus(row.status) ?? status;
  const withoutBody = !hasBody || request.method === "HEAD" || [204, 205, 304].includes(code);
  if (code < 200 || code > 599) throw notImplemented(`response.status ${code}`);
  return new Response(withoutBody ? null : content, { status: code, headers });
}

/** The answer to OPTIONS. */
export const writeDescription = ({ allow }: Description): Response =>
  new Response(null, { headers: { "Access-Control-Allow-Origin": "*", "Allow": allow } });

function rowsAnswer(
  { range: { lower }, preferences }: Head,
  plan: Plan,
  row: Row,
  total: number | null,
): { status: number; range: string } {
  const of = `/${total ?? "*"}`;
  const between = (from: bigint, to: bigint) =>
    (total !== 0 && from <= to ? `${from}-${to}` : "*") + of;
  const full = preferences.returns === "return=representation";
  if (plan.kind === "insert") return { status: 201, range: `*${of}` };
  if (plan.kind === "delete") return { status: full ? 200 : 204, range: `*${of}` };
  if (plan.kind === "update") {
    return { status: full ? 200 : 204, range: between(0n, BigInt(row.page) - 1n) };
  }
  const range = between(lower, lower + BigInt(row.page) - 1n);
  if (plan.isVoid) return { status: 204, range };
  if (total === null) return { status: 200, range };
  if (lower > total) return { status: 416, range };
  return { status: row.page < total ? 206 : 200, range };
}

function outOfBounds({ range: { lower } }: Head, total: number | null): string {
  const details = `An offset of ${lower} was requested, but there are only ${total ?? 0} rows.`;
  const error = new RestError(416, "PGRST103", "Requested range not satisfiable", { details });
  return JSON.stringify(error.body);
}

function appliedPreferences({ preferences }: Head, plan: Plan, row: Row): string {
  const { missing, returns, count, handling, timezone, maxAffected, isStrict } = preferences;
  const writes = plan.kind !== "call" && plan.kind !== "read";
  const limits = plan.kind === "call" || plan.kind === "update" || plan.kind === "delete";
  return [
    plan.kind === "insert" || plan.kind === "update" ? missing : null,
    writes ? returns : null,
    count,
    handling,
    timezone !== null && row.knowsTimezone ? `timezone=${timezone}` : null,
    limits && isStrict && maxAffected !== null ? `max-affected=${maxAffected}` : null,
  ].filter((word) => word !== null).join(", ");
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** PostgREST encodes bytes as if they were characters; names repeated share one list of values. */
function contentLocation({ target, query }: Head): string {
  const groups = Map.groupBy(
    [...query.pairs].sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0),
    ([name]) => name,
  );
  const params = [...groups].map(([name, pairs]) =>
    `${encode(name)}=${pairs.map(([, item]) => encode(item)).join(",")}`
  );
  const path = `/${target}`;
  if (/[^\x20-\x7e]/.test(path)) throw notImplemented("Names of tables beyond ASCII");
  return params.length === 0 ? path : `${path}?${params.join("&")}`;
}

function keyQuery(location: string): string {
  const pairs: unknown = JSON.parse(location);
  if (!Array.isArray(pairs)) return "";
  return pairs.map(([name, item]) => `${encode(String(name))}=${encode(String(item))}`).join("&");
}

function readStatus(text: string | null): number | null {
  if (text === null) return null;
  const digits = /^\d+/.exec(text)?.[0];
  if (digits !== undefined) return Number(digits);
  throw new RestError(500, "PGRST112", "response.status guc must be a valid status code");
}

function override(headers: Headers, text: string | null): void {
  if (text === null) return;
  const seen = new Set<string>();
  for (const [name, content] of readHeaders(text)) {
    try {
      if (seen.has(name.toLowerCase())) headers.append(name, content);
      else headers.set(name, content);
      seen.add(name.toLowerCase());
    } catch {
      throw notImplemented(`The header ${JSON.stringify(name)} in response.headers`);
    }
  }
}

function readHeaders(text: string): [string, string][] {
  const bad = () =>
    new RestError(
      500,
      "PGRST111",
      "response.headers guc must be a JSON array composed of objects with a single key and a string value",
    );
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw bad();
  }
  if (!Array.isArray(list)) throw bad();
  return list.map((item: unknown) => {
    const entries = typeof item === "object" && item !== null ? Object.entries(item) : [];
    const [entry] = entries;
    if (Array.isArray(item) || entries.length !== 1 || typeof entry?.[1] !== "string") throw bad();
    return [entry[0], entry[1]];
  });
}
