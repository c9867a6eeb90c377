/** `deno task member`: memberships begin, change and end, and mistakes get an answer. */
import assert from "node:assert/strict";
import { roles } from "../../supabase/desk/app/rows.ts";
import { member } from "../../supabase/tasks/member.ts";
import { aClinic } from "../support/clinic.ts";
import { testWithDatabase as test } from "../support/database.ts";
import { aMember } from "../support/staff.ts";
import { runHere } from "../support/terminal.ts";

test("the roles of the page and the task are those of the SQL", async ({ sql }) => {
  const [row] = await sql`select private.roles_from('viewer') as roles`;
  assert.deepEqual(row?.["roles"], roles);
});

test("a member is added, gets another role, is listed and removed", async (database) => {
  const { sql } = database;
  const clinic = await aClinic(sql);
  const { email } = await aMember(sql);
  await aMember(sql, (await aClinic(sql)).id, "owner");
  const run = async (...args: string[]) => {
    const { code, said } = await runHere(member, [...args, "--db", database.url()]);
    return [code, said.split("\ndeno task member")[0]];
  };
  const at = ["--org", clinic.slug, "--email", email];
  assert.deepEqual(await run("list", "--org", clinic.slug), [0, "Sunrise Dental has no members"]);
  assert.deepEqual(await run("role", ...at, "--role", "desk"), [
    1,
    `${email} is not a member of Sunrise Dental`,
  ]);
  assert.deepEqual(await run("add", ...at, "--role", "desk"), [
    0,
    `${email} is desk at Sunrise Dental`,
  ]);
  assert.deepEqual(await run("add", ...at, "--role", "owner"), [
    1,
    `${email} is desk already; deno task member role changes that`,
  ]);
  const capitals = ["--org", clinic.id, "--email", email.toUpperCase()];
  assert.deepEqual((await run("role", ...capitals, "--role", "manager"))[0], 0);
  assert.deepEqual(await run("list", "--org", clinic.slug), [0, `manager  ${email}`]);
  assert.deepEqual(await run("remove", ...at), [
    0,
    `${email} is no longer a member of Sunrise Dental`,
  ]);
  assert.deepEqual(await run("remove", ...at), [1, `${email} is not a member of Sunrise Dental`]);
  const audited = await sql`select outcome from public.audit_logs
    where action = 'set_member' order by at`;
  assert.deepEqual(audited.map(({ outcome }) => outcome), ["added", "changed", "removed"]);

  assert.match(
    String((await run("add", "--org", clinic.slug, "--email", "x@y.test", "--role", "desk"))[1]),
    /no account x@y.test/,
  );
  assert.deepEqual(await run("list", "--org", "nowhere"), [1, "There is no clinic nowhere"]);
  for (
    const wrong of [[], ["list"], ["add", "--org", "a"], ["add", ...at], [
      "remove",
      ...at,
      "--role",
      "desk",
    ]]
  ) {
    assert.equal((await run(...wrong))[0], 2, wrong.join(" "));
  }
});
