/** The audit log's seals: changed, removed and inserted rows are found; retention is not reported. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { withConnection } from "../../supabase/local/connection.ts";
import { audit } from "../../supabase/tasks/audit.ts";
import { runHere } from "../support/terminal.ts";
import { aClinic, type Clinic } from "../support/clinic.ts";
import {
  clusterVariable,
  type TestDatabase,
  testWithDatabase as test,
} from "../support/database.ts";

// Needs a separate server: sealing waits for every transaction on the server, including other tests'.
Deno.env.delete(clusterVariable);

interface Verified {
  readonly outcome: string;
  readonly seals: number;
  readonly sealed: number;
  readonly purged: number;
  readonly waiting: number;
  readonly newest: { readonly seal: number; readonly hash: string } | null;
  readonly found: number;
  readonly findings: readonly {
    readonly seal: number | null;
    readonly finding: string;
    readonly rowId: string | null;
  }[];
}

async function verify(sql: postgres.Sql, { id }: Clinic): Promise<Verified> {
  const [row] = await sql`select public.verify_audit(${id}) as answer`;
  return row?.["answer"];
}

const found = async (sql: postgres.Sql, clinic: Clinic) =>
  (await verify(sql, clinic)).findings.map(({ seal, finding }) => [seal, finding]);

/** Writes audit rows of a clinic in one transaction, so that one seal covers them. */
async function write(sql: postgres.Sql, { id }: Clinic, count: number): Promise<void> {
  await sql`select private.audit(${id}, '{"callId": "a", "callerNumber": "+447700900123"}',
    'test', gen_random_uuid(), 'ok', jsonb_build_object('index', n))
    from generate_series(1, ${count}) as n`;
}

/** Writes rows, each in its own transaction. */
async function writeEach(sql: postgres.Sql, clinic: Clinic, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await write(sql, clinic, 1);
}

/** Seals everything; the server's own transactions may delay that. */
async function seal(sql: postgres.Sql, ...clinics: readonly Clinic[]): Promise<void> {
  for (let waitMs = 10;; waitMs = Math.min(2 * waitMs, 500)) {
    await sql`select public.seal_audit()`;
    const left = await Promise.all(clinics.map((clinic) => verify(sql, clinic)));
    if (left.every(({ waiting }) => waiting === 0)) return;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** A clinic with batches of these sizes. */
async function sealed(sql: postgres.Sql, ...sizes: readonly number[]): Promise<Clinic> {
  const clinic = await aClinic(sql);
  for (const size of sizes) {
    await write(sql, clinic, size);
    await seal(sql, clinic);
  }
  return clinic;
}

/** The id of a transaction that the server has yet to start. */
const ahead = (count: number) => `(pg_current_xact_id()::text::bigint + ${count})::text::xid8`;

/** Does what only the superuser can do, then rolls it back. */
async function tampered(
  { admin }: TestDatabase,
  statement: string,
  work: (sql: postgres.Sql) => Promise<void>,
): Promise<void> {
  class Undo extends Error {}
  await admin.begin(async (transaction) => {
    const { count } = await transaction.unsafe(statement);
    assert.ok(count > 0, statement);
    await work(transaction as unknown as postgres.Sql);
    throw new Undo();
  }).catch((thrown) => {
    if (!(thrown instanceof Undo)) throw thrown;
  });
}

test("each clinic's rows are sealed in a separate chain, and an unchanged log is intact", async ({ sql }) => {
  const [one, two] = [await aClinic(sql), await aClinic(sql)];
  assert.deepEqual((await verify(sql, one)).newest, null);
  for (const size of [3, 1, 2]) {
    await write(sql, one, size);
    await write(sql, two, 1);
    await seal(sql, one, two);
  }
  const [first, second] = [await verify(sql, one), await verify(sql, two)];
  assert.deepEqual(
    [first, second].map(({ outcome, sealed, waiting, purged }) => [
      outcome,
      sealed,
      waiting,
      purged,
    ]),
    [["intact", 6, 0, 0], ["intact", 3, 0, 0]],
  );
  assert.ok(first.seals >= 3 && second.seals >= 3);
  assert.equal(first.newest?.seal, first.seals);
  await sql`select public.seal_audit()`;
  assert.deepEqual(await verify(sql, one), first, "nothing new, no seal");
  await write(sql, one, 1);
  assert.deepEqual((await verify(sql, one)).waiting, 1);
});

test("a row that is changed in any of its columns, removed or slipped in is found, with its batch", async (database) => {
  const { sql } = database;
  const clinic = await sealed(sql, 2, 3, 2);
  const [row] = await sql`
    select s.number, s.ids[2] as id from private.audit_seals as s
    where s.org_id = ${clinic.id} and cardinality(s.ids) > 1 order by s.number offset 1 limit 1`;
  const { number, id } = row as unknown as { number: number; id: string };
  const columns = await sql<{ name: string; type: string }[]>`
    select column_name as name, udt_name as type from information_schema.columns
    where table_schema = 'public' and table_name = 'audit_logs' and column_name <> 'org_id'`;
  const changed: Readonly<Record<string, string>> = {
    actor: "'system'",
    caller_masked: "'***99'",
    text: "'other'",
    uuid: "gen_random_uuid()",
    timestamptz: "at + interval '1 microsecond'",
    jsonb: `'{"index": 99}'`,
    xid8: "'3'",
  };
  assert.ok(columns.length >= 13);
  for (const { name, type } of columns) {
    const value = changed[name] ?? changed[type];
    assert.ok(value, `Say how ${name} is changed`);
    await tampered(
      database,
      `update public.audit_logs set ${name} = ${value} where id = '${id}'`,
      async (admin) => {
        const kinds = await found(admin, clinic);
        assert.deepEqual(
          kinds.filter(([seal]) => seal !== null),
          [[number, name === "id" ? "row_removed" : "row_changed"]],
          name,
        );
      },
    );
  }
  await tampered(
    database,
    `delete from public.audit_logs where id = '${id}'`,
    async (admin) => {
      const answer = await verify(admin, clinic);
      assert.deepEqual([answer.outcome, answer.found], ["broken", 1]);
      assert.deepEqual(
        answer.findings.map(({ seal, finding, rowId }) => [seal, finding, rowId]),
        [[number, "row_removed", id]],
      );
    },
  );
  await tampered(
    database,
    `insert into public.audit_logs (org_id, actor, action, outcome, transaction_id)
     select org_id, 'system', 'x', 'x', transaction_id from public.audit_logs where id = '${id}'`,
    async (admin) => assert.deepEqual(await found(admin, clinic), [[null, "row_added"]]),
  );
  assert.equal((await verify(sql, clinic)).outcome, "intact");
});

test("seals that are changed, removed or written again are found, and the log shows a cut end", async (database) => {
  const { sql } = database;
  const clinic = await sealed(sql, 2, 2, 2);
  const of = `where org_id = '${clinic.id}' and number`;
  const last = (await verify(sql, clinic)).newest;
  assert.ok(last && last.seal >= 3);
  const cases: readonly (readonly [string, readonly unknown[]])[] = [
    [`delete from private.audit_seals ${of} = 2`, [[3, "seals_removed"]]],
    [`update private.audit_seals set hash = sha256('') ${of} = 2`, [[2, "seal_changed"], [
      3,
      "seal_changed",
    ]]],
    [
      `update private.audit_seals set sealed_at = sealed_at - interval '1 day' ${of} = 2`,
      [[2, "seal_changed"]],
    ],
    [
      `update private.audit_seals set digests = array_fill(sha256(''), array[cardinality(ids)])
        ${of} = ${last.seal}`,
      [[last.seal, "seal_changed"], [last.seal, "row_changed"]],
    ],
    // The whole seal again, with the right hash: the next one still has the old one.
    [
      `with gone as (delete from public.audit_logs where id = (
         select ids[1] from private.audit_seals ${of} = 2))
       update private.audit_seals as s set ids = s.ids[2:], times = s.times[2:],
         digests = s.digests[2:], hash = private.hash_seal(s.org_id, s.number, s.sealed_at, s.ids[2:],
           s.times[2:], s.digests[2:], (select hash from private.audit_seals ${of} = 1)) ${of} = 2`,
      [[3, "seal_changed"]],
    ],
  ];
  for (const [statement, kinds] of cases) {
    await tampered(database, statement, async (admin) => {
      const seen = await found(admin, clinic);
      for (const kind of kinds) {
        assert.ok(seen.some((one) => String(one) === String(kind)), `${statement}: ${seen}`);
      }
    });
  }
  // The newest seal and its rows: what is left is consistent, and only the log shows what is missing.
  await tampered(
    database,
    `with gone as (delete from private.audit_seals ${of} = ${last.seal} returning ids)
     delete from public.audit_logs as l using gone as g where l.id = any (g.ids)`,
    async (admin) => assert.equal((await verify(admin, clinic)).outcome, "intact"),
  );
});

test("the server's log has every new seal, and nothing personal", async (database) => {
  const clinic = await aClinic(database.sql);
  await write(database.sql, clinic, 2);
  const notices: string[] = [];
  const watching = postgres(database.url(), {
    max: 1,
    connection: { client_min_messages: "log" },
    onnotice: ({ message = "" }) => notices.push(message),
  });
  try {
    await seal(watching, clinic);
  } finally {
    await watching.end();
  }
  const told = notices.filter((line) => line.startsWith("audit_sealed "))
    .map((line) => JSON.parse(line.slice("audit_sealed ".length)))
    .filter(({ orgId }) => orgId === clinic.id);
  const { newest } = await verify(database.sql, clinic);
  assert.ok(newest);
  assert.deepEqual(told.at(-1), {
    orgId: clinic.id,
    seal: newest.seal,
    rows: told.at(-1)?.rows,
    hash: newest.hash,
  });
  assert.equal(told.reduce((sum, { rows }) => sum + rows, 0), 2);
});

test("neither a row whose transaction is running nor later rows are sealed, and no row is missed", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  await withConnection(database.url(), async (slow) => {
    await slow`begin`;
    await write(slow, clinic, 1);
    await write(sql, clinic, 3);
    await sql`select public.seal_audit()`;
    const meanwhile = await verify(sql, clinic);
    assert.deepEqual([meanwhile.outcome, meanwhile.seals, meanwhile.waiting], ["intact", 0, 3]);
    await slow`commit`;
  });
  await seal(sql, clinic);
  const after = await verify(sql, clinic);
  assert.deepEqual([after.outcome, after.sealed, after.waiting], ["intact", 4, 0]);
});

test("rows written and sealed by many at once are each under one seal", async (database) => {
  const { sql } = database;
  const clinics = await Promise.all(Array.from({ length: 3 }, () => aClinic(sql)));
  let isWriting = true;
  const sealing = Array.from({ length: 3 }, async () => {
    while (isWriting) await sql`select public.seal_audit(7)`;
  });
  await Promise.all(
    clinics.flatMap((clinic) => [writeEach(sql, clinic, 40), writeEach(sql, clinic, 40)]),
  );
  isWriting = false;
  await Promise.all(sealing);
  await seal(sql, ...clinics);
  for (const clinic of clinics) {
    const { outcome, sealed, seals } = await verify(sql, clinic);
    assert.deepEqual([outcome, sealed], ["intact", 80]);
    assert.ok(seals > 1);
  }
  const [twice] = await sql`
    select count(*)::int as rows, count(distinct id)::int as ids
    from private.audit_seals cross join lateral unnest(ids) as id`;
  assert.deepEqual({ ...twice }, { rows: 240, ids: 240 });
});

test("a batch is bounded, and has all rows of its last transaction", async ({ sql }) => {
  const clinic = await aClinic(sql);
  await writeEach(sql, clinic, 3);
  await write(sql, clinic, 5);
  await writeEach(sql, clinic, 4);
  const counts: number[] = [];
  const sum = () => counts.reduce((all, count) => all + count, 0);
  for (let waitMs = 10; sum() < 12; waitMs *= 2) {
    const [row] = await sql`select public.seal_audit(4) as count`;
    if (row?.["count"] > 0) counts.push(row?.["count"]);
    else await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, 500)));
  }
  assert.ok(counts.length > 1 && counts.every((count) => count < 4 + 5), `${counts}`);
  const { outcome, sealed } = await verify(sql, clinic);
  assert.deepEqual([outcome, sealed], ["intact", 12]);
  for (const rows of [0, null]) {
    await assert.rejects(sql`select public.seal_audit(${rows}::integer)`, /must be at least 1/);
  }
});

test("rows that retention deletes are not reported and their seals stay; other missing rows are reported", async (database) => {
  const { sql, admin } = database;
  const clinic = await aClinic(sql);
  await write(sql, clinic, 4);
  // They are aged before they are sealed, since ageing them later would change sealed rows.
  await admin`update public.audit_logs set at = at - interval '40 days' where org_id = ${clinic.id}`;
  await seal(sql, clinic);
  await write(sql, clinic, 2);
  await seal(sql, clinic);
  const before = await verify(sql, clinic);
  await sql`update public.organizations set audit_retention_days = 35 where id = ${clinic.id}`;
  // A part of a batch, and then the rest of it.
  for (const purged of [3, 4]) {
    await sql`select public.apply_retention(false, 3)`;
    const after = await verify(sql, clinic);
    assert.deepEqual([after.outcome, after.purged], ["intact", purged]);
    assert.ok(after.seals >= before.seals);
  }
  const [row] = await sql`select id from public.audit_logs
    where org_id = ${clinic.id} and action = 'test' limit 1`;
  await tampered(
    database,
    `delete from public.audit_logs where id = '${row?.["id"]}'`,
    async (changed) => {
      assert.deepEqual((await found(changed, clinic)).map(([, kind]) => kind), ["row_removed"]);
      // A false record of retention needs a date, and no clinic keeps its log for less than 30 days.
      await changed`update private.audit_purges set purged_before = now()`;
      assert.deepEqual((await found(changed, clinic)).map(([, kind]) => kind), ["purge_early"]);
    },
  );
});

test("a log that was restored into a younger server is sealed on, each row once", async (database) => {
  const { sql, admin } = database;
  const clinic = await sealed(sql, 3, 2);
  // As if the old server had counted more transactions: up to this one's next ids, and beyond.
  await admin.unsafe(`update private.audit_sealing set through = '9000000000'`);
  await admin.unsafe(
    `update private.audit_seals set through = case number when 1 then ${
      ahead(4)
    } else '9000000000' end`,
  );
  assert.equal((await verify(sql, clinic)).outcome, "intact");
  for (const size of [4, 3]) {
    await write(sql, clinic, size);
    assert.equal((await verify(sql, clinic)).outcome, "intact");
    await seal(sql, clinic);
  }
  const after = await verify(sql, clinic);
  assert.deepEqual([after.outcome, after.sealed, after.waiting], ["intact", 12, 0]);
});

test("a log that came with a backup of another cluster is sealed, whichever transactions its rows name", async (database) => {
  const { sql, admin } = database;
  const clinic = await sealed(sql, 2, 1);
  await write(sql, clinic, 2);
  // The other cluster was slightly ahead, so this one will soon use the same ids.
  await admin.unsafe(`
    update public.audit_logs set transaction_id = ${ahead(20)}
    where id <> all (select unnest(ids) from private.audit_seals);
    update private.audit_seals set through = ${ahead(10)};
    update private.audit_sealing set through = ${ahead(10)}, cluster = cluster + 1`);
  assert.deepEqual([(await verify(sql, clinic)).outcome, (await verify(sql, clinic)).waiting], [
    "intact",
    2,
  ]);
  let rows = 5;
  for (const size of [15, 3, 20]) {
    await writeEach(sql, clinic, size);
    rows += size;
    assert.equal((await verify(sql, clinic)).outcome, "intact");
    await seal(sql, clinic);
    const { outcome, sealed: count, waiting } = await verify(sql, clinic);
    assert.deepEqual([outcome, count, waiting], ["intact", rows, 0]);
  }
  // From then on, a row of a transaction that was sealed is a forgery again.
  await admin`insert into public.audit_logs (org_id, actor, action, outcome, transaction_id)
    select ${clinic.id}, 'system', 'test', 'ok', through from private.audit_sealing`;
  assert.deepEqual((await found(sql, clinic)).map(([, kind]) => kind), ["row_added"]);
});

test("the owner cannot rewrite a seal, and the job seals", async ({ sql }) => {
  const clinic = await sealed(sql, 1);
  for (
    const statement of [
      "update private.audit_seals set hash = hash",
      "delete from private.audit_seals",
      "truncate private.audit_seals",
    ]
  ) await assert.rejects(sql.unsafe(statement), /permission denied/);
  await write(sql, clinic, 1);
  const [job] = await sql`select command, schedule from cron.job where jobname = 'seal-audit'`;
  assert.equal(job?.["schedule"], "* * * * *");
  for (let waitMs = 10; (await verify(sql, clinic)).waiting > 0; waitMs *= 2) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, 500)));
    await sql.unsafe(job?.["command"]);
  }
});

/** Runs the task as an operator would, and returns its output. */
const runAudit = (args: readonly string[], env = {}) => runHere(audit, args, env);

test("deno task audit verify says which batch does not fit, of one clinic or all", async (database) => {
  const { sql, admin } = database;
  const [one, two] = [await sealed(sql, 2, 2), await sealed(sql, 1)];
  const env = { SUPABASE_DB_URL: database.url() };
  const good = await runAudit(["verify", "--org", one.slug], env);
  assert.equal(good.code, 0, good.said);
  assert.match(good.said, /: seals \d+, rows under them 4, .* newest seal \d+:[0-9a-f]{64} of /);
  const [, newest = ""] = /newest seal (\S+)/.exec(good.said) ?? [];
  assert.equal((await runAudit(["verify", "--org", one.id, "--seal", newest], env)).code, 0);
  const other = newest.replace(/.$/, (digit) => digit === "0" ? "1" : "0");
  for (
    const [logged, why] of [[other, /is not the one in the log/], [
      `999:${"0".repeat(64)}`,
      /seal 999 of the log is gone/,
    ]] as const
  ) {
    const cut = await runAudit(["verify", "--org", one.slug, "--seal", logged], env);
    assert.equal(cut.code, 1);
    assert.match(cut.said, why);
  }

  const [row] = await sql`select ids[1] as id, number from private.audit_seals
    where org_id = ${one.id} order by number desc limit 1`;
  await admin`update public.audit_logs set outcome = 'other' where id = ${row?.["id"]}`;
  const bad = await runAudit(["verify", "--all", "--db", database.url()]);
  assert.equal(bad.code, 1);
  assert.match(
    bad.said,
    new RegExp(`${one.slug}: seal ${row?.["number"]}, a row was changed, ${row?.["id"]}, `),
  );
  assert.match(bad.said, new RegExp(`${two.slug}: seals 1, rows under them 1, `));
  assert.equal((await runAudit(["verify", "--org", two.slug], env)).code, 0);

  await admin`update public.audit_logs set at = at - interval '2 hours' where org_id = ${two.id}`;
  await admin`insert into public.audit_logs (org_id, at, actor, action, outcome)
    values (${two.id}, now() - interval '2 hours', 'system', 'x', 'x')`;
  const late = await runAudit(["verify", "--org", two.slug], env);
  assert.match(late.said, /1 rows are not sealed, the oldest of .*: does the job seal-audit run/);

  for (
    const [args, code, sentence] of [
      [[], 2, /^Give verify/],
      [["verify"], 2, /--org SLUG_OR_ID or --all/],
      [["verify", "--org", "x", "--all"], 2, /--org SLUG_OR_ID or --all/],
      [["verify", "--org", one.slug, "--seal", "1:2"], 2, /--seal takes a number and a hash/],
      [["verify", "--all", "--seal", newest], 2, /--seal is for one clinic/],
      [["verify", "--org", "nobody"], 2, /There is no clinic nobody/],
      [["--help"], 0, /deno task audit verify/],
    ] as const
  ) {
    const run = await runAudit(args, env);
    assert.equal(run.code, code, run.said);
    assert.match(run.said, sentence);
  }
});
