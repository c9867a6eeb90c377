/**
 * `deno task clinic`: adds and changes clinics from files that people can read, and writes such a
 * file from the database.
 *
 * The database decides what a file changes. It first applies the file in a transaction and rolls back,
 * and the difference is shown. Then exactly that difference is applied.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { listDifferences } from "./clinic/difference.ts";
import { type ClinicDocument, clinicDocument } from "./clinic/document.ts";
import { writeClinicFile } from "./clinic/file.ts";
import type { Path } from "./clinic/contradictions.ts";
import {
  type ClinicFile,
  findStoredClinic,
  loadClinicFile,
  readStoredClinic,
} from "./clinic/sources.ts";
import { loadSettings, withDatabase } from "./database.ts";
import { defineTask, main, Misuse, readCommand, requireConsent, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task clinic add FILE     add the clinic of a file
deno task clinic change FILE  change a clinic to match its file
deno task clinic check FILE   check a file and, with a database, show what it would change
deno task clinic show --org SLUG_OR_ID   write the file of a clinic to standard output
deno task clinic questions --org SLUG_OR_ID   list what callers asked and no fact answers
deno task clinic delete --org SLUG_OR_ID   delete a clinic that has no future appointments
  --remove ID for questions: delete one that needs no answer
  --yes       apply without asking
  --dry-run   show the difference and apply nothing
  --org NAME  for change: the clinic, if the file gives it another slug
  --env FILE  a file with SUPABASE_DB_URL, which overrides the environment; if left out,
              the environment, then .env
  --db URL    the database as its owner, instead of SUPABASE_DB_URL
  What a file can say is in docs/clinic-file.md; examples are in supabase/clinics.
  Bookings that a change leaves outside of the schedule are kept and listed.
  exit code 0: done, 1: it cannot be applied, 2: wrong arguments or a mistake in the file,
  3: the database was unreachable or refused`;

const commands = ["add", "change", "check", "show", "questions", "delete"] as const;

const booking = z.object({
  appointmentId: z.string(),
  status: z.enum(["held", "confirmed"]),
  startTime: z.string(),
  service: z.string(),
  doctor: z.string(),
  reason: z.enum([
    "doctor_removed",
    "service_removed",
    "service_not_offered",
    "time_off",
    "clinic_closed",
    "outside_hours",
  ]),
});
type Booking = z.infer<typeof booking>;

const application = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.enum(["added", "changed", "unchanged"]),
    orgId: z.string().optional(),
    before: clinicDocument.nullable(),
    after: clinicDocument,
    seen: z.string().nullable(),
    already: z.array(z.string()),
    bookings: z.array(booking),
  }),
  z.object({
    outcome: z.literal("channel_taken"),
    channels: z.array(z.object({ kind: z.string(), value: z.string(), slug: z.string() })),
  }),
  z.object({
    outcome: z.enum([
      "slug_taken",
      "unknown_clinic",
      "changed_meanwhile",
      "transfer_loops",
      "busy",
    ]),
  }),
]);
type Application = z.infer<typeof application>;
/** A file that can be applied. */
type Applicable = Extract<Application, { readonly outcome: "added" | "changed" | "unchanged" }>;

const deletion = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("deleted"), slug: z.string(), appointments: z.number() }),
  z.object({ outcome: z.literal("appointments_ahead"), ahead: z.number() }),
  z.object({ outcome: z.enum(["unknown_clinic", "busy"]) }),
]);

const questions = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.literal("found"),
    questions: z.array(z.object({
      id: z.string(),
      question: z.string(),
      asked: z.number(),
      lastAskedAt: z.string(),
    })),
  }),
  z.object({ outcome: z.literal("unknown_clinic") }),
]);

const removal = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("removed"), question: z.string() }),
  z.object({ outcome: z.enum(["not_found", "unknown_clinic", "busy"]) }),
]);

/** The task. */
export const clinic = defineTask({
  usage,
  options: {
    yes: { type: "boolean", default: false },
    "dry-run": { type: "boolean", default: false },
    org: { type: "string" },
    remove: { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals }, { env, terminal }) => {
    const { command, words: [path] } = readCommand(positionals, commands, 1);
    const { org, remove } = values;
    if (remove !== undefined && command !== "questions") {
      throw new Misuse("--remove is for questions");
    }
    const settings = await loadSettings(values, env);
    const dbUrl = settings["SUPABASE_DB_URL"];
    if (command === "delete") {
      if (!org || path !== undefined) throw new Misuse("delete takes --org SLUG_OR_ID and no file");
      await withDatabase(dbUrl, (sql) => deleteClinic(sql, org, values.yes, terminal));
      return 0;
    }
    if (command === "show" || command === "questions") {
      if (!org || path !== undefined) {
        throw new Misuse(`${command} takes --org SLUG_OR_ID and no file`);
      }
      await withDatabase(dbUrl, async (sql) => {
        if (command === "show") await show(sql, org, terminal);
        else if (remove === undefined) await listQuestions(sql, org, terminal);
        else await removeQuestion(sql, org, remove, terminal);
      });
      return 0;
    }
    if (path === undefined) throw new Misuse(`${command} needs a file`);
    const file = await loadClinicFile(path);
    if (command === "check" && !dbUrl) {
      terminal.print(`${path} has no mistakes; --db URL compares it with a database`);
      return 0;
    }
    await withDatabase(dbUrl, (sql) =>
      apply(sql, file, {
        command,
        org,
        isDryRun: values["dry-run"] || command === "check",
        isAgreed: values.yes,
      }, terminal));
    return 0;
  },
});

async function show(sql: postgres.Sql, org: string, terminal: Terminal): Promise<void> {
  const { clinic } = await findStoredClinic(sql, org);
  terminal.print(writeClinicFile(clinic).trimEnd());
}

async function listQuestions(sql: postgres.Sql, org: string, terminal: Terminal): Promise<void> {
  const { clinic } = await findStoredClinic(sql, org);
  const [row] = await sql`select public.list_questions(${org}) as answer`;
  const answer = questions.parse(row?.["answer"]);
  const open = answer.outcome === "found" ? answer.questions : [];
  if (open.length === 0) terminal.print(`${clinic.name} has no questions without an answer`);
  for (const { id, question, asked, lastAskedAt } of open) {
    const times = asked === 1 ? "once" : `${asked} times`;
    terminal.print(`${id}  ${question}  (${times}, last on ${lastAskedAt.slice(0, 10)})`);
  }
}

async function removeQuestion(
  sql: postgres.Sql,
  org: string,
  id: string,
  terminal: Terminal,
): Promise<void> {
  await findStoredClinic(sql, org);
  const [row] = await sql`select public.remove_question(${org}, ${id}) as answer`;
  const answer = removal.parse(row?.["answer"]);
  switch (answer.outcome) {
    case "removed":
      terminal.print(`Removed: ${answer.question}`);
      return;
    case "not_found":
    case "unknown_clinic":
      throw new Stop(1, `There is no question ${id}; deno task clinic questions lists them`);
    case "busy":
      throw new Stop(1, "A caller is asking it right now; nothing was removed. Run it again");
  }
}

async function deleteClinic(
  sql: postgres.Sql,
  org: string,
  isAgreed: boolean,
  terminal: Terminal,
): Promise<void> {
  const { orgId, clinic } = await findStoredClinic(sql, org);
  const question = `Delete ${clinic.name}? It cannot be undone.`;
  if (!isAgreed) await requireConsent(terminal, question, "delete", "deleted");
  const [row] = await sql`select public.delete_clinic(${orgId}) as answer`;
  const answer = deletion.parse(row?.["answer"]);
  switch (answer.outcome) {
    case "deleted":
      terminal.print(
        `${clinic.name} is deleted, with ${answer.appointments} past or cancelled appointments. Its ` +
          `audit log stays, under ${orgId}. Remove its assistant, tools and numbers at Vapi`,
      );
      return;
    case "appointments_ahead":
      throw new Stop(
        1,
        `${clinic.name} has ${answer.ahead} future appointments or holds: cancel them first`,
      );
    case "unknown_clinic":
      throw new Stop(1, `The clinic ${org} was removed in the meantime`);
    case "busy":
      throw new Stop(1, "Somebody else is changing the clinic; nothing was deleted. Run it again");
  }
}

interface ApplyOptions {
  readonly command: "add" | "change" | "check";
  readonly org: string | undefined;
  readonly isDryRun: boolean;
  readonly isAgreed: boolean;
}

async function apply(
  sql: postgres.Sql,
  file: ClinicFile,
  { command, org, isDryRun, isAgreed }: ApplyOptions,
  terminal: Terminal,
): Promise<void> {
  const orgId = await chooseClinic(sql, file, command, org);
  const trial = await applyOnce(sql, file, { orgId, seen: null, isDryRun: true });
  describe(trial, file.clinic, terminal);
  listBookings(trial.bookings, isDryRun ? "would be" : "will be", terminal);
  if (isDryRun) {
    terminal.print("Nothing was applied");
    return;
  }
  if (trial.outcome === "unchanged") return;
  if (!isAgreed) await requireConsent(terminal, "Apply this?", "apply it", "applied");
  const known = await readLine(sql, orgId);
  const applied = await applyOnce(sql, file, { orgId, seen: trial.seen, isDryRun: false });
  terminal.print(`${file.clinic.name} is ${applied.outcome}`);
  if (known !== undefined && known !== await readLine(sql, orgId)) {
    terminal.print(
      `Its assistant at Vapi does not know that yet: deno task vapi sync --org ${file.clinic.slug}`,
    );
  }
  const shown = new Set(trial.bookings.map(({ appointmentId }) => appointmentId));
  const late = applied.bookings.filter(({ appointmentId }) => !shown.has(appointmentId));
  listBookings(late, `made in the meantime ${late.length === 1 ? "is" : "are"}`, terminal);
}

/** What Vapi is told about a clinic, as one text; undefined if the clinic has no assistant there. */
async function readLine(sql: postgres.Sql, orgId: string | null): Promise<string | undefined> {
  const [row] = await sql<{ line: string }[]>`
    select l.line::text as line from (select public.read_line(${orgId}) as line) as l
    where jsonb_array_length(l.line -> 'assistantIds') > 0`;
  return row?.line;
}

/** The id of the clinic to change; null when one is to be added. */
async function chooseClinic(
  sql: postgres.Sql,
  { clinic }: ClinicFile,
  command: ApplyOptions["command"],
  org: string | undefined,
): Promise<string | null> {
  if (command === "add") return null;
  if (command === "change" || org !== undefined) {
    return (await findStoredClinic(sql, org ?? clinic.slug)).orgId;
  }
  const answer = await readStoredClinic(sql, clinic.slug);
  return answer.outcome === "found" ? answer.orgId : null;
}

async function applyOnce(
  sql: postgres.Sql,
  file: ClinicFile,
  { orgId, seen, isDryRun }: {
    readonly orgId: string | null;
    readonly seen: string | null;
    readonly isDryRun: boolean;
  },
): Promise<Applicable> {
  const [row] = await sql`select public.apply_clinic(
    ${JSON.stringify(file.clinic)}::text::jsonb, ${orgId}, ${seen}, ${isDryRun}) as answer`;
  const answer = application.parse(row?.["answer"]);
  switch (answer.outcome) {
    case "added":
    case "changed":
    case "unchanged":
      return answer;
    case "channel_taken":
      throw new Stop(1, answer.channels.map((taken) => describeTaken(file, taken)).join("\n"));
    case "transfer_loops":
      throw new Stop(
        1,
        `${file.placeOf(["desk", "transfer_number"])}: an assistant answers ` +
          `${file.clinic.transferNumber}, so nobody at the desk would; give the number of a phone ` +
          "at the desk",
      );
    case "slug_taken":
      throw new Stop(
        1,
        `${file.placeOf(["clinic"])}: there is a clinic ${file.clinic.slug} already; ` +
          `change it with deno task clinic change ${file.path}, or take another slug`,
      );
    case "unknown_clinic":
      throw new Stop(1, `The clinic ${file.clinic.slug} was removed in the meantime`);
    case "changed_meanwhile":
      throw new Stop(1, "Somebody else changed the clinic; nothing was applied. Run it again");
    case "busy":
      throw new Stop(1, "Somebody else is changing the clinic; nothing was applied. Run it again");
  }
}

function describeTaken(
  { clinic, placeOf }: ClinicFile,
  { kind, value, slug }: { readonly kind: string; readonly value: string; readonly slug: string },
): string {
  const places: Readonly<Record<string, readonly [Path, readonly string[]]>> = {
    called_number: [["numbers"], clinic.numbers],
    vapi_phone_number: [["vapi", "phone_numbers"], clinic.vapiPhoneNumbers ?? []],
    vapi_assistant: [["vapi", "assistants"], clinic.vapiAssistants ?? []],
  };
  const [path, values] = places[kind] ?? [[], []];
  return `${placeOf([...path, values.indexOf(value)])}: ${value} belongs to the clinic ${slug}; ` +
    "a number or id can belong to only one clinic, so remove it there first or correct it here";
}

function describe(
  { outcome, before, after }: Applicable,
  clinic: ClinicDocument,
  terminal: Terminal,
) {
  if (outcome === "unchanged") {
    terminal.print(`${clinic.name} is as the file says`);
  } else if (before === null) {
    const { providers, services, numbers, facts } = after;
    terminal.print(
      `${after.name} (${after.slug}) is new: doctors ${providers.length}, services ` +
        `${services.length}, numbers ${numbers.length}, facts ${facts.length}`,
    );
  } else {
    terminal.print(`${before.name} (${before.slug}):`);
    for (const line of listDifferences(before, after)) terminal.print(`  ${line}`);
  }
}

const reasons: Readonly<Record<Booking["reason"], string>> = {
  doctor_removed: "the doctor is removed",
  service_removed: "the service is removed",
  service_not_offered: "the doctor no longer offers it",
  time_off: "the doctor is off",
  clinic_closed: "the clinic is closed",
  outside_hours: "it is outside of the doctor's hours",
};

function listBookings(bookings: readonly Booking[], verb: string, terminal: Terminal): void {
  if (bookings.length === 0) return;
  const counted = bookings.length === 1 ? "1 booking" : `${bookings.length} bookings`;
  terminal.print(
    `${counted} ${verb} outside of the schedule, and will be kept. Call the patients:`,
  );
  for (const { startTime, doctor, service, status, reason, appointmentId } of bookings) {
    const when = startTime.slice(0, 16).replace("T", " ");
    terminal.print(
      `  ${when} ${doctor}, ${service}, ${status}: ${reasons[reason]} (${appointmentId})`,
    );
  }
}

if (import.meta.main) await main(clinic);
