/**
 * GoTrue's refusals, in their two formats.
 *
 * @module
 */

/** A refusal: status, GoTrue's error code, and its message. */
export class AuthError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly more: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

/** A bearer token that is not valid, with the message of GoTrue's JWT library. */
export const badJwt = (why: string, status = 403) => new AuthError(status, "bad_jwt", why);

/** Arguments that are not valid. */
export const invalid = (why: string, status = 400) =>
  new AuthError(status, "validation_failed", why);

/** The first version of the API whose refusals have the error code in the key `code`. */
const apiVersion = "2024-01-01";

/** The answer to a refused request. Its header `x-supabase-api-version` chooses the format. */
export function describeRefusal(request: Request, refusal: AuthError): Response {
  const { status, code, message, more } = refusal;
  const version = request.headers.get("x-supabase-api-version") ?? "";
  const isNew = /^\d{4}-\d\d-\d\d$/.test(version) && version >= apiVersion;
  const body = isNew
    ? { code, message, ...more }
    : { code: status, error_code: code, msg: message, ...more };
  const headers = new Headers();
  if (isNew) headers.set("x-supabase-api-version", apiVersion);
  const isNamed = message !== "Internal Server Error" && !(isNew && code === "weak_password");
  if (isNamed) headers.set("x-sb-error-code", code);
  return Response.json(body, { status, headers });
}
