// deno-lint-ignore-file no-console -- a command-line program
/**
 * Upgrades a database of the last release while callers use it, then its functions, and rolls the
 * functions back. Nothing may be lost: not the appointments, nor the holds and codes that callers had
 * before.
 *
 * The last release's checkout comes from the repository's history. Before the first release, this
 * checkout takes its place. The example migrations in `next/` are applied after those of this checkout, so
 * that there is always something to upgrade. The one in `broken/` shows that the callers would notice.
 *
 * @module
 */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { migrate } from "../../supabase/local/migrations.ts";
import { defaultStateDir } from "../../supabase/local/postgres.ts";
import { readReleases } from "../../supabase/tasks/release/migrations.ts";
import { playCallers } from "../../supabase/tasks/simulate.ts";
import type { Experience, World } from "../../supabase/tasks/simulate/caller.ts";
import { findBroken } from "../../supabase/tasks/simulate/checks.ts";
import { findNumbers, makeClinics } from "../../supabase/tasks/simulate/clinics.ts";
import { findStack, readSettings, startStack } from "../../supabase/tasks/stack.ts";
import { LineCall, openLine, readCodeTexts, readTexts } from "../../supabase/tasks/talk/line.ts";

const root = new URL("../../", import.meta.url);
const state = "upgrade";
const callersOfStage = 24;
const stages = 5;
/** Calls that begin before the upgrade and end in a later stage, two in each. */
const waitingCalls = 6;

/** A stack, its database, and the clinics as they are reached there. */
interface Stage {
  readonly sql: postgres.Sql;
  readonly url: string;
  readonly secret: string;
  /** The environment of its functions. */
  readonly settings: Readonly<Record<string, string>>;
  readonly dbUrl: string;
  /** The folder of the stack's state. */
  readonly folder: string;
  /** How often the database refused something, or answered in a form that the functions do not know. */
  countFaults(): number;
  end(): Promise<void>;
}

class Upgrade {
  readonly experiences: Experience[] = [];
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  #orgs: readonly string[] = [];
  #waitingOrg = "";
  #numbers: readonly string[] = [];
  #waiting: { readonly callId: string; readonly caller: string; code: string; holdId: string }[] =
    [];
  #places = 0;

  /** Creates the clinics, and the calls that are under way during the upgrade. */
  async prepare(stage: Stage): Promise<void> {
    const { sql, url, settings } = stage;
    const count = callersOfStage * stages;
    const made = await makeClinics(sql, settings, url, count);
    this.#orgs = made.map(({ line }) => line.profile.orgId);
    const [other] = await makeClinics(sql, settings, url, waitingCalls);
    this.#waitingOrg = other?.line.profile.orgId ?? "";
    this.#numbers = await findNumbers(sql, count + waitingCalls);
    console.log(`--seed ${this.#seed}`);
    for (let index = 0; index < waitingCalls; index++) {
      const caller = this.#numbers[count + index] ?? "";
      const kept = { callId: crypto.randomUUID(), caller, code: "", holdId: "" };
      this.#waiting.push(kept);
      const call = await this.#resume(stage, kept);
      const date = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
      const found = await call.use("check_availability", {
        ...{ date, serviceType: "consultation", days: 14 },
      });
      const slotId = found.answer.slots?.[0]?.slotId ?? "";
      const held = await call.use("hold_slot", { slotId, patientName: "Ada Brown" });
      assert.equal(held.answer.outcome, "held", held.answer.message);
      kept.holdId = String(held.answer["holdId"]);
      // Every other caller has the code already.
      if (index % 2 === 0) kept.code = await this.#receiveCode(stage, call, kept);
    }
    // On a slow machine, they would expire during the upgrade.
    await sql`update public.appointments set expires_at = expires_at + interval '1 hour'
      where org_id = ${this.#waitingOrg}`;
    await sql`update public.one_time_passcodes set expires_at = expires_at + interval '1 hour'
      where org_id = ${this.#waitingOrg}`;
  }

  /**
   * Lets callers call, and does something in the meantime. At the end two of the waiting calls are finished,
   * and everything that callers were ever told must still be so.
   *
   * @returns How many faults the functions logged. A late answer of a busy machine does not count.
   */
  async play(stage: Stage, meanwhile: () => Promise<void> = async () => {}): Promise<number> {
    const { sql, url, secret } = stage;
    const faultsBefore = stage.countFaults();
    const outcomes: string[] = [];
    let begin = () => {};
    const begun = new Promise<void>((resolve) => begin = resolve);
    const world: World = {
      clinics: await Promise.all(
        this.#orgs.map(async (org) => ({ line: await openLine(sql, org, url) })),
      ),
      numbers: this.#numbers,
      secret,
      textsTo: (phone) => readCodeTexts(url, phone),
      allTexts: () => readTexts(url),
      onUse: ({ answer }) => {
        if (outcomes.push(answer.outcome) === callersOfStage) begin();
      },
    };
    const places = Array.from({ length: callersOfStage }, () => this.#places++);
    const playing = playCallers(world, { seed: this.#seed, places, atOnce: 8 });
    await Promise.race([begun, playing]);
    const before = outcomes.length;
    await meanwhile();
    const during = outcomes.length - before;
    this.experiences.push(...await playing);
    const slow = outcomes.filter((outcome) => ["busy", "error"].includes(outcome)).length;
    const faults = stage.countFaults() - faultsBefore;
    console.log(
      `  ${outcomes.length} answers (${during} meanwhile), ${slow} busy or late, ${faults} faults`,
    );
    return faults;
  }

  /** What is broken of what callers were told, in this stage and before. */
  async findBroken({ sql, url }: Stage): Promise<string[]> {
    const waiting = this.#numbers.slice(callersOfStage * stages);
    const texts = (await readTexts(url)).filter(({ to }) => !waiting.includes(to));
    const findings = await findBroken(sql, this.experiences, texts);
    return Object.entries(findings).flatMap(([promise, found]) =>
      found.map((line) => `${promise}: ${line}`)
    );
  }

  /** Confirms two of the calls that began before the upgrade, one with the code that it had. */
  async finishWaiting(stage: Stage): Promise<void> {
    for (const kept of this.#waiting.splice(0, 2)) {
      const call = await this.#resume(stage, kept);
      const code = kept.code || await this.#receiveCode(stage, call, kept);
      const { answer } = await call.use("verify_otp", { code, holdId: kept.holdId });
      assert.equal(answer.outcome, "confirmed", answer.message);
      assert.equal(answer["holdId"], kept.holdId);
    }
  }

  async #resume({ sql, url, secret }: Stage, kept: { callId: string; caller: string }) {
    const line = await openLine(sql, this.#waitingOrg, url);
    return new LineCall(line, { secret, ...kept });
  }

  async #receiveCode(
    { url }: Stage,
    call: LineCall,
    { holdId, caller }: { holdId: string; caller: string },
  ): Promise<string> {
    const { answer } = await call.use("send_otp", { holdId });
    assert.equal(answer.outcome, "sent", answer.message);
    return (await readCodeTexts(url, caller)).at(-1)?.body.slice(0, 6) ?? "";
  }
}

const faultCodes = /"code":"(?:database_error|database_answer_unexpected|internal)"/g;

/** Starts the stack of a checkout. */
async function start(args: readonly string[], checkout?: string): Promise<Stage> {
  const stack = await startStack(args, state, checkout === undefined ? {} : { checkout });
  const used = await findStack(stack.url) ?? { url: stack.url, envFile: undefined };
  const settings = await readSettings(used);
  const dbUrl = settings["SUPABASE_DB_URL"] ?? "";
  const sql = postgres(dbUrl, { max: 2, onnotice: () => {} });
  return {
    ...{ sql, url: stack.url, dbUrl, settings },
    folder: dirname(used.envFile ?? ""),
    countFaults: () => stack.output().match(faultCodes)?.length ?? 0,
    secret: settings["VAPI_SECRETS"]?.split(",")[0] ?? "",
    end: async () => {
      await sql.end({ timeout: 5 });
      await stack.stop();
    },
  };
}

/** The checkout of the last release, in a folder of its own; before the first release, this one. */
async function checkOutLastRelease(): Promise<{ folder?: string; name: string }> {
  const releases = readReleases(await readFile(new URL("supabase/released.sha256", root), "utf8"));
  const version = releases.at(-1)?.version;
  if (version === undefined) return { name: "this checkout" };
  const commit = await findCommit(version);
  // On the same disk as the state of this checkout, which is moved there and back.
  const parent = dirname(defaultStateDir(state));
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, "last-release-"));
  const archive = join(folder, "archive.tar");
  await run("git", "archive", "--output", archive, commit);
  await run("tar", "-xf", archive, "-C", folder);
  return { folder, name: `v${version}` };
}

/** The commit that wrote a release into the list. */
async function findCommit(version: string): Promise<string> {
  const list = "supabase/released.sha256";
  const options = ["--format=%H", "--reverse", `-S# v${version}`];
  const commits = await run("git", "log", ...options, "--", list);
  const [commit = ""] = commits.split("\n");
  if (commit !== "") return commit;
  console.log(`The upgrade run was SKIPPED: the history has no commit of v${version}.`);
  return Deno.exit(3);
}

async function run(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd: root }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!success) throw new Error(`Cannot run ${program} ${args[0]}: ${decode(stderr)}`);
  return decode(stdout);
}

/**
 * Adds a column to every table, one by one. Connections that were open before have plans and row types
 * without it.
 */
async function addColumns(sql: postgres.Sql): Promise<void> {
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_catalog.pg_class as c
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace) and c.relkind = 'r'`;
  for (const { name } of tables) {
    await sql.unsafe(`alter table ${name} add column added_by_upgrade boolean`);
  }
  console.log(`  a column for each of ${tables.length} tables`);
}

/** Ends the running stack and starts that of another checkout with the same database. */
async function change(running: Stage, checkout?: string): Promise<Stage> {
  await running.end();
  const folder = checkout === undefined ? defaultStateDir(state) : lastFolder;
  if (folder !== running.folder) {
    await rm(folder, { recursive: true, force: true });
    await rename(running.folder, folder);
  }
  return await start([], checkout);
}

/** Lets callers call; fails if they heard of a fault or were told what is not so. */
async function pass(running: Stage, what: string, meanwhile?: () => Promise<void>): Promise<void> {
  console.log(what);
  const faults = await upgrade.play(running, meanwhile);
  assert.equal(faults, 0, `${faults} answers were faults`);
  assert.deepEqual(await upgrade.findBroken(running), []);
}

const { folder: lastRelease, name: lastName } = await checkOutLastRelease();
const upgrade = new Upgrade();
let stage: Stage | undefined;
let lastFolder = "";
try {
  stage = await start(["--fresh"], lastRelease);
  lastFolder = stage.folder;
  await upgrade.prepare(stage);
  await pass(stage, `The functions and the database of ${lastName}`);

  const { sql, dbUrl } = stage;
  await pass(stage, `The same functions, while the database is upgraded`, async () => {
    const folders = [new URL("migrations/", root), new URL("next/", import.meta.url)];
    for (const folder of folders) {
      const { applied } = await migrate(dbUrl, folder);
      for (const name of applied) console.log(`  ${name}`);
    }
    await addColumns(sql);
  });
  await upgrade.finishWaiting(stage);

  stage = await change(stage);
  await pass(stage, "The functions of this checkout");
  await upgrade.finishWaiting(stage);

  stage = await change(stage, lastRelease);
  await pass(stage, `The functions rolled back to ${lastName}`);
  await upgrade.finishWaiting(stage);

  console.log("The same functions, while a column that they use is renamed");
  const { dbUrl: url } = stage;
  let isBroken = false;
  const played = upgrade.play(stage, async () => {
    const { applied } = await migrate(url, new URL("broken/", import.meta.url));
    isBroken = applied.length === 1;
  });
  // A caller who cannot even hang up ends the play with an error.
  const faults = await played.catch(() => Infinity);
  assert.ok(isBroken && faults > 0, "the callers of a broken upgrade heard no fault");
  console.log("5 passed, 0 failed");
} finally {
  await stage?.end();
  if (lastRelease !== undefined) await rm(lastRelease, { recursive: true, force: true });
}
Deno.exit(0);
