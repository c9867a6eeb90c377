/**
 * The settings of the functions on their way into a project: new ones, and what a project has of them.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { sha256 } from "../../../shared/bytes.ts";
import { type Config, readConfig, variableNames } from "../../../shared/config.ts";
import { toFault } from "../../../shared/errors.ts";

/** Variables by name. */
export type Settings = Readonly<Record<string, string>>;

/** A secret of a project as Supabase shows it. */
export interface StoredSecret {
  readonly name: string;
  /** SHA-256 of the value in hex; the value itself cannot be read. */
  readonly value: string;
}

/** New random values for what has no default, by name. */
export function makeSecrets(): Settings {
  const key = () => `v1:${randomBytes(32).toString("base64")}`;
  const token = () => randomBytes(24).toString("hex");
  return {
    VAPI_SECRETS: token(),
    OTP_PEPPERS: key(),
    CREDENTIAL_KEYS: key(),
    METRICS_TOKEN: token(),
    JOBS_SECRET: token(),
  };
}

/** `.env.example` with new secrets, and without what a project sets itself. */
export function fillExample(example: string): string {
  const secrets = makeSecrets();
  const entries = example.matchAll(/^((?:#[^\n]*\n)*)(\w+)=(.*)$/gm);
  const ours = [...entries].filter(([, , name = ""]) => !name.startsWith("SUPABASE_"));
  return ours.map(([, comment = "", name = "", value = ""]) =>
    `${comment}${name}=${secrets[name] ?? value}\n`
  ).join("");
}

/** What belongs to the functions: Supabase sets the `SUPABASE_` ones itself and refuses them. */
export function pickSettings(file: Settings): Settings {
  const ours = variableNames.filter((name) => !name.startsWith("SUPABASE_"));
  return Object.fromEntries(
    ours.flatMap((name) => file[name] ? [[name, file[name]]] : []),
  );
}

/** Settings compared with the secrets of a project. */
export interface Difference {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly same: readonly string[];
  /** The project has them, the settings do not: they stay. */
  readonly kept: readonly string[];
}

/** Compares by digest. */
export function compareSettings(
  settings: Settings,
  stored: readonly StoredSecret[],
): Difference {
  const digests = new Map(stored.map(({ name, value }) => [name, value]));
  const names = Object.keys(settings);
  const isSame = (name: string) => digests.get(name) === sha256(settings[name] ?? "");
  return {
    added: names.filter((name) => !digests.has(name)),
    changed: names.filter((name) => digests.has(name) && !isSame(name)),
    same: names.filter(isSame),
    kept: [...digests.keys()].filter((name) =>
      variableNames.includes(name) && !names.includes(name) && !name.startsWith("SUPABASE_")
    ),
  };
}

/**
 * What the functions will read, or why they will not start. A secret that only the project has counts
 * as sound.
 *
 * @param url The address of the project.
 */
export function foresee(
  settings: Settings,
  kept: readonly string[],
  url: string,
): { readonly config: Config } | { readonly problem: string } {
  const sound: Settings = {
    ...makeSecrets(),
    VAPI_HMAC_SECRETS: randomBytes(24).toString("hex"),
  };
  const unseen = kept.flatMap((name) => sound[name] ? [[name, sound[name]]] : []);
  try {
    return {
      config: readConfig({
        SUPABASE_URL: url,
        SUPABASE_SECRET_KEYS: '{"default":"unknown"}',
        ...Object.fromEntries(unseen),
        ...settings,
      }),
    };
  } catch (thrown) {
    return { problem: toFault(thrown).message.replace(/^Cannot start: /, "") };
  }
}
