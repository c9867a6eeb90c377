/**
 * Sends a signed example to an endpoint.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import type { Config } from "../../../shared/config.ts";
import type { Network } from "../../../shared/exchange.ts";
import { decryptWebhookSecret, sendWebhook } from "../../../shared/webhook.ts";
import type { Clinic } from "../database.ts";
import { Stop } from "../task.ts";
import type { Terminal } from "../terminal.ts";

const stored = z.array(
  z.object({ keyId: z.string(), nonce: z.string(), ciphertext: z.string() }),
);

/** What trying an endpoint needs. */
export interface Trial {
  readonly sql: postgres.Sql;
  readonly clinic: Clinic;
  readonly terminal: Terminal;
  readonly keys: () => Config["credentialKeys"];
}

/**
 * Sends `webhook.test` once and prints what came back.
 *
 * @param network The internet if left out.
 * @throws {Stop} When it was not accepted.
 */
export async function tryEndpoint(
  { sql, clinic, terminal, keys }: Trial,
  endpointId: string,
  network?: Network,
): Promise<void> {
  const [endpoint] = await sql`select address, secrets from public.webhook_endpoints
    where org_id = ${clinic.id} and id = ${endpointId}`;
  if (!endpoint) {
    throw new Stop(
      1,
      `${clinic.name} has no endpoint ${endpointId}; deno task webhooks list shows them`,
    );
  }
  const [newest] = stored.parse(endpoint["secrets"]);
  const of = { orgId: clinic.id, endpointId };
  const secret = newest && await decryptWebhookSecret(keys(), of, newest).catch(() => undefined);
  if (!secret) {
    throw new Stop(
      1,
      "Its secret cannot be read with these CREDENTIAL_KEYS: deno task webhooks rotate makes a new one",
    );
  }
  const message = {
    ...{ id: crypto.randomUUID(), type: "webhook.test", timestamp: new Date().toISOString() },
    data: { orgId: clinic.id },
  };
  const attempt = await sendWebhook(String(endpoint["address"]), [secret], message, {
    ...{ network, readsAnswer: true },
  });
  const { reason, status, answer } = attempt;
  const came = status === undefined ? `no answer (${reason})` : `${status} ${answer}`.trim();
  if (reason !== null) throw new Stop(1, `webhook.test was not accepted: ${came}`);
  terminal.print(`webhook.test was accepted: ${came}`);
}
