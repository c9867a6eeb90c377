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

/** What is known of a connection: its prepared statements by text, and the batch that it runs. */
interface Progress {
  readonly prepared: Map<string, string>;
  batch: Batch | null;
}

const progresses = new WeakMap<pg.Connection, Progress>();

function progressOf(connection: pg.Connection): Progress {
  const known = progresses.get(connection);
  if (known) return known;
  const progress: Progress = { prepared: new Map(), batch: null };
  progresses.set(connection, progress);
  const settle = () => progress.batch?.settle(progress);
  // Not before the connection is ready again, also after an error: the next request could be lost.
  connection.on("readyForQuery", settle);
  connection.on("end", settle);
  return progress;
}

/** Statements sent together; a query as the driver wants it. */
class Batch implements pg.Submittable {
  readonly #done = Promise.withResolvers<Columns>();
  readonly #fresh = new Map<string, string>();
  #last: Columns = [];
  #error: Error | null = null;
  #isReady = false;

  constructor(readonly statements: readonly BoundStatement[]) {}

  /** The last row of the last statement. */
  get result(): Promise<Columns> {
    return this.#done.promise;
  }

  submit(connection: pg.Connection): void {
    const progress = progressOf(connection);
    progress.batch = this;
    connection.stream.cork();
    for (const { text, values } of this.statements) {
      const name = progress.prepared.get(text) ?? this.#prepare(connection, progress, text);
      connection.bind({ portal: "", statement: name, values: [...values] }, true);
      connection.execute({ portal: "" }, true);
    }
    connection.sync();
    connection.stream.uncork();
  }

  #prepare(connection: pg.Connection, { prepared }: Progress, text: string): string {
    const name = `s${prepared.size + this.#fresh.size}`;
    this.#fresh.set(text, name);
    // After a failure nobody knows whether the name is taken; closing a free one is no error.
    connection.close({ type: "S", name }, true);
    connection.parse({ name, text, types: [] }, true);
    return name;
  }

  handleRowDescription(): void {}

  handleDataRow({ fields }: { fields: Columns }): void {
    this.#last = fields;
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#isReady = true;
  }

  handleError(error: Error): void {
    this.#error = error;
  }

  settle(progress: Progress): void {
    progress.batch = null;
    if (this.#isReady && this.#error === null) {
      for (const [text, name] of this.#fresh) progress.prepared.set(text, name);
      this.#done.resolve(this.#last);
    } else this.#done.reject(this.#error ?? new Error("The connection was lost"));
  }
}

/** A connection lent to one request. */
export interface Session {
  readonly pid: number;
  /**
   * Runs statements in one transaction, or in the one that a first `begin` opens; resolves with the
   * last row of the last.
   */
  run(statements: readonly BoundStatement[]): Promise<Columns>;
  /** Gives it back; `isBroken` ends it. */
  release(isBroken: boolean): void;
}

const maxStatements = 1000;

/** Connections that are made when needed and replaced when lost. */
export class Pool {
  readonly #pool: pg.Pool;
  readonly #pids = new WeakMap<pg.ClientBase, number>();

  constructor(dbUrl: string, size: number, acquisitionTimeoutMs: number) {
    this.#pool = new pg.Pool({
      connectionString: dbUrl,
      application_name: "rest",
      max: size,
      connectionTimeoutMillis: acquisitionTimeoutMs,
      idleTimeoutMillis: 0,
      keepAlive: true,
      onConnect: async (client) => {
        // While lent, a lost connection fails its batch; without a listener it would end the process.
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
    return {
      pid: this.#pids.get(client) ?? 0,
      run: (statements) => client.query(new Batch(statements)).result,
      release: (isBroken) => {
        // So many statements cost more memory than a new connection time.
        const isFull = progressOf(client.connection).prepared.size > maxStatements;
        client.release(isBroken || isFull);
      },
    };
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** Whether an error of `acquire` means that all connections stayed busy. */
export const isLate = (error: unknown): boolean =>
  error instanceof Error && error.message === "timeout exceeded when trying to connect";
