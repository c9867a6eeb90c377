/**
 * A clinic whose webhooks are received, and the internet between the two.
 *
 * @module
 */

import assert from "node:assert/strict";
import { startBudget } from "../../shared/deadline.ts";
import type { Network } from "../../shared/exchange.ts";
import { createWebhookSecret, encryptWebhookSecret } from "../../shared/webhook.ts";
import { sendDueWebhooks } from "../../shared/webhooks.ts";
import { aClinic, aDay, type Bench, type Clinic } from "./clinic.ts";
import { answerWith } from "./network.ts";
import { aMember, asMember } from "./staff.ts";

/** What one request carried. */
export interface Delivery {
  readonly host: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** An internet where every host gives the same answer, and what was sent to it. */
export function anInternet() {
  const seen = {
    answer: "HTTP/1.1 204 No Content\r\n\r\n",
    /** An address that is not answered at all. */
    hangs: false,
    deliveries: [] as Delivery[],
    addresses: ["93.184.216.34"],
    meanwhile: () => Promise.resolve(),
  };
  const network: Network = {
    resolve: () => Promise.resolve(seen.addresses),
    connect: (_address, _port, host) => {
      const connection = answerWith(seen.answer, async (asked) => {
        const [head = "", body = ""] = asked.split("\r\n\r\n");
        const lines = head.split("\r\n").slice(1).map((line) => line.split(": "));
        const headers = lines.map(([name = "", value = ""]) => [name.toLowerCase(), value]);
        seen.deliveries.push({ host, headers: Object.fromEntries(headers), body });
        await seen.meanwhile();
      });
      let close = () => {};
      const closed = new Promise<null>((resolve) => close = () => resolve(null));
      return Promise.resolve({
        ...connection,
        read: async (buffer) => {
          const length = await connection.read(buffer);
          return seen.hangs ? await closed : length;
        },
        close,
      });
    },
  };
  return { seen, network };
}

/** Adds an endpoint, as the task does. */
export async function anEndpoint(
  { runtime, database: { sql } }: Bench,
  { id: orgId }: Clinic,
  { types = null, tellsNames = false, host = "hooks.example" }: {
    types?: string[] | null;
    tellsNames?: boolean;
    host?: string;
  } = {},
) {
  const endpointId = crypto.randomUUID();
  const secret = createWebhookSecret();
  const { credentialKeys } = runtime.config;
  const stored = await encryptWebhookSecret(credentialKeys, { orgId, endpointId }, secret);
  const [row] = await sql`select public.add_webhook(${orgId}, ${endpointId},
    ${`https://${host}/T0/secret-path`}, ${types}, ${tellsNames}, ${sql.json({ ...stored })})
    ->> 'outcome' as outcome`;
  assert.equal(row?.["outcome"], "added");
  return { endpointId, secret };
}

/** What the sender needs. */
export const tools = ({ runtime }: Bench, network: Network) => {
  const budget = startBudget(3_600_000);
  const database = runtime.database.within(budget);
  return { config: runtime.config, database, budget, log: runtime.log, network };
};

/** Sends what is due. Returns how many messages had which result. */
export const run = (bench: Bench, network: Network, timeoutMs?: number) =>
  sendDueWebhooks({ ...tools(bench, network), ...timeoutMs ? { timeoutMs } : {} });

/** Makes everything due, as if the pauses after failures were over. */
export const wait = ({ database: { sql } }: Bench) =>
  sql.begin(async (tx) => {
    await tx`update public.webhook_endpoints set due_at = '-infinity'`;
    await tx`update public.webhook_messages set due_at = now() - interval '1 second'`;
  });

/** Every message, in the order in which they were written. */
export const stateOf = async ({ database: { sql } }: Bench) =>
  (await sql`select type, state, attempts, reason from public.webhook_messages
    order by created_at, type`).map((row) => ({ ...row }));

/** The argument for a time in two days. */
export const slot = (time: string) => ({ p_slot_id: `consultation/${aDay()}T${time}` });

/** A clinic that is listened to: an endpoint, the internet that it is on, and somebody at the desk. */
export async function aListener(bench: Bench, options: Parameters<typeof anEndpoint>[2] = {}) {
  const { sql } = bench.database;
  const clinic = await aClinic(sql);
  const endpoint = await anEndpoint(bench, clinic, options);
  const ask = asMember(sql, await aMember(sql, clinic.id), clinic);
  return { sql, clinic, ...endpoint, ...anInternet(), ask };
}

/** Books at the desk; returns the appointment's id. */
export async function book(ask: ReturnType<typeof asMember>, time: string): Promise<string> {
  const booked = await ask("staff_book", {
    ...slot(time),
    p_patient_name: "Ada Lovelace",
    p_patient_phone: "+447700900777",
    p_patient_country: "GB",
  });
  assert.equal(booked.outcome, "booked");
  return String(booked["appointmentId"]);
}
