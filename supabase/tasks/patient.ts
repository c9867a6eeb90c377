/**
 * `deno task patient`: exports or erases what a clinic stores about a patient.
 *
 * @module
 */

import type postgres from "postgres";
import { z } from "zod";
import { readPhone } from "../../shared/phone.ts";
import { type Clinic, findClinic, loadSettings, withDatabase } from "./database.ts";
import { defineTask, main, Misuse, readCommand, requireConsent, Stop } from "./task.ts";
import type { Terminal } from "./terminal.ts";

const usage =
  `deno task patient export --org SLUG_OR_ID --phone N --name "..."  write what is kept of a patient
deno task patient erase  --org SLUG_OR_ID --phone N --name "..."  erase it
  --phone N    the number, as +447700900123 or as the clinic's country writes it
  --without-phone
               instead of --phone, for a patient who was booked at the desk without one
  --name NAME  families share a number: without a name, it only says how many names the number has
  --yes        erase without asking
  --env FILE   a file with SUPABASE_DB_URL, which overrides the environment; if left out,
               the environment, then .env
  --db URL     the database as its owner, instead of SUPABASE_DB_URL
  export writes JSON to standard output, the rows by table. Appointments that were confirmed stay after
  erase, without name and number. docs/data.md says what else stays, and where else data can be.
  exit code 0: done, 1: there is no such patient or clinic, 2: wrong arguments,
  3: the database was unreachable or refused`;

const commands = ["export", "erase"] as const;

const unnamed = z.object({ outcome: z.enum(["name_needed", "not_found"]), names: z.number() });
const exported = z.discriminatedUnion("outcome", [
  unnamed,
  z.object({
    outcome: z.literal("found"),
    data: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))),
  }),
]);
const erased = z.discriminatedUnion("outcome", [
  unnamed,
  z.object({
    outcome: z.literal("erased"),
    rows: z.record(z.string(), z.number()),
    kept: z.number(),
    ahead: z.number(),
  }),
  z.object({ outcome: z.literal("busy") }),
]);

/** The task. */
export const patient = defineTask({
  usage,
  options: {
    org: { type: "string" },
    phone: { type: "string" },
    "without-phone": { type: "boolean", default: false },
    name: { type: "string" },
    yes: { type: "boolean", default: false },
    env: { type: "string" },
    db: { type: "string" },
  },
  allowPositionals: true,
  run: async ({ values, positionals }, { env, terminal }) => {
    const { command } = readCommand(positionals, commands);
    const { org, phone, name = "", "without-phone": hasNone } = values;
    if (!org || hasNone === (phone !== undefined)) {
      throw new Misuse(`${command} needs --org, and --phone or --without-phone`);
    }
    if (hasNone && name.trim() === "") throw new Misuse("--without-phone needs --name");
    const settings = await loadSettings(values, env);
    await withDatabase(settings["SUPABASE_DB_URL"], async (sql) => {
      const clinic = await findClinic(sql, org);
      const asked = {
        clinic,
        phone: phone ? await readNumber(sql, phone, clinic) : null,
        name: name.trim() || null,
      };
      if (command === "export") await show(sql, asked, terminal);
      else await erase(sql, asked, { isAgreed: values.yes }, terminal);
    });
    return 0;
  },
});

interface Asked {
  readonly clinic: Clinic;
  /** E.164; null for a patient without one. */
  readonly phone: string | null;
  readonly name: string | null;
}

async function readNumber(sql: postgres.Sql, phone: string, { id }: Clinic): Promise<string> {
  const e164 = /^\+[1-9]\d{6,14}$/.exec(phone.replace(/[\s().-]/g, ""))?.[0];
  if (e164 !== undefined) return e164;
  const [org] = await sql<{ country: string }[]>`
    select default_country as country from public.organizations where id = ${id}`;
  const read = await readPhone(phone, [], org?.country);
  if (read.kind === "phone") return read.e164;
  throw new Misuse("--phone cannot be read; write it with its country, such as +447700900123");
}

async function show(
  sql: postgres.Sql,
  { clinic, phone, name }: Asked,
  terminal: Terminal,
): Promise<void> {
  const [row] = await sql`select public.export_patient(${clinic.id}, ${phone}, ${name}) as answer`;
  const answer = exported.parse(row?.["answer"]);
  if (answer.outcome !== "found") throw refuse(answer);
  terminal.print(JSON.stringify(answer.data, null, 2));
}

async function erase(
  sql: postgres.Sql,
  { clinic, phone, name }: Asked,
  { isAgreed }: { readonly isAgreed: boolean },
  terminal: Terminal,
): Promise<void> {
  const question = `Erase this patient of ${clinic.name}? It cannot be undone.`;
  if (name !== null && !isAgreed) await requireConsent(terminal, question, "erase", "erased");
  const [row] = await sql`select public.erase_patient(${clinic.id}, ${phone}, ${name}) as answer`;
  const answer = erased.parse(row?.["answer"]);
  if (answer.outcome === "busy") throw new Stop(1, "A call has locked some rows. Run it again");
  if (answer.outcome !== "erased") throw refuse(answer);
  const { rows, kept, ahead } = answer;
  const counted = Object.entries(rows).map(([table, count]) =>
    `${table.replace("public.", "")} ${count}`
  );
  terminal.print(`Erased or made anonymous: ${counted.join(", ")}`);
  if (kept > 0) {
    terminal.print(
      `${kept} confirmed ${kept === 1 ? "appointment stays" : "appointments stay"}, ` +
        "without name and number",
    );
  }
  if (ahead > 0) {
    terminal.print(
      `${ahead} of them ${
        ahead === 1 ? "is still to come, and keeps its" : "are still to come, and keep their"
      } time`,
    );
  }
}

function refuse({ outcome, names }: z.infer<typeof unnamed>): Stop {
  if (names === 0) return new Stop(1, "Nothing is stored with that number");
  const has = `The number has ${names === 1 ? "one name" : `${names} names`}`;
  return new Stop(
    1,
    outcome === "name_needed" ? `${has}; give --name` : `${has}, and not this one`,
  );
}

if (import.meta.main) await main(patient);
