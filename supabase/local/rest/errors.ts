/**
 * PostgREST's errors: the status for each SQLSTATE, and how an error is written.
 *
 * @module
 */
import { isRecord, parseRecord } from "./json.ts";

/** The body of every error; PostgREST always sends the four keys. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details: string | null;
  readonly hint: string | null;
}

/** An error that is an answer. It is thrown anywhere and written in one place (`errorResponse`). */
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

/** A request that this stand-in does not serve; `what` names it for the caller. */
export const notImplemented = (what: string, hint: string | null = null): RestError =>
  new RestError(400, "PGRST127", "Feature not implemented", { details: what, hint });

/** A bad token (PGRST301) or bad claims (PGRST303). */
export const tokenError = (code: string, message: string, details: string | null = null) =>
  new RestError(401, code, message, { details }, {
    "WWW-Authenticate": `Bearer error="invalid_token", error_description="${message}"`,
  });

/** What PostgreSQL reports of an error. */
export interface DatabaseReport {
  readonly code: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
}

/** Statuses of SQLSTATEs and their classes. A full SQLSTATE takes precedence; any other is 400. */
const statuses = new Map(
  Object.entries({
    400: "P0001",
    403: "0L 0P 28",
    404: "42883 42P01",
    405: "25006",
    409: "23503 23505",
    500: "09 21000 25 2D 38 39 3B 40 42P17 53400 54 55 57 58 F0 HV P0 XX",
    503: "08 53 57P01",
  }).flatMap(([status, codes]) => codes.split(" ").map((code) => [code, Number(status)] as const)),
);

function statusOf({ code, message }: DatabaseReport, isAnonymous: boolean): number {
  if (code === "42501") return isAnonymous ? 401 : 403;
  if (code === "22023" && /^role.*does not exist$/s.test(message)) return 401;
  if (code === "21000" && message.endsWith("requires a WHERE clause")) return 400;
  if (code === "42883" && message.startsWith("function xmlagg(")) return 406;
  if (code.startsWith("PT")) return /^\d{3}$/.test(code.slice(2)) ? Number(code.slice(2)) : 500;
  return statuses.get(code) ?? statuses.get(code.slice(0, 2)) ?? 400;
}

/** The answer to a PostgreSQL error. Missing rights of the anonymous role are 401. */
export function databaseError(report: DatabaseReport, isAnonymous: boolean): RestError {
  const { code, message, detail, hint } = report;
  if (code === "PGRST") return raisedAnswer(message, detail);
  const status = statusOf(report, isAnonymous);
  const headers: Record<string, string> = status === 401 ? { "WWW-Authenticate": "Bearer" } : {};
  return new RestError(status, code, message, { details: detail, hint }, headers);
}

const isOptionalText = (item: unknown): item is string | null | undefined =>
  item === undefined || item === null || typeof item === "string";

const isTextRecord = (item: unknown): item is Record<string, string> =>
  isRecord(item) && Object.values(item).every((text) => typeof text === "string");

const unparsable = (details: string, hint: string): RestError =>
  new RestError(500, "PGRST121", `Could not parse JSON in the "RAISE SQLSTATE 'PGRST'" error`, {
    details,
    hint,
  });

/** `raise sqlstate 'PGRST'`: message and detail are JSON and define the whole answer. */
function raisedAnswer(raised: string, detail: string | null): RestError {
  const { code, message, details, hint } = parseRecord(raised) ?? {};
  if (
    typeof code !== "string" || typeof message !== "string" || !isOptionalText(details) ||
    !isOptionalText(hint)
  ) {
    return unparsable(
      `Invalid JSON value for MESSAGE: '${raised}'`,
      "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.",
    );
  }
  const { status, headers, status_text } = parseRecord(detail ?? "") ?? {};
  if (
    typeof status !== "number" || !Number.isInteger(status) || !isTextRecord(headers) ||
    !isOptionalText(status_text)
  ) {
    return unparsable(
      detail === null
        ? "DETAIL is missing in the RAISE statement"
        : `Invalid JSON value for DETAIL: '${detail}'`,
      "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.",
    );
  }
  return new RestError(status, code, message, { details: details ?? null, hint: hint ?? null }, {
    ...headers,
  });
}

/** Writes an error as PostgREST does. A 503 asks for an immediate retry. */
export function errorResponse(error: RestError): Response {
  const headers = new Headers({
    "Content-Type": "application/json; charset=utf-8",
    "Proxy-Status": `PostgREST; error=${error.body.code}`,
  });
  if (error.status === 503) headers.set("Retry-After", "0");
  try {
    for (const [name, text] of Object.entries(error.headers)) headers.set(name, text);
    return new Response(JSON.stringify(error.body), { status: error.status, headers });
  } catch {
    // The database raised a status or header that HTTP cannot carry (PT999, a line break).
    return errorResponse(notImplemented(`An answer with status ${error.status} or such headers`));
  }
}
