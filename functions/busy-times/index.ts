/**
 * `POST busy-times`, from the database's job: reads the doctors' own calendars that are due.
 *
 * Needs `Authorization: Bearer JOBS_SECRET`, else it answers 401. Answers how many calendars had which
 * result, such as `{"replaced": 3}`. 503 while the database does not answer.
 *
 * @module
 */

import { readDueCalendars } from "../../shared/busy_times.ts";
import { serveJob } from "../../shared/job.ts";

export default serveJob(
  "busy-times",
  ({ runtime: { log }, database, budget }) => readDueCalendars({ database, budget, log }),
);
