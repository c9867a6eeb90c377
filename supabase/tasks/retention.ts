/**
 * `deno task retention`: deletes what is older than each organization keeps, or counts it.
 *
 * The same as pg_cron does every night, in the same batches; for a database without pg_cron, and to
 * see what the night will do.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type postgres from "postgres";
import { describeFailure, type ExitCode, readEnvFile, Stop, withDatabase } from "./task.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

const usage = `deno task retention [--dry-run]
  --dry-run   count what would be deleted, and delete nothing
  --batch N   rows in one transaction, 1000 if left out
  --env FILE  where SUPABASE_DB_URL stands; .env when it is there. The environment goes first
  --db URL    the database as its owner, instead of SUPABASE_DB_URL
  How long each organization keeps what: organizations.retention_days and audit_retention_days.
  exit code 0: done, 2: wrong arguments, 3: the database could not be reached or refused`;

/** What `apply_retention` answers: how many rows of which kind, by organization. */
interface Retained {
  readonly rows: number;
  readonly organizations: readonly Kept[];
  /** Of no organization: how many texts a phone was sent, and when the jobs ran. */
  readonly phoneQuotas: number;
  readonly jobRuns: number;
}

interface Kept {
  readonly organization: string;
  readonly retentionDays: number;
  readonly auditRetentionDays: number;
  /** Rows by kind. */
  readonly [kind: string]: number | string;
}

/**
 * Runs the task.
 *
 * @param env The environment of the process.
 * @returns The exit code.
 */
export async function runRetention(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  terminal: Terminal,
): Promise<ExitCode> {
  if (args.includes("--help") || args.includes("-h")) {
    terminal.print(usage);
    return 0;
  }
  try {
    const { isDryRun, batch, envFile, db } = readOptions(args);
    const settings = { ...await readEnvFile(envFile), ...env };
    await withDatabase(db ?? settings["SUPABASE_DB_URL"], async (sql) => {
      const totals = isDryRun ? [await applyOnce(sql, true, batch)] : await applyAll(sql, batch);
      report(totals, terminal);
      const rows = totals.reduce((sum, total) => sum + total.rows, 0);
      terminal.print(
        isDryRun
          ? `${rows} rows would be deleted, nothing was`
          : `${rows} rows deleted in ${totals.length} transactions`,
      );
    });
    return 0;
  } catch (thrown) {
    const { code, message } = describeFailure(thrown);
    terminal.printError(message);
    return code;
  }
}

function readOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "dry-run": { type: "boolean" },
        batch: { type: "string" },
        env: { type: "string" },
        db: { type: "string" },
      },
    });
    const batch = Number(values.batch ?? 1000);
    if (!Number.isInteger(batch) || batch < 1 || batch > 1_000_000) {
      throw new Error("--batch is a number from 1 to 1000000");
    }
    return { isDryRun: values["dry-run"] ?? false, batch, envFile: values.env, db: values.db };
  } catch (thrown) {
    throw new Stop(2, `${thrown instanceof Error ? thrown.message : thrown}\n${usage}`);
  }
}

async function applyOnce(sql: postgres.Sql, isDryRun: boolean, batch: number): Promise<Retained> {
  const [row] = await sql<{ retained: Retained }[]>`
    select public.apply_retention(${isDryRun}, ${batch}) as retained`;
  if (!row) throw new Stop(3, "The database answered nothing");
  return row.retained;
}

/** One transaction a batch, until there is nothing left. */
async function applyAll(sql: postgres.Sql, batch: number): Promise<Retained[]> {
  const totals: Retained[] = [];
  do totals.push(await applyOnce(sql, false, batch)); while (totals.at(-1)?.rows !== 0);
  return totals;
}

/** One line an organization, its kinds added up over the batches. */
function report(totals: readonly Retained[], terminal: Terminal): void {
  const lines = Map.groupBy(
    totals.flatMap(({ organizations }) => organizations),
    ({ organization }) => organization,
  );
  for (const [slug, batches] of lines) {
    const counts = new Map<string, number>();
    for (
      const { organization: _, retentionDays: _days, auditRetentionDays: _audit, ...kinds }
        of batches
    ) {
      for (const [kind, rows] of Object.entries(kinds)) {
        counts.set(kind, (counts.get(kind) ?? 0) + Number(rows));
      }
    }
    const [{ retentionDays, auditRetentionDays } = { retentionDays: 0, auditRetentionDays: 0 }] =
      batches;
    const said = [...counts].map(([kind, rows]) => `${kind} ${rows}`).join(", ");
    terminal.print(`${slug} (${retentionDays} days, audit ${auditRetentionDays}): ${said}`);
  }
  const sum = (of: "phoneQuotas" | "jobRuns") => totals.reduce((all, total) => all + total[of], 0);
  terminal.print(
    `no organization's: phone quotas ${sum("phoneQuotas")}, job runs ${sum("jobRuns")}`,
  );
}

if (import.meta.main) {
  Deno.exit(await runRetention(Deno.args, Deno.env.toObject(), processTerminal()));
}
