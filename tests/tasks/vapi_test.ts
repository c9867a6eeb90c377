/** deno task vapi: from an empty Vapi account to a line that books. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { clinic } from "../../supabase/tasks/clinic.ts";
import { vapi } from "../../supabase/tasks/vapi.ts";
import {
  aClinic,
  aDay,
  aPhone,
  type Bench,
  type Clinic,
  codeTo,
  readSaid,
  testWithBench,
  vapiSecret,
} from "../support/clinic.ts";
import { type FakeVapi, type Resource, startFakeVapi } from "../support/fake_vapi.ts";
import { serveFunctions } from "../support/line.ts";
import { runHere } from "../support/terminal.ts";
import { hasVapiSchema } from "../support/vapi_schema.ts";

/** What a test uses: a database with a clinic, an empty Vapi account, and the task run against both. */
interface Line {
  readonly bench: Bench;
  readonly account: FakeVapi;
  readonly clinic: Clinic;
  run(args: string[], typed?: string[]): ReturnType<typeof runHere>;
}

function test(name: string, work: (line: Line) => Promise<void>): void {
  if (!hasVapiSchema) {
    Deno.test({ name: `${name} (not tested: ../shared/vapi is absent)`, ignore: true, fn() {} });
    return;
  }
  testWithBench(name, async (bench) => {
    const account = startFakeVapi();
    try {
      const clinic = await aClinic(bench.database.sql, { providers: 2 });
      await bench.provision(clinic);
      const env = {
        ...bench.environment,
        SUPABASE_DB_URL: bench.database.url(),
        VAPI_API_BASE: account.url,
        VAPI_API_KEY: account.apiKey,
        VAPI_CREDENTIAL_ID: "credential-1",
        FUNCTIONS_PUBLIC_URL: "https://abc.supabase.co/functions/v1",
      };
      const run: Line["run"] = (args, typed) => runHere(vapi, args, env, typed && { typed });
      await work({ bench, account, clinic, run });
      assert.deepEqual(account.refusals, []);
    } finally {
      await account.stop();
    }
  });
}

const changing = ({ requests }: FakeVapi) => requests.filter((line) => !line.startsWith("GET"));
const channelsOf = async ({ database }: Bench, { id }: Clinic) =>
  (await database.sql<{ kind: string; value: string }[]>`
    select kind, value from public.org_channels where org_id = ${id} and kind like 'vapi%'
    order by kind`).map(({ kind, value }) => [kind, value]);

test("an empty account gets tools, an assistant and the number; a second sync changes nothing", async ({ bench, account, clinic, run }) => {
  const sync = ["sync", "--org", clinic.slug];
  const dry = await run([...sync, "--dry-run"]);
  assert.equal(dry.code, 0, dry.said);
  assert.match(dry.said, /\+ tool hold_slot[^]*\+ assistant clinic-[^]*\+ phone-number \+4420/);
  assert.deepEqual(changing(account), []);

  const first = await run(sync);
  assert.equal(first.code, 0, first.said);
  const { tool: tools, assistant: [assistant], "phone-number": [number] } = account.resources;
  const model = assistant?.["model"] as { toolIds: string[]; tools: { type: string }[] };
  assert.deepEqual([...model.toolIds].sort(), tools.map(({ id }) => id).sort());
  assert.equal(number?.["assistantId"], assistant?.id);
  assert.equal(number?.["number"], clinic.number);
  assert.deepEqual(await channelsOf(bench, clinic), [
    ["vapi_assistant", assistant?.id],
    ["vapi_phone_number", number?.id],
  ]);

  const before = changing(account).length;
  const second = await run(sync);
  assert.equal(second.code, 0, second.said);
  assert.match(second.said, /Everything is as it should be/);
  assert.equal(changing(account).length, before);
});

test("an edit by somebody else is shown before it is overwritten, and a no keeps it", async ({ account, clinic, run }) => {
  const sync = ["sync", "--org", clinic.slug];
  await run(sync);
  const edit = (changes: object) => {
    const [assistant] = account.resources.assistant;
    Object.assign(assistant as object, changes);
  };
  edit({ firstMessage: "Howdy" });
  const before = changing(account).length;
  const asked = await run(sync);
  assert.equal(asked.code, 1);
  assert.match(asked.said, /firstMessage: "Howdy" -> "Sunrise Dental, how can I help\?"/);
  assert.match(asked.said, /--yes/);
  assert.equal((await run(sync, ["no"])).code, 1);
  assert.equal(changing(account).length, before);
  assert.equal((await run(sync, ["yes"])).code, 0);
  assert.equal(
    account.resources.assistant[0]?.["firstMessage"],
    "Sunrise Dental, how can I help?",
  );
  // Nested objects are sent whole.
  edit({ voice: { provider: "cartesia", voiceId: "other", model: "sonic-2" } });
  assert.equal((await run([...sync, "--yes"])).code, 0);
  assert.notEqual((account.resources.assistant[0]?.["voice"] as Resource)["voiceId"], "other");
});

test("resources that were made elsewhere are taken over only with --adopt", async ({ account, clinic, run }) => {
  const sync = ["sync", "--org", clinic.slug];
  const foreignTool = account.put("tool", {
    type: "function",
    function: { name: "hold_slot" },
    server: { url: "https://somebody.example/hold" },
  });
  const refused = await run(sync);
  assert.equal(refused.code, 1);
  assert.match(refused.said, /hold_slot that calls https:\/\/somebody.example\/hold.*--adopt/);
  assert.deepEqual(account.resources.assistant, []);

  const other = account.put("assistant", { name: "somebody's", metadata: {} });
  account.put("phone-number", {
    provider: "vapi",
    number: clinic.number,
    assistantId: other.id,
  });
  const taken = await run([...sync, "--dry-run"]);
  assert.match(taken.said, new RegExp(`go to the assistant ${other.id}`));
  const adopted = await run([...sync, "--adopt", "--yes"]);
  assert.equal(adopted.code, 0, adopted.said);
  const holds = account.resources.tool.filter((tool) =>
    (tool["function"] as Resource)["name"] === "hold_slot"
  );
  assert.deepEqual(holds.map(({ id }) => id), [foreignTool.id]);
  assert.equal(account.resources["phone-number"].length, 1);
  assert.notEqual(account.resources["phone-number"][0]?.["assistantId"], other.id);
});

test("another clinic's assistant is left alone, and both clinics share the tools", async ({ bench, account, clinic, run }) => {
  const other = await aClinic(bench.database.sql);
  await bench.provision(other);
  assert.equal((await run(["sync", "--org", clinic.slug])).code, 0);
  const tools = account.resources.tool.length;
  assert.equal((await run(["sync", "--org", other.id])).code, 0);
  assert.equal(account.resources.tool.length, tools);
  assert.equal(account.resources.assistant.length, 2);
  const [stolen] = account.resources.assistant;
  await bench.database.sql`delete from public.org_channels where kind = 'vapi_assistant'`;
  await bench.database.sql`insert into public.org_channels (kind, value, org_id)
    values ('vapi_assistant', ${stolen?.id ?? ""}, ${clinic.id})`;
  const refused = await run(["sync", "--org", clinic.slug, "--yes"]);
  assert.equal(refused.code, 1);
  assert.match(refused.said, /belongs to the organization/);
});

test("a busy service and a broken connection are waited for, and nothing is made twice", async ({ account, clinic, run }) => {
  account.addFault({ kind: 429, retryAfterSeconds: 0, method: "POST" });
  account.addFault({ kind: "reset", isApplied: true, method: "POST" });
  account.addFault({ kind: 503, isApplied: true, method: "POST" });
  const synced = await run(["sync", "--org", clinic.slug]);
  assert.equal(synced.code, 0, synced.said);
  const names = account.resources.tool.map((tool) => (tool["function"] as Resource)["name"]);
  assert.equal(new Set(names).size, names.length);
  assert.equal(account.resources.assistant.length, 1);
});

test("a run that broke off is finished by the next one", async ({ bench, account, clinic, run }) => {
  for (let time = 0; time < 5; time++) {
    account.addFault({ kind: 500, retryAfterSeconds: 0, method: "PATCH" });
  }
  const sync = ["sync", "--org", clinic.slug, "--yes"];
  account.put("phone-number", { provider: "vapi", number: clinic.number });
  const broken = await run(sync);
  assert.equal(broken.code, 3, broken.said);
  assert.match(broken.said, /500 to PATCH/);
  const tools = account.resources.tool.length;
  const finished = await run(sync);
  assert.equal(finished.code, 0, finished.said);
  assert.equal(account.resources.tool.length, tools);
  assert.equal(account.resources.assistant.length, 1);
  assert.equal((await channelsOf(bench, clinic)).length, 2);
});

/** A clinic from a file, as an operator adds it, with a Twilio account. */
async function addFromFile(bench: Bench): Promise<Pick<Clinic, "id" | "slug" | "number">> {
  const folder = await mkdtemp(join(tmpdir(), "clinic-"));
  try {
    const path = join(folder, "harbour.yaml");
    await writeFile(
      path,
      `clinic: harbour-clinic
name: Harbour Clinic
zone: Europe/London
country: GB
numbers: [+44 20 7946 0123]
services: [{id: consultation, name: Consultation, minutes: 30}]
doctors: [{id: amara-patel, name: Dr Amara Patel, hours: {monday-sunday: 09:00-17:00}}]
`,
    );
    const env = { SUPABASE_DB_URL: bench.database.url() };
    const { code, said } = await runHere(clinic, ["add", path, "--yes"], env);
    assert.equal(code, 0, said);
  } finally {
    await rm(folder, { recursive: true });
  }
  const [row] = await bench.database.sql<{ id: string }[]>`
    select id from public.organizations where slug = 'harbour-clinic'`;
  const added = { id: row?.id ?? "", slug: "harbour-clinic", number: "+442079460123" };
  await bench.provision(added);
  return added;
}

test("a clinic from a file is synced to an empty account, and a call with the synced tools books", async ({ bench, account, run }) => {
  const { functionsUrl, stop } = await serveFunctions(bench);
  try {
    const clinic = await addFromFile(bench);
    const sync = ["sync", "--org", clinic.slug, "--functions-url", functionsUrl];
    const synced = await run(sync);
    assert.equal(synced.code, 0, synced.said);
    const before = changing(account).length;
    assert.match((await run(sync)).said, /Everything is as it should be/);
    assert.equal(changing(account).length, before);
    const caller = aPhone();
    const callId = crypto.randomUUID();
    const [assistant] = account.resources.assistant;
    const ask = async (name: string, given: object, forged: object = {}) => {
      const tool = account.resources.tool.find((one) =>
        (one["function"] as Resource)["name"] === name
      );
      assert.ok(tool, `there is no tool ${name}`);
      const facts: Record<string, string> = {
        "call.id": callId,
        "customer.number": caller,
        "phoneNumber.number": clinic.number,
      };
      const fixed = (tool["parameters"] as { key: string; value: string }[]).map((
        { key, value },
      ) => [key, value.replace(/\{\{ (\S+) \}\}/, (_, path) => facts[path] ?? "")]);
      const call = {
        id: crypto.randomUUID(),
        type: "function",
        function: { name, arguments: { ...given, ...Object.fromEntries(fixed), ...forged } },
      };
      return await readSaid(
        await fetch(String((tool["server"] as Resource)["url"]), {
          method: "POST",
          headers: { "x-vapi-secret": vapiSecret },
          body: JSON.stringify({
            message: {
              type: "tool-calls",
              toolCallList: [call],
              call: { id: callId, assistantId: assistant?.id },
              phoneNumber: { number: clinic.number },
              customer: { number: caller },
            },
          }),
        }),
      );
    };
    const found = await ask("check_availability", { date: aDay(), serviceType: "consultation" });
    const slotId = found.slots?.[0]?.slotId;
    const held = await ask("hold_slot", { slotId, patientName: "Ada Brown" });
    assert.equal(held.outcome, "held", JSON.stringify(held));
    assert.equal((await ask("send_otp", {})).outcome, "sent");
    const verified = await ask("verify_otp", { code: codeTo(bench.twilio, caller) });
    assert.equal(verified.outcome, "confirmed", JSON.stringify(verified));
    const forgeries = [
      { call_id: crypto.randomUUID() },
      { caller_number: aPhone() },
      { called_number: "+442079460000" },
    ];
    for (const forged of forgeries) {
      const { outcome } = await ask("verify_otp", { code: "123456" }, forged);
      assert.equal(outcome, "cross_tenant_denied", JSON.stringify(forged));
    }
  } finally {
    await stop();
  }
});

test("tools, assistant and files are printed without an account", async ({ clinic, run }) => {
  const tools = await run(["tools"]);
  assert.ok(JSON.parse(tools.said).length >= 6);
  const assistant = JSON.parse((await run(["assistant", "--org", clinic.id])).said);
  assert.equal(assistant.model.tools.at(-1).type, "endCall");
  const folder = await mkdtemp(join(tmpdir(), "gitops-"));
  try {
    const { said } = await run(["export", "--org", clinic.slug, "--gitops", folder]);
    const files = said.split("\n");
    const markdown = await readFile(files[0] ?? "", "utf8");
    const [, front = "", prompt = ""] = markdown.split(/^---$/m);
    assert.match(prompt, /You answer the phone of Sunrise Dental/);
    const settings = parse(front);
    const tool = parse(await readFile(files[1] ?? "", "utf8"));
    assert.ok(settings.model.toolIds.includes(tool.function.name));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("wrong use is explained: no key, unknown clinic, no address, a number that is not at Vapi", async ({ bench, clinic, run }) => {
  assert.equal((await run(["sing"])).code, 2);
  assert.equal((await run(["sync"])).code, 2);
  const unknown = await run(["sync", "--org", "nowhere"]);
  assert.match(unknown.said, /no clinic nowhere.*clinic add/);
  await bench.database.sql`delete from public.org_credentials where org_id = ${clinic.id}`;
  const missing = await run(["sync", "--org", clinic.slug, "--dry-run"]);
  assert.equal(missing.code, 1);
  assert.match(missing.said, /is not at Vapi. Import it there, or store/);
});
