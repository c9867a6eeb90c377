/**
 * `POST appointment-texts`, from the database's job: sends the texts about appointments that are due.
 *
 * Needs `Authorization: Bearer JOBS_SECRET`; otherwise it answers 401. Answers how many texts had which
 * result, such as `{"sent": 3}`; 503 while the database does not answer.
 *
 * @module
 */

import { sendDueTexts } from "../../shared/appointment_texts.ts";
import { serveJob } from "../../shared/job.ts";

export default serveJob("appointment-texts", ({ runtime, database, budget }) => {
  const { config, accounts, deadlines, log } = runtime;
  return sendDueTexts({ config, database, accounts, budget, deadlines, log });
});
