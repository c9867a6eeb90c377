/**
 * Answers to requests that are rejected before their content is used.
 *
 * @module
 */

import type { Log } from "./logging.ts";
import type { Recorder } from "./recording.ts";

/**
 * Rejects a request that is not authentic. It is logged and counted; the answer gives no reason.
 *
 * @param name The function that received it.
 * @param reason For the log.
 */
export function deny(
  { log, recorder }: { readonly log: Log; readonly recorder: Recorder },
  name: string,
  reason: string,
  { status = 401, headers = {} }: {
    /** 404, where an answer must not even reveal that something exists. */
    readonly status?: 401 | 403 | 404;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Response {
  log.warn("authentication_failed", { function: name, reason });
  recorder.authenticationFailure(name);
  return new Response(null, { status, headers });
}

/** Rejects every other method. */
export function allowOnly(method: "GET" | "POST"): Response {
  return new Response(null, { status: 405, headers: { allow: method } });
}
