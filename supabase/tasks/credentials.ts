/**
 * `deno task credentials set|rotate|check`: the organizations' Twilio accounts.
 *
 * Secrets are typed at a terminal that does not show them, or read from standard input. They are never
 * arguments, because those are in the process list and in the shell's history.
 *
 * @module
 */

import type postgres from "postgres";
import { type Config, type CredentialConfig, readCredentialConfig } from "../../shared/config.ts";
import { decryptAccount, encryptAccount, senderOf } from "../../shared/accounts.ts";
import { decryptWebhookSecret } from "../../shared/webhook.ts";
import { type Clinic, loadSettings, seekClinic, withDatabase } from "./database.ts";
import { defineTask, type ExitCode, main, Misuse, readCommand, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";
import { type AccountCheck, checkAtTwilio, fieldNames, readAccount } from "./twilio_account.ts";
import { reencryptSecrets, type StoredEndpoint } from "./webhooks/secrets.ts";

const usage =
  `deno task credentials set    --org SLUG_OR_ID   store an organization's Twilio account
deno task credentials check  --org SLUG_OR_ID   decrypt it and read it at Twilio
deno task credentials rotate [--org SLUG_OR_ID] encrypt one or all under the first of CREDENTIAL_KEYS
  --env FILE  a file with CREDENTIAL_KEYS, SUPABASE_DB_URL, TWILIO_API_BASE, which overrides the
              environment; if left out, the environment, then .env. deno task start prints the file of
              the local stack
  --db URL    the database as its owner, instead of SUPABASE_DB_URL, which no process list shows
  set asks for ${fieldNames.join(", ")};
  without a terminal it reads them from standard input, as JSON or as lines NAME=value.
  exit code 0: done, 1: it is not as it should be, 2: wrong arguments or input,
  3: the database or Twilio was unreachable`;

const commands = ["set", "check", "rotate"] as const;

/** An argument that may be a secret: it has the form of Twilio's tokens, keys or SIDs. */
const secretLike = /^(?:--?[\w-]+=)?(?:[0-9a-f]{32}|(?:AC|SK|MG)[0-9a-z]{32}|[A-Za-z0-9]{32})$/i;
const secretOption = /^--?(?:auth|token|secret|password|api|account|sid|key)/i;

/** The task. */
export const credentials = defineTask({
  usage,
  options: { org: { type: "string" }, env: { type: "string" }, db: { type: "string" } },
  allowPositionals: true,
  refuse: (args) =>
    args.some((arg) => secretLike.test(arg) || secretOption.test(arg))
      ? "Nothing was done: secrets are not taken from arguments, because the process list and the " +
        "shell's history keep them. Type them when asked or send them to standard input. If you " +
        "have just given one, change it at Twilio"
      : undefined,
  run: async ({ values: { org, ...values }, positionals }, context) => {
    const { command } = readCommand(positionals, commands);
    if (command !== "rotate" && !org) throw new Misuse(`${command} needs --org`);
    const { env, terminal } = context;
    const settings = await loadSettings(values, env);
    const config = readCredentialConfig(settings);
    return await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      switch (command) {
        case "set":
          return await setAccount(await findOrganization(sql, org), sql, config, terminal);
        case "check":
          return await checkAccount(await findOrganization(sql, org), sql, config, terminal);
        case "rotate": {
          const one = org && (await findOrganization(sql, org)).id;
          return await rotate(one ?? null, sql, config, terminal);
        }
      }
    });
  },
});

async function findOrganization(sql: postgres.Sql, given = ""): Promise<Clinic> {
  const found = await seekClinic(sql, given);
  if (found) return found;
  const slugs = await sql<{ slug: string }[]>`
    select slug from public.organizations order by slug limit 10`;
  throw new Stop(
    1,
    `There is no organization ${given}. Known: ${slugs.map(({ slug }) => slug).join(", ")}`,
  );
}

async function setAccount(
  org: Clinic,
  sql: postgres.Sql,
  { credentialKeys }: Pick<Config, "credentialKeys">,
  terminal: Terminal,
): Promise<ExitCode> {
  const reading = await readAccount(terminal);
  if (!reading.ok) throw new Stop(2, `Nothing was stored: ${reading.problem}`);
  const { keyId, nonce, ciphertext } = await encryptAccount(
    credentialKeys,
    org.id,
    reading.account,
  );
  await sql`select public.set_org_credentials(${org.id}, 'twilio', ${keyId}, ${nonce}, ${ciphertext},
    null, ${senderOf(reading.account)})`;
  terminal.print(
    `Stored the Twilio account of ${org.name} under key ${keyId}. Running functions use it within ` +
      `5 minutes. Check that it works: deno task credentials check --org ${org.slug}`,
  );
  return 0;
}

/** A stored row, in the form that `decryptAccount` takes. */
interface StoredRow extends Clinic {
  /** Whether its reminders can be answered. */
  readonly takesAnswers: boolean;
  readonly keyId: string;
  readonly nonce: string;
  readonly ciphertext: string;
}

/** The stored rows of one organization, or of all. */
function readRows(sql: postgres.Sql, orgId: string | null): Promise<StoredRow[]> {
  return sql<StoredRow[]>`
    select o.id, o.slug, o.name, private.takes_answers(o) as "takesAnswers", c.key_id as "keyId", encode(c.nonce, 'base64') as nonce,
      encode(c.ciphertext, 'base64') as ciphertext
    from public.org_credentials as c join public.organizations as o on o.id = c.org_id
    where c.provider = 'twilio' and (${orgId}::uuid is null or c.org_id = ${orgId})
    order by c.org_id`;
}

/**
 * The clinics for which these keys do not decrypt what is stored, by slug: the Twilio account, or the newest
 * signing secret of a webhook.
 */
export async function findUnreadable(
  sql: postgres.Sql,
  keys: Config["credentialKeys"],
): Promise<Readonly<Record<"accounts" | "webhooks", readonly string[]>>> {
  const accounts: string[] = [];
  for (const row of await readRows(sql, null)) {
    await decryptAccount(keys, row.id, row).catch(() => accounts.push(row.slug));
  }
  const webhooks = new Set<string>();
  for (const endpoint of await readEndpoints(sql, null)) {
    const { secrets: [newest], slug } = endpoint;
    await decryptWebhookSecret(keys, endpoint, newest).catch(() => webhooks.add(slug));
  }
  return { accounts, webhooks: [...webhooks] };
}

/**
 * Decrypts an organization's stored account and reads it and its sender at Twilio.
 *
 * @throws {Stop} When something is wrong with it.
 */
export async function checkAccount(
  org: Clinic,
  sql: postgres.Sql,
  { credentialKeys, twilioApiBase, functionsPublicUrl }: CredentialConfig,
  terminal: Pick<Terminal, "print">,
): Promise<ExitCode> {
  const [row] = await readRows(sql, org.id);
  if (!row) {
    throw new Stop(
      1,
      `${org.name} has no Twilio account: deno task credentials set --org ${org.slug}`,
    );
  }
  const account = await decryptAccount(credentialKeys, org.id, row).catch(() => {
    throw new Stop(1, `${org.name}: ${whyUnreadable(row, credentialKeys)}`);
  });
  const check = await checkAtTwilio(account, twilioApiBase);
  switch (check.kind) {
    case "works":
      if (functionsPublicUrl && row.takesAnswers) {
        requireWebhook(org, check, `${functionsPublicUrl}/sms-inbound`);
      }
      terminal.print(`${org.name}: readable under key ${row.keyId}, and Twilio accepts it`);
      return 0;
    case "refused":
      throw new Stop(1, `${org.name}: ${check.problem}`);
    case "unreachable":
      throw new Stop(3, `Twilio could not be asked at ${twilioApiBase}: ${check.problem}`);
  }
}

/** Answers to reminders get lost if Twilio posts them elsewhere, or nowhere while the database is away. */
function requireWebhook(
  { name }: Clinic,
  { textsTo, failedTextsTo }: AccountCheck & { readonly kind: "works" },
  wanted: string,
): void {
  const refuse = (what: string, setting: string) => {
    throw new Stop(
      1,
      `${name}: reminders can be answered, but ${what}. Set ${setting} at Twilio to ${wanted}, or ` +
        "texts.answers in the clinic's file to no",
    );
  };
  const nameOf = (url: string) => url === "" ? "nowhere" : `to ${url}`;
  if (textsTo !== undefined && textsTo !== wanted) {
    refuse(
      `Twilio posts the texts that the number receives ${nameOf(textsTo)}`,
      "the number's webhook for incoming messages",
    );
  }
  if (failedTextsTo !== undefined && failedTextsTo !== wanted) {
    refuse(
      `Twilio posts a text for which that fails once ${nameOf(failedTextsTo)}`,
      'the number\'s webhook for "primary handler fails"',
    );
  }
}

function whyUnreadable({ keyId, slug }: StoredRow, keys: Config["credentialKeys"]): string {
  return keys.some(({ id }) => id === keyId)
    ? "the stored account does not decrypt: the row is damaged or belongs to another organization. " +
      `Store it again: deno task credentials set --org ${slug}`
    : `it is stored under key ${keyId}, which is not in CREDENTIAL_KEYS`;
}

/**
 * Re-encrypts rows one by one, each in one statement. If it is interrupted, every row is under its old
 * or its new key, and the next run continues. A row that is stored in the meantime is not touched.
 */
async function rotate(
  orgId: string | null,
  sql: postgres.Sql,
  { credentialKeys }: Pick<Config, "credentialKeys">,
  terminal: Terminal,
): Promise<ExitCode> {
  const [current] = credentialKeys;
  const rows = await readRows(sql, orgId);
  let rotated = 0;
  let readable = 0;
  for (const row of rows) {
    // Rows under the current key too: a key can have the right name and be the wrong one.
    const account = await decryptAccount(credentialKeys, row.id, row).catch(() => undefined);
    if (!account) {
      terminal.printError(`${row.slug}: ${whyUnreadable(row, credentialKeys)}`);
      continue;
    }
    readable++;
    if (row.keyId === current.id) continue;
    const { keyId, nonce, ciphertext } = await encryptAccount(credentialKeys, row.id, account);
    const [stored] = await sql<{ done: boolean }[]>`select public.set_org_credentials(
      ${row.id}, 'twilio', ${keyId}, ${nonce}, ${ciphertext}, ${row.nonce},
      ${senderOf(account)}) as done`;
    if (stored?.done) rotated++;
  }
  const unreadable = rows.length - readable;
  terminal.print(
    `${rotated} of ${rows.length} re-encrypted under key ${current.id}, ${unreadable} unreadable`,
  );
  const lost = await rotateWebhooks(orgId, sql, credentialKeys, terminal);
  return unreadable + lost === 0 ? 0 : 1;
}

/** The endpoints of one organization, or of all. */
function readEndpoints(
  sql: postgres.Sql,
  orgId: string | null,
): Promise<(StoredEndpoint & { readonly slug: string })[]> {
  return sql<(StoredEndpoint & { readonly slug: string })[]>`
    select e.org_id as "orgId", e.id as "endpointId", o.slug, e.secrets
    from public.webhook_endpoints as e join public.organizations as o on o.id = e.org_id
    where e.org_id = coalesce(${orgId}::uuid, e.org_id) order by o.slug, e.id`;
}

/** The same for the signing secrets of webhooks. Returns how many endpoints cannot be read. */
async function rotateWebhooks(
  orgId: string | null,
  sql: postgres.Sql,
  keys: Config["credentialKeys"],
  terminal: Terminal,
): Promise<number> {
  const endpoints = await readEndpoints(sql, orgId);
  let lost = 0;
  for (const endpoint of endpoints) {
    const { secrets, slug, endpointId } = endpoint;
    const next = await reencryptSecrets(endpoint, keys, keys).catch(() => undefined);
    if (!next) {
      lost++;
      terminal.printError(
        `${slug}: the secret of the endpoint ${endpointId} cannot be read. Replace it: ` +
          `deno task webhooks rotate --org ${slug} --id ${endpointId}`,
      );
      continue;
    }
    await sql`update public.webhook_endpoints set secrets = ${
      sql.json(next.map((one) => ({ ...one })))
    }
      where org_id = ${endpoint.orgId} and id = ${endpointId}
        and secrets = ${sql.json(secrets.map((one) => ({ ...one })))}`;
  }
  if (endpoints.length > 0) {
    terminal.print(`${endpoints.length - lost} of ${endpoints.length} endpoints re-encrypted`);
  }
  return lost;
}

if (import.meta.main) await main(credentials);
