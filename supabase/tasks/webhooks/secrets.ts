/**
 * The stored signing secrets of endpoints, encrypted under other keys.
 *
 * @module
 */

import type { NamedKey } from "../../../shared/config.ts";
import type { Encrypted } from "../../../shared/encryption.ts";
import { decryptWebhookSecret, encryptWebhookSecret } from "../../../shared/webhook.ts";

/** A secret, as it is stored. */
export interface StoredSecret extends Encrypted {
  /** When an old one is no longer used, ISO 8601; the newest has none. */
  readonly until?: string;
}

/** An endpoint with its secrets, newest first. */
export interface StoredEndpoint {
  readonly orgId: string;
  readonly endpointId: string;
  readonly secrets: readonly [StoredSecret, ...StoredSecret[]];
}

/**
 * The secrets of an endpoint under the first of other keys. An old one that is no longer used, or that
 * cannot be read, is left out: the newest one signs without it.
 *
 * @param here Keys that decrypt the stored secrets.
 * @throws When the newest one cannot be read.
 */
export async function reencryptSecrets(
  { secrets: [newest, ...older], ...endpoint }: StoredEndpoint,
  here: readonly NamedKey[],
  there: readonly [NamedKey, ...NamedKey[]],
): Promise<StoredSecret[]> {
  const reencrypt = async (stored: StoredSecret) => {
    const secret = await decryptWebhookSecret(here, endpoint, stored);
    return { ...stored, ...await encryptWebhookSecret(there, endpoint, secret) };
  };
  const used = older.filter(({ until }) => until !== undefined && Date.parse(until) > Date.now());
  const kept = await Promise.all(used.map((one) => reencrypt(one).catch(() => undefined)));
  return [await reencrypt(newest), ...kept.filter((one) => one !== undefined)];
}
