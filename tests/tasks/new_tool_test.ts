/** A new tool is a new folder: docs, webhook, definitions and deployment find it automatically. */
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { declareFunctions, listTools, orderTools } from "../../supabase/tasks/function_list.ts";
import { runApart } from "../support/terminal.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const newTool = `import { z } from "zod";
import { succeed } from "../../shared/answers.ts";
import { serveTool } from "../../shared/request.ts";

export default serveTool({
  name: "tell_weather",
  description: "Tells what the weather at the clinic is like. Call it when the caller asks whether " +
    "an umbrella is needed on the way to the clinic. Not for anything else.",
  input: z.object({ day: z.string().describe("The day that is asked about, as the caller said it") }),
  outcomes: { told: "what the weather is like" },
  run: ({ day }) => Promise.resolve(succeed("told", \`It is going to rain on \${day}.\`)),
});
`;

Deno.test("a new folder in functions/ is in the page, the webhook, the definitions and the deployment", async () => {
  const copy = await mkdtemp(join(tmpdir(), "new-tool-"));
  try {
    for (const path of ["functions", "shared", "supabase", "docs", "deno.json", "deno.lock"]) {
      await cp(join(root, path), join(copy, path), { recursive: true, verbatimSymlinks: true });
    }
    await mkdir(join(copy, "functions/tell-weather"));
    await writeFile(join(copy, "functions/tell-weather/index.ts"), newTool);
    const run = (...args: string[]) =>
      runApart(["run", "--quiet", "--no-check", "-A", ...args], { cwd: copy });
    const missing = await run("supabase/tasks/docs.ts", "--check");
    assert.equal(missing.code, 1, missing.errors);
    const made = await run("supabase/tasks/docs.ts");
    assert.equal(made.code, 0, made.errors);
    assert.equal((await run("supabase/tasks/docs.ts", "--check")).code, 0);

    const page = await readFile(join(copy, "docs/tools.md"), "utf8");
    assert.match(page, /^## tell_weather$/m);
    const config = await readFile(join(copy, "supabase/config.toml"), "utf8");
    assert.match(
      config,
      /^\[functions\.tell-weather\]\nentrypoint = "\.\.\/functions\/tell-weather\/index\.ts"$/m,
    );
    const url = "https://abc.supabase.co/functions/v1";
    const printed = await run("supabase/tasks/vapi.ts", "tools", "--functions-url", url);
    const defined = JSON.parse(printed.output).find((tool: { function: { name: string } }) =>
      tool.function.name === "tell_weather"
    );
    assert.equal(defined.server.url, `${url}/tell-weather`);
    assert.deepEqual(defined.function.parameters.required, ["day"]);
    // The webhook serves exactly this list.
    const script = 'const { tools } = await import("./functions/vapi-webhook/tools.ts");' +
      "console.log(tools.at(-1).name)";
    await writeFile(join(copy, "last.ts"), script);
    assert.equal((await run("last.ts")).output.trim(), "tell_weather");
  } finally {
    await rm(copy, { recursive: true });
  }
});

Deno.test("the lists keep their order, and drop folders that no longer exist", async () => {
  const list = await readFile(join(root, "functions/vapi-webhook/tools.ts"), "utf8");
  const now = orderTools(list, ["send-otp", "hold-slot", "aaa-first"]);
  assert.deepEqual(now, ["hold-slot", "send-otp", "aaa-first"]);
  const changed = listTools(list, now);
  assert.match(changed, /import aaaFirst from "\.\.\/aaa-first\/index\.ts";\nimport holdSlot/);
  assert.match(changed, /tools = \[\n {2}holdSlot,\n {2}sendOtp,\n {2}aaaFirst,\n\]\.map/);
  const config = await readFile(join(root, "supabase/config.toml"), "utf8");
  const declared = declareFunctions(config, ["hold-slot", "aaa-first"]);
  assert.deepEqual([...declared.matchAll(/^\[functions\.(.*)\]$/gm)].map(([, name]) => name), [
    "hold-slot",
    "aaa-first",
  ]);
  assert.match(declared, /^\[db\.seed\]$/m);
});
