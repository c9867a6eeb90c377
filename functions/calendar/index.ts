/**
 * `GET calendar?token=...`: the appointments of a doctor or a clinic as iCalendar, for calendar programs.
 *
 * A program that sends its current version (`If-None-Match`) gets 304 if nothing has changed. A wrong
 * or revoked token gets a bare 404. 503 while the database does not answer.
 *
 * @module
 */

import { hashCalendarToken, orgOfToken } from "../../shared/calendar_token.ts";
import { readCalendar } from "../../shared/database/calendars.ts";
import { type Budget, startBudget } from "../../shared/deadline.ts";
import { allowOnly, deny } from "../../shared/denials.ts";
import { toFault } from "../../shared/errors.ts";
import { icalendar, writeCalendar } from "../../shared/feed.ts";
import { type Runtime, serve } from "../../shared/runtime.ts";

const name = "calendar";
const budgetMs = 5000;

export default serve(async (runtime, request) => {
  if (request.method !== "GET") return allowOnly("GET");
  const token = new URL(request.url).searchParams.get("token") ?? "";
  const orgId = orgOfToken(token);
  if (orgId === undefined) return refuse(runtime, "the token is missing or malformed");
  const budget = startBudget(budgetMs);
  // Nobody on the phone waits for this, so it gets its turn after those who do.
  const turn = await runtime.admission.enter({
    clinic: orgId,
    urgency: "unheard",
    budget,
    hasGone: () => request.signal.aborted,
  });
  if (!turn) return later();
  try {
    const seen = readVersions(request.headers.get("if-none-match") ?? "");
    return await answer(runtime, budget, { orgId, tokenHash: hashCalendarToken(token), seen });
  } catch (thrown) {
    runtime.log.error("calendar_failed", { function: name, orgId, fault: toFault(thrown) });
    return later();
  } finally {
    turn.end();
  }
});

async function answer(
  runtime: Runtime,
  budget: Budget,
  asked: Parameters<typeof readCalendar>[1],
): Promise<Response> {
  const startedAt = performance.now();
  const read = await readCalendar(runtime.database.within(budget), asked);
  if (read.outcome === "not_found") return refuse(runtime, "no calendar has this token");
  if (read.outcome === "busy") return later();
  const headers = headersOf(read.version);
  const text = read.outcome === "found" ? await writeCalendar(read.calendar, asked.orgId) : null;
  runtime.log.info("calendar_read", {
    function: name,
    orgId: asked.orgId,
    feedId: read.feedId,
    outcome: read.outcome,
    totalMs: Math.round(performance.now() - startedAt),
    ...(read.outcome === "found"
      ? { events: read.calendar.events.length, isWhole: read.calendar.isWhole }
      : {}),
  });
  return text === null
    ? new Response(null, { status: 304, headers })
    : new Response(text, { headers: { ...headers, "content-type": icalendar } });
}

/**
 * The format that {@link writeCalendar} writes. Changing it invalidates every version that programs
 * have.
 */
const form = "1";

function headersOf(version: string): Record<string, string> {
  return {
    etag: `"${form}-${version}"`,
    "cache-control": "private, no-cache",
    "content-disposition": 'inline; filename="calendar.ics"',
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
  };
}

/** The versions in `If-None-Match`. Whether a tag is weak does not matter here (RFC 9110, 13.1.2). */
function readVersions(header: string): string[] {
  if (header.trim() === "*") return ["*"];
  const tags = header.slice(0, 2000).matchAll(new RegExp(`"${form}-([0-9a-f]{32})"`, "g"));
  return Array.from(tags, ([, version = ""]) => version);
}

function refuse(runtime: Runtime, reason: string): Response {
  return deny(runtime, name, reason, { status: 404 });
}

/** Calendar programs retry by themselves. */
function later(): Response {
  return new Response(null, { status: 503, headers: { "retry-after": "300" } });
}
