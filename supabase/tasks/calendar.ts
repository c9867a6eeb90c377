/**
 * `deno task calendar`: the calendars that a clinic gives out.
 *
 * The address of a calendar contains its token, which is created here and shown once. The database gets
 * its hash.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { createCalendarToken, hashCalendarToken } from "../../shared/calendar_token.ts";
import { readEnvFile, withDatabase } from "./database.ts";
import { defineTask, main, Misuse, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task calendar list   --org SLUG_OR_ID
deno task calendar add    --org SLUG_OR_ID --label WHO [--doctor ID]  print the address of a new calendar
deno task calendar revoke --org SLUG_OR_ID --id ID                    its address no longer works
  --doctor ID  the doctor's id in the clinic's file; the whole clinic if left out
  --label WHO  who gets the address
  --id ID      as list shows it
  --env FILE   a file with SUPABASE_DB_URL and FUNCTIONS_PUBLIC_URL or SUPABASE_URL; .env if left out.
               The environment takes precedence
  --db URL     the database as its owner, instead of SUPABASE_DB_URL
  Whoever has the address can read the calendar. It cannot be shown again: add another and revoke it.
  exit code 0: done, 1: there is no such clinic, doctor or calendar, 2: wrong arguments,
  3: the database could not be reached or refused`;

const commands = ["list", "add", "revoke"] as const;

const feeds = z.array(z.object({
  feedId: z.string(),
  label: z.string(),
  doctor: z.string().nullable(),
  readAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
}));

const listed = z.object({ outcome: z.literal("found"), feeds });

const added = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("added"), feedId: z.string() }),
  z.object({ outcome: z.literal("invalid_feed"), reason: z.string() }),
  z.object({ outcome: z.enum(["unknown_provider", "too_many_feeds", "unknown_clinic", "busy"]) }),
]);

const revoked = z.object({
  outcome: z.enum(["revoked", "unknown_feed", "unknown_clinic", "busy"]),
});

/** The task. */
export const calendar = defineTask({
  usage,
  options: {
    org: { type: "string" },
    label: { type: "string" },
    doctor: { type: "string" },
    id: { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals: [given, surplus] }, { env, terminal }) => {
    const command = commands.find((name) => name === given);
    if (!command || surplus !== undefined) throw new Misuse(`Give one of ${commands.join(", ")}`);
    const { org, label, doctor = null, id } = values;
    if (!org) throw new Misuse(`${command} needs --org`);
    if (command === "add" && !label) throw new Misuse("add needs --label");
    if (command === "revoke" && !id) throw new Misuse("revoke needs --id");
    if (command !== "add" && (label ?? doctor) !== null && (label ?? doctor) !== undefined) {
      throw new Misuse("--label and --doctor are for add");
    }
    const settings = { ...await readEnvFile(values.env), ...env };
    await withDatabase(values.db ?? settings["SUPABASE_DB_URL"], async (sql) => {
      const clinic = await findClinic(sql, org);
      if (command === "list") await list(sql, clinic, terminal);
      else if (command === "revoke") await revoke(sql, clinic, id ?? "", terminal);
      else {
        const base = functionsOf(settings);
        await add(sql, clinic, { label: label ?? "", doctor, base }, terminal);
      }
    });
    return 0;
  },
});

/** Where calendar programs reach the functions. */
function functionsOf(settings: Readonly<Record<string, string>>): string {
  const { FUNCTIONS_PUBLIC_URL: address, SUPABASE_URL: project } = settings;
  const base = address ?? (project && `${project.replace(/\/+$/, "")}/functions/v1`);
  if (base === undefined) {
    throw new Stop(2, "Where are the functions? Set FUNCTIONS_PUBLIC_URL or SUPABASE_URL");
  }
  return base.replace(/\/+$/, "");
}

interface Clinic {
  readonly id: string;
  readonly name: string;
}

async function findClinic(sql: postgres.Sql, org: string): Promise<Clinic> {
  const [found] = await sql<Clinic[]>`
    select id, name from public.organizations where slug = ${org} or id::text = lower(${org})`;
  if (!found) throw new Stop(1, `There is no clinic ${org}`);
  return found;
}

async function list(sql: postgres.Sql, clinic: Clinic, terminal: Terminal): Promise<void> {
  const [row] = await sql`select public.list_calendars(${clinic.id}) as answer`;
  const found = listed.parse(row?.["answer"]).feeds;
  for (const { feedId, label, doctor, readAt, revokedAt } of found) {
    const state = revokedAt !== null
      ? `revoked on ${revokedAt.slice(0, 10)}`
      : readAt === null
      ? "never read"
      : `last read on ${readAt.slice(0, 10)}`;
    terminal.print(`${feedId}  ${doctor ?? clinic.name}: ${label} (${state})`);
  }
  if (found.length === 0) terminal.print(`${clinic.name} gives out no calendars`);
}

async function add(
  sql: postgres.Sql,
  clinic: Clinic,
  { label, doctor, base }: {
    readonly label: string;
    readonly doctor: string | null;
    readonly base: string;
  },
  terminal: Terminal,
): Promise<void> {
  const token = createCalendarToken(clinic.id);
  const [row] = await sql`select public.add_calendar_feed(
    ${clinic.id}, ${doctor}, ${label}, ${hashCalendarToken(token)}) as answer`;
  const answer = added.parse(row?.["answer"]);
  switch (answer.outcome) {
    case "added":
      // Only the address goes to standard output, so that it can be piped.
      terminal.print(`${base}/calendar?token=${token}`);
      terminal.printError(
        `This address is shown once. Whoever has it can read the calendar. Revoke it with ` +
          `deno task calendar revoke --org ${clinic.id} --id ${answer.feedId}`,
      );
      return;
    case "unknown_provider":
      throw new Stop(1, `${clinic.name} has no doctor ${doctor}; give an id of the clinic's file`);
    case "too_many_feeds":
      throw new Stop(1, `${clinic.name} gives out 200 calendars; revoke one that nobody reads`);
    case "invalid_feed":
      throw new Stop(2, answer.reason);
    case "unknown_clinic":
      throw new Stop(1, `${clinic.name} was removed in the meantime`);
    case "busy":
      throw new Stop(1, "Somebody else is changing the clinic; nothing was done. Run it again");
  }
}

async function revoke(
  sql: postgres.Sql,
  clinic: Clinic,
  id: string,
  terminal: Terminal,
): Promise<void> {
  if (!z.guid().safeParse(id).success) {
    throw new Misuse(`--id takes an id that list shows, not ${id}`);
  }
  const [row] = await sql`select public.revoke_calendar_feed(${clinic.id}, ${id}) as answer`;
  switch (revoked.parse(row?.["answer"]).outcome) {
    case "revoked":
      terminal.print("Revoked: its address no longer works");
      return;
    case "unknown_feed":
      throw new Stop(1, `${clinic.name} has no calendar ${id}; deno task calendar list shows them`);
    case "unknown_clinic":
      throw new Stop(1, `${clinic.name} was removed in the meantime`);
    case "busy":
      throw new Stop(1, "Somebody else is changing the clinic; nothing was done. Run it again");
  }
}

if (import.meta.main) await main(calendar);
