/**
 * The console's page as files of the local stack: the page at `/`, the rest below `/console/page/`.
 *
 * @module
 */

import { makePage, type Site } from "../page/site.ts";

/** Makes the page. */
export function makeConsole(): Promise<Site> {
  return makePage({
    app: new URL("app/", import.meta.url),
    title: "Master Orchestrator: console",
    folder: "console/page/",
    generator: "deno task start",
    noscript: 'This page needs JavaScript. <a href="/local/sms">The texts</a> and ' +
      '<a href="/local/appointments">the appointments</a> are there without it.',
  });
}
