/**
 * What the database's jobs ask of a function: one request with a secret, some work, counts of results.
 *
 * @module
 */

import { bearerOf, createSecretSearch } from "./authentication.ts";
import type { Database } from "./database/client.ts";
import { type Budget, startBudget } from "./deadline.ts";
import { allowOnly, deny } from "./denials.ts";
import { toFault } from "./errors.ts";
import { type Runtime, serve, type ServedFunction } from "./runtime.ts";

/** The next run comes within a minute. */
const budgetMs = 50_000;

/** What a job's work may use. */
export interface JobTools {
  readonly runtime: Runtime;
  readonly database: Database;
  readonly budget: Budget;
}

/**
 * Creates a function for a job: `POST` with `Authorization: Bearer JOBS_SECRET`, else it answers 401. It
 * answers how many items had which result, or 503 when the work fails.
 *
 * @param name The function's name. A failure is logged as `NAME_failed`, with underscores.
 * @param work Rejects while the database does not answer.
 */
export function serveJob(
  name: string,
  work: (tools: JobTools) => Promise<Readonly<Record<string, number>>>,
): ServedFunction {
  const failed = `${name.replaceAll("-", "_")}_failed`;
  return serve(async (runtime, request) => {
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
      return Response.json(await work({ runtime, database, budget }));
    } catch (thrown) {
      log.error(failed, { function: name, fault: toFault(thrown) });
      return new Response(null, { status: 503 });
    }
  });
}
