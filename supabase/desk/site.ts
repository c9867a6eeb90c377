/**
 * The desk's page as static files, for the local stack and for any host.
 *
 * The browser loads what stands in `app/` with the types taken out, and the libraries as their packages
 * bring them. Nothing comes from outside: the page's policy allows its own scripts and styles, and
 * requests to the project.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";

/** Which project the page works with. */
export interface SiteOptions {
  /** Its address; undefined for the server that serves the page. */
  readonly url?: string | undefined;
  /** Its key for browsers: publishable or anon. */
  readonly key: string;
}

/** A file of the site. */
export interface SiteFile {
  readonly type: string;
  readonly text: string;
}

/** A site that can be served. */
export interface Site {
  /** By their path below the page's address. */
  readonly files: ReadonlyMap<string, SiteFile>;
  /** What the page needs to be served with. */
  readonly headers: Readonly<Record<string, string>>;
}

const app = new URL("app/", import.meta.url);
const javascript = "text/javascript; charset=utf-8";

/** What the page's modules import by name. */
const imports = {
  "preact": "./vendor/preact.js",
  "preact/hooks": "./vendor/preact-hooks.js",
  "htm": "./vendor/htm.js",
  "htm/preact": "./vendor/htm-preact.js",
};

/** Where the packages have the files that the browser loads; the last two set a global name. */
const vendor: Readonly<Record<string, URL>> = {
  "vendor/preact.js": new URL(import.meta.resolve("preact")),
  "vendor/preact-hooks.js": new URL(import.meta.resolve("preact/hooks")),
  "vendor/htm.js": new URL(import.meta.resolve("htm")),
  "vendor/htm-preact.js": new URL(import.meta.resolve("htm/preact")),
  "vendor/supabase.js": new URL("umd/supabase.js", import.meta.resolve("@supabase/supabase-js")),
  "vendor/libphonenumber.js": new URL(
    "bundle/libphonenumber-min.js",
    import.meta.resolve("libphonenumber-js"),
  ),
};

/** Their licences ask for a notice wherever they are copied to. */
const notices: Readonly<Record<string, URL>> = {
  "preact": new URL("../LICENSE", import.meta.resolve("preact")),
  "htm": new URL("../LICENSE", import.meta.resolve("htm")),
  "@supabase/supabase-js": new URL("../LICENSE", import.meta.resolve("@supabase/supabase-js")),
  "libphonenumber-js": new URL("LICENSE", import.meta.resolve("libphonenumber-js")),
};

/** Never called. Literal imports make Deno download the packages. */
export async function declareDependencies(): Promise<void> {
  await import("preact");
  await import("preact/hooks");
  await import("htm");
  await import("htm/preact");
  await import("@supabase/supabase-js");
  await import("libphonenumber-js");
}

/** Makes the page for a project. */
export async function makeSite({ url, key }: SiteOptions): Promise<Site> {
  const names = (await readdir(app)).sort();
  const scripts = names.filter((name) => name.endsWith(".ts"));
  const files = new Map<string, SiteFile>();
  for (const name of scripts) {
    const source = await readFile(new URL(name, app), "utf8");
    files.set(withoutTypes(name), { type: javascript, text: toJavaScript(source) });
  }
  for (const [name, file] of Object.entries(vendor)) {
    const text = await readFile(file, "utf8");
    files.set(name, { type: javascript, text: text.replace(/^\/\/# sourceMappingURL=.*$/m, "") });
  }
  files.set("style.css", {
    type: "text/css; charset=utf-8",
    text: await readFile(new URL("style.css", app), "utf8"),
  });
  files.set("LICENSES.txt", { type: "text/plain; charset=utf-8", text: await readNotices() });
  const map = JSON.stringify({ imports });
  const policy = makePolicy(map, url);
  files.set("index.html", {
    type: "text/html; charset=utf-8",
    text: makePage({ map, policy, url, key, scripts: scripts.map(withoutTypes) }),
  });
  return {
    files,
    headers: {
      // A page cannot say the last part about itself.
      "content-security-policy": `${policy}; frame-ancestors 'none'`,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache",
    },
  };
}

const withoutTypes = (name: string): string => name.replace(/\.ts$/, ".js");

/** The types are blanked out and nothing else changes, so line and column stay. */
const toJavaScript = (source: string): string =>
  stripTypeScriptTypes(source).replaceAll(
    /^(import .*|\} from) "(\.\/\w+)\.ts";$/gm,
    '$1 "$2.js";',
  );

async function readNotices(): Promise<string> {
  const texts = Object.entries(notices).map(async ([name, file]) =>
    `${name}\n\n${(await readFile(file, "utf8")).trim()}\n`
  );
  return (await Promise.all(texts)).join("\n\n");
}

function makePolicy(map: string, url: string | undefined): string {
  const hash = createHash("sha256").update(map).digest("base64");
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "img-src data:",
    `connect-src ${url ?? "'self'"}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

interface PageParts extends SiteOptions {
  readonly map: string;
  readonly policy: string;
  readonly scripts: readonly string[];
}

function makePage({ map, policy, url = "", key, scripts }: PageParts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="deno task desk">
<title>Front desk</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<script type="importmap">${map}</script>
<script src="vendor/supabase.js" defer></script>
<script src="vendor/libphonenumber.js" defer></script>
${scripts.map((name) => `<link rel="modulepreload" href="${name}">`).join("\n")}
<script type="module" src="app.js"></script>
</head>
<body>
<div id="desk" data-url="${escape(url)}" data-key="${escape(key)}"></div>
<noscript>This page needs JavaScript.</noscript>
</body>
</html>
`;
}

const escape = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

/**
 * Answers requests for the page below a path. The files are made at the first one.
 *
 * @param base Such as `/desk`
 * @returns Undefined for a path that is not below it
 */
export function serveSite(
  base: string,
  options: SiteOptions,
): (request: Request) => Promise<Response | undefined> {
  let made: Promise<Site> | undefined;
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== base && !pathname.startsWith(`${base}/`)) return undefined;
    if (request.method !== "GET" && request.method !== "HEAD") {
      return Response.json({ message: "Only GET" }, { status: 405 });
    }
    if (pathname === base) {
      return new Response(null, { status: 308, headers: { location: `${base}/` } });
    }
    made ??= makeSite(options);
    const { files, headers } = await made;
    const file = files.get(pathname.slice(base.length + 1) || "index.html");
    return file
      ? new Response(file.text, { headers: { ...headers, "content-type": file.type } })
      : Response.json({ message: `Nothing at ${pathname}` }, { status: 404, headers });
  };
}
