// deno-lint-ignore-file no-console -- a program of its own
/**
 * Sends texts as the functions do and prints what became of them: run by the transport's tests as a
 * process of its own, on the hosted version of Deno too.
 *
 * Standard input: `[{"url", "timeoutsMs": [10, 20]}]`: each URL gets a text for each timeout, one after
 * the other, all URLs at once. Standard output: `[[{outcome, elapsedMs}, ...], ...]` in that order.
 *
 * @module
 */

import { loadSmsSdk, sendSms } from "../../shared/sms.ts";
import { anAccount, aText } from "./texts.ts";

interface Asked {
  readonly url: string;
  readonly timeoutsMs: readonly number[];
}

const asked: Asked[] = JSON.parse(await new Response(Deno.stdin.readable).text());
await loadSmsSdk();
const done = await Promise.all(asked.map(async ({ url, timeoutsMs }) => {
  const outcomes = [];
  for (const timeoutMs of timeoutsMs) {
    const startedAt = performance.now();
    const outcome = await sendSms(anAccount, aText, { apiBase: url, timeoutMs });
    outcomes.push({ outcome, elapsedMs: performance.now() - startedAt });
  }
  return outcomes;
}));
console.log(JSON.stringify(done));
