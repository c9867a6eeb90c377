/**
 * Runs a plan in one transaction: the settings of the request, then its statement.
 *
 * Both are sent in one write and commit together. If one object was requested, the number of rows
 * decides whether they are kept, and a second round trip sends `commit` or `rollback`.
 *
 * @module
 */
import type { Settings } from "./catalogue.ts";
import { type BoundStatement, DatabaseError, isLate, type Pool, type Session } from "./driver.ts";
import { databaseError, notImplemented, RestError } from "./errors.ts";
import type { Plan } from "./planner.ts";
import type { RestRequest } from "./request.ts";
import { bodySlot, quoted } from "./sql.ts";
import type { Caller } from "./token.ts";

/** The answer of a transaction. */
export interface Result {
  /** Matching rows, if a count was requested. */
  readonly total: number | null;
  readonly page: number;
  readonly body: string;
  /** `response.headers` and `response.status` as the function set them. */
  readonly headers: string | null;
  readonly status: string | null;
}

/** A plan and its parameters. */
export interface Transaction {
  readonly plan: Plan;
  readonly request: RestRequest;
  /** Headers of the HTTP request, for `request.headers`. */
  readonly headers: Headers;
  readonly caller: Caller;
  /** Those of the role. */
  readonly settings: Settings;
  readonly extraSearchPath: readonly string[];
  readonly signal: AbortSignal;
  /** Cancels what a backend is doing. Resolves when the request was sent. */
  readonly cancel: (pid: number) => Promise<void>;
}

/** Runs a transaction; a result that must not be kept is rolled back. @throws {RestError} */
export async function execute(pool: Pool, transaction: Transaction): Promise<Result> {
  const { signal, cancel } = transaction;
  const session = await pool.acquire(signal).catch((error) => {
    if (signal.aborted) throw error;
    if (!isLate(error)) throw unavailable("PGRST000", "Database connection error.", error);
    const late = "Timed out acquiring connection from connection pool.";
    throw new RestError(504, "PGRST003", late);
  });
  let isOver = false;
  let told: Promise<boolean> = Promise.resolve(true);
  const abort = () => {
    told = cancelUntil(() => isOver, () => cancel(session.pid)).then(() => true, () => false);
  };
  let isBroken = false;
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    return await run(session, transaction);
  } catch (error) {
    isBroken = error instanceof RestError && error.status === 503;
    throw error;
  } finally {
    isOver = true;
    signal.removeEventListener("abort", abort);
    // Wait until the cancellation was sent. Otherwise it would hit the next request.
    void told.then((isTold) => session.release(isBroken || !isTold));
  }
}

/**
 * Repeats the cancellation until the transaction is over. PostgreSQL drops one that arrives while the
 * backend reads its next message, which in a run of several statements also happens between two.
 */
async function cancelUntil(isOver: () => boolean, cancel: () => Promise<void>): Promise<void> {
  while (!isOver()) {
    await cancel();
    await new Promise((resolve) => setTimeout(resolve, cancelAgainMs));
  }
}

const cancelAgainMs = 20;

async function run(session: Session, transaction: Transaction): Promise<Result> {
  const { plan: { isSingle }, caller } = transaction;
  const statements = [settingsStatement(transaction), mainStatement(transaction)];
  try {
    // HEAD of a function with filters may return no row at all, which counts as zero of zero.
    const [total = "0", page = "0", body, headers, status] = await session.run(
      isSingle ? [begin, ...statements] : statements,
      caller.role,
    );
    const result = {
      total: total === null ? null : Number(total),
      page: Number(page),
      body: body ?? "",
      headers: headers ?? null,
      status: status ?? null,
    };
    if (!isSingle) return result;
    await session.run([result.page === 1 ? commit : rollback], caller.role);
    if (result.page === 1) return result;
    throw new RestError(406, "PGRST116", "Cannot coerce the result to a single JSON object", {
      details: `The result contains ${page} rows`,
    });
  } catch (error) {
    if (error instanceof RestError) throw error;
    if (!(error instanceof DatabaseError)) {
      throw unavailable("PGRST001", "Database client error. Retrying the connection.", error);
    }
    if (isSingle) await session.run([rollback], caller.role).catch(() => {});
    const { code = "", message, detail = null, hint = null } = error;
    throw databaseError({ code, message, detail, hint }, caller.isAnonymous);
  }
}

const readOnly: Settings = [["transaction_read_only", "on"]];
const begin: BoundStatement = { text: "begin", values: [] };
const commit: BoundStatement = { text: "commit", values: [] };
const rollback: BoundStatement = { text: "rollback", values: [] };

/** The settings that the SQL of a request sees; all of them end with the transaction. */
function settingsStatement(transaction: Transaction): BoundStatement {
  const { plan, request, headers, caller, settings, extraSearchPath } = transaction;
  const { cookie, ...others } = Object.fromEntries(headers);
  // The role's settings come before the role, because the login may set what the role may not.
  const pairs: Settings = [
    ["search_path", [request.schema, ...extraSearchPath].map(quoted).join(", ")],
    ...settings,
    ["role", caller.role],
    ["request.jwt.claims", caller.claims],
    ["request.method", request.method],
    ["request.path", request.path],
    ["request.headers", JSON.stringify(others)],
    ["request.cookies", cookie === undefined ? "{}" : readCookies(cookie)],
    ...plan.settings,
    ...plan.isReadOnly ? readOnly : [],
  ];
  if (pairs.some(([name]) => name === "default_transaction_isolation")) {
    throw notImplemented("An isolation level of a role or function");
  }
  return { text: settingsSql(pairs.length), values: pairs.flat() };
}

const settingsTexts = new Map<number, string>();

function settingsSql(count: number): string {
  const known = settingsTexts.get(count);
  if (known !== undefined) return known;
  const calls = Array.from(
    { length: count },
    (_, index) => `pg_catalog.set_config($${2 * index + 1}, $${2 * index + 2}, true)`,
  );
  const text = `select ${calls.join(", ")}`;
  settingsTexts.set(count, text);
  return text;
}

function readCookies(header: string): string {
  const pairs = header.split(";").filter((part) => part.trim() !== "").map((part) => {
    const [name = "", ...content] = part.split("=");
    return [name.trim(), content.join("=")];
  });
  return JSON.stringify(Object.fromEntries(pairs));
}

const mainStatement = ({ plan, request }: Transaction): BoundStatement => ({
  text: plan.statement.text,
  values: plan.statement.values.map((value) =>
    value === bodySlot ? request.payload?.text ?? null : value
  ),
});

const unavailable = (code: string, message: string, cause: unknown): RestError =>
  new RestError(503, code, message, { details: cause instanceof Error ? cause.message : null });
