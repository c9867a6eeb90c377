/**
 * An immediate stop of a durable server under load loses nothing that was acknowledged.
 *
 * Runs only at full length. CRASHES is the number of stops, SEED repeats the same moments.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import postgres from "postgres";
import { migrate } from "../../supabase/local/migrations.ts";
import {
  defaultStateDir,
  type PostgresServer,
  startPostgres,
} from "../../supabase/local/postgres.ts";
import { writeClock } from "../../supabase/tasks/clinic/notation.ts";
import { randomFrom } from "../../supabase/tasks/simulate/random.ts";
import {
  aCaller,
  type Caller,
  findDoubles,
  type Line,
  openLines,
  readCode,
  sendCode,
} from "../support/callers.ts";
import { aClinic, aDay, type Clinic } from "../support/clinic.ts";
import { fullLengthOnly } from "../support/length.ts";

const crashes = Number(Deno.env.get("CRASHES") ?? 10);
const seed = Number(Deno.env.get("SEED") ?? Math.floor(Math.random() * 2 ** 31));
const lineCount = 20;
const code = "482913";

/** What one caller wants, and the answer before the crash. */
interface Wish {
  readonly caller: Caller;
  readonly slotId: string;
  /** The caller's answer; missing if the crash came first. */
  holdId?: string;
  confirmed?: boolean;
}

/** Every wish has its own slot: a repeat can only get the same caller's hold. */
function slotOf(clinic: Clinic, wish: number): string {
  const doctor = clinic.providers[wish % clinic.providers.length];
  const turn = Math.floor(wish / clinic.providers.length);
  const clock = writeClock(turn % 46 * 30);
  return `consultation/${aDay(2 + Math.floor(turn / 46))}T${clock}/${doctor}`;
}

/** Books without pause until the server is gone; the last wish of each line stays open. */
async function bookUntilCrash(line: Line, clinic: Clinic, next: () => number): Promise<Wish[]> {
  const wishes: Wish[] = [];
  for (;;) {
    const number = next();
    const wish: Wish = { caller: aCaller(clinic), slotId: slotOf(clinic, number) };
    wishes.push(wish);
    try {
      const held = await line.ask("claim_slot_atomic", wish.caller, { p_slot_id: wish.slotId });
      assert.equal(held.outcome, "held", `${wish.slotId}: ${held.outcome}`);
      wish.holdId = held.holdId ?? "";
      if (number % 3) continue;
      await sendCode(line, wish.caller, code);
      wish.confirmed = (await readCode(line, wish.caller, code)).outcome === "confirmed";
    } catch (thrown) {
      if (thrown instanceof assert.AssertionError) throw thrown;
      return wishes;
    }
  }
}

/** Checks that everything acknowledged is there, and that a repeated wish gets its own hold. */
async function checkAfterCrash(server: PostgresServer, wishes: readonly Wish[]) {
  const lines = await openLines({ url: (role = "postgres") => server.url({ role }) }, lineCount);
  const sql = postgres(server.url(), { max: 1, onnotice: () => {} });
  let unacknowledged = 0;
  try {
    const rows = await sql<{ id: string; status: string; call: string }[]>`
      select id, status, call_id as call from public.appointments`;
    const byId = new Map(rows.map(({ id, status }) => [id, status]));
    const byCall = new Map(rows.map(({ id, call }) => [call, id]));
    for (const { holdId, confirmed, slotId } of wishes) {
      if (holdId === undefined) continue;
      const status = byId.get(holdId);
      assert.ok(status, `the acknowledged hold of ${slotId} is lost`);
      if (confirmed) assert.equal(status, "confirmed", `the confirmation of ${slotId} is lost`);
    }
    await Promise.all(lines.all.map(async (line, index) => {
      for (let at = index; at < wishes.length; at += lines.all.length) {
        const wish = wishes[at];
        if (!wish) return;
        const committed = byCall.get(wish.caller.callId);
        if (wish.holdId === undefined && committed) unacknowledged++;
        const again = await line.ask("claim_slot_atomic", wish.caller, { p_slot_id: wish.slotId });
        assert.ok(
          ["held", "already_confirmed"].includes(again.outcome),
          `${wish.slotId}: ${again.outcome}`,
        );
        if (committed) assert.equal(again.holdId, committed, "told of another hold");
      }
    }));
    assert.deepEqual(await findDoubles(sql), []);
  } finally {
    await lines.close();
    await sql.end({ timeout: 5 });
  }
  return unacknowledged;
}

Deno.test(
  `an immediate stop under load, ${crashes} in turn, loses no acknowledged hold or confirmation, and a repeat is told its own hold`,
  fullLengthOnly,
  async (t) => {
    await t.step(`seed ${seed}`, () => {});
    const random = randomFrom(seed);
    const stateDir = defaultStateDir(`test-${Deno.pid}-crash`);
    let server = await startPostgres({ stateDir, fresh: true });
    try {
      await migrate(server.url(), new URL("../../migrations/", import.meta.url));
      const sql = postgres(server.url(), { max: 1, onnotice: () => {} });
      const clinic = await aClinic(sql, { providers: lineCount });
      await sql`update public.organizations set sms_hourly_limit = 1000000`;
      const [setting] = await sql`
        select current_setting('fsync') || current_setting('synchronous_commit') as durable`;
      assert.equal(setting?.["durable"], "onon");
      await sql.end();
      let next = 0;
      let acknowledged = 0;
      let unacknowledged = 0;
      for (let crash = 0; crash < crashes; crash++) {
        const lines = await openLines(
          { url: (role = "postgres") => server.url({ role }) },
          lineCount,
        );
        const before = next;
        const booking = lines.all.map((line) => bookUntilCrash(line, clinic, () => next++));
        // Wait until every line is busy; then any moment will do.
        while (next < before + 3 * lineCount) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        await new Promise((resolve) => setTimeout(resolve, random() * 600));
        await server.stop("immediate");
        const wishes = (await Promise.all(booking)).flat();
        await lines.close().catch(() => {});
        server = await startPostgres({ stateDir });
        acknowledged += wishes.filter(({ holdId }) => holdId !== undefined).length;
        unacknowledged += await checkAfterCrash(server, wishes);
      }
      assert.ok(acknowledged > 0);
      await t.step(
        `${acknowledged} acknowledged, none lost; ${unacknowledged} were committed and never ` +
          "acknowledged, each told to its own call",
        () => {},
      );
    } finally {
      await server.stop("immediate");
      await rm(stateDir, { recursive: true, force: true });
    }
  },
);
