/**
 * Runs a plan: one transaction on one connection of a pool, its four statements (begin, settings,
 * main, commit) sent without waiting for one another.
 *
 * @module
 */
import postgres from "postgres";
import { databaseError, RestError } from "./errors.ts";
import type { Plan } from "./plan.ts";
import type { Head } from "./request.ts";
import { bodySlot, type Fragment, quoted, sql, value } from "./sql.ts";
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

const settingsSql =
  sql`select count(pg_catalog.set_config(key, value, true)) from pg_catalog.json_each_text(${
    value(bodySlot)
  })`;
const zonedSettingsSql =
  sql`select (select pg_catalog.set_config('timezone', name, true) from pg_catalog.pg_timezone_names where name = ${
    value(bodySlot)
  }) is not null, count(pg_catalog.set_config(key, value, true)) from pg_catalog.json_each_text(${
    value(bodySlot)
  })`;

/**
 * The settings that a request's SQL sees, as JSON; all of them end with the transaction. A role's own
 * come before the role: authenticator may set what the role may not.
 */
export function settingsOf(
  request: Head,
  headers: Headers,
  caller: Caller,
  plan: Plan,
  ofRole: readonly (readonly [string, string])[],
  searchPath: string,
): string {
  const { cookie, ...others } = Object.fromEntries(headers);
  return JSON.stringify({
    search_path: searchPath,
    ...Object.fromEntries(ofRole.filter(([name]) => name !== isolationName)),
    role: caller.role,
    "request.jwt.claims": caller.claims,
    "request.method": request.method,
    "request.path": request.path,
    "request.headers": JSON.stringify(others),
    "request.cookies": cookie === undefined ? "{}" : readCookies(cookie),
    ...Object.fromEntries(plan.settings),
  });
}

const isolationName = "default_transaction_isolation";

function readCookies(cookie: string): string {
  const pairs = cookie.split(";").filter((part) => part.trim() !== "").map((part) => {
    const [name = "", ...content] = part.split("=");
    return [name.trim(), content.join("=")];
  });
  return JSON.stringify(Object.fromEntries(pairs));
}

/** The search path of a request as `set_config` takes it. */
export const searchPathOf = (schemas: readonly string[]): string => schemas.map(quoted).join(", ");

/** One connection, used by one request at a time. */
interface Session {
  readonly pid: number;
  /** Runs a statement, its slots filled in order; without any it goes as one simple message. */
  readonly run: (
    statement: Fragment,
    ...slots: readonly (string | null)[]
  ) => Promise<readonly (Uint8Array | null)[]>;
  readonly end: () => void;
  /** Settles, by rejecting, when the connection is lost. */
  readonly lost: Promise<never>;
  isLost: boolean;
  /** Whether it knows so many statements that a new session costs less than their memory. */
  isFull: boolean;
}

const maxStatements = 1000;

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
    isFull: false,
    lost,
    end: () => void db.end({ timeout: 0 }),
    run: () => Promise.reject(new Error("The session is not open")),
  };
  try {
    const [backend] = await db<{ pid: number }[]>`select pg_backend_pid() as pid`;
    // Reserved, a connection is never replaced silently: a later statement cannot run without the
    // transaction and the role of those before it.
    const own = await db.reserve();
    const statements = new Set<TemplateStringsArray>();
    const run: Session["run"] = async (statement, ...slots) => {
      let next = 0;
      const values = statement.values.map((each) =>
        each === bodySlot ? slots[next++] ?? null : each
      );
      const template = templateOf(statement);
      session.isFull = statements.add(template).size > maxStatements;
      const query = own(template, ...values).raw();
      const rows = await (values.length === 0 ? query.simple() : query);
      return rows[0] ?? [];
    };
    return Object.assign(session, { pid: backend?.pid ?? 0, run });
  } catch (error) {
    session.end();
    throw unavailable("PGRST000", "Database connection error.", error);
  }
}

const templates = new Map<string, TemplateStringsArray>();
const templateOfTexts = new WeakMap<readonly string[], TemplateStringsArray>();

/** One object for one text: the driver knows a statement, and remembers its errors, by it. */
function templateOf({ texts }: Fragment): TemplateStringsArray {
  const known = templateOfTexts.get(texts);
  if (known) return known;
  const key = texts.join("$");
  const template = templates.get(key) ?? Object.assign([...texts], { raw: texts });
  templates.set(key, template);
  templateOfTexts.set(texts, template);
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
    if (session.isLost || session.isFull || this.#closed) return this.#discard(session);
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
  /** Text of the body, for the slot in the plan's statement. */
  readonly content: string | null;
  /** As `settingsOf` makes them. */
  readonly settings: string;
  readonly isolation: string | null;
  readonly timezone: string | null;
  readonly hasRole: boolean;
  readonly signal: AbortSignal;
  readonly isStrict: boolean;
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
  const { plan, settings, timezone, isStrict } = transaction;
  const mayRefuse = plan.single || plan.maxRows !== null || (timezone !== null && isStrict);
  const first = [
    session.run(beginSql(transaction)),
    timezone === null
      ? session.run(settingsSql, settings)
      : session.run(zonedSettingsSql, timezone, settings),
    session.run(plan.main, transaction.content),
  ];
  const all = Promise.allSettled(mayRefuse ? first : [...first, session.run(commit)]);
  const run = (statement: Fragment) => Promise.race([session.run(statement), session.lost]);
  const results = await Promise.race([all, session.lost]).catch((error) => {
    throw asAnswer(error, session, transaction.hasRole);
  });
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

function beginSql({ isolation, plan: { readOnly } }: Transaction): Fragment {
  const level = isolation !== null && levels.has(isolation) ? isolation : "read committed";
  const text = `begin isolation level ${level} read ${readOnly ? "only" : "write"}`;
  const known = begins.get(text) ?? { texts: [text], values: [] };
  begins.set(text, known);
  return known;
}

function readRow(
  main: readonly (Uint8Array | null)[],
  set: readonly (Uint8Array | null)[],
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
    body: new Uint8Array(main[2] ?? []),
    headers: text(3),
    status: text(4),
    location: text(5) ?? "",
    knowsTimezone: known ? decoder.decode(known) === "t" : false,
  };
}

function refuse({ page, knowsTimezone }: Row, { plan, timezone, isStrict }: Transaction) {
  if (isStrict && timezone !== null && !knowsTimezone) {
    return new RestError(400, "PGRST122", "Invalid preferences given with handling=strict", {
      details: `Invalid preferences: timezone=${timezone}`,
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
