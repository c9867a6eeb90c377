/**
 * `deno task schema`: writes the schema that the migrations add up to. A review of a migration then
 * shows what it changes, and readers find each function as it is now.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { migrate } from "../local/migrations.ts";
import { defaultStateDir, type PostgresServer, startPostgres } from "../local/postgres.ts";
import { defineTask, main, Stop } from "./task.ts";

const usage = `deno task schema [--check]
  writes supabase/schema.sql: the schema that migrations/ make, as PostgreSQL 15's pg_dump prints it
  --check     change nothing; say whether the file is up to date, and where it is not
  PG_BIN      the bin folder of PostgreSQL 15; Debian's if not set
  exit code 0: done or up to date, 1: not up to date, 2: wrong arguments, 3: no PostgreSQL 15`;

const root = new URL("../../", import.meta.url);
const file = new URL("supabase/schema.sql", root);
const major = "15";
const heading = `-- The schema that migrations/ make: public, private and the jobs of pg_cron.
-- Written by \`deno task schema\`; not to be edited, and not run anywhere.
`;

/** The task. */
export const schema = defineTask({
  usage,
  options: { check: { type: "boolean", default: false } },
  run: async ({ values: { check } }, { env, terminal, running }) => {
    const binDir = env["PG_BIN"] ?? `/usr/lib/postgresql/${major}/bin`;
    if (!existsSync(join(binDir, "pg_dump"))) {
      throw new Stop(
        3,
        `Cannot find pg_dump in ${binDir}: install PostgreSQL ${major} or set PG_BIN`,
      );
    }
    const server = await running.start(
      startPostgres({ stateDir: defaultStateDir("schema"), fresh: true, durable: false, binDir }),
      (started) => started.stop(),
    );
    if (!server.version.startsWith(`${major}.`)) {
      throw new Stop(3, `Cannot use PostgreSQL ${server.version}: its dump has another format`);
    }
    await migrate(server.url(), new URL("migrations/", root));
    const made = await describeSchema(server, binDir);
    const written = await readFile(file, "utf8").catch(() => "");
    if (made === written) {
      terminal.print("supabase/schema.sql is up to date");
    } else if (check) {
      terminal.printError(`supabase/schema.sql is not up to date, ${compare(written, made)}`);
      terminal.printError("Run deno task schema, and commit the file with the migration");
      return 1;
    } else {
      await writeFile(file, made);
      terminal.print(`supabase/schema.sql is written, ${made.split("\n").length} lines`);
    }
    return 0;
  },
});

async function describeSchema(server: PostgresServer, binDir: string): Promise<string> {
  const url = server.url({ role: "supabase_admin" });
  const dump = async (...args: string[]) => {
    const command = new Deno.Command(join(binDir, "pg_dump"), {
      args: ["--no-owner", ...args, "--dbname", url],
    });
    const { success, stdout, stderr } = await command.output();
    if (!success) throw new Error(`Cannot dump: ${new TextDecoder().decode(stderr)}`);
    return tidyDump(new TextDecoder().decode(stdout));
  };
  const sql = postgres(url, { max: 1 });
  try {
    const jobs = await sql<{ jobname: string; schedule: string; command: string }[]>`
      select j.jobname, j.schedule, j.command from cron.job as j order by j.jobname`;
    return [
      heading,
      await dump("--schema-only", "--schema=public", "--schema=private"),
      await dump("--data-only", "--inserts", "--schema=private"),
      ...jobs.map(({ jobname, schedule, command }) =>
        `SELECT cron.schedule('${jobname}', '${schedule}', $job$${command}$job$);\n`
      ),
    ].join("\n");
  } finally {
    await sql.end();
  }
}

/** Removes what differs between versions of pg_dump, and repetitions. */
export function tidyDump(dump: string): string {
  return dump
    .replace(/^--\n-- [^\n]*\n(?:-- [^\n]*\n)*--\n/gm, "")
    .replace(/^-- Dumped (?:from|by) .*\n/gm, "")
    .replace(/^\\(?:un)?restrict .*\n/gm, "")
    .replace(/^(?:SET \w+ = .*|SELECT pg_catalog\.set_config\(.*\));\n/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim() + "\n";
}

/** The first line that differs, as it is and as it should be. */
export function compare(written: string, made: string): string {
  const [is, should] = [written.split("\n"), made.split("\n")];
  const index = should.findIndex((line, index) => line !== is[index]);
  const line = index < 0 ? should.length : index;
  return `from line ${line + 1} on:\n- ${is[line] ?? ""}\n+ ${should[line] ?? ""}`;
}

if (import.meta.main) await main(schema);
