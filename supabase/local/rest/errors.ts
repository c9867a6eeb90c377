/**
 * PostgREST's errors: which SQLSTATE or code gives which status, and how an error is written.
 *
 * @module
 */

/** The body of every error; PostgREST always sends the four keys. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details: string | null;
  readonly hint: string | null;
}

/** An error that is an answer: thrown anywhere, written in one place (`errorResponse`). */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly body: ErrorBody;
  constructor(
    readonly status: number,
    code: string,
    message: string,
    more: { details?: string | null; hint?: string | null } = {},
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.body = { code, message, details: more.details ?? null, hint: more.hint ?? null };
  }
}

/** What this stand-in does not do; `what` says it to the caller. */
export const notImplemented = (what: string): RestError =>
  new RestError(400, "PGRST127", "Feature not implemented", { details: what });

/** A bad token (PGRST301) or bad claims (PGRST303). */
export const tokenError = (code: string, message: string, details: string | null = null) =>
  new RestError(401, code, message, { details }, {
    "WWW-Authenticate": `Bearer error="invalid_token", error_description=${
      JSON.stringify(message)
    }`,
  });

/** What PostgreSQL reports of an error; absent fields are null. */
export interface DatabaseError {
  readonly code: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
}

const byCode = new Map([
  ["23503", 409],
  ["23505", 409],
  ["25006", 405],
  ["53400", 500],
  ["57P01", 503],
  ["P0001", 400],
  ["42883", 404],
  ["42P01", 404],
  ["42P17", 500],
]);
const byClass = new Map([
  ["08", 503],
  ["09", 500],
  ["0L", 403],
  ["0P", 403],
  ["25", 500],
  ["28", 403],
  ["2D", 500],
  ["38", 500],
  ["39", 500],
  ["3B", 500],
  ["40", 500],
  ["53", 503],
  ["54", 500],
  ["55", 500],
  ["57", 500],
  ["58", 500],
  ["F0", 500],
  ["HV", 500],
  ["P0", 500],
  ["XX", 500],
]);

function statusOf({ code, message }: DatabaseError, hasRole: boolean): number {
  if (code === "21000") return message.endsWith("requires a WHERE clause") ? 400 : 500;
  if (code === "22023") return /^role.*does not exist$/s.test(message) ? 401 : 400;
  if (code === "42501") return hasRole ? 403 : 401;
  if (code === "42883" && message.startsWith("function xmlagg(")) return 406;
  if (code.startsWith("PT")) return /^\d+$/.test(code.slice(2)) ? Number(code.slice(2)) : 500;
  return byCode.get(code) ?? byClass.get(code.slice(0, 2)) ?? 400;
}

/** The answer to an error of PostgreSQL. `hasRole`: the caller is not the anonymous role. */
export function databaseError(error: DatabaseError, hasRole: boolean): RestError {
  if (error.code === "PGRST") return raisedAnswer(error);
  const status = statusOf(error, hasRole);
  const headers: Record<string, string> = status === 401 ? { "WWW-Authenticate": "Bearer" } : {};
  const more = { details: error.detail, hint: error.hint };
  return new RestError(status, error.code, error.message, more, headers);
}

function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value))
      : null;
  } catch {
    return null;
  }
}

const isOptionalText = (value: unknown): value is string | null | undefined =>
  value === undefined || value === null || typeof value === "string";

/** `raise sqlstate 'PGRST'`: message and detail are JSON and say the whole answer. */
function raisedAnswer({ message, detail }: DatabaseError): RestError {
  const bad = (details: string, hint: string) =>
    new RestError(500, "PGRST121", `Could not parse JSON in the "RAISE SQLSTATE 'PGRST'" error`, {
      details,
      hint,
    });
  const body = jsonObject(message);
  const { code, message: text, details, hint } = body ?? {};
  if (
    typeof code !== "string" || typeof text !== "string" || !isOptionalText(details) ||
    !isOptionalText(hint)
  ) {
    return bad(
      `Invalid JSON value for MESSAGE: '${message}'`,
      "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.",
    );
  }
  const detailHint =
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.";
  if (detail === null) return bad("DETAIL is missing in the RAISE statement", detailHint);
  const answer = jsonObject(detail);
  const headers = answer === null ? null : textMap(answer.headers);
  if (
    answer === null || headers === null || !Number.isInteger(answer.status) ||
    !isOptionalText(answer.status_text)
  ) {
    return bad(`Invalid JSON value for DETAIL: '${detail}'`, detailHint);
  }
  return new RestError(
    Number(answer.status),
    code,
    text,
    { details: details ?? null, hint: hint ?? null },
    headers,
  );
}

function textMap(value: unknown): Record<string, string> | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  const texts = entries.flatMap(([key, text]) => typeof text === "string" ? [[key, text]] : []);
  return texts.length === entries.length ? Object.fromEntries(texts) : null;
}

/** Writes an error as PostgREST does; a 503 asks to come back at once. */
export function errorResponse(error: RestError): Response {
  const headers = new Headers({
    "Content-Type": "application/json; charset=utf-8",
    "Proxy-Status": `PostgREST; error=${error.body.code}`,
  });
  if (error.status === 503) headers.set("Retry-After", "0");
  try {
    for (const [name, value] of Object.entries(error.headers)) headers.set(name, value);
    return new Response(JSON.stringify(error.body), { status: error.status, headers });
  } catch {
    // A status or header that HTTP cannot carry was raised by the database (PT999, a line break).
    return errorResponse(notImplemented(`An answer with status ${error.status} or such headers`));
  }
}
