/**
 * `deno task desk`: the page of the front desk, on the local stack or as files for any host.
 *
 * @module
 */

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { localEmail, localPassword } from "../local/members.ts";
import { useStack } from "./stack.ts";
import { defineTask, main, Misuse, readAddress, Stop, untilSignal } from "./task.ts";

const defaultUrl = "http://127.0.0.1:8000";

const usage = `deno task desk [--url URL]
  prints where the local stack serves the front desk's page, and a login; without a stack, starts one
  until Ctrl-C
  --url URL  the address of the stack; ${defaultUrl} if left out
deno task desk --out FOLDER --url https://PROJECT.supabase.co --key KEY
  writes the page as static files for any web server; docs/desk.md says how to host them
  --key KEY  the project's publishable key (or anon key), which everybody may see; never a secret key
  exit code 0: written, or stopped by Ctrl-C, 1: the folder has other files, or no stack started,
  2: wrong arguments`;

/** The task. */
export const desk = defineTask({
  usage,
  options: {
    url: { type: "string" },
    key: { type: "string" },
    out: { type: "string" },
  },
  codeAfterSignal: 0,
  run: async ({ values: { url, key, out } }, { terminal, running }) => {
    if (out !== undefined) {
      if (url === undefined || key === undefined) throw new Misuse("--out needs --url and --key");
      const count = await writePage(out, readAddress(url), readKey(key));
      terminal.print(`${count} files written to ${out}: copy the folder to a web server`);
      return 0;
    }
    if (key !== undefined) throw new Misuse("--key needs --out");
    const given = readAddress(url ?? defaultUrl);
    const stack = await useStack(given, running, "desk");
    terminal.print(
      `${stack.url}/desk/\n  ${
        localEmail("owner", "sunrise-dental")
      }, password ${localPassword}; also manager@, desk@, viewer@, and the same at hudson-aesthetics.test`,
    );
    return stack.url === given ? 0 : await untilSignal();
  },
});

/**
 * A key that a browser may have.
 *
 * @throws {Misuse} When it is another one
 */
function readKey(key: string): string {
  const isPublishable = key.startsWith("sb_publishable_") || roleOf(key) === "anon";
  if (isPublishable) return key;
  throw new Misuse(
    "--key takes the publishable key (sb_publishable_...) or the anon key of the project; a secret key " +
      "in a web page would open every clinic to everybody",
  );
}

/** The role in a key that is a token. */
function roleOf(key: string): unknown {
  const payload = key.split(".")[1] ?? "";
  try {
    return JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))).role;
  } catch {
    return undefined;
  }
}

/** @returns How many files there are */
async function writePage(folder: string, url: string, key: string): Promise<number> {
  await refuseOthers(folder);
  const { makeDesk } = await import("../desk/site.ts");
  const { files, headers } = await makeDesk({ url, key });
  for (const [name, { text }] of files) await write(join(folder, name), text);
  // Netlify and Cloudflare Pages read this file; other servers are told by their own settings.
  const lines = Object.entries(headers).map(([name, value]) => `  ${name}: ${value}\n`);
  await write(join(folder, "_headers"), `/*\n${lines.join("")}`);
  return files.size + 1;
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** @throws {Stop} When a folder has files that are not an earlier page's */
async function refuseOthers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const index = await readFile(join(folder, "index.html"), "utf8").catch(() => "");
  if (names.length === 0 || index.includes('content="deno task desk"')) return;
  throw new Stop(1, `${folder} has other files in it: choose an empty folder`);
}

if (import.meta.main) await main(desk);
