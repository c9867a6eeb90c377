/**
 * Tells other systems what has happened: claims the messages that are due, sends them, and stores the
 * results.
 *
 * @module
 */

import type { Config } from "./config.ts";
import type { Database } from "./database/client.ts";
import { type ClaimedMessage, claimWebhooks, settleWebhook } from "./database/webhooks.ts";
import type { Budget } from "./deadline.ts";
import { toFault } from "./errors.ts";
import type { Network } from "./exchange.ts";
import type { Log } from "./logging.ts";
import { decryptWebhookSecret, sendWebhook, type WebhookAttempt } from "./webhook.ts";

/** Endpoints whose messages are claimed and sent together, a few each. */
const endpointsAtOnce = 10;
/** With less time left, in milliseconds, nothing more is claimed. */
const shortestBatchMs = 15_000;

/** What sending needs. */
export interface WebhookTools {
  readonly config: Pick<Config, "credentialKeys">;
  readonly database: Database;
  readonly budget: Budget;
  readonly log: Log;
  /** The internet if left out. */
  readonly network?: Network;
  /** For each message, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Sends the messages that are due, batch by batch, until none is left or the time is nearly over.
 *
 * @returns How many had which result.
 * @throws {Fault} If messages cannot be claimed. A message whose result cannot be stored is only logged:
 * it is sent again.
 */
export async function sendDueWebhooks(tools: WebhookTools): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  while (tools.budget.remainingMs() > shortestBatchMs) {
    const claimed = await claimWebhooks(tools.database, endpointsAtOnce);
    const messages = claimed.outcome === "claimed" ? claimed.messages : [];
    if (messages.length === 0) break;
    for (const outcome of await Promise.all(messages.map((one) => sendOne(one, tools)))) {
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  }
  return counts;
}

async function sendOne(message: ClaimedMessage, tools: WebhookTools): Promise<string> {
  const { orgId, endpointId, messageId, type } = message;
  const named = { orgId, endpointId, messageId, type };
  try {
    const attempt = await deliver(message, tools);
    const { outcome } = await settleWebhook(tools.database, message, attempt);
    const { reason } = attempt;
    tools.log[reason === null ? "info" : "warn"]("webhook", {
      ...{ ...named, outcome },
      ...reason === null ? {} : { reason },
    });
    return outcome;
  } catch (thrown) {
    tools.log.error("webhook_unsettled", { ...named, fault: toFault(thrown) });
    return "unsettled";
  }
}

async function deliver(
  message: ClaimedMessage,
  { config, network, timeoutMs, log }: WebhookTools,
): Promise<Pick<WebhookAttempt, "reason" | "isGone">> {
  const secrets = [];
  for (const stored of message.secrets) {
    try {
      secrets.push(await decryptWebhookSecret(config.credentialKeys, message, stored));
    } catch (thrown) {
      const { orgId, endpointId } = message;
      log.error("webhook_secret_unreadable", { orgId, endpointId, fault: toFault(thrown) });
    }
  }
  // A message without a signature would be refused, or worse, believed.
  if (secrets.length === 0) return { reason: "secret_unreadable", isGone: false };
  const { messageId: id, orgId, type, at, data } = message;
  const timestamp = new Date(at).toISOString();
  return await sendWebhook(
    message.address,
    secrets,
    { id, type, timestamp, data: { orgId, ...data } },
    { network, timeoutMs },
  );
}
