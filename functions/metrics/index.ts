/**
 * `GET metrics`, for operators: all counters, or the figures that have a target.
 *
 * Needs `Authorization: Bearer METRICS_TOKEN`, else it answers 401. Answers in Prometheus' text format,
 * or with `?format=json&minutes=60` the figures that have targets. 503 while the database does not
 * answer.
 *
 * @module
 */

import { bearerOf, createSecretSearch } from "../../shared/authentication.ts";
import { readMetrics } from "../../shared/database/metrics.ts";
import { startBudget } from "../../shared/deadline.ts";
import { allowOnly, deny } from "../../shared/denials.ts";
import { toFault } from "../../shared/errors.ts";
import { exposition, toPrometheus } from "../../shared/metrics.ts";
import { type Runtime, serve } from "../../shared/runtime.ts";
import { readTargets } from "../../shared/targets.ts";

const name = "metrics";
const budgetMs = 5000;

export default serve(async (runtime, request) => {
  const { config: { metricsToken }, log } = runtime;
  const known = metricsToken === undefined ? [] : [{ secret: metricsToken }];
  if (!createSecretSearch(known)(bearerOf(request.headers))) {
    const headers = { "www-authenticate": "Bearer" };
    return deny(runtime, name, "the token is missing or wrong", { headers });
  }
  if (request.method !== "GET") return allowOnly("GET");
  try {
    return await answer(runtime, new URL(request.url).searchParams);
  } catch (thrown) {
    log.error("metrics_failed", { function: name, fault: toFault(thrown) });
    return new Response("The database does not answer.\n", { status: 503 });
  }
});

async function answer(
  { database, recorder }: Runtime,
  asked: URLSearchParams,
): Promise<Response> {
  const minutes = Number(asked.get("minutes") ?? 60);
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 1440) {
    return new Response("minutes must be a whole number from 1 to 1440.\n", { status: 400 });
  }
  // Locally one isolate serves all functions, so this includes everything answered so far.
  await recorder.flush();
  const metrics = await readMetrics(database.within(startBudget(budgetMs)), minutes);
  return asked.get("format") === "json"
    ? Response.json({ minutes, targets: readTargets(metrics), gauges: metrics.gauges })
    : new Response(toPrometheus(metrics), { headers: { "content-type": exposition } });
}
