/**
 * The clinics of the local stack, from the files that people edit.
 *
 * @module
 */

import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { ClinicDocument } from "../tasks/clinic/document.ts";
import { readClinicFile } from "../tasks/clinic/file.ts";
import { withConnection } from "./connection.ts";

/**
 * Reads every clinic of a folder, in the order of their names.
 *
 * @throws {Error} With file and line of every mistake.
 */
export async function readClinics(folder: URL): Promise<ClinicDocument[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".yaml")).sort();
  return await Promise.all(names.map(async (name) => {
    const read = readClinicFile(await readFile(new URL(name, folder), "utf8"));
    if (read.ok) return read.clinic;
    const place = `${basename(folder.pathname)}/${name}`;
    throw new Error(
      read.problems.map(({ line, message }) => `${place}:${line}: ${message}`).join("\n"),
    );
  }));
}

/**
 * Adds the clinics that do not exist yet. Existing ones keep their changes.
 *
 * @param url As the role postgres.
 */
export async function addClinics(url: string, clinics: readonly ClinicDocument[]): Promise<void> {
  await withConnection(url, async (sql) => {
    for (const clinic of clinics) {
      const [row] = await sql<{ outcome: string }[]>`
        select public.apply_clinic(${
        JSON.stringify(clinic)
      }::text::jsonb) ->> 'outcome' as outcome`;
      if (row?.outcome !== "added" && row?.outcome !== "slug_taken") {
        throw new Error(`Cannot add the clinic ${clinic.slug}: ${row?.outcome}`);
      }
    }
  });
}

/** The clinics as SQL, for `supabase db reset`, which cannot read the files. */
export function writeSeed(clinics: readonly ClinicDocument[]): string {
  const statements = clinics.map((clinic) =>
    `select public.apply_clinic($clinic$${JSON.stringify(clinic, null, 2)}$clinic$);\n`
  );
  return `/*
 * Two clinics to try things out, with fictional numbers (Ofcom's and NANPA's ranges for drama).
 * Generated from supabase/clinics by \`deno run -A supabase/local/clinics.ts\`; a test compares the two.
 * Safe to run again: existing clinics stay unchanged.
 */

${statements.join("\n")}`;
}

if (import.meta.main) {
  const clinics = await readClinics(new URL("../clinics/", import.meta.url));
  await Deno.writeTextFile(new URL("../seed.sql", import.meta.url), writeSeed(clinics));
}
