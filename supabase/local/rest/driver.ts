/**
 * Connections to PostgreSQL that send a request in one write: any number of statements and one Sync,
 * which makes them one transaction without `begin` and `commit`.
 *
 * The driver is `pg`, not postgres.js as elsewhere, because it accepts queries that speak the protocol
 * themselves (`submit`); postgres.js sends each statement with its own Sync. With ten callers of a
 * trivial function this needs 0.07 ms of CPU a request instead of 0.16, and has twice the rate.
 *
 * @module
 */
// @ts-types="@types/pg"
import pg from "pg";

/** A connection for one purpose, outside of the pool. */
export type Client = pg.Client;

/** An error that PostgreSQL reported, as opposed to one of the connection. */
export const DatabaseError = pg.DatabaseError;

const connectTimeoutMs = 5000;

/** Opens a connection outside of the pool. */
export async function connect(dbUrl: string, name: string): Promise<Client> {
  const client = new pg.Client({
    connectionString: dbUrl,
    application_name: name,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  });
  // Later errors are followed by "end"; without a listener they would end the process.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** A statement whose parameters are text. */
export interface BoundStatement {
  readonly text: string;
  readonly values: readonly (string | null)[];
}

/** Columns as text. */
export type Columns = readonly (string | null)[];

/** A connection lent to one request at a time. The driver sees it as the running query. */
export class Session implements pg.Submittable {
  /** Names of prepared statements by role and text. Those of this run are uncertain until its end. */
  readonly #prepared = new Map<string, string>();
  readonly #fresh = new Map<string, string>();
  #statements: readonly BoundStatement[] = [];
  #role = "";
  #completed = 0;
  #row: Columns = [];
  #error: Error | null = null;
  #isLost = false;
  #done = Promise.withResolvers<Columns>();

  constructor(
    readonly client: pg.PoolClient,
    readonly pid: number,
    readonly generation: number,
    readonly onRelease: () => void,
  ) {
    // Wait until the connection is ready again, even after an error; otherwise the next run would be lost.
    client.connection.on("readyForQuery", () => this.#settle());
    client.connection.on("end", () => {
      this.#isLost = true;
      this.handleError(this.#error ?? new Error("The connection was lost"));
    });
  }

  /**
   * Runs statements in one transaction, or in the one that a first `begin` opens. Resolves with the
   * last row of the last statement, which is empty if there was none.
   *
   * Each role has its own statements. PostgreSQL checks the right to call an inlined function when it
   * plans a statement, and would let another role use that plan.
   */
  run(statements: readonly BoundStatement[], role: string): Promise<Columns> {
    this.#statements = statements;
    this.#role = role;
    this.#completed = 0;
    this.#row = [];
    this.#error = null;
    this.#fresh.clear();
    this.#done = Promise.withResolvers();
    this.client.query(this);
    return this.#done.promise;
  }

  /** Returns it to the pool; `isBroken` ends it. */
  release(isBroken: boolean): void {
    // So many statements cost more memory than a new connection costs time.
    this.client.release(isBroken || this.#prepared.size > maxStatements);
    this.onRelease();
  }

  submit(connection: pg.Connection): void {
    connection.stream.cork();
    for (const { text, values } of this.#statements) {
      const key = `${this.#role} ${text}`;
      const name = this.#prepared.get(key) ?? this.#prepare(connection, key, text);
      connection.bind({ portal: "", statement: name, values: [...values] }, true);
      connection.execute({ portal: "" }, true);
    }
    connection.sync();
    connection.stream.uncork();
  }

  #prepare(connection: pg.Connection, key: string, text: string): string {
    const name = `s${this.#prepared.size + this.#fresh.size}`;
    this.#fresh.set(key, name);
    // After a failure it is unknown whether the name is taken. Closing a free one is allowed.
    connection.close({ type: "S", name }, true);
    connection.parse({ name, text, types: [] }, true);
    return name;
  }

  handleDataRow({ fields }: { fields: Columns }): void {
    this.#row = fields;
  }

  handleCommandComplete(): void {
    this.#completed++;
    if (this.#completed < this.#statements.length) this.#row = [];
  }

  handleError(error: Error): void {
    this.#error = error;
    if (this.#isLost) this.#settle();
  }

  handleReadyForQuery(): void {}

  #settle(): void {
    if (this.#error) return this.#done.reject(this.#error);
    for (const [key, name] of this.#fresh) this.#prepared.set(key, name);
    this.#fresh.clear();
    this.#done.resolve(this.#row);
  }
}

const maxStatements = 1000;

/** A request that waits for a connection. */
interface Waiting {
  readonly begin: () => void;
}

/**
 * Connections that are opened when needed and replaced when lost.
 *
 * It has its own queue of waiting requests, because nothing can leave the driver's queue: a request
 * whose caller has gone would still be started, and others would wait behind it.
 */
export class Pool {
  readonly #pool: pg.Pool;
  readonly #acquisitionTimeoutMs: number;
  readonly #pids = new WeakMap<pg.ClientBase, number>();
  readonly #sessions = new WeakMap<pg.ClientBase, Session>();
  readonly #waiting = new Set<Waiting>();
  #free: number;
  #generation = 0;

  constructor(dbUrl: string, size: number, acquisitionTimeoutMs: number) {
    this.#free = size;
    this.#acquisitionTimeoutMs = acquisitionTimeoutMs;
    this.#pool = new pg.Pool({
      connectionString: dbUrl,
      application_name: "rest",
      max: size,
      connectionTimeoutMillis: acquisitionTimeoutMs,
      idleTimeoutMillis: 0,
      keepAlive: true,
      onConnect: async (client) => {
        // A lost connection fails its run; without a listener it would end the process.
        client.on("error", () => {});
        const { rows: [row] } = await client.query("select pg_backend_pid() as pid");
        this.#pids.set(client, Number(row.pid));
      },
    });
    // The pool itself drops an idle connection that is lost.
    this.#pool.on("error", () => {});
  }

  /**
   * @param signal Aborted when the caller has gone. Then it stops waiting.
   * @throws {Error} without a database, and when no connection becomes free in time (`isLate`)
   * @throws the signal's reason
   */
  async acquire(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#waitForFree(signal);
    const client = await this.#pool.connect().catch((error) => {
      this.#give();
      throw error;
    });
    const session = this.#sessions.get(client) ?? this.#open(client);
    if (session.generation === this.#generation) return session;
    session.release(true);
    return await this.acquire(signal);
  }

  /** Waits until a connection is handed over. */
  #waitForFree(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting);
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      };
      const waiting: Waiting = {
        begin: () => {
          leave();
          resolve();
        },
      };
      const abort = () => {
        leave();
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        leave();
        reject(new PoolExhausted("No connection became free in time"));
      }, this.#acquisitionTimeoutMs);
      signal.addEventListener("abort", abort);
      this.#waiting.add(waiting);
    });
  }

  /** Hands a connection to the request that has waited longest. */
  #give(): void {
    const [next] = this.#waiting;
    if (next) next.begin();
    else this.#free++;
  }

  #open(client: pg.PoolClient): Session {
    const pid = this.#pids.get(client) ?? 0;
    const session = new Session(client, pid, this.#generation, () => this.#give());
    this.#sessions.set(client, session);
    return session;
  }

  /** Replaces all connections gradually, because their prepared statements may be for an older schema. */
  renew(): void {
    this.#generation++;
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** All connections stayed busy. */
class PoolExhausted extends Error {}

/** Whether an error of `acquire` means that all connections stayed busy. */
export const isLate = (error: unknown): boolean =>
  error instanceof PoolExhausted ||
  error instanceof Error && error.message === "timeout exceeded when trying to connect";
