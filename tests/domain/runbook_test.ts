/** The runbook's statements run as pasted, and return what it says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { aCaller, withLine } from "../support/callers.ts";
import { aClinic, aDay } from "../support/clinic.ts";
import { testWithDatabase as test } from "../support/database.ts";
import { aMember, askAs } from "../support/staff.ts";

const runbook = readFileSync(new URL("../../docs/runbook.md", import.meta.url), "utf8");

/** The statements of every SQL block, in order. */
const statements = [...runbook.matchAll(/```sql\n(.*?)```/gs)]
  .flatMap(([, block = ""]) => block.split(/;\s*\n/)).filter((text) => text.trim() !== "");

test("every statement of the runbook runs, and tells the story of a call", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  const member = await aMember(sql, clinic.id);
  await withLine(database, async (line) => {
    const caller = aCaller(clinic);
    const held = await line.ask("claim_slot_atomic", caller, {
      p_slot_id: `consultation/${aDay()}T09:00`,
    });
    const asked = { p_org: clinic.id, p_appointment: held.holdId };
    assert.equal(
      (await askAs(sql, member, "staff_confirm", asked)).outcome,
      "confirmed",
    );
    const told = [];
    for (const statement of statements) {
      const filled = statement.replaceAll("SLUG", clinic.slug).replaceAll(
        "CALL_ID",
        caller.callId,
      )
        .replaceAll("APPOINTMENT_ID", held.holdId ?? "");
      told.push(JSON.stringify(await sql.unsafe(filled)));
    }
    assert.ok(statements.length >= 9, `${statements.length} statements`);
    const story = told.join("\n");
    for (const part of ["hold_slot", "staff_confirm", member.email, "watch-overlaps"]) {
      assert.ok(story.includes(part), `Nothing tells of ${part}`);
    }
  });
});
