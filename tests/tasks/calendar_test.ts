/** `deno task calendar`: a calendar is given out, read, listed and revoked, and mistakes get an answer. */
import assert from "node:assert/strict";
import calendarFunction from "../../functions/calendar/index.ts";
import { calendar } from "../../supabase/tasks/calendar.ts";
import { aClinic, testWithBench as test } from "../support/clinic.ts";
import { runHere } from "../support/terminal.ts";

test("a calendar is given out by its address, listed and revoked, and mistakes get an answer", async (bench) => {
  const { database, runtime } = bench;
  const clinic = await aClinic(database.sql);
  const env = { FUNCTIONS_PUBLIC_URL: "https://clinic.test/functions/v1/" };
  const run = async (...args: string[]): Promise<[number, string]> => {
    const { code, said } = await runHere(calendar, [...args, "--db", database.url()], env);
    return [code, said.split("\ndeno task calendar")[0] ?? ""];
  };
  const at = ["--org", clinic.slug];
  assert.deepEqual(await run("list", ...at), [0, "Sunrise Dental gives out no calendars"]);
  const [code, said] = await run("add", ...at, "--label", "Her phone", "--doctor", "doctor-1");
  assert.equal(code, 0);
  const [address = ""] = said.split("\n");
  assert.match(address, /^https:\/\/clinic\.test\/functions\/v1\/calendar\?token=cal_[\w-]{64}$/);
  const read = async () =>
    (await calendarFunction.using(runtime).fetch(new Request(address))).status;
  assert.equal(await read(), 200);
  const [, listed] = await run("list", ...at);
  assert.match(listed, /^\S{36} {2}Dr Number 1: Her phone \(last read on \d{4}-\d\d-\d\d\)$/);
  const id = listed.slice(0, 36);
  const other = await aClinic(database.sql);
  assert.equal((await run("revoke", "--org", other.slug, "--id", id))[0], 1);
  assert.equal(await read(), 200);
  assert.deepEqual(await run("revoke", ...at, "--id", id), [
    0,
    "Revoked: its address no longer works",
  ]);
  assert.equal(await read(), 404);
  assert.match((await run("list", ...at))[1], /revoked on/);
  const audited = await database.sql`select action from public.audit_logs
    where org_id = ${clinic.id} and action ~ 'calendar' order by at`;
  assert.deepEqual(audited.map(({ action }) => action), [
    "add_calendar_feed",
    "revoke_calendar_feed",
  ]);

  assert.deepEqual(await run("add", ...at, "--label", "x", "--doctor", "nobody"), [
    1,
    "Sunrise Dental has no doctor nobody; give an id of the clinic's file",
  ]);
  assert.deepEqual(await run("list", "--org", "nowhere"), [1, "There is no clinic nowhere"]);
  assert.equal((await run("revoke", ...at, "--id", crypto.randomUUID()))[0], 1);
  for (
    const wrong of [
      [],
      ["list"],
      ["add", ...at],
      ["revoke", ...at],
      ["revoke", ...at, "--id", "1"],
      [
        "list",
        ...at,
        "--label",
        "x",
      ],
    ]
  ) {
    assert.equal((await run(...wrong))[0], 2, wrong.join(" "));
  }
});

test("a doctor's own calendar is set without showing its address, listed and forgotten", async (bench) => {
  const { database } = bench;
  const clinic = await aClinic(database.sql);
  const at = ["--org", clinic.slug];
  const run = async (args: string[], input = ""): Promise<[number, string]> => {
    const given = [...args, "--db", database.url()];
    const { code, said } = await runHere(calendar, given, {}, { input });
    return [code, said.split("\ndeno task calendar")[0] ?? ""];
  };
  const read = ["read", ...at, "--doctor", "doctor-1"];
  const [code, said] = await run(read, "webcal://calendar.example/private-6f1c/basic.ics\n");
  assert.equal(code, 0, said);
  const [stored] = await database.sql`select address from public.busy_calendars`;
  assert.equal(stored?.["address"], "https://calendar.example/private-6f1c/basic.ics");
  const [, listed] = await run(["list", ...at]);
  assert.match(listed, /Dr Number 1's own calendar at calendar\.example \(not read yet\)$/);
  assert.doesNotMatch(said + listed, /private-6f1c/);
  const wrong = await run(read, "http://calendar.example/private-6f1c\n");
  assert.equal(wrong[0], 2);
  assert.match(wrong[1], /begins with https/);
  assert.doesNotMatch(wrong[1], /private-6f1c/);
  assert.equal((await run(read, "\n"))[0], 2);
  assert.equal((await run(["read", ...at, "--doctor", "nobody"], "https://a.test/"))[0], 1);
  const forget = ["forget", ...at, "--doctor", "doctor-1"];
  assert.equal((await run(forget))[0], 0);
  assert.equal((await run(forget))[0], 1);
  for (
    const args of [["read", ...at], ["forget", ...at], ["list", ...at, "--doctor", "doctor-1"]]
  ) {
    assert.equal((await run(args))[0], 2, args.join(" "));
  }
  const audited = await database.sql`select outcome, details from public.audit_logs
    where org_id = ${clinic.id} and action = 'set_busy_calendar' order by at`;
  assert.deepEqual(audited.map(({ outcome }) => outcome), [
    ...["set", "invalid_address", "unknown_provider", "removed", "unchanged"],
  ]);
  assert.doesNotMatch(JSON.stringify(audited), /private-6f1c/);
});
