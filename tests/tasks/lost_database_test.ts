/** The stack's database is lost in the middle of a day; the commands of docs/backup.md bring it back. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { defaultStateDir } from "../../supabase/local/postgres.ts";
import { readEnvFile } from "../../supabase/tasks/database.ts";
import { startStack } from "../../supabase/tasks/stack.ts";
import { clientBinDir, readCommands } from "../support/backup.ts";
import { findDoubles } from "../support/callers.ts";
import { aToolCall, readSaid, type Said } from "../support/clinic.ts";
import { runApart } from "../support/terminal.ts";

const state = "lost-database";
/** As in supabase/clinics/sunrise-dental.yaml. */
const clinicNumber = "+442079460123";

/** A call to the stack over HTTP. */
class Call {
  readonly callId = crypto.randomUUID();
  slotId = "";
  holdId = "";

  constructor(readonly caller: string) {}

  async ask(url: string, tool: string, args: object): Promise<Said> {
    const { caller, callId } = this;
    for (;;) {
      const response = await fetch(`${url}/functions/v1/${tool.replaceAll("_", "-")}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-vapi-secret": "local-vapi-secret" },
        body: aToolCall({ tool, args, called: clinicNumber, caller, callId }),
      });
      const said = await readSaid(response);
      // As an agent that is told to ask again, on a busy machine.
      if (said.outcome !== "busy" && said.outcome !== "error") return said;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async hold(url: string, slotId: string): Promise<Said> {
    const said = await this.ask(url, "hold_slot", { slotId, patientName: "Ada Brown" });
    Object.assign(this, { slotId, holdId: said.holdId ?? this.holdId });
    return said;
  }

  /** Gets a code texted, unless that came with the hold, and returns it. */
  async receiveCode(url: string): Promise<string> {
    const read = async () => {
      const texts = await fetch(`${url}/local/sms?to=${encodeURIComponent(this.caller)}`);
      const bodies: { body: string }[] = await texts.json();
      // Others tell of appointments.
      return bodies.findLast(({ body }) => /^\d{6} /.test(body))?.body.slice(0, 6);
    };
    const sent = await read();
    if (sent !== undefined) return sent;
    const said = await this.ask(url, "send_otp", { holdId: this.holdId });
    assert.equal(said.outcome, "sent", said.message);
    return await read() ?? "";
  }

  verify(url: string, code: string): Promise<Said> {
    return this.ask(url, "verify_otp", { code, holdId: this.holdId });
  }
}

const run = (words: readonly string[]) => runApart(["task", "--quiet", ...words]);

async function succeed(words: readonly string[]): Promise<void> {
  const { code, said } = await run(words);
  assert.equal(code, 0, `${words.join(" ")}: ${said}`);
  for (const call of calls) {
    assert.ok(!said.includes(call.caller), "a caller's number is printed");
  }
}

const calls = Array.from({ length: 6 }, (_, index) => new Call(`+44770090060${index}`));
const [confirmed, underWay, holding, late, lost, other] = calls;

/** The counts of audit rows in the metrics, and in the log itself. */
async function readCounts(sql: postgres.Sql) {
  await sql`select public.collect_metrics()`;
  const [row] = await sql<{ rows: number; counted: number }[]>`
    select (select count(*)::int from public.audit_logs) as rows,
      (select sum(value)::int from public.metric_totals where name = 'audit') as counted`;
  return { ...row };
}

Deno.test(
  "a database that is lost in the middle of a day comes back by the documented commands",
  // Starts the stack twice, so only the leg of the gate that names the folder runs it.
  { ignore: Deno.env.get("PG_BIN") === undefined || clientBinDir === undefined },
  async () => {
    assert.ok(clientBinDir && confirmed && underWay && holding && late && lost && other);
    const folder = join(defaultStateDir(state), "backup");
    await rm(folder, { recursive: true, force: true });
    let stack = await startStack(["--fresh"], state);
    try {
      const { envFile } = await (await fetch(`${stack.url}/health`)).json();
      const first = { URL: stack.url, FILE: envFile, FOLDER: folder };
      // A busy server's transaction ids are higher than a new server's.
      await withOwner(envFile, (sql) =>
        sql.unsafe(`do $$ begin
          for i in 1..3000 loop perform pg_current_xact_id(); commit; end loop; end $$`));
      const date = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
      const found = await confirmed.ask(stack.url, "check_availability", {
        ...{ date, serviceType: "consultation", providerName: "Dr Amara Patel", days: 14 },
      });
      const slots = (found.slots ?? []).map(({ slotId }) => slotId);
      assert.ok(slots.length > 4, found.message);
      const [one = "", two = "", three = "", four = "", five = ""] = slots;
      for (
        const [call, slotId] of [[confirmed, one], [underWay, two], [holding, three], [
          late,
          four,
        ]] as const
      ) {
        assert.equal((await call.hold(stack.url, slotId)).outcome, "held");
      }
      const code = await confirmed.receiveCode(stack.url);
      assert.equal((await confirmed.verify(stack.url, code)).outcome, "confirmed");
      const codeUnderWay = await underWay.receiveCode(stack.url);
      const lateCode = await late.receiveCode(stack.url);
      const before = await withOwner(envFile, readCounts);
      assert.equal(before.counted, before.rows);

      for (const words of readCommands("Take a backup", first)) await succeed(words);
      assert.equal((await lost.hold(stack.url, five)).outcome, "held");
      const lostCode = await lost.receiveCode(stack.url);
      assert.equal((await lost.verify(stack.url, lostCode)).outcome, "confirmed");

      await stack.stop();
      const data = join(dirname(envFile), "data");
      assert.ok(existsSync(data));
      await rm(data, { recursive: true });
      stack = await startStack([], state);
      const [isEmpty, ...rest] = readCommands("Restore", { ...first, URL: stack.url });
      assert.ok(isEmpty);
      const refused = await run(isEmpty);
      assert.equal(refused.code, 1, refused.said);
      assert.match(refused.said, /is not empty: .* --replace\. Nothing was changed/);
      for (const words of rest) await succeed(words);

      await withOwner(envFile, async (sql) => {
        const [row] =
          await sql`select status from public.appointments where id = ${confirmed.holdId}`;
        assert.equal(row?.["status"], "confirmed");
        // The backup's rows are counted once; these counts include the rows that came after it.
        for (const counts of [await readCounts(sql), await readCounts(sql)]) {
          assert.equal(counts.counted, counts.rows);
          assert.ok((counts.rows ?? 0) >= (before.rows ?? 0));
        }
        await sql`update public.one_time_passcodes set expires_at = now()
          where call_id = ${late.callId}`;
      });
      const { url } = stack;
      assert.equal((await other.hold(url, one)).outcome, "slot_taken");
      const verified = await underWay.verify(url, codeUnderWay);
      assert.ok(["confirmed", "code_expired"].includes(verified.outcome), verified.outcome);
      assert.equal((await late.verify(url, lateCode)).outcome, "code_expired");
      const holdingCode = await holding.receiveCode(url);
      assert.equal((await holding.verify(url, holdingCode)).outcome, "confirmed");
      // What was booked after the backup is lost, and its time is free.
      assert.equal((await other.hold(url, five)).outcome, "held");
      await withOwner(envFile, async (sql) => {
        assert.deepEqual(await findDoubles(sql), []);
        for (let run = 0; run < 2; run++) await sql`select public.seal_audit()`;
        const counts = await readCounts(sql);
        assert.equal(counts.counted, counts.rows);
      });
      await succeed(rest.find(([task]) => task === "doctor") ?? []);
      await succeed(rest.find(([task]) => task === "audit") ?? []);
    } finally {
      await stack.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
);

async function withOwner<T>(envFile: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres((await readEnvFile(envFile))["SUPABASE_DB_URL"] ?? "", { max: 1 });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
