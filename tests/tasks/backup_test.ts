/**
 * deno task backup and restore: everything of ours comes back with its rights, and anything but a
 * backup is refused.
 */
import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { migrate } from "../../supabase/local/migrations.ts";
import {
  defaultStateDir,
  type PostgresServer,
  startPostgres,
} from "../../supabase/local/postgres.ts";
import { describeFailure } from "../../supabase/tasks/backup/programs.ts";
import { backup } from "../../supabase/tasks/backup.ts";
import { doctor } from "../../supabase/tasks/doctor.ts";
import { restore } from "../../supabase/tasks/restore.ts";
import { runTask } from "../../supabase/tasks/task.ts";
import { clientBinDir } from "../support/backup.ts";
import { aCaller, findDoubles, openLines, readCode, sendCode } from "../support/callers.ts";
import { aClinic, aDay, type Clinic } from "../support/clinic.ts";
import { grantingDefaults, migrations } from "../support/database.ts";
import { isFull } from "../support/length.ts";
import { aTerminal, runHere } from "../support/terminal.ts";

const phone = "+447700900123";

/** A server with a project's database, and what a test does with them. */
interface Bench {
  readonly server: PostgresServer;
  readonly source: postgres.Sql;
  readonly clinic: Clinic;
  readonly folder: string;
  /** Creates an empty project, which grants everything by default, and returns its database. */
  emptyProject(): Promise<string>;
  /** The database with this name. */
  as(database: string, role?: "postgres" | "supabase_admin"): postgres.Sql;
  run(task: typeof backup | typeof restore, args: readonly string[], env?: object): Promise<Ran>;
}

interface Ran {
  readonly code: number;
  readonly said: string;
}

async function makeBench(
  server: PostgresServer,
  folder: string,
  ends: (() => unknown)[],
): Promise<Bench> {
  const as: Bench["as"] = (database, role = "postgres") => {
    const sql = postgres(server.url({ role, database }), { max: 2, onnotice: () => {} });
    ends.push(() => sql.end({ timeout: 5 }));
    return sql;
  };
  await migrate(server.url(), migrations);
  const source = as("postgres");
  const clinic = await aClinic(source, { zone: "UTC" });
  return {
    ...{ server, source, clinic, folder, as },
    emptyProject: async () => {
      const name = `project_${crypto.randomUUID().slice(0, 8)}`;
      await as("postgres", "supabase_admin").unsafe(
        `create database ${name} template template1 owner postgres`,
      );
      await as(name, "supabase_admin").unsafe(grantingDefaults);
      return name;
    },
    run: async (task, args, env = {}) => {
      const given = { PG_BIN: clientBinDir ?? "", SUPABASE_DB_URL: server.url(), ...env };
      const { code, said } = await runHere<never>(task as never, args, given);
      assert.ok(!said.includes(phone), said);
      return { code, said };
    },
  };
}

/**
 * A day at the clinic: one appointment, one code under way, one hold; a member; a job that is switched
 * off.
 */
async function playDay({ server, source, clinic, as }: Bench) {
  const lines = await openLines({ url: (role = "postgres") => server.url({ role }) }, 1);
  const [line] = lines.all;
  assert.ok(line);
  const [booked, waiting, holding] = [aCaller(clinic, phone), aCaller(clinic), aCaller(clinic)];
  for (const [hour, caller] of [["10", booked], ["11", waiting], ["12", holding]] as const) {
    const slot = `consultation/${aDay(2, "UTC")}T${hour}:00/doctor-1`;
    assert.equal(
      (await line.ask("claim_slot_atomic", caller, { p_slot_id: slot })).outcome,
      "held",
    );
  }
  await source`select public.add_webhook(${clinic.id}, ${crypto.randomUUID()},
    'https://hooks.example/', '{booking.created}', false, '{}')`;
  await sendCode(line, booked, "482913");
  assert.equal((await readCode(line, booked, "482913")).outcome, "confirmed");
  await sendCode(line, waiting, "593024");
  await lines.close();
  await as("postgres", "supabase_admin")`insert into auth.users (id, email)
    values ('5a11d0e5-0000-4000-8000-00000000000a', 'ada@clinic.test')`;
  await source`select public.set_member(${clinic.id}, '5a11d0e5-0000-4000-8000-00000000000a', 'desk')`;
  await as("postgres", "supabase_admin")`
    update cron.job set active = false where jobname = 'apply-retention'`;
  return { waiting };
}

const bookings = (sql: postgres.Sql) =>
  sql`select id, status, starts_at, session_key from public.appointments order by starts_at`;

Deno.test(
  "a day's backup is restored into another project and into its own, and anything but a backup is refused",
  { ignore: clientBinDir === undefined || !isFull },
  async (t) => {
    assert.ok(clientBinDir);
    const stateDir = defaultStateDir(`test-${Deno.pid}-backup`);
    // As few locks as the smallest hosted project has.
    const settings = { max_connections: "60" };
    const server = await startPostgres({
      ...{ stateDir, fresh: true, durable: false, binDir: clientBinDir, settings },
    });
    const home = await mkdtemp(join(tmpdir(), "backup-test-"));
    const folder = join(home, "night");
    const ends: (() => unknown)[] = [];
    try {
      const bench = await makeBench(server, folder, ends);
      const day = await playDay(bench);
      const taken = await bench.run(backup, ["--to", folder]);
      assert.equal(taken.code, 0, taken.said);
      assert.match(taken.said, /1 clinics, 3 appointments and holds, 1 contacts\n.*encrypted/);
      for (const step of [refusals, anotherProject, itsOwnProject, byHand, otherAccount]) {
        await t.step(step.name, () => step(bench, day));
      }
    } finally {
      for (const end of ends.reverse()) await end();
      await server.stop("immediate");
      await rm(stateDir, { recursive: true, force: true });
      await rm(home, { recursive: true, force: true });
    }
  },
);

type Day = Awaited<ReturnType<typeof playDay>>;

async function anotherProject(
  { run, emptyProject, server, source, as, folder, clinic }: Bench,
  day: Day,
) {
  const name = await emptyProject();
  const db = server.url({ database: name });
  const checked = await run(restore, [folder, "--check", "--db", db]);
  assert.match(checked.said, /It could be restored\. Nothing was changed$/);
  const { code, said } = await run(restore, [folder, "--db", db]);
  // The job that was switched off stays off, and the doctor says that it is missing.
  assert.equal(code, 1, said);
  assert.deepEqual(said.match(/^FAILED.*/gm), ["FAILED   jobs are scheduled"], said);
  assert.match(said, /apply-retention is not scheduled/);
  const target = as(name);
  assert.deepEqual([...await bookings(target)], [...await bookings(source)]);
  const texts = (sql: postgres.Sql) => sql`select state from public.appointment_texts`;
  assert.deepEqual([...await texts(source)], [{ state: "waiting" }]);
  assert.deepEqual([...await texts(target)], [{ state: "unknown" }], "it may have gone out since");
  const messages = (sql: postgres.Sql) => sql`select state, reason from public.webhook_messages`;
  assert.deepEqual([...await messages(source)], [{ state: "waiting", reason: null }]);
  assert.deepEqual([...await messages(target)], [{ state: "failed", reason: "restored" }]);
  const [rights] = await target`select
    has_table_privilege('anon', 'public.appointments', 'truncate') as open,
    has_function_privilege('service_role', 'public.claim_slot_atomic'::regproc, 'execute') as called,
    (select count(*)::int from public.org_members as m join auth.users as u on u.id = m.user_id
      where u.email = 'ada@clinic.test' and m.role = 'desk') as members,
    (select count(*)::int from pg_stats where schemaname = 'public') > 0 as analyzed`;
  assert.deepEqual({ ...rights }, { open: false, called: true, members: 1, analyzed: true });
  // Nobody gets the time of an appointment, and the code that was under way confirms.
  const lines = await openLines({
    url: (role = "postgres") => server.url({ role, database: name }),
  }, 1);
  const [line] = lines.all;
  const p_slot_id = `consultation/${aDay(2, "UTC")}T10:00/doctor-1`;
  const taken = await line?.ask("claim_slot_atomic", aCaller(clinic), { p_slot_id });
  assert.equal(taken?.outcome, "slot_taken");
  if (line) assert.equal((await readCode(line, day.waiting, "593024")).outcome, "confirmed");
  await lines.close();
  assert.deepEqual(await findDoubles(target), []);
}

async function itsOwnProject({ run, source, folder, clinic }: Bench) {
  const before = [...await bookings(source)];
  // A bad morning: rows are gone, and one was added.
  await source`delete from public.one_time_passcodes`;
  await source`update public.appointments set status = 'cancelled' where status = 'confirmed'`;
  await source`update public.organizations set name = 'Wrong' where id = ${clinic.id}`;
  const refused = await run(restore, [folder]);
  assert.equal(refused.code, 1);
  assert.match(
    refused.said,
    /is not empty: it has .*schema private, .* and \d+ more\. .*--replace/,
  );
  const { said } = await run(restore, [folder, "--replace"]);
  assert.deepEqual(said.match(/^FAILED.*/gm), ["FAILED   jobs are scheduled"], said);
  assert.deepEqual([...await bookings(source)], before);
  const [row] =
    await source`select o.name, (select count(*)::int from public.one_time_passcodes) as codes
    from public.organizations as o where o.id = ${clinic.id}`;
  assert.deepEqual({ ...row }, { name: "Sunrise Dental", codes: 2 });
}

async function byHand({ emptyProject, server, as, folder }: Bench) {
  const name = await emptyProject();
  const target = as(name);
  await target`create extension btree_gist with schema extensions`;
  await target`create extension pg_trgm with schema extensions`;
  await target`insert into auth.users (id) values ('5a11d0e5-0000-4000-8000-00000000000a')`;
  const { stderr } = await new Deno.Command(join(clientBinDir ?? "", "pg_restore"), {
    args: ["--no-owner", "--dbname", server.url({ database: name }), join(folder, "database.dump")],
  }).output();
  assert.match(new TextDecoder().decode(stderr), /errors ignored on restore: 1$/m);
  const examine = async () => {
    const { terminal, lines } = aTerminal();
    const args = ["--url", "http://127.0.0.1:9", "--db", server.url({ database: name })];
    await runTask(doctor, args, { terminal, env: {} });
    return lines.join("\n");
  };
  const said = await examine();
  for (
    const problem of [
      /anon has DELETE, .* on table \S+ and \d+ more, and should have none\n +fix: .*public\.audit_logs,/,
      /service_role has .*, and should have SELECT\n +fix: .*public\.contacts,.*; grant SELECT on table/,
      /anon has EXECUTE on function .*, and should have none\n +fix: .*public\.erase_patient,/,
      /seal-audit is not scheduled/,
      /anon gets rights on tables that are created later/,
    ]
  ) assert.match(said, problem);
  // The doctor's advice fixes it.
  for (const [, fix = ""] of said.matchAll(/^ +fix: ((?:revoke|alter default|create ext).*)$/gm)) {
    await target.unsafe(fix);
  }
  const after = await examine();
  assert.match(after, /^ok {7}the API's roles have the rights that the migrations give$/m);
  assert.match(after, /^ok {7}the API's roles have no rights by default$/m);
}

async function otherAccount({ run, emptyProject, server, as, folder }: Bench) {
  const name = await emptyProject();
  await as(name, "supabase_admin")`insert into auth.users (email) values ('ada@clinic.test')`;
  const { code, said } = await run(restore, [folder, "--db", server.url({ database: name })]);
  assert.equal(code, 1);
  assert.match(said, /an account there has the same e-mail and another id\. Delete that one/);
  const [row] = await as(name)`select to_regnamespace('private') is null as untouched`;
  assert.equal(row?.["untouched"], true);
}

async function refusals({ run, emptyProject, server, folder }: Bench) {
  const name = await emptyProject();
  const db = server.url({ database: name });
  const refuse = async (
    task: typeof backup | typeof restore,
    args: string[],
    why: RegExp,
    env = {},
  ) => {
    const { code, said } = await run(task, args, env);
    assert.ok(code > 0, said);
    assert.match(said, why);
  };
  for (const file of ["", "database.dump", "accounts.dump", "backup.json"]) {
    assert.equal(statSync(join(folder, file)).mode & 0o077, 0);
  }
  await refuse(backup, ["--to", folder], /night exists: give another folder with --to/);
  await refuse(backup, ["--to", `${folder}-2`, "--db", db], /the migrations are not applied there/);
  const missing = { PG_BIN: tmpdir() };
  await refuse(
    backup,
    ["--to", `${folder}-2`],
    /Cannot run .*pg_dump: install .*version \d\d/,
    missing,
  );
  await refuse(restore, [folder, "--db", db], /Cannot run .*pg_restore: install/, missing);
  const old = join(folder, "..", "old");
  await Deno.mkdir(old);
  for (const program of ["pg_dump", "pg_restore"]) {
    writeFileSync(join(old, program), `#!/bin/sh\necho "${program} (PostgreSQL) 9.6.24"\n`);
    await chmod(join(old, program), 0o755);
  }
  await refuse(backup, ["--to", `${folder}-2`], /has version 9, and \d\d is needed/, {
    PG_BIN: old,
  });
  assert.throws(() => statSync(`${folder}-2`));
  await refuse(restore, [tmpdir()], /is not a backup: there is no backup\.json in it/);
  await refuse(restore, [], /Give the folder of one backup/);
  const spoil = async (change: (copy: string) => void, why: RegExp) => {
    const copy = join(folder, "..", crypto.randomUUID());
    cpSync(folder, copy, { recursive: true });
    change(copy);
    await refuse(restore, [copy, "--db", db], why);
  };
  const archive = "database.dump";
  await spoil(
    (copy) => truncateSync(join(copy, archive), 5000),
    /has 5000 bytes, and \d+ were written/,
  );
  await spoil((copy) => rmSync(join(copy, archive)), /is not complete: database\.dump is missing/);
  await spoil((copy) => {
    const bytes = readFileSync(join(copy, archive));
    bytes.writeUInt8((bytes.at(-9) ?? 0) ^ 1, bytes.length - 9);
    writeFileSync(join(copy, archive), bytes);
  }, /is not what was written: its hash differs/);
  await spoil(
    (copy) => writeFileSync(join(copy, "backup.json"), "{}"),
    /backup\.json .* is damaged/,
  );
}

Deno.test("what a program prints about rows is not passed on", () => {
  const said = `pg_restore: warning: something
pg_restore: error: COPY failed for table "contacts": ERROR:  duplicate key for ${phone}
DETAIL:  Key (phone)=(${phone}) already exists.
CONTEXT:  COPY contacts, line 1`;
  const told = describeFailure(said);
  assert.match(told, /^Nothing was done: pg_restore: error: COPY failed for table "contacts"/);
  assert.doesNotMatch(told, /DETAIL|CONTEXT|7700900123/);
});
