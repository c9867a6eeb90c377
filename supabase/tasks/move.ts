/**
 * `deno task move`: moves a clinic from one project to another.
 *
 * A clinic is in one project at a time, so nobody can book the same minute in both. Its rows are read
 * by deleting them: exactly what leaves one project arrives in the other, even if somebody changed it a
 * moment before. The new project commits first. If the old one then cannot commit, the clinic still
 * takes its calls in the old one, and the next run replaces the unused copy. The new project sends no
 * texts about appointments before the old one has committed, so no patient is texted by both.
 *
 * @module
 */

import type postgres from "postgres";
import { decryptAccount, encryptAccount } from "../../shared/accounts.ts";
import { fromBase64, fromHex, toBase64, toHex } from "../../shared/bytes.ts";
import { type Config, readCredentialConfig } from "../../shared/config.ts";
import { type Clinic, loadSettings, readEnvFile, seekClinic, withDatabase } from "./database.ts";
import { defineTask, main, Misuse, requireConsent, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";
import { reencryptSecrets, type StoredEndpoint } from "./webhooks/secrets.ts";

const usage = `deno task move --org SLUG_OR_ID --to FILE [--dry-run] [--yes] [--env FILE] [--db URL]
  moves a clinic, its appointments and its patients to another project of the same version.
  The clinic's callers hear that the clinic cannot be reached until its numbers at Vapi are moved too
  --to FILE   a file with SUPABASE_DB_URL and CREDENTIAL_KEYS of the other project, such as its .env
  --dry-run   only say what would be moved
  --yes       move without asking
  --env FILE  a file with SUPABASE_DB_URL and CREDENTIAL_KEYS of this project, which overrides the
              environment; if left out, the environment, then .env
  --db URL    this project's database as its owner, instead of SUPABASE_DB_URL
  exit code 0: moved, 1: it cannot be moved, 2: wrong arguments, 3: a database could not be reached`;

/** Tables that do not move with a clinic, and why. Every other table with an organization moves. */
export const leftBehind: Readonly<Record<string, string>> = {
  "public.calls": "a call ends where it is answered",
  "public.tool_calls": "a call ends where it is answered",
  "public.one_time_passcodes": "its key is a secret of the functions that sent it",
  "public.appointment_changes": "a change that a call has not finished",
  "public.alarm_counters": "counts the calls of the last hour",
  "public.org_members": "accounts belong to a project",
  "public.audit_logs": "is sealed where it was written",
  "private.audit_seals": "seals the log that stays",
  "private.audit_purges": "belongs to the log that stays",
  "private.arriving_clinics": "says what the move has not ended yet",
  "private.overlap_watch": "says where a job of the project is",
};

/** The task. */
export const move = defineTask({
  usage,
  options: {
    org: { type: "string" },
    to: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    env: { type: "string" },
    db: { type: "string" },
  },
  run: async ({ values: { org, to, yes, ...values } }, { env, terminal }) => {
    if (!org || !to) throw new Misuse("Give --org SLUG_OR_ID and --to FILE");
    const here = await loadSettings(values, env);
    const there = await readEnvFile(to);
    const keys = {
      here: readCredentialConfig(here).credentialKeys,
      there: readCredentialConfig(there).credentialKeys,
    };
    return await withDatabase(
      here["SUPABASE_DB_URL"],
      (source) =>
        withDatabase(there["SUPABASE_DB_URL"], async (target) => {
          await requireOther(source, target);
          await requireSameVersion(source, target);
          const clinic = await seekClinic(source, org);
          if (!clinic) {
            const moved = values["dry-run"] ? undefined : await findMoved(source, target, org);
            if (!moved) throw new Stop(1, `There is no clinic ${org} in this project`);
            await endMove(target, moved);
            terminal.print(`${moved.name} is in the other project, and its texts are sent there.`);
            return 0;
          }
          await describe(source, clinic, terminal);
          if (values["dry-run"]) {
            terminal.print("Nothing was moved");
            return 0;
          }
          const question = `Move ${clinic.name}? Take a backup of both first.`;
          if (!yes) await requireConsent(terminal, question, "move it", "moved");
          const members = await findMembers(source, clinic);
          await transfer({ source, target, clinic, keys });
          terminal.print(`${clinic.name} is now in the other project, and no longer in this one.`);
          tellNextSteps(clinic, members, to, terminal);
          await endMove(target, clinic);
          return 0;
        }),
    );
  },
});

/** What the project's jobs write to the audit log, also of a clinic that nobody uses there. */
const jobActions = [
  ...["cleanup_expired_holds", "apply_retention", "watch_overlaps", "import_busy_times"],
  ...["text_appointment", "deliver_text", "raise_alarm"],
];

/** In one database the move would wait for its own locks for ever. A lock is only seen where it was taken. */
async function requireOther(source: postgres.Sql, target: postgres.Sql): Promise<void> {
  const key = `move ${crypto.randomUUID()}`;
  const isFree = await source.begin(async (here) => {
    await here`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`;
    const [lock] = await target<{ free: boolean }[]>`
      select pg_try_advisory_xact_lock(hashtextextended(${key}, 0)) as free`;
    return lock?.free === true;
  });
  if (!isFree) throw new Stop(2, "--to is the project that already has the clinic");
}

async function requireSameVersion(source: postgres.Sql, target: postgres.Sql): Promise<void> {
  const [here, there] = await Promise.all([source, target].map(async (sql) => {
    const [known] =
      await sql`select to_regclass('supabase_migrations.schema_migrations') is not null
      and to_regclass('public.organizations') is not null as is_ours`;
    if (!known?.["is_ours"]) return undefined;
    const rows = await sql<{ version: string }[]>`
      select version from supabase_migrations.schema_migrations order by version`;
    return rows.map(({ version }) => version).join();
  }));
  if (here === undefined) throw new Stop(2, "This database has no clinics");
  if (there === undefined) {
    throw new Stop(
      1,
      "The other database has no migrations: deploy there first (deno task deploy)",
    );
  }
  if (here !== there) {
    throw new Stop(1, "The projects have different migrations: deploy the same version to both");
  }
}

/** A clinic that has left this project, and whose move the other one has not seen the end of. */
async function findMoved(
  source: postgres.Sql,
  target: postgres.Sql,
  org: string,
): Promise<Clinic | undefined> {
  const clinic = await seekClinic(target, org);
  if (!clinic) return undefined;
  const [arriving] = await target`
    select from private.arriving_clinics where org_id = ${clinic.id}`;
  const [left] = await source`select from public.audit_logs
    where org_id = ${clinic.id} and action = 'move_clinic' and outcome = 'moved_out' limit 1`;
  return arriving && left ? clinic : undefined;
}

/** Lets the other project send the clinic's texts, now that this one cannot. */
async function endMove(target: postgres.Sql, { id, name }: Clinic): Promise<void> {
  try {
    await target`delete from private.arriving_clinics where org_id = ${id}`;
  } catch {
    throw new Stop(
      1,
      `${name}'s texts about appointments wait, since the end of the move could not be written in ` +
        "the other project. Run it again",
    );
  }
}

interface Table {
  readonly name: string;
  /** The column that has the organization's id. */
  readonly key: "id" | "org_id";
  /** Without generated columns. */
  readonly columns: readonly string[];
}

/** The tables that move, each after those that it refers to. */
async function findTables(sql: postgres.ISql): Promise<Table[]> {
  const rows = await sql<(Table & { refers: string[] })[]>`
    select format('%I.%I', n.nspname, c.relname) as name,
      case when c.oid = 'public.organizations'::regclass then 'id' else 'org_id' end as key,
      (select array_agg(quote_ident(a.attname) order by a.attnum) from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')
        as columns,
      array(select format('%I.%I', m.nspname, f.relname) from pg_constraint as k
        join pg_class as f on f.oid = k.confrelid join pg_namespace as m on m.oid = f.relnamespace
        where k.conrelid = c.oid and k.contype = 'f' and f.oid <> c.oid) as refers
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname in ('public', 'private')
      and (c.oid = 'public.organizations'::regclass or exists (select from pg_attribute as a
        where a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped))
    order by 1`;
  const waiting = rows.filter(({ name }) => !(name in leftBehind));
  const ordered: Table[] = [];
  while (waiting.length > 0) {
    const next = waiting.findIndex(({ refers }) =>
      !waiting.some(({ name }) => refers.includes(name))
    );
    if (next < 0) throw new Error(`Tables refer to each other: ${waiting.map((t) => t.name)}`);
    ordered.push(...waiting.splice(next, 1));
  }
  return ordered;
}

async function describe(sql: postgres.Sql, { id, name }: Clinic, terminal: Terminal) {
  const counts = await count(sql, await findTables(sql), id);
  terminal.print(`${name}: ${writeCounts(counts)}`);
}

type Counts = Readonly<Record<string, number>>;

async function count(sql: postgres.ISql, tables: readonly Table[], id: string): Promise<Counts> {
  const entries: [string, number][] = [];
  for (const { name, key } of tables) {
    const [row] = await sql.unsafe(`select count(*)::int as n from ${name} where ${key} = $1`, [
      id,
    ]);
    if (row?.["n"] > 0) entries.push([name.replace(/^public\./, ""), row?.["n"]]);
  }
  return Object.fromEntries(entries);
}

const writeCounts = (counts: Counts) =>
  Object.entries(counts).map(([name, rows]) => `${name} ${rows}`).join(", ");

interface Transfer {
  readonly source: postgres.Sql;
  readonly target: postgres.Sql;
  readonly clinic: Clinic;
  readonly keys: Readonly<Record<"here" | "there", Config["credentialKeys"]>>;
}

/** Rows as JSON, by table. */
type RowsByTable = ReadonlyMap<string, readonly string[]>;

async function transfer({ source, target, clinic, keys }: Transfer): Promise<void> {
  let isCommittedThere = false;
  try {
    await source.begin(async (here) => {
      await lockClinic(here, clinic);
      const tables = await findTables(here);
      const taken = await takeRows(here, tables, clinic, keys);
      const counts = Object.fromEntries(
        [...taken].map(([name, rows]) => [name.replace(/^public\./, ""), rows.length] as const)
          .filter(([, rows]) => rows > 0),
      );
      await note(here, clinic, "moved_out", counts);
      await target.begin(async (there) => {
        await clearTarget(there, clinic, taken.get("public.org_channels") ?? []);
        await insertRows(there, tables, taken);
        const found = await count(there, tables, clinic.id);
        if (writeCounts(sorted(found)) !== writeCounts(sorted(counts))) {
          throw new Stop(1, `Not everything arrived, so nothing was moved: ${writeCounts(found)}`);
        }
        await there`insert into private.arriving_clinics (org_id) values (${clinic.id})`;
        await note(there, clinic, "moved_in", counts);
      });
      isCommittedThere = true;
    });
  } catch (thrown) {
    if (isCommittedThere) {
      throw new Stop(
        1,
        `${clinic.name} takes its calls here as before, and the other project has a copy: the end ` +
          "could not be written here. Run it again, which replaces the copy",
      );
    }
    throw isBusy(thrown)
      ? new Stop(1, "Calls or the desk are using the clinic; nothing was moved. Run it again")
      : thrown;
  }
}

const sorted = (counts: Counts) =>
  Object.fromEntries(Object.entries(counts).sort(([one], [other]) => one < other ? -1 : 1));

/** A lock was not acquired, or was given up to resolve a deadlock. */
const isBusy = (thrown: unknown) =>
  thrown instanceof Error && "code" in thrown && ["55P03", "40P01"].includes(String(thrown.code));

/** From now on nothing new can be written for the clinic, and no booking is under way. */
async function lockClinic(sql: postgres.ISql, { id, name }: Clinic): Promise<void> {
  await sql`set local lock_timeout = '5s'`;
  await sql`select from public.organizations where id = ${id} for update`;
  const [held] = await sql<{ holds: number; until: Date | null }[]>`
    select count(*)::int as holds, max(expires_at) as until from public.appointments
    where org_id = ${id} and status = 'held' and handed_over_at is null
      and expires_at > clock_timestamp()`;
  if (held && held.holds > 0) {
    throw new Stop(
      1,
      `${held.holds} callers of ${name} are booking; nothing was moved. The last of their holds ends ` +
        `at ${held.until?.toISOString().slice(11, 16)} UTC: run it again then`,
    );
  }
}

/** Takes the clinic's rows out, with its Twilio account encrypted for the other project. */
async function takeRows(
  sql: postgres.ISql,
  tables: readonly Table[],
  { id, slug }: Clinic,
  keys: Transfer["keys"],
): Promise<RowsByTable> {
  const taken = new Map<string, readonly string[]>();
  for (const { name, key, columns } of tables.toReversed()) {
    const rows = await sql.unsafe<{ row: string }[]>(
      `with gone as (delete from ${name} where ${key} = $1 returning ${columns.join(", ")})
      select to_jsonb(gone)::text as row from gone`,
      [id],
    );
    taken.set(name, rows.map(({ row }) => row));
  }
  const accounts = taken.get("public.org_credentials") ?? [];
  const sealed = await Promise.all(accounts.map((row) => encryptForTarget(JSON.parse(row), keys)))
    .catch(() => {
      throw new Stop(
        1,
        `The Twilio account of ${slug} cannot be read with this project's CREDENTIAL_KEYS; nothing ` +
          `was moved. See deno task credentials check --org ${slug}`,
      );
    });
  const endpoints = taken.get("public.webhook_endpoints") ?? [];
  const signing = await Promise.all(endpoints.map((row) => encryptSecrets(JSON.parse(row), keys)))
    .catch(() => {
      throw new Stop(
        1,
        `The secret of an endpoint of ${slug} cannot be read with this project's CREDENTIAL_KEYS; ` +
          "nothing was moved. Replace it with deno task webhooks rotate",
      );
    });
  return taken.set("public.org_credentials", sealed).set("public.webhook_endpoints", signing);
}

interface EndpointRow {
  readonly org_id: string;
  readonly id: string;
  readonly secrets: StoredEndpoint["secrets"];
}

async function encryptSecrets(row: EndpointRow, keys: Transfer["keys"]): Promise<string> {
  const endpoint = { orgId: row.org_id, endpointId: row.id, secrets: row.secrets };
  return JSON.stringify({
    ...row,
    secrets: await reencryptSecrets(endpoint, keys.here, keys.there),
  });
}

interface StoredAccount {
  readonly org_id: string;
  readonly key_id: string;
  /** As PostgreSQL writes bytes: `\x` and hexadecimal digits. */
  readonly nonce: string;
  readonly ciphertext: string;
}

async function encryptForTarget(row: StoredAccount, keys: Transfer["keys"]): Promise<string> {
  const read = (bytes: string) => toBase64(fromHex(bytes.slice(2)));
  const account = await decryptAccount(keys.here, row.org_id, {
    keyId: row.key_id,
    nonce: read(row.nonce),
    ciphertext: read(row.ciphertext),
  });
  const { keyId, nonce, ciphertext } = await encryptAccount(keys.there, row.org_id, account);
  const write = (base64: string) => `\\x${toHex(fromBase64(base64))}`;
  const stored = { ...row, key_id: keyId, nonce: write(nonce), ciphertext: write(ciphertext) };
  return JSON.stringify(stored);
}

/**
 * Refuses a clinic that already exists in the other project, unless it is the copy of a run that did
 * not finish. Jobs also clean up in a copy, which is not use.
 *
 * @throws {Stop} If the clinic, its slug or one of its numbers is taken there.
 */
async function clearTarget(
  sql: postgres.ISql,
  { id, slug, name }: Clinic,
  channels: readonly string[],
): Promise<void> {
  const [other] = await sql<Clinic[]>`
    select id, slug, name from public.organizations where slug = ${slug} and id <> ${id}`;
  if (other) {
    throw new Stop(1, `The other project has another clinic ${slug}; nothing was moved`);
  }
  const [copy] = await sql<{ isUsed: boolean }[]>`
    select exists (
      select from public.audit_logs as l where l.org_id = o.id
        and l.action <> all (${[...jobActions, "move_clinic"]}::text[])
        and l.at > (select coalesce(max(m.at), '-infinity') from public.audit_logs as m
          where m.org_id = o.id and m.action = 'move_clinic' and m.outcome = 'moved_in')
    ) as "isUsed"
    from public.organizations as o where o.id = ${id} for update`;
  if (copy?.isUsed) {
    throw new Stop(1, `${name} is in the other project and in use there; nothing was moved`);
  }
  if (copy) {
    await sql`delete from public.appointments where org_id = ${id}`;
    await sql`delete from public.organizations where id = ${id}`;
  }
  const [used] = await sql<{ value: string; slug: string }[]>`
    select c.value, o.slug
    from jsonb_populate_recordset(null::public.org_channels, ${list(channels)}::text::jsonb) as ours
    join public.org_channels as c on c.kind = ours.kind and c.value = ours.value
    join public.organizations as o on o.id = c.org_id`;
  if (used) {
    throw new Stop(
      1,
      `${used.value} belongs to the clinic ${used.slug} in the other project; nothing was moved. ` +
        "Remove it there first",
    );
  }
}

const list = (rows: readonly string[]) => `[${rows.join(",")}]`;

/** How many rows go into one statement. */
const batchSize = 500;

async function insertRows(
  sql: postgres.ISql,
  tables: readonly Table[],
  taken: RowsByTable,
): Promise<void> {
  for (const { name, columns } of tables) {
    const names = columns.join(", ");
    const rows = taken.get(name) ?? [];
    for (let from = 0; from < rows.length; from += batchSize) {
      await sql.unsafe(
        `insert into ${name} (${names})
        select ${names} from jsonb_populate_recordset(null::${name}, $1::text::jsonb)`,
        [list(rows.slice(from, from + batchSize))],
      );
    }
  }
}

/** Records row counts, without personal data. */
async function note(
  sql: postgres.ISql,
  { id }: Clinic,
  outcome: "moved_out" | "moved_in",
  counts: Counts,
): Promise<void> {
  await sql`select private.audit(${id}, null, 'move_clinic', null, ${outcome},
    ${JSON.stringify(counts)}::text::jsonb)`;
}

interface Member {
  readonly email: string;
  readonly role: string;
}

async function findMembers(sql: postgres.Sql, { id }: Clinic): Promise<readonly Member[]> {
  return await sql<Member[]>`
    select u.email, m.role from public.org_members as m join auth.users as u on u.id = m.user_id
    where m.org_id = ${id} order by u.email`;
}

function tellNextSteps(
  { id, slug }: Clinic,
  members: readonly Member[],
  file: string,
  terminal: Terminal,
): void {
  const steps = [
    `deno task vapi sync --org ${slug} --env ${file}, so that its numbers at Vapi call that project`,
    ...members.map(({ email, role }) =>
      `deno task member add --org ${slug} --email ${email} --role ${role} --env ${file}, once the ` +
      "account exists there"
    ),
    `deno task credentials check --org ${slug} --env ${file}`,
  ];
  terminal.print("Now:");
  for (const step of steps) terminal.print(`- ${step}`);
  terminal.print(`Its audit log stays here, under ${id}`);
}

if (import.meta.main) await main(move);
