/**
 * The folder of a backup: two pg_dump archives, and a description to compare them with.
 *
 * The folder is complete or absent: it gets its name only after everything in it is written. Only its
 * owner can read it, since it contains patients' names and numbers.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { type Running, Stop } from "../task.ts";

/** Our part of the database, without the accounts. */
export const databaseFile = "database.dump";
/** The accounts of Supabase Auth, which the members of clinics refer to. */
export const accountsFile = "accounts.dump";
const descriptionFile = "backup.json";
const archives = [databaseFile, accountsFile] as const;

const described = z.object({
  format: z.literal(1),
  takenAt: z.string(),
  /** Major versions of the server and of the pg_dump that read it. */
  server: z.number(),
  program: z.number(),
  migrations: z.array(z.string()),
  /** The number of rows in each table. */
  rows: z.record(z.string(), z.number()),
  jobs: z.array(z.object({
    name: z.string(),
    schedule: z.string(),
    command: z.string(),
    active: z.boolean(),
  })),
  rights: z.array(z.string()),
  files: z.record(z.enum(archives), z.object({ bytes: z.number(), sha256: z.string() })),
});

/** The description of a backup. */
export type Description = z.output<typeof described>;

/**
 * Writes a backup's folder.
 *
 * @param write Writes the archives into the given folder, where they exist as empty files.
 * @throws {Stop} If the folder already exists.
 */
export async function writeFolder(
  folder: string,
  running: Running,
  write: (draft: string) => Promise<Omit<Description, "format" | "files">>,
): Promise<Description> {
  if (existsSync(folder)) throw new Stop(2, `${folder} exists: give another folder with --to`);
  const draft = `${folder}.part-${crypto.randomUUID()}`;
  await mkdir(draft, { recursive: true, mode: 0o700 });
  await running.start(Promise.resolve(), () => rm(draft, { recursive: true, force: true }));
  for (const name of archives) await writeFile(join(draft, name), "", { mode: 0o600 });
  const known = await write(draft);
  const description: Description = {
    format: 1,
    ...known,
    files: {
      [databaseFile]: await measure(join(draft, databaseFile)),
      [accountsFile]: await measure(join(draft, accountsFile)),
    },
  };
  const text = `${JSON.stringify(description, null, 2)}\n`;
  await writeFile(join(draft, descriptionFile), text, { mode: 0o600 });
  await rename(draft, folder);
  return description;
}

/**
 * Reads a backup's description and verifies the size and hash of its archives.
 *
 * @throws {Stop} If it is not a backup, or was changed.
 */
export async function readFolder(folder: string): Promise<Description> {
  const text = await readFile(join(folder, descriptionFile), "utf8").catch(() => {
    throw new Stop(2, `${folder} is not a backup: there is no ${descriptionFile} in it`);
  });
  const description = parse(folder, text);
  for (const name of archives) {
    const { bytes, sha256 } = description.files[name];
    const found = await measure(join(folder, name)).catch(() => {
      throw new Stop(2, `${folder} is not complete: ${name} is missing`);
    });
    if (found.bytes !== bytes) {
      throw new Stop(2, `${name} of ${folder} has ${found.bytes} bytes, and ${bytes} were written`);
    }
    if (found.sha256 !== sha256) {
      throw new Stop(2, `${name} of ${folder} is not what was written: its hash differs`);
    }
  }
  return description;
}

function parse(folder: string, text: string): Description {
  try {
    return described.parse(JSON.parse(text));
  } catch {
    throw new Stop(
      2,
      `${descriptionFile} of ${folder} is damaged, or another version of deno task backup wrote it`,
    );
  }
}

async function measure(file: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(file)) hash.update(part);
  return { bytes: (await stat(file)).size, sha256: hash.digest("hex") };
}

/** A default name for a backup, which sorts by time. */
export function nameFolder(at: Date): string {
  return `backup-${at.toISOString().slice(0, 19).replaceAll(":", "")}Z`;
}

/** A backup's name and size, for people. */
export function describeFolder(folder: string, { takenAt, rows }: Description): string {
  const count = (table: string) => rows[`public.${table}`] ?? 0;
  return `${basename(folder)} of ${takenAt}: ${count("organizations")} clinics, ` +
    `${count("appointments")} appointments and holds, ${count("contacts")} contacts`;
}
