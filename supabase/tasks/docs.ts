/**
 * `deno task docs`: writes docs/tools.md from what the tools say about themselves.
 *
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";
import { z } from "zod";
import { tools } from "../../functions/vapi-webhook/tools.ts";
import { commonOutcomes, type Tool } from "../../shared/tool.ts";
import { defineTask, main, Stop } from "./task.ts";

const usage = `deno task docs [--check]
  writes docs/tools.md from the tools' names, descriptions, arguments and outcomes
  --check  change nothing; say whether the file is up to date
  exit code 0: done or up to date, 1: not up to date, 2: wrong arguments`;

const file = new URL("../../docs/tools.md", import.meta.url);

const docs = defineTask({
  usage,
  options: { check: { type: "boolean", default: false } },
  run: async ({ values: { check } }, { terminal }) => {
    const text = describeTools(tools);
    if (!check) {
      await writeFile(file, text);
      terminal.print("Wrote docs/tools.md");
      return 0;
    }
    if (await readFile(file, "utf8") !== text) {
      throw new Stop(1, "docs/tools.md is not up to date: run deno task docs");
    }
    terminal.print("docs/tools.md is up to date");
    return 0;
  },
});

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
