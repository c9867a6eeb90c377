/** `deno task texts`: every text of a clinic with its cost, and nothing is sent. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { texts } from "../../supabase/tasks/texts.ts";
import { aDay, testWithBench } from "../support/clinic.ts";
import { runHere } from "../support/terminal.ts";
import { aBookingFor, anAnsweringClinic } from "../support/text_answers.ts";

async function run(...args: string[]): Promise<readonly [number, string]> {
  const { code, said } = await runHere(texts, args);
  return [code, said];
}

testWithBench("the reminders of a day are shown, and none is written or sent", async (bench) => {
  const clinic = await anAnsweringClinic(bench);
  await aBookingFor(bench, clinic, "10:00");
  await aBookingFor(bench, clinic, "14:30");
  const seen = bench.twilio.messages.length;
  const database = ["--org", clinic.slug, "--db", bench.database.url()];
  const [code, said] = await run(...database, "--day", aDay());
  assert.equal(code, 0, said);
  assert.match(
    said,
    /^reminder: \d+ characters, 1 text\n {2}Sunrise Dental: a reminder of .* at 10 AM/,
  );
  assert.match(
    said,
    /at 2:30 PM .*\. Reply C to confirm, X to cancel\..*\n2 patients are reminded of /,
  );
  assert.match((await run(...database))[1], /^which_cancel: \d+ characters, /m);
  assert.equal(bench.twilio.messages.length, seen);
  assert.equal((await bench.database.sql`select from public.appointment_texts`).length, 0);
  await bench.database.sql`update public.organizations set reminder_min = null`;
  assert.match((await run(...database, "--day", aDay()))[1], /^Sunrise Dental sends no reminders/);
  const [missing, known] = await run("--org", "nowhere", "--db", bench.database.url());
  assert.deepEqual([missing, /There is no clinic nowhere\. Known: clinic-/.test(known)], [1, true]);
});

Deno.test("the texts of a file are shown, those that are off too, and a mistake has its line", async () => {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    const write = (own: string) =>
      writeFile(
        path,
        `clinic: a\nname: A\nzone: Europe/Berlin\ncountry: DE\ntexts:\n  language: de\n  ${own}\n` +
          "services: [{ id: c, name: C, minutes: 30 }]\ndoctors: [{ id: d, name: Dr D }]\n",
      );
    await write('words: { de: { confirmation: "{clinic}: bis {time}." } }');
    const [code, said] = await run(path);
    assert.equal(code, 0, said);
    assert.match(
      said,
      /^confirmation: \d+ characters, 1 text\n {2}A: bis Mittwoch, 30\. September um 10:30 Uhr\./,
    );
    assert.match(said, /^reminder \(off\): .*\n {2}A: Erinnerung an Ihren Termin am Mittwoch/m);
    await write('words: { de: { confirmation: "{clinic}: bis bald" } }');
    const [wrong, problem] = await run(path);
    assert.deepEqual([wrong, /\.yaml:7: .*\{time\} is missing/.test(problem)], [2, true]);
  } finally {
    await Deno.remove(path);
  }
  for (const args of [[], ["a", "b"], ["a", "--org", "b"], ["--org", "b", "--day", "soon"]]) {
    assert.equal((await run(...args))[0], 2, args.join(" "));
  }
});
