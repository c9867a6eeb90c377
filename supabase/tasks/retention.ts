/**
 * `deno task retention`: deletes what is older than each organization wants to keep, or counts it.
 *
 * It does the same as pg_cron every night, in the same batches. It is for a database without pg_cron,
 * and for showing what the next night will delete.
 *
 * @module
 */

import type postgres from "postgres";
import { loadSettings, withDatabase } from "./database.ts";
import { defineTask, main, readNumber, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task retention [--dry-run] [--batch N] [--env FILE] [--db URL]
  deletes what is older than each organization keeps, as pg_cron does every night
  --dry-run   count what would be deleted, and delete nothing
  --batch N   rows in one transaction; 1000 if left out
  --env FILE  a file with SUPABASE_DB_URL, which overrides the environment; if left out,
              the environment, then .env
  --db URL    the database as its owner, instead of SUPABASE_DB_URL
  How long each organization keeps its data: organizations.retention_days and audit_retention_days.
  exit code 0: done, 2: wrong arguments, 3: the database was unreachable or refused`;

/** The answer of `apply_retention`: how many rows of which kind, by organization. */
interface Retained {
  readonly rows: number;
  readonly organizations: readonly Kept[];
  /** Rows of no organization: how many texts a phone was sent, and when the jobs ran. */
  readonly phoneCounts: number;
  readonly jobRuns: number;
}

interface Kept {
  readonly organization: string;
  readonly retentionDays: number;
  readonly auditRetentionDays: number;
  /** Rows by kind. */
  readonly [kind: string]: number | string;
}

/** The task. */
export const retention = defineTask({
  usage,
  options: {
    "dry-run": { type: "boolean", default: false },
    batch: { type: "string", default: "1000" },
    env: { type: "string" },
    db: { type: "string" },
  },
  run: async ({ values }, { env, terminal }) => {
    const isDryRun = values["dry-run"];
    const batch = readNumber("--batch", values.batch, { from: 1, to: 1_000_000 });
    const settings = await loadSettings(values, env);
    await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
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
  },
});

async function applyOnce(sql: postgres.Sql, isDryRun: boolean, batch: number): Promise<Retained> {
  const [row] = await sql<{ retained: Retained }[]>`
    select public.apply_retention(${isDryRun}, ${batch}) as retained`;
  if (!row) throw new Stop(3, "The database gave no answer");
  return row.retained;
}

/** Runs one transaction for each batch until nothing is left. */
async function applyAll(sql: postgres.Sql, batch: number): Promise<Retained[]> {
  const totals: Retained[] = [];
  do totals.push(await applyOnce(sql, false, batch)); while (totals.at(-1)?.rows !== 0);
  return totals;
}

/** Prints a line for each organization, with its kinds added up over the batches. */
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
  const sum = (of: "phoneCounts" | "jobRuns") => totals.reduce((all, total) => all + total[of], 0);
  terminal.print(
    `no organization: counts of numbers ${sum("phoneCounts")}, job runs ${sum("jobRuns")}`,
  );
}

if (import.meta.main) await main(retention);
