/**
 * Runs a plan: one transaction on one connection of a pool, its four statements (begin, settings,
 * main, commit) sent without waiting for one another.
 *
 * @module
 */
import postgres from "postgres";
import type { Catalogue } from "./catalogue.ts";
import { databaseError, RestError } from "./errors.ts";
import type { Plan } from "./plan.ts";
import type { RestRequest } from "./request.ts";
import { type Fragment, join, quoted, sql, value } from "./sql.ts";
import type { Caller } from "./token.ts";

/** What a transaction answered. */
export interface Row {
  /** Rows of the table that fit, where a count was asked for. */
  readonly total: number | null;
  readonly page: number;
  readonly body: Uint8Array<ArrayBuffer>;
  /** `response.headers` and `response.status` as the function set them. */
  readonly headers: string | null;
  readonly status: string | null;
  /** Key of the inserted row as JSON pairs, or nothing. */
  readonly location: string;
  /** Whether PostgreSQL knows the time zone asked for. */
  readonly knowsTimezone: boolean;
}

/** Settings that a request's SQL sees; all of them end with the transaction. */
export function settingsSql(
  request: RestRequest,
  caller: Caller,
  plan: Plan,
  catalogue: Catalogue,
  extraSearchPath: readonly string[],
): Fragment {
  const set = (name: Fragment, content: string) =>
    sql`pg_catalog.set_config(${name}, ${value(content)}, true)`;
  const path = [request.schema, ...extraSearchPath].map(quoted).join(", ");
  const { cookie, headers } = readHeaders(request.headers);
  const { timezone } = request.preferences;
  const ofRole = catalogue.roleSettings.get(caller.role) ?? [];
  const dynamic = (settings: readonly (readonly [string, string])[]) =>
    settings.map(([name, content]) => set(value(name), content));
  const zone = value(timezone);
  // A role's own settings come before the role: authenticator may set what the role may not.
  return sql`select ${
    join([
      timezone === null
        ? sql`false`
        : sql`exists (select from pg_catalog.pg_timezone_names where name = ${zone})`,
      set(sql`'search_path'`, path),
      ...dynamic(ofRole.filter(([name]) => name !== "default_transaction_isolation")),
      set(sql`'role'`, caller.role),
      set(sql`'request.jwt.claims'`, caller.claims),
      set(sql`'request.method'`, request.method),
      set(sql`'request.path'`, request.path),
      set(sql`'request.headers'`, headers),
      set(sql`'request.cookies'`, cookie),
      ...dynamic(plan.settings),
      ...(timezone === null ? [] : [
        sql`pg_catalog.set_config('timezone', name, true) from (select coalesce((select name from pg_catalog.pg_timezone_names where name = ${zone}), current_setting('timezone')) as name) zone`,
      ]),
    ], ", ")
  }`;
}

function readHeaders(headers: Headers): { cookie: string; headers: string } {
  const { cookie = "", ...others } = Object.fromEntries(headers);
  const cookies = cookie.split(";").filter((part) => part.trim() !== "").map((part) => {
    const [name = "", ...content] = part.split("=");
    return [name.trim(), content.join("=")];
  });
  return { cookie: JSON.stringify(Object.fromEntries(cookies)), headers: JSON.stringify(others) };
}

/** One connection, used by one request at a time. */
interface Session {
  readonly pid: number;
  readonly run: (statement: Fragment) => Promise<readonly (Uint8Array<ArrayBuffer> | null)[]>;
  readonly end: () => void;
  /** Settles, by rejecting, when the connection is lost. */
  readonly lost: Promise<never>;
  isLost: boolean;
}

async function openSession(dbUrl: string, connectTimeoutMs: number): Promise<Session> {
  let lose: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => lose = reject);
  lost.catch(() => {});
  const text = { to: 25, from: [25], serialize: String, parse: String };
  const asSent = (type: number) => ({ ...text, to: type, from: [type] });
  const db = postgres(dbUrl, {
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    fetch_types: false,
    connect_timeout: connectTimeoutMs / 1000,
    onnotice: () => {},
    onclose: () => {
      session.isLost = true;
      lose(new Error("server closed the connection unexpectedly"));
    },
    connection: { application_name: "rest" },
    // Parameters go as the text they are; the driver would otherwise remake dates, booleans, JSON.
    types: {
      json: asSent(114),
      jsonb: asSent(3802),
      boolean: asSent(16),
      bytea: asSent(17),
      date: { ...text, to: 1184, from: [1082, 1114, 1184] },
      timestamp: asSent(1114),
      day: asSent(1082),
    },
  });
  const session: Session = {
    pid: 0,
    isLost: false,
    lost,
    end: () => void db.end({ timeout: 0 }),
    run: () => Promise.reject(new Error("The session is not open")),
  };
  try {
    const [backend] = await db<{ pid: number }[]>`select pg_backend_pid() as pid`;
    // Reserved, a connection is never replaced silently: a later statement cannot run without the
    // transaction and the role of those before it.
    const own = await db.reserve();
    const known = new Map<string, TemplateStringsArray>();
    const run = async (statement: Fragment) => {
      const template = templateOf(statement, known);
      const rows = await own(template, ...statement.values).raw();
      return rows[0] ?? [];
    };
    return Object.assign(session, { pid: backend?.pid ?? 0, run });
  } catch (error) {
    session.end();
    throw unavailable("PGRST000", "Database connection error.", error);
  }
}

/** The same object for the same text: the driver keeps prepared statements and errors by it. */
function templateOf(
  { texts }: Fragment,
  known: Map<string, TemplateStringsArray>,
): TemplateStringsArray {
  const key = texts.join("$");
  const found = known.get(key);
  if (found) return found;
  const template = Object.assign([...texts], { raw: texts });
  known.set(key, template);
  return template;
}

const unavailable = (code: string, message: string, cause: unknown): RestError =>
  new RestError(503, code, message, { details: cause instanceof Error ? cause.message : null });

/** A pool of connections that are made when needed and replaced when lost. */
export class Pool {
  readonly #idle: Session[] = [];
  readonly #waiting: ((session: Session | null) => void)[] = [];
  #count = 0;
  #closed = false;

  constructor(
    readonly options: { dbUrl: string; size: number; acquisitionTimeoutMs: number },
  ) {}

  /** @throws {RestError} PGRST003 after the acquisition timeout, PGRST000 without a database */
  async acquire(signal: AbortSignal): Promise<Session> {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      if (!idle.isLost) return idle;
      this.#discard(idle);
    }
    if (this.#count >= this.options.size) {
      const given = await this.#wait(signal);
      if (given) return given;
    } else this.#count++;
    try {
      return await openSession(this.options.dbUrl, this.options.acquisitionTimeoutMs);
    } catch (error) {
      this.#freePlace();
      throw error;
    }
  }

  /** Waits for a session, or for the place of one (null). */
  async #wait(signal: AbortSignal): Promise<Session | null> {
    const { promise, resolve, reject } = Promise.withResolvers<Session | null>();
    this.#waiting.push(resolve);
    const leave = (error: Error) => {
      const index = this.#waiting.indexOf(resolve);
      if (index >= 0) this.#waiting.splice(index, 1);
      reject(error);
    };
    const timedOut = "Timed out acquiring connection from connection pool.";
    const timer = setTimeout(
      () => leave(new RestError(504, "PGRST003", timedOut)),
      this.options.acquisitionTimeoutMs,
    );
    const abort = () => leave(new DOMException("The client left", "AbortError"));
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Gives a session back; a lost one makes place for a new one. */
  release(session: Session): void {
    if (session.isLost || this.#closed) return this.#discard(session);
    const next = this.#waiting.shift();
    if (next) next(session);
    else this.#idle.push(session);
  }

  #discard(session: Session): void {
    session.end();
    this.#freePlace();
  }

  #freePlace(): void {
    const next = this.#waiting.shift();
    if (next) next(null);
    else this.#count--;
  }

  close(): void {
    this.#closed = true;
    for (const session of this.#idle.splice(0)) session.end();
  }
}

/** What `execute` needs besides the plan. */
export interface Transaction {
  readonly plan: Plan;
  readonly settings: Fragment;
  readonly hasRole: boolean;
  readonly signal: AbortSignal;
  readonly strictTimezone: string | null;
  readonly cancel: (pid: number) => Promise<void>;
}

const commit = sql`commit`;
const rollback = sql`rollback`;

/** Runs a transaction; a result that may not stand is rolled back. */
export async function execute(pool: Pool, transaction: Transaction): Promise<Row> {
  const session = await pool.acquire(transaction.signal);
  let cancelling: Promise<void> | undefined;
  const abort = () => {
    cancelling = transaction.cancel(session.pid).catch(() => void (session.isLost = true));
  };
  transaction.signal.addEventListener("abort", abort, { once: true });
  try {
    if (transaction.signal.aborted) throw new DOMException("The client left", "AbortError");
    return await runTransaction(session, transaction);
  } finally {
    transaction.signal.removeEventListener("abort", abort);
    // Not before the signal is sent: it must never hit the next request of this connection.
    if (cancelling) void cancelling.then(() => pool.release(session));
    else pool.release(session);
  }
}

async function runTransaction(session: Session, transaction: Transaction): Promise<Row> {
  const { plan, settings, strictTimezone } = transaction;
  const mayRefuse = plan.single || plan.maxRows !== null || strictTimezone !== null;
  const run = (statement: Fragment) => Promise.race([session.run(statement), session.lost]);
  const first = [run(beginSql(plan)), run(settings), run(plan.main)];
  const results = await Promise.allSettled(mayRefuse ? first : [...first, run(commit)]);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) {
    if (mayRefuse && !session.isLost) await run(rollback).catch(() => {});
    throw asAnswer(failed.reason, session, transaction.hasRole);
  }
  const [, set, main] = results.map((r) => r.status === "fulfilled" ? r.value : []);
  const row = readRow(main ?? [], set ?? []);
  if (!mayRefuse) return row;
  const refusal = refuse(row, transaction);
  try {
    await run(refusal ? rollback : commit);
  } catch (error) {
    throw asAnswer(error, session, transaction.hasRole);
  }
  if (refusal) throw refusal;
  return row;
}

const levels = new Set(["serializable", "repeatable read", "read committed", "read uncommitted"]);
const begins = new Map<string, Fragment>();

function beginSql({ isolation, readOnly }: Plan): Fragment {
  const level = isolation !== null && levels.has(isolation) ? isolation : "read committed";
  const text = `begin isolation level ${level} read ${readOnly ? "only" : "write"}`;
  const known = begins.get(text) ?? { texts: [text], values: [] };
  begins.set(text, known);
  return known;
}

function readRow(
  main: readonly (Uint8Array<ArrayBuffer> | null)[],
  set: readonly (Uint8Array<ArrayBuffer> | null)[],
): Row {
  const decoder = new TextDecoder();
  const text = (index: number) => {
    const content = main[index];
    return content ? decoder.decode(content) : null;
  };
  const total = text(0);
  const [known] = set;
  return {
    total: total === null ? null : Number(total),
    page: Number(text(1) ?? 0),
    body: main[2] ?? new Uint8Array(),
    headers: text(3),
    status: text(4),
    location: text(5) ?? "",
    knowsTimezone: known ? decoder.decode(known) === "t" : false,
  };
}

function refuse({ page, knowsTimezone }: Row, { plan, strictTimezone }: Transaction) {
  if (strictTimezone !== null && !knowsTimezone) {
    return new RestError(400, "PGRST122", "Invalid preferences given with handling=strict", {
      details: `Invalid preferences: timezone=${strictTimezone}`,
    });
  }
  if (plan.single && page !== 1) {
    return new RestError(406, "PGRST116", "Cannot coerce the result to a single JSON object", {
      details: `The result contains ${page} rows`,
    });
  }
  if (plan.maxRows !== null && page > plan.maxRows) {
    const message = "Query result exceeds max-affected preference constraint";
    return new RestError(400, "PGRST124", message, { details: `The query affects ${page} rows` });
  }
  return null;
}

function asAnswer(error: unknown, session: Session, hasRole: boolean): Error {
  if (error instanceof postgres.PostgresError) {
    const { code, message, detail, hint } = error;
    return databaseError({ code, message, detail: detail ?? null, hint: hint ?? null }, hasRole);
  }
  session.isLost = true;
  return unavailable("PGRST001", "Database client error. Retrying the connection.", error);
}
