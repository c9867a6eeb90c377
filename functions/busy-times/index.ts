/**
 * `POST busy-times`, from the database's job: reads the doctors' own calendars that are due.
 *
 * Needs `Authorization: Bearer JOBS_SECRET`, else it answers 401. Answers how many calendars had which
 * result, such as `{"replaced": 3}`. 503 while the database does not answer.
 *
 * @module
 */

import { bearerOf, createSecretSearch } from "../../shared/authentication.ts";
import { readDueCalendars } from "../../shared/busy_times.ts";
import { startBudget } from "../../shared/deadline.ts";
import { allowOnly, deny } from "../../shared/denials.ts";
import { toFault } from "../../shared/errors.ts";
import { serve } from "../../shared/runtime.ts";

const name = "busy-times";
/** The next run comes within a minute. */
const budgetMs = 50_000;

export default serve(async (runtime, request) => {
  const { config: { jobsSecret }, log } = runtime;
  const known = jobsSecret === undefined ? [] : [{ secret: jobsSecret }];
  if (!createSecretSearch(known)(bearerOf(request.headers))) {
    const headers = { "www-authenticate": "Bearer" };
    return deny(runtime, name, "the secret is missing or wrong", { headers });
  }
  if (request.method !== "POST") return allowOnly("POST");
  const budget = startBudget(budgetMs);
  const database = runtime.database.within(budget, {
    called: () => {},
    resolved: () => {},
    denied: () => {},
    alarmed: (kind, orgId) => log.error("alarm_raised", { function: name, kind, orgId }),
  });
  try {
    return Response.json(await readDueCalendars({ database, budget, log }));
  } catch (thrown) {
    log.error("busy_times_failed", { function: name, fault: toFault(thrown) });
    return new Response(null, { status: 503 });
  }
});
