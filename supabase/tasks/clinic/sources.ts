/**
 * Where tasks get a clinic's document from: a file, or the database.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type postgres from "postgres";
import { z } from "zod";
import { Stop } from "../task.ts";
import type { Path } from "./contradictions.ts";
import { type ClinicDocument, clinicDocument } from "./document.ts";
import { readClinicFile } from "./file.ts";

/** A file without mistakes. */
export interface ClinicFile {
  readonly path: string;
  readonly clinic: ClinicDocument;
  /** `FILE:LINE` of a part of it. */
  placeOf(path: Path): string;
}

/**
 * Loads a clinic's file.
 *
 * @throws {Stop} When it cannot be read or has mistakes, with the line of each.
 */
export async function loadClinicFile(path: string): Promise<ClinicFile> {
  const text = await readFile(path, "utf8").catch(() => {
    throw new Stop(2, `Cannot read ${path}`);
  });
  const read = readClinicFile(text);
  if (!read.ok) {
    const lines = read.problems.map(({ line, message }) => `${path}:${line}: ${message}`);
    throw new Stop(2, lines.join("\n"));
  }
  return { path, clinic: read.clinic, placeOf: (at) => `${path}:${read.lineOf(at)}` };
}

const found = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("found"), orgId: z.string(), clinic: clinicDocument }),
  z.object({ outcome: z.literal("unknown_clinic"), slugs: z.array(z.string()) }),
]);

/** Reads the clinic with a slug or id, or the slugs that there are. */
export async function readStoredClinic(sql: postgres.Sql, org: string) {
  const [row] = await sql`select public.read_clinic(${org}) as answer`;
  return found.parse(row?.["answer"]);
}

/**
 * Finds the clinic with a slug or id.
 *
 * @throws {Stop} When there is none.
 */
export async function findStoredClinic(sql: postgres.Sql, org: string) {
  const answer = await readStoredClinic(sql, org);
  if (answer.outcome === "found") return answer;
  const known = answer.slugs.length > 0
    ? `Known: ${answer.slugs.join(", ")}`
    : "There are no clinics";
  throw new Stop(1, `There is no clinic ${org}. ${known}`);
}
