/**
 * `deno task docs`: writes what is generated from the folders in functions/: the page about the tools,
 * and the two lists that name every function.
 *
 * @module
 */

import { readdir, readFile, writeFile } from "node:fs/promises";
import { z } from "zod";
import { commonOutcomes, type Tool } from "../../shared/tool.ts";
import { declareFunctions, listTools, orderTools } from "./function_list.ts";
import { defineTask, main, Stop } from "./task.ts";

const usage = `deno task docs [--check]
  writes docs/tools.md from the tools' names, descriptions, arguments and outcomes, and names new
  folders of functions/ in functions/vapi-webhook/tools.ts and supabase/config.toml
  --check  change nothing; say whether the files are up to date
  exit code 0: done or up to date, 1: not up to date, 2: wrong arguments`;

const root = new URL("../../", import.meta.url);
const toolList = "functions/vapi-webhook/tools.ts";

/** The task. */
export const docs = defineTask({
  usage,
  options: { check: { type: "boolean", default: false } },
  run: async ({ values: { check } }, { terminal }) => {
    for (const { path, text, isCurrent } of await makeFiles()) {
      if (isCurrent) terminal.print(`${path} is up to date`);
      else if (check) throw new Stop(1, `${path} is not up to date: run deno task docs`);
      else {
        await writeFile(new URL(path, root), text);
        terminal.print(`Wrote ${path}`);
      }
    }
    return 0;
  },
});

/** Every generated file, and whether it is up to date. */
async function makeFiles() {
  const entries = await readdir(new URL("functions/", root), { withFileTypes: true });
  const folders = entries.flatMap((entry) => entry.isDirectory() ? [entry.name] : []).sort();
  const tools = new Map<string, Tool>();
  for (const folder of folders) {
    const { default: served } = await import(new URL(`functions/${folder}/index.ts`, root).href);
    if (served.tool !== undefined) tools.set(folder, served.tool);
  }
  const read = (path: string) => readFile(new URL(path, root), "utf8");
  const list = await read(toolList);
  const ordered = orderTools(list, [...tools.keys()]);
  const described = ordered.flatMap((folder) => tools.get(folder) ?? []);
  const config = "supabase/config.toml";
  const made = {
    "docs/tools.md": describeTools(described),
    [toolList]: listTools(list, ordered),
    [config]: declareFunctions(await read(config), folders),
  };
  return await Promise.all(
    Object.entries(made).map(async ([path, text]) => ({
      path,
      text,
      isCurrent: await read(path) === text,
    })),
  );
}

/** The page about tools, in Markdown. */
export function describeTools(tools: readonly Tool[]): string {
  return `# Tools

What each tool takes and answers. This page is written by \`deno task docs\` from \`functions/*/index.ts\`.

Vapi sends tool calls to \`vapi-webhook\`, or to the tool's own address (\`/functions/v1/send-otp\`). Every answer has status
200, except for a bad secret (401). \`result\` is one line of JSON with \`success\`, \`outcome\`, \`message\` (a sentence to say as
it is) and, after a refusal, \`action\`: \`RETRY\`, \`OFFER_ALTERNATIVES\` or \`ESCALATE\`. Instead of \`result\` there is \`error\`,
one sentence to say, after a failure of ours. Every sentence is in \`shared/sentences.ts\`.

Any tool can be given \`tenantId\` and \`inboundPhoneNumber\`: they are compared with the authenticated request and never used.

Outcomes of every tool:

${table("outcome", Object.entries(commonOutcomes))}
${tools.map(describeTool).join("\n")}`;
}

function describeTool({ name, description, input, outcomes }: Tool): string {
  const own = Object.entries(outcomes).filter(([outcome]) => !(outcome in commonOutcomes));
  const fields = readFields(input);
  const given = fields.map(({ name, isRequired, description }): [string, string] => [
    name,
    `${description}${isRequired ? "" : " (optional)"}`,
  ]);
  return `## ${name}

> ${description}

${given.length > 0 ? table("argument", given) : "It takes no arguments.\n"}
${table("outcome", own)}`;
}

function table(head: string, rows: readonly (readonly [string, string])[]): string {
  const lines = rows.map(([name, text]) => `| \`${name}\` | ${text.replaceAll("|", "\\|")} |\n`);
  return `| ${head} | |\n| --- | --- |\n${lines.join("")}`;
}

const schema = z.object({
  properties: z.record(z.string(), z.object({ description: z.string() })).default({}),
  required: z.array(z.string()).default([]),
});

/** The arguments of a tool, as its JSON Schema describes them. */
function readFields(input: z.ZodType) {
  const { properties, required } = schema.parse(z.toJSONSchema(input, { io: "input" }));
  return Object.entries(properties).map(([name, { description }]) => ({
    name,
    description,
    isRequired: required.includes(name),
  }));
}

if (import.meta.main) await main(docs);
