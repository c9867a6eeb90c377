/**
 * `POST webhooks`, from the database's job: tells other systems what has happened at their clinics.
 *
 * Needs `Authorization: Bearer JOBS_SECRET`, else it answers 401. Answers how many messages had which
 * result, such as `{"delivered": 3}`. 503 while the database does not answer.
 *
 * @module
 */

import { serveJob } from "../../shared/job.ts";
import { sendDueWebhooks } from "../../shared/webhooks.ts";

export default serveJob(
  "webhooks",
  ({ runtime: { config, log }, database, budget }) =>
    sendDueWebhooks({ config, database, budget, log }),
);
