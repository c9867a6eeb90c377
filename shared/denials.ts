/**
 * Requests that are turned away before anybody looks at what they ask.
 *
 * @module
 */

import type { Log } from "./logging.ts";
import type { Recorder } from "./recording.ts";

/** What a stranger is told: nothing. */
export const unauthorized = (): Response => new Response(null, { status: 401 });

/**
 * Turns away a request that is not authentic; it is logged and counted.
 *
 * @param name The function it came to.
 * @param reason For the log.
 * @param response 401 and nothing else, unless given.
 */
export function deny(
  { log, recorder }: { readonly log: Log; readonly recorder: Recorder },
  name: string,
  reason: string,
  response: Response = unauthorized(),
): Response {
  log.warn("authentication_failed", { function: name, reason });
  recorder.authenticationFailure(name);
  return response;
}

/** Turns away any other method. */
export function allowOnly(method: "GET" | "POST"): Response {
  return new Response(null, { status: 405, headers: { allow: method } });
}
