/**
 * The files of a cluster: their owner, the process that uses them, and their setup like hosted Supabase.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import postgres from "postgres";

/** The operating system's user that PostgreSQL runs as if this process runs as root. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root. Then `postgres`, else `nobody`; undefined for other users. */
export async function unprivilegedUser(): Promise<User | undefined> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return undefined;
  const users = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const found = users.find(([name]) => name === "postgres") ??
    users.find(([name]) => name === "nobody");
  if (!found) {
    throw new Error(
      "Cannot start PostgreSQL as root: the system has neither a user postgres nor nobody",
    );
  }
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/**
 * Creates the folder of a cluster and takes it for this process. Stops a server of an earlier run.
 *
 * @throws {Error} When another process uses the folder, or it belongs to another user.
 */
export async function takeFolder(stateDir: string): Promise<void> {
  await makeOwnFolder(dirname(stateDir));
  await makeOwnFolder(stateDir);
  const owner = Number(await readFile(join(stateDir, "owner.pid"), "utf8").catch(() => ""));
  if (owner && owner !== Deno.pid && (await commandOf(owner)).includes("deno")) {
    throw new Error(`Cannot use ${stateDir}: process ${owner} uses it; stop that process first`);
  }
  await stopLeftover(join(stateDir, "data"));
  await writeFile(join(stateDir, "owner.pid"), String(Deno.pid));
}

/** Releases the folder. */
export async function leaveFolder(stateDir: string): Promise<void> {
  await rm(join(stateDir, "owner.pid"), { force: true });
}

/** PostgreSQL's user must have access, whatever the umask is; and the folder must be ours. */
async function makeOwnFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  if (Deno.build.os === "windows") return;
  const { uid } = await stat(path);
  if (uid !== Deno.uid()) throw new Error(`Cannot use ${path}: it belongs to user ${uid}`);
  await chmod(path, 0o755);
}

async function stopLeftover(dataDir: string): Promise<void> {
  const pidFile = await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number(pidFile.split("\n")[0]);
  // The process id may belong to another program now.
  const isOurs = async () => (await commandOf(pid)).includes(dataDir);
  if (!pid || !await isOurs()) return;
  Deno.kill(pid, "SIGINT");
  const endsAt = performance.now() + 10_000;
  while (await isOurs()) {
    if (performance.now() > endsAt) {
      throw new Error(`Cannot stop the PostgreSQL of an earlier run: process ${pid}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The command line of a process; blank if it has ended or is a zombie. */
export async function commandOf(pid: number): Promise<string> {
  if (Deno.build.os === "linux") {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return line.replaceAll("\0", " ");
  }
  const command = new Deno.Command("ps", { args: ["-o", "command=", "-p", String(pid)] });
  const { stdout } = await command.output().catch(() => ({ stdout: new Uint8Array() }));
  return new TextDecoder().decode(stdout).replace(/.*<defunct>.*/, "").trim();
}

/** How to create a cluster. */
export interface ClusterOptions {
  readonly binDir: string;
  readonly user: User | undefined;
  /** If false, commits do not wait for the disk and there are no passwords. */
  readonly durable: boolean;
}

/**
 * Creates the files of a cluster, unless they exist.
 *
 * @returns Whether `bootstrap` must follow.
 * @throws {Error} When the files are damaged, or were created by another major version.
 */
export async function makeCluster(dataDir: string, options: ClusterOptions): Promise<boolean> {
  const major = await majorOf(options.binDir);
  if (existsSync(join(dataDir, "bootstrapped"))) {
    const made = Number(await readFile(join(dataDir, "PG_VERSION"), "utf8").catch(() => NaN));
    if (made === major) return false;
    if (!(made > 0)) {
      throw new Error(
        `Cannot use ${dataDir}: it is damaged; start with an empty cluster (--fresh)`,
      );
    }
    throw new Error(
      `Cannot use ${dataDir} with PostgreSQL ${major}: PostgreSQL ${made} created it; ` +
        "start with an empty cluster (--fresh), or set PG_BIN",
    );
  }
  await rm(dataDir, { recursive: true, force: true });
  await initialize(dataDir, major, options);
  return true;
}

async function majorOf(binDir: string): Promise<number> {
  const { stdout } = await new Deno.Command(join(binDir, "postgres"), { args: ["--version"] })
    .output();
  return Number(new TextDecoder().decode(stdout).match(/\d+/)?.[0]);
}

/** Case and character classes as on hosted Supabase, order by code point. */
function localeOf(major: number): string[] {
  if (major >= 17) {
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  }
  return [Deno.build.os === "linux" ? "--locale=C.UTF-8" : "--locale=C"];
}

async function initialize(dataDir: string, major: number, options: ClusterOptions): Promise<void> {
  const { binDir, user, durable } = options;
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o700);
  const passwordFile = join(dirname(dataDir), "password");
  await writeFile(passwordFile, "postgres\n");
  if (user) {
    await chown(dataDir, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  try {
    const { success, stderr } = await new Deno.Command(join(binDir, "initdb"), {
      args: [
        ...["-D", dataDir, "-U", "supabase_admin", "--encoding=UTF8", ...localeOf(major)],
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
      throw new Error(
        `Cannot create a database cluster: ${new TextDecoder().decode(stderr).trim()}`,
      );
    }
  } finally {
    await rm(passwordFile);
  }
}

/**
 * Applies the setup of hosted Supabase to the database postgres and to the template of new ones.
 *
 * @param urlOf The address of a database for the superuser.
 */
export async function bootstrap(
  dataDir: string,
  urlOf: (database: string) => string,
): Promise<void> {
  for (const database of ["postgres", "template1"]) {
    const sql = postgres(urlOf(database), { max: 1, onnotice: () => {} });
    try {
      await sql.begin(async (transaction) => {
        await transaction.unsafe(await readFile(new URL("bootstrap.sql", import.meta.url), "utf8"));
        await transaction.unsafe(`alter database ${database} owner to postgres`);
        await provideCron(transaction, database);
        await provideNet(transaction);
      });
    } finally {
      await sql.end({ timeout: 5 });
    }
  }
  await writeFile(join(dataDir, "bootstrapped"), "");
}

/**
 * Makes `create extension if not exists pg_cron` work in a migration. Where the real extension is
 * preloaded, it is created in the one database that has it. In our own copy of PostgreSQL, the stand-in
 * is installed. Elsewhere the stand-in's script runs under that name.
 */
async function provideCron(sql: postgres.TransactionSql, database: string): Promise<void> {
  const [preloaded] = await sql`
    select from pg_settings where name = 'cron.database_name' and setting = ${database}`;
  if (preloaded) {
    // Only a superuser may create it. postgres gets the rights it has on hosted Supabase.
    await sql.unsafe(`
      create extension pg_cron with schema pg_catalog;
      grant usage on schema cron to postgres;
      grant select on cron.job to postgres;
      grant all on cron.job_run_details to postgres`);
    return;
  }
  const [standIn] = await sql`
    select from pg_available_extensions where name = 'pg_cron' and comment like 'Stand-in%'`;
  if (standIn) return;
  const script = await readFile(
    new URL("extensions/pg_cron/pg_cron--1.6.sql", import.meta.url),
    "utf8",
  );
  await sql.unsafe(script.replaceAll("@extowner@", "postgres"));
  await sql`
    insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    values ('cron'::regnamespace::oid, 'pg_cron', 'postgres'::regrole,
      'pg_catalog'::regnamespace, false, 'stand-in')`;
}

/** Makes `net.http_post` callable. The extension itself would be created by a migration. */
async function provideNet(sql: postgres.TransactionSql): Promise<void> {
  const [available] = await sql`select from pg_available_extensions where name = 'pg_net'`;
  if (available) return;
  const script = new URL("extensions/pg_net.sql", import.meta.url);
  await sql.unsafe(await readFile(script, "utf8"));
}
