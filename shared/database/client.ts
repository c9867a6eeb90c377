/**
 * The connection to the database, through supabase-js: one round trip with a deadline.
 *
 * The first call loads supabase-js, so that importing this module does not cost its 40 ms. An isolate
 * has one client. The files next to this one have the functions that can be called, by capability.
 *
 * @module
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { Config } from "../config.ts";
import { type Budget, DeadlineExceeded, type Deadlines, withDeadline } from "../deadline.ts";
import { Fault, type FaultCode, toFault } from "../errors.ts";

/** The database of one request. */
export interface Database {
  /**
   * Calls an entry function. `entry.ts` names it and reads its answer.
   *
   * @throws {Fault} `database_busy`, `database_timeout`, `database_unavailable` or `database_error`.
   */
  call(sqlName: string, args: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/** A call of an entry function that has ended. */
export interface DatabaseCall {
  readonly sqlName: string;
  readonly durationMs: number;
  /** Why there was no answer. */
  readonly failure: FaultCode | undefined;
}

/** Is told of every call, for log lines and metrics. */
export interface DatabaseObserver {
  /** @param call How long the call took, with or without an answer. */
  called(call: DatabaseCall): void;
  /**
   * @param orgId The organization that the database found.
   * @param desk Whether its front desk answers; undefined for functions that answer no tool.
   */
  resolved(orgId: string, desk?: Desk): void;
  /** @param kind What happened too often in that organization. */
  alarmed(kind: string, orgId: string): void;
  /** @param orgId The call's organization, which the secret is not bound to. */
  denied(orgId: string): void;
}

/** Creates the database of a request. Requests share the client, and each has its own time. */
export interface DatabasePool {
  within(budget: Budget, observer?: DatabaseObserver): Database;
}

/** Opens the database. The first call connects. */
export function openDatabase(
  config: Pick<Config, "restUrl" | "databaseKey">,
  { databaseCallMs }: Pick<Deadlines, "databaseCallMs">,
): DatabasePool {
  let client: Promise<SupabaseClient> | undefined;
  const connect = () => client ??= createClient(config);
  return {
    within: (budget, observer) => ({
      call: async (sqlName, args) => {
        const startedAt = performance.now();
        let failure: FaultCode | undefined;
        try {
          const timeoutMs = Math.min(databaseCallMs, budget.remainingMs());
          const data = await callFunction(connect, timeoutMs, sqlName, args);
          if (observer) tellOrganization(observer, data);
          return data;
        } catch (thrown) {
          failure = toFault(thrown).code;
          throw thrown;
        } finally {
          observer?.called({ sqlName, durationMs: performance.now() - startedAt, failure });
        }
      },
    }),
  };
}

async function createClient({ restUrl, databaseKey }: Pick<Config, "restUrl" | "databaseKey">) {
  const { createClient } = await import("@supabase/supabase-js");
  // supabase-js appends /rest/v1 to its URL, but a bare PostgREST does not have this path.
  const base = restUrl.replace(/\/rest\/v1$/, "");
  const isBare = base === restUrl;
  return createClient(base, databaseKey, {
    // Without it, supabase-js would ask its sign-in client for a session before every request.
    accessToken: () => Promise.resolve(databaseKey),
    global: {
      fetch: (input, init) =>
        fetch(isBare ? String(input).replace(`${base}/rest/v1`, base) : input, init),
    },
  });
}

const desks = ["open", "closed", "none"] as const;
/** Whether a front desk answers: a call can be put through now, later, or never. */
export type Desk = typeof desks[number];

/** What an answer may say of the call's organization, whichever function answers. */
const organization = z.object({
  deniedOrgId: z.string(),
  orgId: z.string(),
  desk: z.enum(desks),
  alarm: z.string(),
}).partial();

function tellOrganization(observer: DatabaseObserver, data: unknown): void {
  const read = organization.safeParse(data);
  if (!read.success) return;
  const { deniedOrgId, orgId, desk, alarm } = read.data;
  if (deniedOrgId !== undefined) return observer.denied(deniedOrgId);
  if (orgId === undefined) return;
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
    async (signal) => {
      const ask = () => client.rpc(sqlName, storable(args)).retry(false).abortSignal(signal);
      const answer = await ask();
      return isOutdated(answer.error?.code) ? await ask() : answer;
    },
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
      // Its code is a field: in a sentence about a passcode it would be redacted as one.
      `Cannot call ${sqlName}: the database refused it`,
      { cause: { code: error.code, message: error.message } },
    );
  }
  return data;
}

/**
 * Whether the call did nothing because a migration added a column while it ran: rows had another form
 * at its end than at its beginning. The next call sees only the new form.
 */
function isOutdated(code: string | undefined): boolean {
  return code === "42804";
}

/**
 * The value with texts that PostgreSQL can store. It refuses a request that has a NUL or half a
 * surrogate pair, which is left when a text is cut in the middle of a character.
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
 * Whether the call did nothing because there was no time: the statement was cancelled at its timeout,
 * a lock was not acquired, or PostgREST had no free connection.
 */
function isBusy(code: string): boolean {
  return ["57014", "55P03", "PGRST003"].includes(code);
}

/** Without a code the request failed before an answer. 08, 53, 57: connection, resources, shutdown. */
function isAway(code: string | undefined): boolean {
  return !code || /^(08|53|57|PGRST00)/.test(code);
}
