/**
 * `deno task webhooks`: the systems that are told what happens at a clinic.
 *
 * An endpoint's signing secret is made here, encrypted, and shown once. Its address may be a secret too,
 * as in n8n: it is typed at a terminal that does not show it, or read from standard input.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { type Config, readCredentialConfig } from "../../shared/config.ts";
import { createWebhookSecret, encryptWebhookSecret } from "../../shared/webhook.ts";
import { askAddress } from "./address.ts";
import {
  type Clinic,
  findClinic,
  loadSettings,
  sayBusy,
  sayRemoved,
  withDatabase,
} from "./database.ts";
import { defineTask, main, Misuse, readCommand, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";
import { tryEndpoint } from "./webhooks/try.ts";

const usage = `deno task webhooks list   --org SLUG_OR_ID             the endpoints and their states
deno task webhooks add    --org SLUG_OR_ID [--events E,E] [--names]  add an endpoint and print its secret
deno task webhooks test   --org SLUG_OR_ID --id ID     send a signed example, and print what came back
deno task webhooks rotate --org SLUG_OR_ID --id ID     print a new secret; the old one signs for a day more
deno task webhooks enable --org SLUG_OR_ID --id ID     use an endpoint again that was given up
deno task webhooks remove --org SLUG_OR_ID --id ID     remove it, with everything that waits for it
deno task webhooks failed --org SLUG_OR_ID             what was given up, the newest first
deno task webhooks resend --org SLUG_OR_ID [--id ID]   send it again, all or one message of failed
  --events E,E  booking.created, booking.changed, booking.cancelled, followup.needed, message.left,
                alarm.raised; all of them if left out
  --names       send patients' names and callers' messages too; numbers and codes are never sent
  --id ID       as list or failed shows it
  --env FILE    a file with CREDENTIAL_KEYS and SUPABASE_DB_URL, which overrides the environment; if
                left out, the environment, then .env
  --db URL      the database as its owner, instead of SUPABASE_DB_URL
  add asks for the address (https); without a terminal it reads it from standard input.
  exit code 0: done, 1: there is no such clinic, endpoint or message, or the test was not accepted,
  2: wrong arguments, 3: the database was unreachable or refused`;

const commands = [
  ...["list", "add", "test", "rotate", "enable", "remove", "failed", "resend"] as const,
];
type Command = (typeof commands)[number];

const listed = z.object({
  endpoints: z.array(z.object({
    endpointId: z.string(),
    host: z.string(),
    types: z.array(z.string()),
    tellsNames: z.boolean(),
    waiting: z.number(),
    failed: z.number(),
    failures: z.number(),
    failure: z.string().nullable(),
    disabledAt: z.string().nullable(),
  })),
  failed: z.array(z.object({
    messageId: z.string(),
    endpointId: z.string(),
    type: z.string(),
    at: z.string(),
    attempts: z.number(),
    reason: z.string().nullable(),
  })),
});

const added = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("invalid_endpoint"), reason: z.string() }),
  z.object({
    outcome: z.enum(["added", "known_address", "too_many_endpoints", "unknown_clinic", "busy"]),
  }),
]);

const changed = z.object({
  outcome: z.enum(["removed", "enabled", "rotated", "unknown_endpoint", "unknown_clinic", "busy"]),
});

const resent = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.literal("resent"),
    messages: z.number(),
    disabled: z.array(z.string()).default([]),
  }),
  z.object({ outcome: z.literal("disabled"), disabled: z.array(z.string()) }),
  z.object({ outcome: z.enum(["nothing_failed", "unknown_clinic", "busy"]) }),
]);

interface Asked {
  readonly sql: postgres.Sql;
  readonly clinic: Clinic;
  readonly terminal: Terminal;
  readonly keys: () => Config["credentialKeys"];
}

/** The task. */
export const webhooks = defineTask({
  usage,
  options: {
    org: { type: "string" },
    events: { type: "string" },
    names: { type: "boolean", default: false },
    id: { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals }, { env, terminal }) => {
    const { command } = readCommand(positionals, commands);
    const { org, events, names, id } = values;
    if (!org) throw new Misuse(`${command} needs --org`);
    if (command !== "add" && (events !== undefined || names)) {
      throw new Misuse("--events and --names are for add");
    }
    const endpointId = readId(command, id);
    const settings = await loadSettings(values, env);
    const keys = () => readCredentialConfig(settings).credentialKeys;
    if (command === "add" || command === "rotate" || command === "test") keys();
    await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const asked = { sql, clinic: await findClinic(sql, org), terminal, keys };
      await carryOut(command, asked, { events, names, endpointId });
    });
    return 0;
  },
});

interface Wanted {
  readonly events: string | undefined;
  readonly names: boolean;
  readonly endpointId: string;
}

async function carryOut(
  command: Command,
  asked: Asked,
  { events, names, endpointId }: Wanted,
): Promise<void> {
  switch (command) {
    case "list":
      return await list(asked);
    case "add":
      return await add(asked, events?.split(",").map((name) => name.trim()) ?? null, names);
    case "test":
      return await tryEndpoint(asked, endpointId);
    case "rotate":
      return await rotate(asked, endpointId);
    case "enable":
      await change(asked, endpointId, "enabled");
      return asked.terminal.print("Enabled: deno task webhooks resend sends what was given up");
    case "remove":
      await change(asked, endpointId, "removed");
      return asked.terminal.print("Removed: it receives nothing more");
    case "failed":
      return await listFailed(asked);
    case "resend":
      return await resend(asked, endpointId === "" ? null : endpointId);
  }
}

/** Empty where none is needed and none is given. */
function readId(command: Command, id: string | undefined): string {
  const takes = ["test", "rotate", "enable", "remove", "resend"].includes(command);
  if (!takes && id !== undefined) throw new Misuse(`${command} takes no --id`);
  if (id === undefined) {
    if (takes && command !== "resend") throw new Misuse(`${command} needs --id`);
    return "";
  }
  if (!z.guid().safeParse(id).success) {
    throw new Misuse(`--id takes an id that list or failed shows, not ${id}`);
  }
  return id;
}

async function read({ sql, clinic }: Asked): Promise<z.infer<typeof listed>> {
  const [row] = await sql`select public.list_webhooks(${clinic.id}) as answer`;
  return listed.parse(row?.["answer"]);
}

async function list(asked: Asked): Promise<void> {
  const { endpoints } = await read(asked);
  for (const { endpointId, host, types, tellsNames, ...one } of endpoints) {
    const state = one.disabledAt !== null
      ? `given up on ${one.disabledAt.slice(0, 10)}: ${one.failure}`
      : one.failures > 0
      ? `${one.failures} attempts in a row failed: ${one.failure}`
      : "works";
    const counts = `${one.waiting} waiting, ${one.failed} given up`;
    const told = types.join(" ") + (tellsNames ? ", with names" : "");
    asked.terminal.print(`${endpointId}  ${host}: ${told} (${state}; ${counts})`);
  }
  if (endpoints.length === 0) asked.terminal.print(`${asked.clinic.name} has no endpoints`);
}

async function listFailed(asked: Asked): Promise<void> {
  const { endpoints, failed } = await read(asked);
  const hosts = new Map(endpoints.map(({ endpointId, host }) => [endpointId, host]));
  for (const { messageId, endpointId, type, at, attempts, reason } of failed) {
    asked.terminal.print(
      `${messageId}  ${at.slice(0, 16)} ${type} to ${hosts.get(endpointId)}: ${reason} after ` +
        `${attempts} attempts`,
    );
  }
  if (failed.length === 0) asked.terminal.print("Nothing was given up");
}

async function add(asked: Asked, types: readonly string[] | null, names: boolean): Promise<void> {
  const { sql, clinic, terminal, keys } = asked;
  const address = await askAddress(terminal, "the endpoint");
  const endpointId = crypto.randomUUID();
  const secret = createWebhookSecret();
  const of = { orgId: clinic.id, endpointId };
  const encrypted = await encryptWebhookSecret(keys(), of, secret);
  const [row] = await sql`select public.add_webhook(${clinic.id}, ${endpointId}, ${address},
    ${types as string[] | null}, ${names}, ${sql.json({ ...encrypted })}) as answer`;
  const answer = added.parse(row?.["answer"]);
  switch (answer.outcome) {
    case "added":
      showSecret(terminal, secret);
      terminal.printError(
        `Try it: deno task webhooks test --org ${clinic.id} --id ${endpointId}`,
      );
      return;
    case "invalid_endpoint":
      throw new Stop(2, answer.reason);
    case "known_address":
      throw new Stop(1, `${clinic.name} tells this address already; remove it first`);
    case "too_many_endpoints":
      throw new Stop(1, `${clinic.name} tells 20 endpoints; remove one`);
    case "unknown_clinic":
      throw sayRemoved(clinic);
    case "busy":
      throw sayBusy();
  }
}

/** Only the secret goes to standard output, so that it can be piped. */
function showSecret(terminal: Terminal, secret: string): void {
  terminal.print(secret);
  terminal.printError("This secret is shown once. The receiver checks the signatures with it.");
}

async function change(
  { sql, clinic }: Asked,
  id: string,
  as: "removed" | "enabled" | "rotated",
  secret: postgres.JSONValue = null,
): Promise<void> {
  const [row] = await sql`select public.change_webhook(
    ${clinic.id}, ${id}, ${as}, ${sql.json(secret)}) as answer`;
  switch (changed.parse(row?.["answer"]).outcome) {
    case "removed":
    case "enabled":
    case "rotated":
      return;
    case "unknown_endpoint":
      throw new Stop(1, `${clinic.name} has no endpoint ${id}; deno task webhooks list shows them`);
    case "unknown_clinic":
      throw sayRemoved(clinic);
    case "busy":
      throw new Stop(1, "Messages to it are under way; nothing was done. Run it again");
  }
}

async function rotate(asked: Asked, endpointId: string): Promise<void> {
  const secret = createWebhookSecret();
  const of = { orgId: asked.clinic.id, endpointId };
  const encrypted = await encryptWebhookSecret(asked.keys(), of, secret);
  await change(asked, endpointId, "rotated", { ...encrypted });
  showSecret(asked.terminal, secret);
}

async function resend({ sql, clinic, terminal }: Asked, id: string | null): Promise<void> {
  const [row] = await sql`select public.resend_webhooks(${clinic.id}, ${id}) as answer`;
  const answer = resent.parse(row?.["answer"]);
  switch (answer.outcome) {
    case "resent":
      terminal.print(`${answer.messages} messages are sent again within a minute`);
      if (answer.disabled.length > 0) terminal.printError(sayDisabled(clinic, answer.disabled));
      return;
    case "disabled":
      throw new Stop(1, `Nothing is sent again. ${sayDisabled(clinic, answer.disabled)}`);
    case "nothing_failed":
      throw new Stop(1, "Nothing of that was given up; deno task webhooks failed shows what was");
    case "unknown_clinic":
      throw sayRemoved(clinic);
    case "busy":
      throw new Stop(1, "Messages are under way; nothing was done. Run it again");
  }
}

function sayDisabled({ id: org }: Clinic, ids: readonly string[]): string {
  const commands = ids.map((id) => `\n  deno task webhooks enable --org ${org} --id ${id}`);
  return `Endpoints that were given up are sent nothing; enable them first:${commands.join("")}`;
}

if (import.meta.main) await main(webhooks);
