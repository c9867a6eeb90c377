/**
 * A page as static files: what the console and the desk's page have in common on the server.
 *
 * The browser loads the files of the page's folder and of `app/` here without their types, and the
 * libraries as they are in their packages. Nothing is built, and nothing comes from outside: a page's
 * policy allows its own scripts and styles, and requests to one address.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";

/** A package whose file the browser loads as it is. */
export interface Library {
  /** The name of the file in `vendor/`. */
  readonly file: string;
  readonly from: URL;
  /** The module's name in imports; undefined for a script that sets a global name. */
  readonly imported?: string;
}

/** A page to be made. */
export interface PageOptions {
  /** The folder of the page's own modules and `style.css`; the first module is `app.ts`. */
  readonly app: URL;
  readonly title: string;
  /** Where the files are, below the page: empty, or with a slash at the end. */
  readonly folder?: string;
  /** Libraries besides preact and htm. */
  readonly libraries?: readonly Library[];
  /** Licences of these libraries, by their packages. */
  readonly notices?: Readonly<Record<string, URL>>;
  /** Which address the page may send requests to; undefined for its own server's. */
  readonly url?: string | undefined;
  /** What the page is told, as data attributes of its root element. */
  readonly data?: Readonly<Record<string, string>>;
  /** For search engines and for the task that writes the files: what made the page. */
  readonly generator: string;
  /** HTML for a browser without JavaScript. */
  readonly noscript?: string;
}

/** A file of a page. */
export interface SiteFile {
  readonly type: string;
  readonly text: string;
}

/** A page that can be served. */
export interface Site {
  /** By their path below the page's address. */
  readonly files: ReadonlyMap<string, SiteFile>;
  /** What the page needs to be served with. */
  readonly headers: Readonly<Record<string, string>>;
}

const shared = new URL("app/", import.meta.url);
const javascript = "text/javascript; charset=utf-8";

const commonLibraries: readonly Library[] = [
  { file: "preact.js", from: new URL(import.meta.resolve("preact")), imported: "preact" },
  {
    file: "preact-hooks.js",
    from: new URL(import.meta.resolve("preact/hooks")),
    imported: "preact/hooks",
  },
  { file: "htm.js", from: new URL(import.meta.resolve("htm")), imported: "htm" },
  {
    file: "htm-preact.js",
    from: new URL(import.meta.resolve("htm/preact")),
    imported: "htm/preact",
  },
];

/** The licences ask for a notice wherever the packages are copied to. */
const commonNotices: Readonly<Record<string, URL>> = {
  "preact": new URL("../LICENSE", import.meta.resolve("preact")),
  "htm": new URL("../LICENSE", import.meta.resolve("htm")),
};

/** Never called. Literal imports make Deno download the packages. */
export async function declareDependencies(): Promise<void> {
  await import("preact");
  await import("preact/hooks");
  await import("htm");
  await import("htm/preact");
}

/** Makes a page. */
export async function makePage(options: PageOptions): Promise<Site> {
  const { app, folder = "", url, libraries = [], notices = {} } = options;
  const files = new Map<string, SiteFile>();
  const add = (name: string, type: string, text: string) => {
    if (files.has(name)) throw new Error(`Cannot make the page: two of its files are ${name}`);
    files.set(name, { type, text });
  };
  const scripts: string[] = [];
  for (const from of [shared, app]) {
    const names = (await readdir(from)).sort();
    for (const name of names.filter((one) => one.endsWith(".ts"))) {
      const script = `${folder}${name.replace(/\.ts$/, ".js")}`;
      scripts.push(script);
      add(script, javascript, toJavaScript(await readFile(new URL(name, from), "utf8")));
    }
    for (const name of names.filter((one) => one.endsWith(".css"))) {
      const text = await readFile(new URL(name, from), "utf8");
      add(`${folder}${name}`, "text/css; charset=utf-8", text);
    }
  }
  const all = [...commonLibraries, ...libraries];
  for (const { file, from } of all) {
    const text = (await readFile(from, "utf8")).replace(/^\/\/# sourceMappingURL=.*$/m, "");
    add(`${folder}vendor/${file}`, javascript, text);
  }
  const licences = await readNotices({ ...commonNotices, ...notices });
  add(`${folder}LICENSES.txt`, "text/plain; charset=utf-8", licences);
  const imports = all.flatMap(({ file, imported }) =>
    imported === undefined ? [] : [[imported, `./${folder}vendor/${file}`]]
  );
  const map = JSON.stringify({ imports: Object.fromEntries(imports) });
  const policy = makePolicy(map, url);
  add("index.html", "text/html; charset=utf-8", writePage(options, { map, policy, scripts }));
  return {
    files,
    headers: {
      // A page cannot set the last part itself.
      "content-security-policy": `${policy}; frame-ancestors 'none'`,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache",
    },
  };
}

/**
 * The types are blanked out, so line and column stay. All modules of a page are served from one folder,
 * wherever they are in the sources.
 */
const toJavaScript = (source: string): string =>
  stripTypeScriptTypes(source).replaceAll(
    /^(import .*|\} from) "(?:\.\.?\/)(?:[\w.]+\/)*(\w+)\.ts";$/gm,
    '$1 "./$2.js";',
  );

async function readNotices(notices: Readonly<Record<string, URL>>): Promise<string> {
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

interface PageParts {
  readonly map: string;
  readonly policy: string;
  readonly scripts: readonly string[];
}

function writePage(
  { title, folder = "", libraries = [], data = {}, generator, noscript }: PageOptions,
  { map, policy, scripts }: PageParts,
): string {
  const globals = libraries.filter(({ imported }) => imported === undefined);
  const told = Object.entries(data).map(([name, value]) => ` data-${name}="${escape(value)}"`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="${escape(generator)}">
<title>${escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${folder}base.css">
<link rel="stylesheet" href="${folder}style.css">
<script type="importmap">${map}</script>
${globals.map(({ file }) => `<script src="${folder}vendor/${file}" defer></script>\n`).join("")}${
    scripts.map((name) => `<link rel="modulepreload" href="${name}">`).join("\n")
  }
<script type="module" src="${folder}app.js"></script>
</head>
<body>
<div id="page"${told.join("")}></div>
<noscript>${noscript ?? "This page needs JavaScript."}</noscript>
</body>
</html>
`;
}

const escape = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

/**
 * Answers requests for the files of a page, which are made at the first one.
 *
 * @param base The page's path without a slash at the end: `/desk`, or empty.
 * @returns A function that answers undefined where the page has no file.
 */
export function servePage(
  base: string,
  make: () => Promise<Site>,
): (request: Request) => Promise<Response | undefined> {
  let made: Promise<Site> | undefined;
  return async ({ method, url }) => {
    const { pathname } = new URL(url);
    if (method !== "GET" && method !== "HEAD") return undefined;
    if (base !== "" && pathname === base) {
      return new Response(null, { status: 308, headers: { location: `${base}/` } });
    }
    if (!pathname.startsWith(`${base}/`)) return undefined;
    made ??= make();
    const { files, headers } = await made;
    const file = files.get(pathname.slice(base.length + 1) || "index.html");
    return file && new Response(file.text, { headers: { ...headers, "content-type": file.type } });
  };
}
