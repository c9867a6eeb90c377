// deno-lint-ignore-file no-console -- a command-line program
/**
 * `deno task load NAME`: runs a k6 scenario against the local stack, which it starts if none runs.
 *
 * k6 is the one on the PATH when it is version 2, else it is built once from the pinned module.
 * Exit codes: k6's own (99 when a threshold failed), 2 for a wrong name, 3 when there is no k6.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startStack } from "../tests/e2e/call.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const built = `${folder}bin/k6`;
const name = Deno.args[0] ?? "";
const script = `${folder}${name}.ts`;

if (!/^[a-z_]+$/.test(name) || name === "run" || !existsSync(script)) {
  console.error("deno task load smoke");
  Deno.exit(2);
}
const k6 = await findK6();
if (!k6) {
  console.error(
    "Cannot find or build k6: install k6 2.2.0 (https://grafana.com/docs/k6/latest/set-up/install-k6/) " +
      "or Go 1.25, which builds it here",
  );
  Deno.exit(3);
}
const base = Deno.env.get("BASE_URL") ?? "http://127.0.0.1:8000";
const stack = await isUp(base) ? undefined : await startStack(["--fresh"], "load");
const code = await run(k6, ["run", "--quiet", script], {
  K6_NO_USAGE_REPORT: "true",
  BASE_URL: stack?.url ?? base,
});
await stack?.stop();
Deno.exit(code);

async function findK6(): Promise<string | undefined> {
  if (await isVersion2("k6")) return "k6";
  if (await isVersion2(built)) return built;
  console.log("Building k6 from its module: two minutes, once");
  const go = await run("go", ["-C", folder, "build", "-o", built, "go.k6.io/k6/v2"]).catch(() => 1);
  return go === 0 ? built : undefined;
}

async function isVersion2(program: string): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command(program, { args: ["version"] }).output();
    return /\bv2\./.test(new TextDecoder().decode(stdout));
  } catch {
    return false;
  }
}

async function isUp(url: string): Promise<boolean> {
  const health = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) })
    .then((response) => response.json()).catch(() => undefined);
  return health?.status === "ok";
}

async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const command = new Deno.Command(program, {
    args: [...args],
    env,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  });
  return (await command.output()).code;
}
