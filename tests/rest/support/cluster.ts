/**
 * A temporary PostgreSQL cluster of its own: these tests create roles, stop the server and count its
 * connections.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execFileSync } from "node:child_process";
import postgres from "postgres";
import { testBinDir, testStateDir } from "../../support/state_dir.ts";

/** A running cluster whose superuser is `postgres`, without passwords. */
export interface Cluster {
  readonly url: (database: string, user?: string) => string;
  /** Stops the server at once, as `pg_ctl stop -m fast` does, and waits for it. */
  readonly stopServer: () => Promise<void>;
  readonly startServer: () => Promise<void>;
  /** Stops it for good and removes its files. */
  readonly stop: () => Promise<void>;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Creates and starts a cluster, in about a second. `durable`: commits wait for the disk. */
export async function startCluster({ durable = false } = {}): Promise<Cluster> {
  const bin = await testBinDir();
  const stateDir = durable ? join(tmpdir(), "rest-") : testStateDir("rest-");
  mkdirSync(dirname(stateDir), { recursive: true, mode: 0o755 });
  const folder = mkdtempSync(stateDir);
  const data = join(folder, "data");
  // PostgreSQL refuses to run as root.
  const uid = Deno.uid() === 0
    ? Number(execFileSync("id", ["-u", "postgres"], { encoding: "utf8" }))
    : null;
  if (uid !== null) chownSync(folder, uid, uid);
  const as = uid === null ? {} : { uid, gid: uid };
  execFileSync(join(bin, "initdb"), [
    "-D",
    data,
    "-A",
    "trust",
    "-U",
    "postgres",
    "--no-sync",
    "-E",
    "UTF8",
    "--locale=C",
  ], {
    ...as,
    cwd: "/",
    stdio: "ignore",
  });
  const port = await freePort();
  let server: ReturnType<typeof spawn> | null = null;
  let ended: Promise<void> = Promise.resolve();

  async function startServer(): Promise<void> {
    const options = [
      "-c",
      `fsync=${durable ? "on" : "off"}`,
      "-c",
      "listen_addresses=127.0.0.1",
      "-c",
      `unix_socket_directories=${folder}`,
    ];
    const child = spawn(join(bin, "postgres"), ["-D", data, "-p", `${port}`, ...options], {
      ...as,
      cwd: "/",
      stdio: "ignore",
    });
    server = child;
    ended = new Promise((resolve) => child.once("exit", () => resolve()));
    const deadline = Date.now() + 20_000;
    for (;;) {
      const db = postgres(url("postgres"), {
        max: 1,
        connect_timeout: 1,
        onnotice: () => {},
        backoff: false,
      });
      try {
        await db`select 1`;
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      } finally {
        await db.end({ timeout: 0 });
      }
    }
  }
  async function stopServer(): Promise<void> {
    server?.kill("SIGINT");
    await ended;
    server = null;
  }
  const url = (database: string, user = "postgres") =>
    `postgres://${user}@127.0.0.1:${port}/${database}`;

  await startServer();
  return {
    url,
    startServer,
    stopServer,
    stop: async () => {
      await stopServer();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
