/**
 * The files of VapiAI/gitops: a clinic's assistant as Markdown with its settings as front matter, and
 * each tool as YAML. References are file names.
 *
 * @module
 */

import { stringify } from "yaml";
import { type LineProfile } from "../../../shared/database/calls.ts";
import { composeAssistant, nameAssistant } from "../../../shared/line/assistant.ts";
import { defineForVapi, type FunctionsAddress } from "../../../shared/line/tool_definition.ts";
import type { Tool } from "../../../shared/tool.ts";

/** A file to write, with its path in the given folder. */
export interface ExportedFile {
  readonly path: string;
  readonly text: string;
}

/** The files of one clinic. */
export function exportFiles(
  profile: LineProfile,
  tools: readonly Tool[],
  address: FunctionsAddress,
): ExportedFile[] {
  const folder = `resources/${profile.slug}`;
  const names = tools.map(({ name }) => name);
  const { model, ...assistant } = composeAssistant(profile, names, { toolIds: names }, address);
  const { messages: [prompt], ...settings } = model;
  return [
    {
      path: `${folder}/assistants/${nameAssistant(profile)}.md`,
      text: `---\n${write({ ...assistant, model: settings })}---\n\n${prompt?.content ?? ""}\n`,
    },
    ...tools.map((tool) => ({
      path: `${folder}/tools/${tool.name}.yml`,
      text: write(defineForVapi(tool, address)),
    })),
  ];
}

/** Quotes texts, because YAML 1.1 reads words such as off, no and null as other values. */
function write(value: unknown): string {
  return stringify(value, {
    defaultStringType: "QUOTE_SINGLE",
    defaultKeyType: "PLAIN",
    lineWidth: 0,
  });
}
