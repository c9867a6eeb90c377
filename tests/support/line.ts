/**
 * A clinic's phone line for tests of its assistant: a profile, and the functions at a real address.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import type { LineProfile } from "../../shared/database/calls.ts";
import type { Bench } from "./clinic.ts";

/** A profile with every setting that a clinic can have. */
export function aProfile(changes: Partial<LineProfile> = {}): LineProfile {
  return {
    orgId: "5a11d0e5-0000-4000-8000-000000000001",
    slug: "sunrise-dental",
    name: "Sunrise Dental",
    timezone: "Europe/London",
    language: "en",
    voice: "cartesia",
    model: "openai",
    recordsCalls: false,
    keepsTranscript: true,
    textsAtHold: false,
    transferNumber: "+442079460199",
    services: [{ name: "Consultation", minutes: 30 }, { name: "Facelift", minutes: 180 }],
    doctors: ["Dr Amara Patel", "Dr Ben Okafor"],
    opening: [1, 2, 3, 4, 5].map((dow) => ({ dow, startMin: 540, endMin: 1050 })),
    facts: [{ question: "Where can I park?", answer: "Behind the house, entrance in Mill Lane." }],
    ...changes,
  };
}

const functions = new URL("../../functions/", import.meta.url);

/** Serves every function at `/functions/v1/NAME`, as the hosted runtime does. */
export async function serveFunctions(
  bench: Bench,
): Promise<{ readonly functionsUrl: string; stop(): Promise<void> }> {
  const served = new Map<string, (request: Request) => Promise<Response>>();
  for (const { name } of await readdir(functions, { withFileTypes: true })) {
    const { default: edge } = await import(new URL(`${name}/index.ts`, functions).href);
    served.set(name, (request) => edge.using(bench.runtime).fetch(request));
  }
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const name = new URL(request.url).pathname.split("/").at(-1) ?? "";
    return served.get(name)?.(request) ?? new Response(null, { status: 404 });
  });
  return {
    functionsUrl: `http://127.0.0.1:${server.addr.port}/functions/v1`,
    stop: () => server.shutdown(),
  };
}
