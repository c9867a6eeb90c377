/** Imports point one way, and importing a function is cheap. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { variableNames } from "../../shared/config.ts";

const root = new URL("../../", import.meta.url);

/** From the door inwards: a module imports only what stands further down. */
const order = [
  "tool",
  "runtime",
  "metrics",
  "call_reports",
  "booking",
  "otp",
  "sms",
  "credentials",
  "recording",
  "answers",
  "database",
  "authentication",
  "vapi",
  "phone",
  "speech",
  "digits",
  "gsm",
  "delivery_reports",
  "logging",
  "redaction",
  "config",
  "body",
  "deadline",
  "errors",
  "bytes",
];

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
}

async function modulesOf(path: string): Promise<Module[]> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL(path, root).pathname],
    stdout: "piped",
    stderr: "null",
  });
  const { stdout } = await command.output();
  return JSON.parse(new TextDecoder().decode(stdout)).modules;
}

/**
 * Whether `shared/FROM.ts` may import `shared/TO.ts`. A noun of several files keeps them in a folder
 * of its name behind its module: only that module and the folder's files import them.
 */
function pointsDown(from: string, to: string): boolean {
  const [noun = ""] = from.split("/");
  const [wanted = "", inner] = to.split("/");
  if (!order.includes(noun)) return false;
  if (noun === wanted) return inner !== undefined;
  return inner === undefined && order.indexOf(noun) < order.indexOf(wanted);
}

const functions = readdirSync(new URL("functions/", root));

const isFunction = (specifier: string) => /\/functions\/[^/]+\/index\.ts$/.test(specifier);

Deno.test("imports of shared point down the list, functions import only shared", async () => {
  for (const name of functions) {
    for (const module of await modulesOf(`functions/${name}/index.ts`)) {
      const from = module.specifier.split("/shared/").at(-1)?.replace(/\.ts$/, "") ?? "";
      for (const { code } of module.dependencies ?? []) {
        const target = code?.specifier ?? "";
        if (!target.startsWith(root.href)) continue;
        // All tools at one address: the one function that imports others.
        if (module.specifier.endsWith("/vapi-webhook/index.ts") && isFunction(target)) continue;
        assert.ok(target.includes("/shared/"), `${module.specifier} imports ${target}`);
        if (!module.specifier.includes("/shared/")) continue;
        const to = target.split("/shared/").at(-1)?.replace(/\.ts$/, "") ?? "";
        assert.ok(pointsDown(from, to), `${from} imports ${to}`);
      }
    }
  }
});

Deno.test("every function is declared for deployment, every variable is in .env.example", () => {
  const config = Deno.readTextFileSync(new URL("supabase/config.toml", root));
  const declared = [...config.matchAll(/^\[functions\.([a-z-]+)\]/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), functions.sort());
  const example = Deno.readTextFileSync(new URL(".env.example", root));
  assert.deepEqual([...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name), variableNames);
});

Deno.test("importing a function takes under 60 ms of processor time and starts nothing", async () => {
  const script = new URL("tests/support/import_time.ts", root).pathname;
  for (const name of functions) {
    const times: number[] = [];
    // The best of twenty: what is asked is the cost of the code, not of a busy machine.
    while (times.length < 20 && Math.min(...times) >= 60) {
      const path = new URL(`functions/${name}/index.ts`, root).href;
      const command = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", script, path],
        stdout: "piped",
      });
      const { stdout, success } = await command.output();
      // No timer, socket or client keeps the process: it ends by itself.
      assert.ok(success);
      times.push(Number(new TextDecoder().decode(stdout)));
    }
    assert.ok(Math.min(...times) < 60, `${name}: ${times.map(Math.round)} ms`);
  }
});
