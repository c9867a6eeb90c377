/**
 * `deno task texts`: shows every text about appointments that a clinic sends, and sends none.
 *
 * @module
 */

import type postgres from "postgres";
import { composeAppointmentText } from "../../shared/appointment_text.ts";
import { toldOutcomes } from "../../shared/database/text_answers.ts";
import { countSegments } from "../../shared/gsm.ts";
import { composeReply } from "../../shared/text_reply.ts";
import type { ClinicDocument } from "./clinic/document.ts";
import { isDay } from "./clinic/notation.ts";
import { findStoredClinic, loadClinicFile } from "./clinic/sources.ts";
import { loadSettings, withDatabase } from "./database.ts";
import { defineTask, main, Misuse } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage = `deno task texts FILE               the texts of a clinic's file, for an example
deno task texts --org SLUG_OR_ID   the texts of a clinic, for an example
  --day YYYY-MM-DD  with --org: the reminders of the appointments of this day
  --env FILE  a file with SUPABASE_DB_URL, which overrides the environment; if left out,
              the environment, then .env
  --db URL    the database as its owner, instead of SUPABASE_DB_URL
  Nothing is sent. Each text is shown with its length and how many texts it costs.
  exit code 0: done, 1: there is no such clinic, 2: wrong arguments or a mistake in the file,
  3: the database could not be reached`;

/** The task. */
export const texts = defineTask({
  usage,
  options: {
    org: { type: "string" },
    day: { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values: { org, day, ...values }, positionals: [path, surplus] }, context) => {
    const { env, terminal } = context;
    if ((path === undefined) === (org === undefined) || surplus !== undefined) {
      throw new Misuse("Give one file, or --org SLUG_OR_ID");
    }
    if (day !== undefined && (org === undefined || !isDay(day))) {
      throw new Misuse("--day takes a day such as 2026-12-01, and needs --org");
    }
    if (path !== undefined) {
      showExample((await loadClinicFile(path)).clinic, terminal);
      return 0;
    }
    const settings = await loadSettings(values, env);
    return await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const { orgId, clinic } = await findStoredClinic(sql, org ?? "");
      if (day === undefined) showExample(clinic, terminal);
      else showReminders(clinic, await readDay(sql, orgId, day), day, terminal);
      return 0;
    });
  },
});

/** An appointment as a text describes it. */
interface Described {
  /** Clinic-local ISO 8601. */
  readonly startTime: string;
  readonly doctor: string;
}

function readDay(sql: postgres.Sql, orgId: string, day: string): Promise<Described[]> {
  return sql<Described[]>`
    select private.iso_local(a.starts_at, o.timezone) as "startTime", p.name as doctor
    from public.organizations as o
    cross join lateral private.find_reminded(o, ${day}, clock_timestamp()) as a
    join public.providers as p on p.org_id = a.org_id and p.id = a.provider_id
    where o.id = ${orgId} order by a.starts_at, p.name`;
}

/** A long date, so that a text which fits here fits in general. */
const exampleStart = "2026-09-30T10:30:00";
const exampleEnd = "2026-09-30T14:45:00";

const wordingOf = ({ textLanguage, textWords }: ClinicDocument) => ({
  language: textLanguage,
  words: textWords[textLanguage] ?? {},
});

function composeOf(
  clinic: ClinicDocument,
  kind: "confirmation" | "change" | "cancellation" | "reminder",
  described: Described,
): string {
  return composeAppointmentText({
    ...{ kind, ...described, ...wordingOf(clinic) },
    ...{ clinic: clinic.name, address: clinic.address, callBack: clinic.numbers[0] ?? null },
    offersAnswer: kind === "reminder" && clinic.textAnswers,
  }, undefined);
}

function showExample(clinic: ClinicDocument, terminal: Terminal): void {
  const doctor = clinic.providers[0]?.name ?? "";
  const described = { startTime: exampleStart, doctor };
  const sent = {
    confirmation: clinic.confirmationTexts,
    change: clinic.changeTexts,
    cancellation: clinic.cancellationTexts,
    reminder: clinic.reminderMin !== null,
  };
  for (const kind of ["confirmation", "change", "cancellation", "reminder"] as const) {
    print(kind, composeOf(clinic, kind, described), sent[kind], terminal);
  }
  for (const outcome of toldOutcomes) {
    for (const meaning of outcome === "which" ? ["confirm", "cancel"] : ["confirm"]) {
      const reply = composeReply({
        ...{ outcome, meaning, isReplied: true, clinic: clinic.name, ...wordingOf(clinic) },
        callBack: clinic.numbers[0] ?? null,
        appointments: outcome === "which"
          ? [described, { startTime: exampleEnd, doctor }]
          : [described],
      }, "");
      const name = outcome === "which" ? `which_${meaning}` : outcome;
      print(name, reply ?? "", clinic.textAnswers, terminal);
    }
  }
}

function showReminders(
  clinic: ClinicDocument,
  appointments: readonly Described[],
  day: string,
  terminal: Terminal,
): void {
  if (clinic.reminderMin === null) {
    terminal.print(`${clinic.name} sends no reminders: texts.reminder in its file is no`);
    return;
  }
  for (const described of appointments) {
    print("reminder", composeOf(clinic, "reminder", described), true, terminal);
  }
  terminal.print(`${appointments.length} patients are reminded of ${day}`);
}

function print(kind: string, text: string, isSent: boolean, terminal: Terminal): void {
  const segments = countSegments(text);
  const cost = `${text.length} characters, ${segments} ${segments === 1 ? "text" : "texts"}`;
  terminal.print(`${kind}${isSent ? "" : " (off)"}: ${cost}\n  ${text}`);
}

if (import.meta.main) await main(texts);
