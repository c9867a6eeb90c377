/**
 * Lists that have to name every function, because bundling and deploying do not read folders: the
 * tools of `vapi-webhook`, and `supabase/config.toml`.
 *
 * @module
 */

/** `checkAvailability` for `check-availability`. */
const variableOf = (folder: string) =>
  folder.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** `check-availability` for `checkAvailability`. */
const folderOf = (variable: string) =>
  variable.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const listPattern = /(?<=\nexport const tools = \[\n)[^\]]*(?=\])/;
const importsPattern = /(?:^import \w+ from "\.\.\/[^"]+";\n)+/m;

/**
 * The folders of the tools in the order of a call. That order is kept, and new tools come last.
 *
 * @param list The text of functions/vapi-webhook/tools.ts.
 */
export function orderTools(list: string, folders: readonly string[]): string[] {
  const named = listPattern.exec(list)?.[0].match(/\w+/g)?.map(folderOf) ?? [];
  return [
    ...named.filter((folder) => folders.includes(folder)),
    ...folders.filter((folder) => !named.includes(folder)).sort(),
  ];
}

/** The same file with these tools. */
export function listTools(list: string, ordered: readonly string[]): string {
  const imports = [...ordered].sort().map((folder) =>
    `import ${variableOf(folder)} from "../${folder}/index.ts";\n`
  );
  const names = ordered.map((folder) => `  ${variableOf(folder)},\n`);
  return list.replace(importsPattern, imports.join("")).replace(listPattern, names.join(""));
}

/**
 * The text of supabase/config.toml with one section for each function. Adds missing sections and
 * removes those of deleted functions.
 */
export function declareFunctions(config: string, folders: readonly string[]): string {
  const kept = config.replaceAll(
    /\n(?:#[^\n]*\n)?\[functions\.([a-z-]+)\]\n(?:[^\n]+\n)*/g,
    (section, folder: string) => folders.includes(folder) ? section : "",
  );
  const missing = folders.filter((folder) => !kept.includes(`[functions.${folder}]`));
  return kept + missing.map((folder) => `
[functions.${folder}]
entrypoint = "../functions/${folder}/index.ts"
import_map = "../deno.json"
verify_jwt = false
`).join("");
}
