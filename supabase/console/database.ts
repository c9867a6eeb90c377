/**
 * The database as the page sees it: read as its owner, with a switch that takes it away from the
 * functions.
 *
 * The switch does not touch PostgreSQL. While it is on, `/rest/v1` answers what PostgREST answers when
 * it has lost its database, and the page reads nothing either.
 *
 * @module
 */

import postgres from "postgres";
import { withDeadline } from "../../shared/deadline.ts";
import { errorResponse, RestError } from "../local/rest/errors.ts";
import type { RestHttp } from "../local/rest/gateway.ts";
import type { DatabaseState, Events } from "./events.ts";
import { Refusal } from "./refusal.ts";

type Answer = (request: RestHttp) => Promise<Response>;

const readMs = 4000;
const watchMs = 2000;

/** A database that is watched and can be taken away. */
export class SwitchedDatabase {
  readonly #sql: postgres.Sql;
  readonly #events: Events;
  readonly #timer: ReturnType<typeof setInterval>;
  #isSwitchedOff = false;
  #state: DatabaseState = { isAway: false };

  /** @param url As the role postgres. */
  constructor(url: string, events: Events) {
    this.#sql = postgres(url, {
      max: 3,
      onnotice: () => {},
      connect_timeout: 2,
      backoff: () => 0.2,
      idle_timeout: 60,
    });
    this.#events = events;
    // Only for pages that show it.
    this.#timer = setInterval(() => {
      if (events.isHeard) this.#look();
    }, watchMs);
  }

  /** Whether it answered last. */
  get state(): DatabaseState {
    return this.#state;
  }

  /** Takes the database away from the functions, or gives it back. */
  switch(isAway: boolean): void {
    this.#isSwitchedOff = isAway;
    this.#note(isAway ? switchedOff : { isAway: false });
  }

  /**
   * Asks it something.
   *
   * @throws {Refusal} 503 when the database is away.
   */
  async ask<T>(query: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    if (this.#isSwitchedOff) throw new Refusal(503, switchedOff.why);
    try {
      const rows = await withDeadline(readMs, () => query(this.#sql));
      this.#note({ isAway: false });
      return rows;
    } catch (thrown) {
      if (thrown instanceof Refusal || isAnswer(thrown)) throw thrown;
      const why = "PostgreSQL does not answer. The functions answer all the same.";
      this.#note({ isAway: true, why });
      throw new Refusal(503, why);
    }
  }

  /** An address of `/rest/v1` that the switch takes away. */
  guard(answer: Answer): Answer {
    return async (request) => {
      if (this.#isSwitchedOff) return lostDatabase();
      const response = await answer(request);
      if (request.method !== "GET" && request.method !== "HEAD") this.#events.noteChange();
      return response;
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sql.end({ timeout: 2 });
  }

  async #look(): Promise<void> {
    await this.ask((sql) => sql`select 1`).catch(() => {});
  }

  #note(state: DatabaseState): void {
    // A read that began before the switch says nothing about it.
    const now = this.#isSwitchedOff ? switchedOff : state;
    if (now.isAway === this.#state.isAway) return;
    this.#state = now;
    this.#events.tell("database", now);
    if (!now.isAway) this.#events.noteChange();
  }
}

const switchedOff = {
  isAway: true,
  why: "The database is switched off on this page. Nothing in it is lost.",
} as const;

/** Whether PostgreSQL itself refused the query, and not while it stopped or started. */
function isAnswer(thrown: unknown): boolean {
  return thrown instanceof postgres.PostgresError && !/^(08|53|57)/.test(thrown.code);
}

/** As PostgREST: https://docs.postgrest.org/en/stable/references/errors.html */
function lostDatabase(): Response {
  const details = "the switch of the local stack's console";
  return errorResponse(
    new RestError(503, "PGRST001", "Database client error. Retrying the connection.", { details }),
  );
}
