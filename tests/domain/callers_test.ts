/** Conversations that were once answered wrongly, from beginning to end. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { seed } from "../../supabase/local/migrations.ts";
import { testWithBench as test } from "../support/clinic.ts";
import { playConversation } from "../support/conversation.ts";

const folder = new URL("../../../shared/callers/", import.meta.url);
const files = existsSync(folder)
  ? (await readdir(folder)).filter((name) => name.endsWith(".json")).sort()
  : [];
if (files.length === 0) {
  Deno.test({
    name: "conversations (not tested: ../shared/callers is absent)",
    ignore: true,
    fn() {},
  });
}

/** Days of January 2027 stand for those of the week that begins on a Monday in about six weeks. */
function toComingWeek(text: string): string {
  const monday = new Date(Date.now() + 42 * 86_400_000);
  monday.setUTCDate(monday.getUTCDate() - (monday.getUTCDay() + 6) % 7);
  return text.replace(/2027-01-(\d\d)/g, (_, day) => {
    const date = new Date(monday);
    date.setUTCDate(date.getUTCDate() + Number(day) - 11);
    return date.toISOString().slice(0, 10);
  });
}

for (const file of files) {
  const { steps } = JSON.parse(await readFile(new URL(file, folder), "utf8"));
  test(`the conversation ${file.replace(".json", "")} is answered rightly`, async (bench) => {
    await seed(bench.database.url(), new URL("../../supabase/seed.sql", import.meta.url));
    const clinics = await bench.database.sql<{ id: string; number: string }[]>`
      select org_id as id, value as number from public.org_channels where kind = 'called_number'`;
    assert.ok(clinics.length > 1);
    for (const { id, number } of clinics) {
      await bench.provision({ id, number, slug: "", zone: "", providers: [] });
    }
    await playConversation(bench, steps, toComingWeek);
  });
}
