/**
 * The console's files for the browser: the page, its style, its modules in TypeScript, whose types are
 * removed when they are asked for, and the library, which Deno has from npm. Nothing is built, and the
 * page loads nothing from outside.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";

/** What the page's modules import by name, and where it is served. */
const libraries: Readonly<Record<string, string>> = {
  "preact": "/console/library/preact.js",
  "preact/hooks": "/console/library/preact-hooks.js",
  "htm": "/console/library/htm.js",
  "htm/preact": "/console/library/htm-preact.js",
};

const app = new URL("app/", import.meta.url);

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
  "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/**
 * A file of the page.
 *
 * @param pathname `/`, or below `/console/app/` or `/console/library/`.
 * @returns Undefined when there is none.
 */
export async function serveConsole(pathname: string): Promise<Response | undefined> {
  const text = await readSite(pathname);
  if (text === undefined) return undefined;
  const type = types[pathname === "/" ? "html" : pathname.split(".").at(-1) ?? ""] ?? "text/plain";
  return new Response(text, {
    headers: {
      "content-type": type,
      "cache-control": "no-cache",
      "content-security-policy": policy,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    },
  });
}

async function readSite(pathname: string): Promise<string | undefined> {
  if (pathname === "/") return await readApp("index.html");
  const library = Object.keys(libraries).find((name) => libraries[name] === pathname);
  if (library !== undefined) return resolveNames(String((await texts[library]?.())?.default));
  const [, name = "", ending] = /^\/console\/app\/([a-z_]+)\.(js|css)$/.exec(pathname) ?? [];
  if (ending === "css") return await readApp(`${name}.css`);
  if (ending !== "js") return undefined;
  const source = await readApp(`${name}.ts`);
  return source && resolveNames(stripTypeScriptTypes(source)).replace(
    /(from\s*")(\.\/[a-z_]+)\.ts"/g,
    '$1$2.js"',
  );
}

const readApp = (name: string): Promise<string | undefined> =>
  readFile(new URL(name, app), "utf8").catch(() => undefined);

/** The texts of the packages' modules. Deno finds only names that are written out. */
const texts: Readonly<Record<string, () => Promise<{ readonly default: unknown }>>> = {
  "preact": () => import("preact", { with: { type: "text" } }),
  "preact/hooks": () => import("preact/hooks", { with: { type: "text" } }),
  "htm": () => import("htm", { with: { type: "text" } }),
  "htm/preact": () => import("htm/preact", { with: { type: "text" } }),
};

/** Browsers do not know names such as `preact`. */
function resolveNames(source: string): string {
  return source.replace(
    /\bfrom\s*"([a-z/]+)"/g,
    (whole, name: string) => libraries[name] === undefined ? whole : `from "${libraries[name]}"`,
  ).replace(/\n\/\/# sourceMappingURL=.*/, "");
}
