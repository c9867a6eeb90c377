/**
 * `deno task calendar`: the calendars that a clinic gives out, and the doctors' own calendars that it reads.
 *
 * The address of a calendar that is given out has its token, which is made here and shown once. The
 * database gets its hash. The address of a doctor's own calendar is a secret too: it is typed at a
 * terminal that does not show it, or read from standard input, and is never an argument.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { createCalendarToken, hashCalendarToken } from "../../shared/calendar_token.ts";
import { askAddress } from "./address.ts";
import {
  type Clinic,
  findClinic,
  loadSettings,
  sayBusy,
  sayRemoved,
  withDatabase,
} from "./database.ts";
import { defineTask, main, Misuse, readCommand, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task calendar list   --org SLUG_OR_ID
deno task calendar add    --org SLUG_OR_ID --label WHO [--doctor ID]  print the address of a new calendar
deno task calendar revoke --org SLUG_OR_ID --id ID                    its address no longer works
deno task calendar read   --org SLUG_OR_ID --doctor ID   read the doctor's own calendar as days off
deno task calendar forget --org SLUG_OR_ID --doctor ID   stop reading it, and remove these days off
  --doctor ID  the doctor's id in the clinic's file; the whole clinic if left out
  --label WHO  who gets the address
  --id ID      as list shows it
  --env FILE   a file with SUPABASE_DB_URL and FUNCTIONS_PUBLIC_URL or SUPABASE_URL, which overrides
               the environment; if left out, the environment, then .env
  --db URL     the database as its owner, instead of SUPABASE_DB_URL
  Whoever has the address can read the calendar. It cannot be shown again: add another and revoke it.
  read asks for the address (https, in the iCal format) that Google, Outlook or Apple show for the
  doctor's calendar; without a terminal it reads it from standard input.
  exit code 0: done, 1: there is no such clinic, doctor or calendar, 2: wrong arguments,
  3: the database was unreachable or refused`;

const commands = ["list", "add", "revoke", "read", "forget"] as const;

const feeds = z.array(z.object({
  feedId: z.string(),
  label: z.string(),
  doctor: z.string().nullable(),
  readAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
}));

const busy = z.array(z.object({
  doctor: z.string(),
  host: z.string(),
  readAt: z.string().nullable(),
  failures: z.number(),
  failure: z.string().nullable(),
  absences: z.number(),
}));

const listed = z.object({ outcome: z.literal("found"), feeds, busy });

const added = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("added"), feedId: z.string() }),
  z.object({ outcome: z.literal("invalid_feed"), reason: z.string() }),
  z.object({ outcome: z.enum(["unknown_provider", "too_many_feeds", "unknown_clinic", "busy"]) }),
]);

const revoked = z.object({
  outcome: z.enum(["revoked", "unknown_feed", "unknown_clinic", "busy"]),
});

const settled = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("invalid_address"), reason: z.string() }),
  z.object({
    outcome: z.enum(["set", "removed", "unchanged", "unknown_provider", "unknown_clinic", "busy"]),
  }),
]);

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
  run: async ({ values, positionals }, { env, terminal }) => {
    const { command } = readCommand(positionals, commands);
    const { org, label, doctor = null, id } = values;
    if (!org) throw new Misuse(`${command} needs --org`);
    if (command === "add" && !label) throw new Misuse("add needs --label");
    if (command === "revoke" && !id) throw new Misuse("revoke needs --id");
    const isOfDoctor = command === "read" || command === "forget";
    if (isOfDoctor && doctor === null) throw new Misuse(`${command} needs --doctor`);
    if (command !== "add" && label !== undefined) throw new Misuse("--label is for add");
    if (command !== "add" && !isOfDoctor && doctor !== null) {
      throw new Misuse("--doctor is for add, read and forget");
    }
    const settings = await loadSettings(values, env);
    const base = command === "add" ? functionsOf(settings) : "";
    await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const clinic = await findClinic(sql, org);
      switch (command) {
        case "list":
          return await list(sql, clinic, terminal);
        case "add":
          return await add(sql, clinic, { label: label ?? "", doctor, base }, terminal);
        case "revoke":
          return await revoke(sql, clinic, id ?? "", terminal);
        case "read":
          return await setBusy(
            sql,
            clinic,
            doctor ?? "",
            await askAddress(terminal, "the calendar"),
            terminal,
          );
        case "forget":
          return await setBusy(sql, clinic, doctor ?? "", null, terminal);
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

async function list(sql: postgres.Sql, clinic: Clinic, terminal: Terminal): Promise<void> {
  const [row] = await sql`select public.list_calendars(${clinic.id}) as answer`;
  const { feeds: found, busy: own } = listed.parse(row?.["answer"]);
  for (const { feedId, label, doctor, readAt, revokedAt } of found) {
    const state = revokedAt !== null
      ? `revoked on ${revokedAt.slice(0, 10)}`
      : readAt === null
      ? "never read"
      : `last read on ${readAt.slice(0, 10)}`;
    terminal.print(`${feedId}  ${doctor ?? clinic.name}: ${label} (${state})`);
  }
  if (found.length === 0) terminal.print(`${clinic.name} gives out no calendars`);
  for (const { doctor, host, readAt, failures, failure, absences } of own) {
    const state = failures > 0
      ? `${failures} readings in a row failed: ${failure}`
      : readAt === null
      ? "not read yet"
      : `last read at ${readAt.slice(0, 16)}, ${absences} absences`;
    terminal.print(`${doctor}'s own calendar at ${host} (${state})`);
  }
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
      throw sayRemoved(clinic);
    case "busy":
      throw sayBusy();
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
      throw sayRemoved(clinic);
    case "busy":
      throw sayBusy();
  }
}

async function setBusy(
  sql: postgres.Sql,
  clinic: Clinic,
  doctor: string,
  address: string | null,
  terminal: Terminal,
): Promise<void> {
  const [row] = await sql`select public.set_busy_calendar(
    ${clinic.id}, ${doctor}, ${address}) as answer`;
  const answer = settled.parse(row?.["answer"]);
  switch (answer.outcome) {
    case "set":
      terminal.print(
        "Stored. It is read within a minute, then every five minutes; deno task calendar list " +
          "shows with which result",
      );
      return;
    case "removed":
      terminal.print("It is no longer read, and the days off that came from it are removed");
      return;
    case "unchanged":
      throw new Stop(1, `${clinic.name} does not read a calendar of ${doctor}`);
    case "unknown_provider":
      throw new Stop(1, `${clinic.name} has no doctor ${doctor}; give an id of the clinic's file`);
    case "invalid_address":
      throw new Stop(2, answer.reason);
    case "unknown_clinic":
      throw sayRemoved(clinic);
    case "busy":
      throw sayBusy();
  }
}

if (import.meta.main) await main(calendar);
