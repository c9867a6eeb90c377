/**
 * `POST appointment-texts`, from the database's job: sends the texts about appointments that are due.
 *
 * Needs `Authorization: Bearer JOBS_SECRET`; otherwise it answers 401. Answers how many texts had which
 * result, such as `{"sent": 3}`; 503 while the database does not answer.
 *
 * @module
 */

import { sendDueTexts } from "../../shared/appointment_texts.ts";
import { bearerOf, createSecretSearch } from "../../shared/authentication.ts";
import { startBudget } from "../../shared/deadline.ts";
import { allowOnly, deny } from "../../shared/denials.ts";
import { toFault } from "../../shared/errors.ts";
import { serve } from "../../shared/runtime.ts";

const name = "appointment-texts";
/** The next run comes within a minute. */
const budgetMs = 50_000;

export default serve(async (runtime, request) => {
  const { config, accounts, deadlines, log } = runtime;
  const known = config.jobsSecret === undefined ? [] : [{ secret: config.jobsSecret }];
  if (!createSecretSearch(known)(bearerOf(request.headers))) {
    const headers = { "www-authenticate": "Bearer" };
    return deny(runtime, name, "the secret is missing or wrong", { headers });
  }
  if (request.method !== "POST") return allowOnly("POST");
  const budget = startBudget(budgetMs);
  const database = runtime.database.within(budget);
  try {
    const tools = { config, database, accounts, budget, deadlines, log };
    return Response.json(await sendDueTexts(tools));
  } catch (thrown) {
    log.error("appointment_texts_failed", { fault: toFault(thrown) });
    return new Response(null, { status: 503 });
  }
});
