/**
 * Finds PostgreSQL's own programs in a suitable version, and runs them without revealing what is in
 * the database.
 *
 * @module
 */

import { join } from "node:path";
import { redact } from "../../../shared/redaction.ts";
import { sayUnreadable } from "../database.ts";
import { type Running, Stop } from "../task.ts";

/** From this version on, pg_restore sends a setting that older servers do not know. */
const settingSince = 17;

/** One of PostgreSQL's programs. */
export interface Program {
  readonly path: string;
  /** The major version. */
  readonly major: number;
}

/**
 * Finds a program in PG_BIN, or on the PATH if that is not set.
 *
 * @param needed The lowest major version that will do.
 * @throws {Stop} If the program is missing or older.
 */
export async function findProgram(
  name: "pg_dump" | "pg_restore",
  binDir: string | undefined,
  needed: number,
): Promise<Program> {
  const path = binDir ? join(binDir, name) : name;
  const install = `install PostgreSQL's client programs of version ${needed} (postgresql-client-` +
    `${needed} of apt.postgresql.org, or libpq of Homebrew), or set PG_BIN to their folder`;
  let said: string;
  try {
    const { stdout } = await new Deno.Command(path, { args: ["--version"] }).output();
    said = new TextDecoder().decode(stdout);
  } catch {
    throw new Stop(3, `Cannot run ${path}: ${install}`);
  }
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(said)?.[1] ?? 0);
  if (major >= needed) return { path, major };
  const found = major === 0
    ? "is not PostgreSQL's"
    : `has version ${major}, and ${needed} is needed`;
  throw new Stop(3, `${path} ${found}: ${install}`);
}

/**
 * Checks that this pg_restore can talk to a server.
 *
 * @throws {Stop} If the program is too new for the server.
 */
export function requireOlderProgram({ path, major }: Program, server: number): void {
  if (major < settingSince || server >= settingSince) return;
  throw new Stop(
    3,
    `${path} has version ${major}, which PostgreSQL ${server} does not understand: set PG_BIN to ` +
      `the folder of version ${server}`,
  );
}

/** How to run a program. */
export interface ProgramRun {
  /** The database's URL. Its password is passed in the environment, to keep it out of the process list. */
  readonly url?: string;
  readonly args: readonly string[];
  readonly running: Running;
}

/**
 * Runs a program until it or this process ends.
 *
 * @returns Its output.
 * @throws {Stop} If it failed, with its first message, without contents of the database.
 */
export async function runProgram(
  { path }: Program,
  { url, args, running }: ProgramRun,
): Promise<string> {
  const target = url === undefined ? undefined : hidePassword(url);
  const child = new Deno.Command(path, {
    args: [...args, ...target ? ["--dbname", target.url] : []],
    env: { LC_ALL: "C", ...target ? { PGPASSWORD: target.password } : {} },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let hasEnded = false;
  const output = child.output().finally(() => hasEnded = true);
  await running.start(Promise.resolve(child), async () => {
    if (!hasEnded) child.kill("SIGTERM");
    await output;
  });
  const { success, stdout, stderr } = await output;
  if (success) return new TextDecoder().decode(stdout);
  throw new Stop(1, describeFailure(new TextDecoder().decode(stderr)));
}

/** Takes the password out of an address: other users of the machine can read arguments. */
export function hidePassword(given: string): { url: string; password: string } {
  const url = URL.parse(given);
  if (url === null) throw sayUnreadable();
  const password = decodeURIComponent(url.password);
  url.password = "";
  return { url: url.href, password };
}

/**
 * The first message of a program that failed. The lines after it (DETAIL, CONTEXT) quote rows, so they
 * are left out.
 */
export function describeFailure(said: string): string {
  if (said.includes("org_members_user_id_fkey")) {
    return "A member's account is not in the project: an account there has the same e-mail and another " +
      "id. Delete that one at Supabase (Authentication, Users), and restore again";
  }
  const lines = said.split("\n").filter((line) => /^pg_\w+: /.test(line));
  const first = lines.find((line) => line.includes("error:")) ?? lines[0] ?? "it said nothing";
  return `Nothing was done: ${redact(first).text}`;
}
