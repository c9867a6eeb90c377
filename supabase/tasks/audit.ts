/**
 * `deno task audit verify`: compares audit logs with their seals.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { loadSettings, withDatabase } from "./database.ts";
import { defineTask, type ExitCode, main, Misuse, readCommand, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task audit verify --org SLUG_OR_ID   compare a clinic's audit log with its seals
deno task audit verify --all              those of all clinics
  --seal N:HASH  also look for a seal that the database server's log has (audit_sealed); that shows
                 whether the newest rows were removed together with their seals
  --env FILE     a file with SUPABASE_DB_URL, which overrides the environment; if left out,
                 the environment, then .env
  --db URL       the database as its owner, instead of SUPABASE_DB_URL
  Whoever controls the database and its log can rewrite both; that cannot be detected.
  exit code 0: intact, 1: rows or seals were changed, removed or added, or are not sealed,
  2: wrong arguments, 3: the database was unreachable or refused`;

/** Rows are sealed within two minutes, unless a long transaction or a stopped job delays it. */
const sealedWithinMs = 3_600_000;

const findings = {
  seals_removed: "seals before it were removed",
  seal_changed: "the seal was changed",
  row_removed: "a row was removed",
  row_changed: "a row was changed",
  row_added: "a row was added later",
  purge_early: "retention claims to have deleted rows of the last 30 days",
} as const;

const verified = z.object({
  outcome: z.enum(["intact", "broken"]),
  seals: z.number(),
  sealed: z.number(),
  purged: z.number(),
  waiting: z.number(),
  waitingSince: z.string().nullable(),
  newest: z.object({ seal: z.number(), sealedAt: z.string(), hash: z.string() }).nullable(),
  found: z.number(),
  findings: z.array(z.object({
    seal: z.number().nullable(),
    finding: z.enum(Object.keys(findings) as [keyof typeof findings]),
    rowId: z.string().nullable(),
    at: z.string(),
  })),
});
type Verified = z.infer<typeof verified>;

/** The task. */
export const audit = defineTask({
  usage,
  options: {
    org: { type: "string" },
    all: { type: "boolean", default: false },
    seal: { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values: { org, all, seal, ...values }, positionals }, { env, terminal }) => {
    readCommand(positionals, ["verify"]);
    if ((org === undefined) !== all) throw new Misuse("verify takes --org SLUG_OR_ID or --all");
    const logged = seal === undefined ? undefined : readSeal(seal);
    if (logged && all) throw new Misuse("--seal is for one clinic: give --org SLUG_OR_ID");
    const settings = await loadSettings(values, env);
    return await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      let code: ExitCode = 0;
      for (const found of await findOrganizations(sql, org)) {
        const isIntact = await verify(sql, found, logged, terminal);
        if (!isIntact) code = 1;
      }
      return code;
    });
  },
});

interface Seal {
  readonly number: number;
  /** Lowercase hex. */
  readonly hash: string;
}

function readSeal(text: string): Seal {
  const [, number, hash = ""] = /^(\d{1,9}):([0-9a-f]{64})$/i.exec(text) ?? [];
  if (number !== undefined) return { number: Number(number), hash: hash.toLowerCase() };
  throw new Misuse("--seal takes a number and a hash of 64 hexadecimal digits, N:HASH");
}

interface Organization {
  readonly id: string;
  readonly slug: string;
}

async function findOrganizations(
  sql: postgres.Sql,
  org: string | undefined,
): Promise<Organization[]> {
  const found = await sql<Organization[]>`
    select id, slug from public.organizations
    where ${org ?? null}::text is null or slug = ${org ?? ""} or id::text = lower(${org ?? ""})
    order by slug`;
  if (org === undefined || found.length > 0) return found;
  throw new Stop(2, `There is no clinic ${org}`);
}

async function verify(
  sql: postgres.Sql,
  { id, slug }: Organization,
  logged: Seal | undefined,
  terminal: Terminal,
): Promise<boolean> {
  const [row] = await sql`select public.verify_audit(${id}) as answer`;
  const answer = verified.parse(row?.["answer"]);
  terminal.print(`${slug}: ${summarize(answer)}`);
  const problems = [
    ...describeFindings(answer),
    ...describeWaiting(answer),
    ...logged ? await findMissingSeal(sql, id, logged) : [],
  ];
  for (const problem of problems) terminal.printError(`${slug}: ${problem}`);
  return problems.length === 0;
}

function summarize({ seals, sealed, purged, waiting, newest }: Verified): string {
  return `seals ${seals}, rows under them ${sealed}, deleted by retention ${purged}, ` +
    `not sealed yet ${waiting}; ` +
    (newest ? `newest seal ${newest.seal}:${newest.hash} of ${newest.sealedAt}` : "no seal yet");
}

function describeFindings({ findings: found, found: count }: Verified): string[] {
  const lines = found.map(({ seal, finding, rowId, at }) =>
    [seal === null ? "outside of the seals" : `seal ${seal}`, findings[finding], rowId, at]
      .filter((part) => part !== null).join(", ")
  );
  return count > lines.length ? [...lines, `and ${count - lines.length} more`] : lines;
}

function describeWaiting({ waiting, waitingSince }: Verified): string[] {
  const isLate = waitingSince !== null && Date.now() - Date.parse(waitingSince) > sealedWithinMs;
  return isLate
    ? [
      `${waiting} rows are not sealed, the oldest of ${waitingSince}: does the job seal-audit run, ` +
      "and has a transaction been open since then?",
    ]
    : [];
}

async function findMissingSeal(
  sql: postgres.Sql,
  orgId: string,
  { number, hash }: Seal,
): Promise<string[]> {
  const [kept] = await sql<{ hash: string }[]>`
    select encode(hash, 'hex') as hash from private.audit_seals
    where org_id = ${orgId} and number = ${number}`;
  if (kept?.hash === hash) return [];
  return [
    kept
      ? `seal ${number} is not the one in the log: the rows and seals up to it were written again`
      : `seal ${number} of the log is gone, and the rows under it with it`,
  ];
}

if (import.meta.main) await main(audit);
