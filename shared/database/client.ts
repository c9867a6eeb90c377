/**
 * The connection to the database, through supabase-js: one round trip with a deadline.
 *
 * The first call loads supabase-js, so its 40 ms are not part of an import; one client serves the
 * isolate. What can be called is in the files next to this one, one for each capability.
 *
 * @module
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { Config } from "../config.ts";
import {
  type Budget,
  callerDeadlines,
  DeadlineExceeded,
  type Deadlines,
  withDeadline,
} from "../deadline.ts";
import { Fault, type FaultCode } from "../errors.ts";

/** The database of one request. */
export interface Database {
  /**
   * Calls an entry function; `entry.ts` says how to name one and read its answer.
   *
   * @throws {Fault} `database_busy`, `database_timeout`, `database_unavailable` or `database_error`.
   */
  call(sqlName: string, args: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/** Told of every call: for log lines and metrics. */
export interface DatabaseObserver {
  /** @param durationMs How long the call took, answered or not. */
  called(durationMs: number): void;
  /**
   * @param orgId The organization the database found.
   * @param desk How its front desk is; left out by what answers no tool.
   */
  resolved(orgId: string, desk?: Desk): void;
  /** @param kind What happened too often in that organization, just now. */
  alarmed(kind: string, orgId: string): void;
  /** @param orgId Whose call it was, though the secret is bound to others. */
  denied(orgId: string): void;
}

/** Makes the database of one request: the client is shared, the time is the request's. */
export interface DatabasePool {
  within(budget: Budget, observer?: DatabaseObserver): Database;
}

/** Opens the database; nothing is connected before the first call. */
export function openDatabase(
  config: Pick<Config, "restUrl" | "databaseKey">,
  { databaseCallMs }: Pick<Deadlines, "databaseCallMs"> = callerDeadlines,
): DatabasePool {
  let client: Promise<SupabaseClient> | undefined;
  const connect = () => client ??= createClient(config);
  return {
    within: (budget, observer) => ({
      call: async (sqlName, args) => {
        const startedAt = performance.now();
        try {
          const timeoutMs = Math.min(databaseCallMs, budget.remainingMs());
          const data = await callFunction(connect, timeoutMs, sqlName, args);
          if (observer) tellOrganization(observer, data);
          return data;
        } finally {
          observer?.called(performance.now() - startedAt);
        }
      },
    }),
  };
}

async function createClient({ restUrl, databaseKey }: Pick<Config, "restUrl" | "databaseKey">) {
  const { createClient } = await import("@supabase/supabase-js");
  // supabase-js appends /rest/v1 to the URL it is given; a bare PostgREST has no such path.
  const base = restUrl.replace(/\/rest\/v1$/, "");
  const isBare = base === restUrl;
  return createClient(base, databaseKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: {
      fetch: (input, init) =>
        fetch(isBare ? String(input).replace(`${base}/rest/v1`, base) : input, init),
    },
  });
}

const desks = ["open", "closed", "none"] as const;
/** How a front desk is: a call can be put through, not now, or not at all. */
export type Desk = typeof desks[number];

const withOrganization = z.object({
  orgId: z.string(),
  desk: z.enum(desks).optional(),
  alarm: z.string().optional(),
});

const withDenial = z.object({ deniedOrgId: z.string() });

function tellOrganization(observer: DatabaseObserver, data: unknown): void {
  const denial = withDenial.safeParse(data);
  if (denial.success) return observer.denied(denial.data.deniedOrgId);
  const read = withOrganization.safeParse(data);
  if (!read.success) return;
  const { orgId, desk, alarm } = read.data;
  observer.resolved(orgId, desk);
  if (alarm) observer.alarmed(alarm, orgId);
}

async function callFunction(
  connect: () => Promise<SupabaseClient>,
  timeoutMs: number,
  sqlName: string,
  args: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const client = await connect();
  const { data, error } = await withDeadline(
    timeoutMs,
    (signal) => client.rpc(sqlName, storable(args)).retry(false).abortSignal(signal),
  ).catch((thrown) => {
    throw thrown instanceof DeadlineExceeded
      ? new Fault("database_timeout", `Cannot call ${sqlName}: no answer in time`, {
        cause: thrown,
      })
      : new Fault("database_unavailable", `Cannot call ${sqlName}`, { cause: thrown });
  });
  if (error) {
    throw new Fault(
      codeOf(error.code),
      `Cannot call ${sqlName}: the database answered ${error.code || "nothing"}`,
      { cause: { code: error.code, message: error.message } },
    );
  }
  return data;
}

/**
 * The same with texts that PostgreSQL can store: it refuses a request with a NUL or half a surrogate
 * pair in it, which a text has that was cut in the middle of a character.
 */
function storable<T>(value: T): T;
function storable(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed().replaceAll("\0", " ");
  if (Array.isArray(value)) return value.map((item) => storable(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [storable(name), storable(item)]),
  );
}

function codeOf(code: string | undefined): FaultCode {
  if (code && isBusy(code)) return "database_busy";
  return isAway(code) ? "database_unavailable" : "database_error";
}

/**
 * Nothing was done, since there was no time for it: the statement was cancelled at its timeout, a lock
 * was not acquired, or PostgREST had no connection free.
 */
function isBusy(code: string): boolean {
  return ["57014", "55P03", "PGRST003"].includes(code);
}

/** No code: the request failed before an answer. 08, 53, 57: connection, resources, shutdown. */
function isAway(code: string | undefined): boolean {
  return !code || /^(08|53|57|PGRST00)/.test(code);
}
