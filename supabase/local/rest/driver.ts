/**
 * Connections to PostgreSQL whose requests go in one write: any number of statements and one Sync,
 * which makes them one transaction without a `begin` or `commit` of their own.
 *
 * The driver is `pg`, not postgres.js as elsewhere: it takes queries that speak the protocol
 * themselves (`submit`), while postgres.js sends each statement with a Sync of its own. Ten callers
 * of a trivial function: 0.07 ms of CPU a request against 0.16, twice the rate.
 *
 * @module
 */
// @ts-types="@types/pg"
import pg from "pg";

/** A connection for a task of its own. */
export type Client = pg.Client;

/** An error that PostgreSQL reported, as against one of the connection. */
export const DatabaseError = pg.DatabaseError;

const connectTimeoutMs = 5000;

/** Opens a connection that is nobody else's. */
export async function connect(dbUrl: string, name: string): Promise<Client> {
  const client = new pg.Client({
    connectionString: dbUrl,
    application_name: name,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  });
  // What goes wrong later ends in "end"; without a listener it would end the process.
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

/** A connection lent to one request at a time; to the driver it is the query that is running. */
export class Session implements pg.Submittable {
  /** Names of prepared statements by role and text; those of this run are not sure before its end. */
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
  ) {
    // Not before the connection is ready again, also after an error: the next run would be lost.
    client.connection.on("readyForQuery", () => this.#settle());
    client.connection.on("end", () => {
      this.#isLost = true;
      this.handleError(this.#error ?? new Error("The connection was lost"));
    });
  }

  /**
   * Runs statements in one transaction, or in the one that a first `begin` opens. Resolves with the
   * last row of the last statement, empty where it gave none.
   *
   * Each role has statements of its own: PostgreSQL asks whether a role may call a function that it
   * inlines when it plans the statement, and would let the next role use that plan.
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

  /** Gives it back; `isBroken` ends it. */
  release(isBroken: boolean): void {
    // So many statements cost more memory than a new connection time.
    this.client.release(isBroken || this.#prepared.size > maxStatements);
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
    // After a failure nobody knows whether the name is taken; closing a free one is no error.
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

/** Connections that are made when needed and replaced when lost. */
export class Pool {
  readonly #pool: pg.Pool;
  readonly #pids = new WeakMap<pg.ClientBase, number>();
  readonly #sessions = new WeakMap<pg.ClientBase, Session>();
  #generation = 0;

  constructor(dbUrl: string, size: number, acquisitionTimeoutMs: number) {
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
    // An idle connection that is lost leaves the pool by itself.
    this.#pool.on("error", () => {});
  }

  /** @throws {Error} without a database, and when no connection becomes free in time (`isLate`) */
  async acquire(): Promise<Session> {
    const client = await this.#pool.connect();
    const session = this.#sessions.get(client) ?? this.#open(client);
    if (session.generation === this.#generation) return session;
    session.release(true);
    return await this.acquire();
  }

  #open(client: pg.PoolClient): Session {
    const session = new Session(client, this.#pids.get(client) ?? 0, this.#generation);
    this.#sessions.set(client, session);
    return session;
  }

  /** Replaces all connections by and by: what they have prepared may be of another schema. */
  renew(): void {
    this.#generation++;
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** Whether an error of `acquire` means that all connections stayed busy. */
export const isLate = (error: unknown): boolean =>
  error instanceof Error && error.message === "timeout exceeded when trying to connect";
