/** Imports point one way, and importing a function is cheap. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { variableNames } from "../../shared/config.ts";
import { runApart } from "../support/terminal.ts";

const root = new URL("../../", import.meta.url);

/** From the outside in: a module imports only modules further down the list. */
const order = [
  "line/assistant",
  "line/prompt",
  "line/presets",
  "line/tool_definition",
  "request",
  "job",
  "twilio_webhook",
  "work",
  "tool",
  "runtime",
  "metrics",
  "targets",
  "counters",
  "feed",
  "busy_times",
  "webhooks",
  "calendar_token",
  "calls",
  "appointment_texts",
  "text_reply",
  "appointment_text",
  "appointment",
  "code_text",
  "hold",
  "patient",
  "sending",
  "passcodes",
  "texting",
  "twilio",
  "accounts",
  "denials",
  "admission",
  "recording",
  "tracing",
  "background",
  "answers",
  "sentences",
  "database/metrics",
  "database/calendars",
  "database/webhooks",
  "database/desk_messages",
  "database/facts",
  "database/accounts",
  "database/text_answers",
  "database/appointment_texts",
  "database/texts",
  "database/passcodes",
  "database/changes",
  "database/holds",
  "database/availability",
  "database/calls",
  "database/entry",
  "database/client",
  "authentication",
  "vapi",
  "phone",
  "text_times",
  "speech",
  "times",
  "days",
  "given",
  "german",
  "patient_answer",
  "text_template",
  "patient_texts",
  "inbound_text",
  "gsm",
  "delivery_reports",
  "signed_form",
  "logging",
  "redaction",
  "spoken_digits",
  "calling_codes",
  "tokens",
  "config",
  "icalendar",
  "webhook",
  "encryption",
  "download",
  "exchange",
  "body",
  "deadline",
  "errors",
  "bytes",
];

interface Module {
  readonly specifier: string;
  readonly size?: number;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly isDynamic?: boolean;
  }[];
}

const known = new Map<string, Promise<Module[]>>();

/** The modules that a file loads; cached because two tests need them. */
function modulesOf(path: string): Promise<Module[]> {
  const modules = known.get(path) ?? readModules(path);
  known.set(path, modules);
  return modules;
}

async function readModules(path: string): Promise<Module[]> {
  return JSON.parse((await runApart(["info", "--json", path])).output).modules;
}

/**
 * Whether `shared/FROM.ts` may import `shared/TO.ts`. Files in a folder that are not listed belong to
 * the module with the folder's name: only that module and the folder's files import them.
 */
function pointsDown(from: string, to: string): boolean {
  const [outer, inner] = [ownerOf(from), ownerOf(to)];
  if (!order.includes(outer)) return false;
  if (outer === inner) return to !== inner;
  return to === inner && order.indexOf(outer) < order.indexOf(inner);
}

function ownerOf(path: string): string {
  return order.includes(path) ? path : path.split("/")[0] ?? "";
}

const functions = readdirSync(new URL("functions/", root));

const toolList = "functions/vapi-webhook/tools.ts";

Deno.test("imports of shared point down the list, functions import only shared", async () => {
  for (const name of functions) {
    for (const module of await modulesOf(`functions/${name}/index.ts`)) {
      const from = module.specifier.split("/shared/").at(-1)?.replace(/\.ts$/, "") ?? "";
      for (const { code } of module.dependencies ?? []) {
        const target = code?.specifier ?? "";
        if (!target.startsWith(root.href)) continue;
        // All tools at one address: the only function that imports others.
        if (module.specifier.endsWith(toolList) || target.endsWith(toolList)) continue;
        assert.ok(target.includes("/shared/"), `${module.specifier} imports ${target}`);
        if (!module.specifier.includes("/shared/")) continue;
        const to = target.split("/shared/").at(-1)?.replace(/\.ts$/, "") ?? "";
        assert.ok(order.includes(ownerOf(from)), `name shared/${from}.ts in this test's order`);
        assert.ok(pointsDown(from, to), `${from} imports ${to}`);
      }
    }
  }
});

Deno.test("every function is declared for deployment, every variable is in .env.example", () => {
  const config = Deno.readTextFileSync(new URL("supabase/config.toml", root));
  const declared = [...config.matchAll(/^\[functions\.([a-z-]+)\]/gm)].map(([, name]) => name);
  for (const name of functions) {
    assert.ok(declared.includes(name), `supabase/config.toml does not declare functions/${name}`);
  }
  assert.deepEqual(declared.sort(), functions.sort());
  const example = Deno.readTextFileSync(new URL(".env.example", root));
  assert.deepEqual([...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name), variableNames);
});

/** The modules that importing the first one loads, without those it imports later, on demand. */
function loadedAtOnce(modules: readonly Module[]): Module[] {
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set<Module>();
  const pending = modules.slice(0, 1);
  for (let module = pending.pop(); module; module = pending.pop()) {
    if (loaded.has(module)) continue;
    loaded.add(module);
    for (const { code, isDynamic } of module.dependencies ?? []) {
      if (isDynamic || !code?.specifier) continue;
      // The list of modules has "npm:/zod@4.6.7", imports have "npm:zod@4.6.7".
      const specifier = code.specifier.replace(/^npm:(?!\/)/, "npm:/");
      const next = bySpecifier.get(specifier) ?? { specifier };
      pending.push(next);
    }
  }
  return [...loaded];
}

/** How much of our own code importing a function may load; vapi-webhook has all tools at once. */
const budgetOf = (name: string) =>
  name === "vapi-webhook" ? { modules: 113, bytes: 550_000 } : { modules: 75, bytes: 480_000 };

Deno.test("importing a function loads zod and no more of our own than its budget", async (t) => {
  for (const name of functions) {
    const path = `functions/${name}/index.ts`;
    const modules = await modulesOf(path);
    const first = modules.filter(({ specifier }) => specifier.endsWith(path));
    const loaded = loadedAtOnce([...first, ...modules]);
    const ours = loaded.filter(({ specifier }) => specifier.startsWith(root.href));
    const bytes = ours.reduce((sum, { size = 0 }) => sum + size, 0);
    const packages = loaded.map(({ specifier }) => specifier)
      .filter((specifier) => !/^(?:file|node):/.test(specifier));
    await t.step(
      `${name}: ${ours.length} modules, ${bytes} bytes, ${packages.join(" ")}`,
      () => {},
    );
    assert.ok(ours.length > 2, "the function's own modules are not seen");
    const budget = budgetOf(name);
    assert.ok(ours.length <= budget.modules, `${name}: ${ours.length} modules`);
    assert.ok(bytes <= budget.bytes, `${name}: ${bytes} bytes`);
    // Twilio, supabase-js and phone metadata are loaded by the first call that needs them.
    assert.deepEqual(
      packages.filter((specifier) => !/^npm:\/zod@[\d.]+$/.test(specifier)),
      [],
      name,
    );
  }
});

/** Milliseconds of processor time that an import takes in a new process. */
async function importTimeMs(specifier: string): Promise<number> {
  const script = "tests/support/import_time.ts";
  const args = ["run", "-A", "--no-check", "--quiet", script, specifier];
  const { code, output, errors } = await runApart(args);
  // No timer, socket or client keeps the process alive: it ends by itself.
  assert.equal(code, 0, `${specifier}: ${errors}`);
  return Number(output);
}

Deno.test("importing a function costs at most twelve times importing zod, and starts nothing", async (t) => {
  // The webhook imports every tool, so no tool alone costs more or starts something.
  const ofWebhook = Deno.readTextFileSync(new URL(toolList, root));
  const apart = functions.filter((name) => !ofWebhook.includes(`"../${name}/index.ts"`));
  assert.ok(apart.includes("vapi-webhook") && apart.length < functions.length);
  const zod = import.meta.resolve("zod");
  const zods = Math.min(await importTimeMs(zod), await importTimeMs(zod), await importTimeMs(zod));
  for (const name of apart) {
    let ours = Infinity;
    // The best of some rounds: the cost of the code, not of a busy machine.
    for (let round = 0; round < 8 && (round === 0 || ours > 12 * zods); round++) {
      ours = Math.min(ours, await importTimeMs(new URL(`functions/${name}/index.ts`, root).href));
    }
    await t.step(`${name}: ${ours.toFixed(0)} ms, zod ${zods.toFixed(0)} ms`, () => {});
    assert.ok(ours <= 12 * zods, `${name}: ${ours} ms, zod ${zods} ms`);
  }
});
