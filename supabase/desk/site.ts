/**
 * The desk's page as static files, for the local stack and for any host.
 *
 * @module
 */

import { makePage, type Site } from "../page/site.ts";

/** Which project the page works with. */
export interface DeskOptions {
  /** Its address; undefined for the server that serves the page. */
  readonly url?: string | undefined;
  /** Its key for browsers: publishable or anon. */
  readonly key: string;
}

const supabaseJs = import.meta.resolve("@supabase/supabase-js");
const libphonenumber = import.meta.resolve("libphonenumber-js");

/** Never called. Literal imports make Deno download the packages. */
export async function declareDependencies(): Promise<void> {
  await import("@supabase/supabase-js");
  await import("libphonenumber-js");
}

/** Makes the page for a project. */
export function makeDesk({ url, key }: DeskOptions): Promise<Site> {
  return makePage({
    app: new URL("app/", import.meta.url),
    title: "Front desk",
    libraries: [
      { file: "supabase.js", from: new URL("umd/supabase.js", supabaseJs) },
      {
        file: "libphonenumber.js",
        from: new URL("bundle/libphonenumber-min.js", libphonenumber),
      },
    ],
    notices: {
      "@supabase/supabase-js": new URL("../LICENSE", supabaseJs),
      "libphonenumber-js": new URL("LICENSE", libphonenumber),
    },
    url,
    data: { url: url ?? "", key },
    generator: "deno task desk",
  });
}
