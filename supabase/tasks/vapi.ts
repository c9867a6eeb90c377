/**
 * `deno task vapi`: creates a clinic's assistant, tools and numbers at Vapi, or prints them.
 *
 * @module
 */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type postgres from "postgres";
import { z } from "zod";
import { tools } from "../../functions/vapi-webhook/tools.ts";
import { decryptAccount } from "../../shared/accounts.ts";
import { readCredentialConfig } from "../../shared/config.ts";
import { lineProfile } from "../../shared/database/calls.ts";
import { composeAssistant } from "../../shared/line/assistant.ts";
import { defineForVapi, type FunctionsAddress } from "../../shared/line/tool_definition.ts";
import { loadSettings, withDatabase } from "./database.ts";
import { defineTask, main, Misuse, readCommand, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";
import { type Body, openAccount } from "./vapi/account.ts";
import { exportFiles } from "./vapi/gitops.ts";
import { carryOut, type Line, planSync, type Step, takeInventory, type Wish } from "./vapi/sync.ts";

const usage = `deno task vapi tools                  print the definitions of the tools
deno task vapi assistant --org NAME   print the assistant of a clinic
deno task vapi export --org NAME --gitops DIR
                                      write the files of VapiAI/gitops
deno task vapi sync --org NAME        create or update tools, assistant and numbers at Vapi
  --org NAME     a clinic's slug or id
  --dry-run      show what sync would change and change nothing
  --yes          update without asking
  --adopt        also take over tools, assistants and numbers that were made elsewhere
  --functions-url URL
                 where Vapi reaches the functions; else FUNCTIONS_PUBLIC_URL, else SUPABASE_URL with
                 /functions/v1
  --env FILE     a file with the variables, which overrides the environment; if left out,
                 the environment, then .env
  --db URL       the database as its owner, instead of SUPABASE_DB_URL
  Variables: VAPI_API_KEY (the private key; for sync), VAPI_CREDENTIAL_ID (the account's credential
  that signs requests), VAPI_API_BASE, CREDENTIAL_KEYS (to import a number with the clinic's Twilio
  account).
  exit code 0: done, 1: something has to be decided or done first, 2: wrong arguments or key,
  3: the database or Vapi was unreachable or failed`;

const commands = ["tools", "assistant", "export", "sync"] as const;

const line = z.object({
  outcome: z.literal("found"),
  orgId: z.string(),
  profile: lineProfile,
  numbers: z.array(z.string()),
  phoneNumberIds: z.array(z.string()),
  assistantIds: z.array(z.string()),
});

/** The task. */
export const vapi = defineTask({
  usage,
  options: {
    org: { type: "string" },
    gitops: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    adopt: { type: "boolean", default: false },
    "functions-url": { type: "string" },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals }, { env, terminal }) => {
    const { command } = readCommand(positionals, commands);
    const { org, gitops } = values;
    if (command !== "tools" && !org) throw new Misuse(`${command} needs --org`);
    if (command === "export" && !gitops) throw new Misuse("export needs --gitops");
    const settings = await loadSettings(values, env);
    const address = findFunctions(settings, values["functions-url"]);
    if (command === "tools" || !org) {
      terminal.print(JSON.stringify(tools.map((tool) => defineForVapi(tool, address)), null, 2));
      return 0;
    }
    return await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const found = await readLine(sql, org);
      switch (command) {
        case "assistant":
          return printAssistant(found, address, terminal);
        case "export":
          return await writeFiles(gitops ?? "", found, address, terminal);
        case "sync": {
          const twilioImport = await readTwilioImport(sql, found.orgId, settings);
          const wish = { line: found, tools, address, adopts: values.adopt, twilioImport };
          return await sync(sql, wish, settings, {
            isDryRun: values["dry-run"],
            isAgreed: values.yes,
          }, terminal);
        }
      }
    });
  },
});

type Settings = Readonly<Record<string, string>>;

function findFunctions(settings: Settings, given: string | undefined): FunctionsAddress {
  const { SUPABASE_URL: project, FUNCTIONS_PUBLIC_URL: url } = settings;
  const functionsUrl = given ?? url ?? (project && `${project}/functions/v1`);
  if (!functionsUrl || !/^https?:\/\/\S+$/.test(functionsUrl)) {
    throw new Stop(
      2,
      "Where are the functions? Give --functions-url https://PROJECT.supabase.co/functions/v1, or " +
        "set FUNCTIONS_PUBLIC_URL or SUPABASE_URL",
    );
  }
  return {
    functionsUrl: functionsUrl.replace(/\/+$/, ""),
    credentialId: settings["VAPI_CREDENTIAL_ID"] || undefined,
  };
}

async function readLine(sql: postgres.Sql, org: string): Promise<Line> {
  const [row] = await sql`select public.read_line(${org}) as answer`;
  const read = line.safeParse(row?.["answer"]);
  if (!read.success) {
    throw new Stop(1, `There is no clinic ${org}. Add it with deno task clinic add FILE`);
  }
  return read.data;
}

function printAssistant({ profile }: Line, address: FunctionsAddress, terminal: Terminal): 0 {
  const names = tools.map(({ name }) => name);
  const defined = tools.map((tool) => defineForVapi(tool, address));
  const assistant = composeAssistant(profile, names, { tools: defined }, address);
  terminal.print(JSON.stringify(assistant, null, 2));
  return 0;
}

async function writeFiles(
  folder: string,
  { profile }: Line,
  address: FunctionsAddress,
  terminal: Terminal,
): Promise<0> {
  for (const { path, text } of exportFiles(profile, tools, address)) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    terminal.print(file);
  }
  return 0;
}

const kept = z.object({
  outcome: z.literal("found"),
  keyId: z.string(),
  nonce: z.string(),
  ciphertext: z.string(),
});

/** What Vapi needs to import a number: the clinic's Twilio account, if it can be decrypted here. */
async function readTwilioImport(
  sql: postgres.Sql,
  orgId: string,
  settings: Settings,
): Promise<Body | undefined> {
  if (!settings["CREDENTIAL_KEYS"]) return undefined;
  const [row] = await sql`select public.get_credentials_of(${orgId}, 'twilio') as answer`;
  const read = kept.safeParse(row?.["answer"]);
  if (!read.success) return undefined;
  const { credentialKeys } = readCredentialConfig(settings);
  const account = await decryptAccount(credentialKeys, orgId, read.data);
  const { accountSid, authToken, apiKey } = account;
  return {
    provider: "twilio",
    twilioAccountSid: accountSid,
    ...(apiKey
      ? { twilioApiKey: apiKey.sid, twilioApiSecret: apiKey.secret }
      : { twilioAuthToken: authToken }),
    // Our own functions send and receive texts.
    smsEnabled: false,
  };
}

async function sync(
  sql: postgres.Sql,
  wish: Wish,
  settings: Settings,
  { isDryRun, isAgreed }: { readonly isDryRun: boolean; readonly isAgreed: boolean },
  terminal: Terminal,
): Promise<number> {
  const apiKey = settings["VAPI_API_KEY"];
  if (!apiKey) throw new Stop(2, "Set VAPI_API_KEY to the private key of the Vapi account");
  const apiBase = (settings["VAPI_API_BASE"] || "https://api.vapi.ai").replace(/\/+$/, "");
  const account = openAccount({ apiKey, apiBase });
  const inventory = await takeInventory(account);
  const steps = planSync(wish, inventory);
  for (const step of steps) show(step, terminal);
  const obstacles = steps.flatMap(({ obstacle }) => obstacle ? [obstacle] : []);
  if (isDryRun) {
    terminal.print("Nothing was changed");
    return obstacles.length > 0 ? 1 : 0;
  }
  const updates = steps.filter(({ present, differences }) => present && differences.length > 0);
  if (updates.length > 0 && !isAgreed) await askToUpdate(updates.length, terminal);
  const changed: string[] = [];
  await carryOut(wish, inventory, account, {
    changed: ({ kind, name }) => {
      changed.push(name);
      terminal.print(`done: ${kind} ${name}`);
    },
    register: (kind, id) => register(sql, wish.line.orgId, kind, id),
  });
  terminal.print(changed.length === 0 ? "Everything is as it should be" : "Everything is done");
  return 0;
}

function show({ kind, name, present, differences, obstacle }: Step, terminal: Terminal): void {
  if (obstacle) terminal.print(`! ${kind} ${name}: ${obstacle}`);
  else if (!present) terminal.print(`+ ${kind} ${name}`);
  else if (differences.length === 0) terminal.print(`= ${kind} ${name}`);
  else {
    terminal.print(`~ ${kind} ${name}`);
    for (const line of differences) terminal.print(`    ${line}`);
  }
}

async function askToUpdate(count: number, terminal: Terminal): Promise<void> {
  const what = count === 1 ? "this resource" : `these ${count} resources`;
  if (!terminal.isTerminal) {
    throw new Stop(1, `Nothing was changed: give --yes to overwrite ${what} at Vapi`);
  }
  const answer = await terminal.ask(`Overwrite ${what} at Vapi? yes or no: `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Stop(1, "Nothing was changed");
}

const registration = z.object({ outcome: z.enum(["registered", "known", "taken", "busy"]) });

async function register(
  sql: postgres.Sql,
  orgId: string,
  kind: string,
  id: string,
): Promise<void> {
  const [row] = await sql`select public.register_channel(${orgId}, ${kind}, ${id}) as answer`;
  const { outcome } = registration.parse(row?.["answer"]);
  if (outcome === "taken") {
    throw new Stop(1, `The ${kind} ${id} is registered for another clinic: remove it there first`);
  }
  if (outcome === "busy") {
    throw new Stop(1, "Somebody else is changing the clinic. Run this again to finish");
  }
}

if (import.meta.main) await main(vapi);
