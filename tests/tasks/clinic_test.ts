/** `deno task clinic`: what an operator sees, and that nothing happens that was not shown. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { clinic } from "../../supabase/tasks/clinic.ts";
import { runTask } from "../../supabase/tasks/task.ts";
import { aDay } from "../support/clinic.ts";
import { testWithDatabase } from "../support/database.ts";
import { aTerminal, runApart } from "../support/terminal.ts";

const file = `clinic: harbour-clinic
name: Harbour Clinic
zone: Europe/London
country: GB
numbers:
  - +44 20 7946 0123
desk:
  transfer_number: +44 20 7946 0199
  hours:
    monday-friday: 09:00-17:00
services:
  - {id: checkup, name: Checkup, minutes: 30, notice_minutes: 0}
doctors:
  - id: amara-patel
    name: Dr Amara Patel
    hours:
      monday-sunday: 09:00-17:00
`;

interface Tested {
  readonly sql: postgres.Sql;
  readonly dbUrl: string;
  /** Runs the task; `type` is what somebody answers to its question. */
  run(
    args: readonly string[],
    type?: () => string | Promise<string>,
  ): Promise<{ code: number; output: string; errors: string }>;
  /** @returns The path of a new file. */
  write(text: string): Promise<string>;
}

function test(name: string, work: (tested: Tested) => Promise<void>): void {
  testWithDatabase(name, async (database) => {
    const folder = await Deno.makeTempDir();
    const dbUrl = database.url();
    let files = 0;
    try {
      await work({
        sql: database.sql,
        dbUrl,
        run: async (args, type) => {
          const { terminal, out, errors } = aTerminal();
          const asked = type === undefined ? terminal : {
            ...terminal,
            isTerminal: true,
            ask: async (question: string) => {
              terminal.print(question);
              return await type();
            },
          };
          const env = { SUPABASE_DB_URL: dbUrl };
          const code = await runTask(clinic, args, { terminal: asked, env });
          return { code, output: out.join("\n"), errors: errors.join("\n") };
        },
        write: async (text) => {
          const path = `${folder}/clinic-${files++}.yaml`;
          await Deno.writeTextFile(path, text);
          return path;
        },
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const count = async (sql: postgres.Sql) => (await sql`select from public.organizations`).length;

test("clinic add shows what it adds, asks, and adds it once", async ({ run, write, sql }) => {
  const path = await write(file);
  const dry = await run(["add", path, "--dry-run"]);
  assert.equal(dry.code, 0);
  assert.match(dry.output, /^Harbour Clinic \(harbour-clinic\) is new: doctors 1, services 1,/);
  assert.match(dry.output, /Nothing was applied$/);
  const refused = await run(["add", path], () => "no");
  assert.deepEqual([refused.code, refused.errors], [1, "Nothing was applied"]);
  const unattended = await run(["add", path]);
  assert.deepEqual([unattended.code, unattended.errors], [
    2,
    "Nothing was applied: give --yes to apply it",
  ]);
  assert.equal(await count(sql), 0);
  const added = await run(["add", path], () => "yes");
  assert.equal(added.code, 0, added.errors);
  assert.match(added.output, /Apply this\? yes or no: \nHarbour Clinic is added$/);
  const again = await run(["add", path, "--yes"]);
  assert.equal(again.code, 1);
  assert.match(again.errors, /:1: there is a clinic harbour-clinic already; change it with deno/);
  assert.equal(await count(sql), 1);
});

test("clinic change shows the difference in the words of the file", async ({ run, write }) => {
  await run(["add", await write(file), "--yes"]);
  const changed = file
    .replace("Harbour Clinic", "Harbour Health")
    .replace("monday-sunday", "monday-friday") + `    off: [2030-08-03 to 2030-08-14]
closed: [2030-12-25]
facts:
  - {question: Where can I park?, answer: Behind the house.}
`;
  const path = await write(changed);
  const shown = await run(["change", path, "--dry-run"]);
  assert.deepEqual(shown.output.split("\n"), [
    "Harbour Clinic (harbour-clinic):",
    "  ~ name: Harbour Clinic -> Harbour Health",
    "  - doctors.amara-patel.hours.monday-sunday: 09:00-17:00",
    "  + closed: 2030-12-25",
    "  + doctors.amara-patel.hours.monday-friday: 09:00-17:00",
    "  + doctors.amara-patel.off: 2030-08-03 to 2030-08-14",
    "  + facts.Where can I park?.question: Where can I park?",
    "  + facts.Where can I park?.answer: Behind the house.",
    "Nothing was applied",
  ]);
  assert.match((await run(["change", path, "--yes"])).output, /Harbour Health is changed$/);
  const again = await run(["change", path, "--yes"]);
  assert.deepEqual([again.code, again.output], [0, "Harbour Health is as the file says"]);

  // The file that `show` prints changes nothing.
  const written = await run(["show", "--org", "harbour-clinic"]);
  const back = await run(["check", await write(`${written.output}\n`)]);
  assert.equal(back.output, "Harbour Health is as the file says\nNothing was applied");
  // For another slug, the task must be told the old one.
  const renamed = await write(changed.replace("clinic: harbour-clinic", "clinic: harbour"));
  assert.match((await run(["change", renamed, "--yes"])).errors, /There is no clinic harbour\. Kn/);
  const moved = await run(["change", renamed, "--org", "harbour-clinic", "--yes"]);
  assert.match(moved.output, /~ clinic: harbour-clinic -> harbour\n/);
});

test("clinic change says when the assistant at Vapi has to be told", async ({ run, write }) => {
  const another =
    `${file}  - {id: ben-okafor, name: Dr Ben Okafor, hours: {monday: 09:00-12:00}}\n`;
  const without = `${file}closed: [2030-12-25]\n`;
  await run(["add", await write(file), "--yes"]);
  assert.match((await run(["change", await write(another), "--yes"])).output, /is changed$/);
  const vapi = "vapi: {assistants: [5f8a4a3e-0c6d-4f3b-a6b8-0b5cf5f0b1d2]}\n";
  await run(["change", await write(file + vapi), "--yes"]);
  const told = await run(["change", await write(another), "--yes"]);
  assert.match(
    told.output,
    /Vapi does not know that yet: deno task vapi sync --org harbour-clinic$/,
  );
  await run(["change", await write(file), "--yes"]);
  const closed = await run(["change", await write(without), "--yes"]);
  assert.match(closed.output, /is changed$/, "the assistant does not know of closing days");
});

test("clinic names the line of a number that another clinic has, and of a transfer that would loop", async ({ run, write }) => {
  await run(["add", await write(file), "--yes"]);
  const other = await write(file.replace("harbour-clinic", "other"));
  const taken = await run(["add", other, "--yes"]);
  assert.equal(taken.code, 1);
  assert.equal(
    taken.errors,
    `${other}:6: +442079460123 belongs to the clinic harbour-clinic; a number or id can ` +
      "belong to only one clinic, so remove it there first or correct it here",
  );
  const looping = await write(
    file.replace("harbour-clinic", "other").replace("0123", "0124").replace("0199", "0123"),
  );
  const looped = await run(["add", looping, "--yes"]);
  assert.match(looped.errors, /:8: an assistant answers \+442079460123, so nobody at the desk/);
});

test("clinic lists bookings on a new day off, including those made in the meantime", async ({ run, write, sql }) => {
  await run(["add", await write(file), "--yes"]);
  const day = aDay(10);
  const book = async (db: postgres.Sql | postgres.TransactionSql, time: string) => {
    const call = { calledNumber: "+442079460123", callId: crypto.randomUUID(), toolCallId: "1" };
    await db`select public.claim_slot_atomic(${JSON.stringify(call)}::text::jsonb,
      ${`checkup/${day}T${time}`}, 'Ada Brown', '+447700900123')`;
  };
  await book(sql, "10:00");
  const path = await write(`${file}    off: [${day}]\n`);
  const line = (time: string) =>
    new RegExp(`  ${day} ${time} Dr Amara Patel, Checkup, held: the doctor is off \\(`);
  const checked = await run(["check", path]);
  assert.match(checked.output, /1 booking would be outside of the schedule, and will be kept/);
  assert.match(checked.output, line("10:00"));
  assert.ok(!/Ada|900123/.test(checked.output), "no patient is named");

  const changed = await run(["change", path], async () => {
    await book(sql, "11:00");
    return "yes";
  });
  assert.match(changed.output, line("10:00"));
  assert.match(changed.output, /is changed\n1 booking made in the meantime is outside/);
  assert.match(changed.output.split("is changed")[1] ?? "", line("11:00"));
  assert.equal((await sql`select from public.appointments where status = 'held'`).length, 2);
});

test("clinic explains wrong arguments and mistakes in its file", async ({ run, write }) => {
  for (
    const [args, pattern] of [
      [[], /Give one of add, change, check, show/],
      [["add"], /add needs a file/],
      [["show"], /show takes --org/],
      [["remove", "x"], /Give one of/],
      [["add", "no.yaml"], /^Cannot read no\.yaml$/],
    ] as const
  ) {
    const { code, errors } = await run(args);
    assert.equal(code, 2, errors);
    assert.match(errors, pattern);
  }
  const path = await write(file.replace("minutes: 30", "minutes: x").replace("GB", "UK"));
  const { code, errors } = await run(["check", path]);
  assert.equal(code, 2);
  assert.deepEqual(errors.split("\n"), [
    `${path}:4: country: "UK" is not a country: two capital letters, such as GB`,
    `${path}:12: minutes: a whole number from 1 to 1440 minutes is needed, not "x"`,
  ]);
  assert.match(
    (await run(["show", "--org", "nobody"])).errors,
    /There is no clinic nobody\. There/,
  );
  assert.match((await run(["--help"])).output, /^deno task clinic add FILE/);
});

test("clinic change brings the assistant to the line, and a file without it the defaults", async ({ run, write, sql }) => {
  await run(["add", await write(file), "--yes"]);
  const profile = async () => {
    const [row] = await sql`select public.read_line('harbour-clinic') -> 'profile' as profile`;
    const { language, voice, model, greeting, recordsCalls } = row?.["profile"] ?? {};
    return { language, voice, model, greeting, recordsCalls };
  };
  const defaults = await profile();
  assert.deepEqual(defaults, {
    ...{ language: "en", voice: "cartesia", model: "openai", recordsCalls: false },
    greeting: undefined,
  });
  const settled = `${file}assistant:\n  language: de\n  voice: elevenlabs\n  model: anthropic\n` +
    "  greeting: Guten Tag.\n  records_calls: yes\n";
  const changed = await run(["change", await write(settled), "--yes"]);
  assert.match(changed.output, /~ assistant.voice: cartesia -> elevenlabs/);
  assert.match(changed.output, /\+ assistant.greeting: Guten Tag\./);
  assert.deepEqual(await profile(), {
    ...{ language: "de", voice: "elevenlabs", model: "anthropic", recordsCalls: true },
    greeting: "Guten Tag.",
  });
  const shown = await run(["show", "--org", "harbour-clinic"]);
  const again = await run(["change", await write(shown.output), "--yes"]);
  assert.match(again.output, /is as the file says/);
  await run(["change", await write(file), "--yes"]);
  assert.deepEqual(await profile(), defaults);
});

test("clinic questions lists questions without an answer and removes one that needs none", async ({ run, write, sql }) => {
  await run(["add", await write(file), "--yes"]);
  const list = ["questions", "--org", "harbour-clinic"];
  assert.match((await run(list)).output, /^Harbour Clinic has no questions without an answer$/);
  for (const question of ["Do you take dogs?", "Do you take any dogs?", "Is there a lift?"]) {
    await sql`select public.answer_question(${
      sql.json({ calledNumber: "+442079460123", callId: question })
    }, ${question}, false)`;
  }
  const listed = await run(list);
  const [dogs = "", lift = "", ...more] = listed.output.split("\n");
  assert.match(
    dogs,
    /^[0-9a-f]{8} {2}Do you take dogs\? {2}\(2 times, last on 20\d\d-\d\d-\d\d\)$/,
  );
  assert.match(lift, /^[0-9a-f]{8} {2}Is there a lift\? {2}\(once, /);
  assert.deepEqual(more, []);
  const removed = await run([...list, "--remove", lift.slice(0, 8)]);
  assert.equal(removed.output, "Removed: Is there a lift?");
  const twice = await run([...list, "--remove", lift.slice(0, 8)]);
  assert.deepEqual([twice.code, twice.output], [1, ""]);
  assert.equal((await run(list)).output, dogs);
  const audited = await sql`
    select details from public.audit_logs where action = 'remove_question' and outcome = 'removed'`;
  assert.equal(audited.length, 1);
  assert.doesNotMatch(JSON.stringify(audited), /lift/);
  // A fact answers it.
  await run([
    "change",
    await write(`${file}facts:\n  - {question: "Do you take dogs?", answer: "No."}\n`),
    "--yes",
  ]);
  assert.match((await run(list)).output, /no questions/);
  assert.match(
    (await run(["questions", "--org", "nowhere"])).errors,
    /There is no clinic nowhere/,
  );
  assert.equal((await run(["show", "--org", "harbour-clinic", "--remove", "x"])).code, 2);
});

test("clinic works as a separate process", async ({ write, dbUrl }) => {
  const path = "supabase/tasks/clinic.ts";
  const start = (...args: string[]) =>
    runApart(["run", "--quiet", "-A", "--no-check", path, ...args, "--db", dbUrl]);
  const added = await start("add", await write(file), "--yes");
  assert.deepEqual([added.code, added.output.split("\n").at(-2)], [0, "Harbour Clinic is added"]);
  const shown = await start("show", "--org", "harbour-clinic");
  const checked = await start("check", await write(shown.output));
  assert.match(checked.output, /^Harbour Clinic is as the file says/);
});
