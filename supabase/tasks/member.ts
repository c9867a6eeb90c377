/**
 * `deno task member`: the staff of a clinic and their roles.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { roles } from "../desk/app/rows.ts";
import { type Clinic, findClinic, loadSettings, withDatabase } from "./database.ts";
import { defineTask, main, Misuse, readCommand, Stop } from "./task.ts";

const usage = `deno task member list   --org SLUG_OR_ID
deno task member add    --org SLUG_OR_ID --email E --role ROLE  make an account a member of a clinic
deno task member role   --org SLUG_OR_ID --email E --role ROLE  give a member another role
deno task member remove --org SLUG_OR_ID --email E              end a membership, at once
  --email E    of an existing account at Supabase Auth
  --role ROLE  ${roles.join(", ")}; docs/security.md says what each may do
  --env FILE   a file with SUPABASE_DB_URL, which overrides the environment; if left out,
               the environment, then .env
  --db URL     the database as its owner, instead of SUPABASE_DB_URL
  exit code 0: done, 1: there is no such clinic, account or member, 2: wrong arguments,
  3: the database was unreachable or refused`;

const commands = ["list", "add", "role", "remove"] as const;
type Command = (typeof commands)[number];

const changed = z.object({
  outcome: z.enum(["added", "changed", "removed", "unchanged", "busy"]),
});

/** The task. */
export const member = defineTask({
  usage,
  options: {
    org: { type: "string" },
    email: { type: "string" },
    role: { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals }, { env, terminal }) => {
    const { command } = readCommand(positionals, commands);
    const { org, email } = values;
    if (!org) throw new Misuse(`${command} needs --org`);
    const role = readRole(command, values.role);
    if (command !== "list" && !email) throw new Misuse(`${command} needs --email`);
    const settings = await loadSettings(values, env);
    await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const clinic = await findClinic(sql, org);
      if (command !== "list" && email) {
        terminal.print(await change(sql, { command, clinic, email, role }));
        return;
      }
      const members = await listMembers(sql, clinic.id);
      for (const one of members) terminal.print(`${one.role.padEnd(8)} ${one.email}`);
      if (members.length === 0) terminal.print(`${clinic.name} has no members`);
    });
    return 0;
  },
});

function readRole(command: Command, given: string | undefined): string | null {
  const needsRole = command === "add" || command === "role";
  if (!needsRole && given !== undefined) throw new Misuse(`${command} takes no --role`);
  if (!needsRole) return null;
  const role = roles.find((one) => one === given);
  if (!role) throw new Misuse(`${command} needs --role with one of ${roles.join(", ")}`);
  return role;
}

async function listMembers(sql: postgres.Sql, orgId: string) {
  return await sql<{ userId: string; email: string; role: string }[]>`
    select u.id as "userId", coalesce(u.email, u.id::text) as email, m.role
    from public.org_members as m join auth.users as u on u.id = m.user_id
    where m.org_id = ${orgId} order by array_position(${[...roles]}::text[], m.role) desc, 2`;
}

interface Change {
  readonly command: Exclude<Command, "list">;
  readonly clinic: Clinic;
  readonly email: string;
  readonly role: string | null;
}

async function change(
  sql: postgres.Sql,
  { command, clinic, email, role }: Change,
): Promise<string> {
  const [account] = await sql<{ id: string; role: string | null }[]>`
    select u.id, m.role from auth.users as u
    left join public.org_members as m on m.user_id = u.id and m.org_id = ${clinic.id}
    where lower(u.email) = lower(${email.trim()})`;
  if (!account) {
    throw new Stop(
      1,
      `There is no account ${email}. Add it at Supabase first: Authentication, Users, Add user`,
    );
  }
  if (command === "add" && account.role !== null && account.role !== role) {
    throw new Stop(1, `${email} is ${account.role} already; deno task member role changes that`);
  }
  if (command !== "add" && account.role === null) {
    throw new Stop(1, `${email} is not a member of ${clinic.name}`);
  }
  const [row] = await sql`
    select public.set_member(${clinic.id}, ${account.id}, ${role}) as answer`;
  const { outcome } = changed.parse(row?.["answer"]);
  if (outcome === "busy") throw new Stop(1, "The clinic is being changed. Run it again");
  return role === null
    ? `${email} is no longer a member of ${clinic.name}`
    : `${email} is ${role} at ${clinic.name}`;
}

if (import.meta.main) await main(member);
