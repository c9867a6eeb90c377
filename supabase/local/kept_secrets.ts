/**
 * The secrets of a local stack, drawn once and kept next to the database that they belong to.
 *
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";
import { z } from "zod";
import { toBase64 } from "../../shared/bytes.ts";
import { parseJson } from "./rest/json.ts";

const key = z.string().regex(/^v1:[A-Za-z0-9+/]{43}=$/);
const secret = z.string().min(32);
const keptSecrets = z.object({
  OTP_PEPPERS: key,
  CREDENTIAL_KEYS: key,
  JWT_SECRET: secret,
  JOBS_SECRET: secret,
  PUBLIC_VAPI_SECRET: secret,
  PUBLIC_METRICS_TOKEN: secret,
});

/** The secrets by the names of their variables. */
export type KeptSecrets = z.infer<typeof keptSecrets>;

/**
 * Reads the secrets, and draws those that the file does not have.
 *
 * @throws {Error} When the file exists and is damaged. The message names it.
 */
export async function keepSecrets(file: string): Promise<KeptSecrets> {
  const text = await readFile(file, "utf8").catch(() => "{}");
  const read = keptSecrets.partial().safeParse(parseJson(text));
  if (!read.success) {
    throw new Error(
      `Cannot read ${file}: it is damaged. Restore it, or start with an empty database: --fresh`,
    );
  }
  const draw = () => toBase64(crypto.getRandomValues(new Uint8Array(32)));
  const kept = keptSecrets.parse({
    OTP_PEPPERS: `v1:${draw()}`,
    CREDENTIAL_KEYS: `v1:${draw()}`,
    JWT_SECRET: draw(),
    JOBS_SECRET: draw(),
    PUBLIC_VAPI_SECRET: draw(),
    PUBLIC_METRICS_TOKEN: draw(),
    ...read.data,
  });
  await writeFile(file, JSON.stringify(kept), { mode: 0o600 });
  return kept;
}
