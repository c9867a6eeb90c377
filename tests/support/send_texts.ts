// deno-lint-ignore-file no-console -- a program of its own
/**
 * Sends texts as the functions do and prints the results. The tests of the transport run it as a
 * separate process, also on the hosted version of Deno.
 *
 * Standard input: `[{"url", "timeoutsMs": [10, 20]}]`. Each URL gets one text per timeout, one after
 * another; the URLs run concurrently. Standard output: `{"done": [[{outcome, elapsedMs}, ...], ...]}`
 * in the same order, and in `checks` whether a signed report was accepted and a forged one.
 *
 * @module
 */

import { isSigned } from "../../shared/signed_form.ts";
import { loadTwilio, sendSms } from "../../shared/twilio.ts";
import { sign } from "../../supabase/local/twilio/reports.ts";
import { anAccount, aText } from "./texts.ts";

interface Asked {
  readonly url: string;
  readonly timeoutsMs: readonly number[];
}

const asked: Asked[] = JSON.parse(await new Response(Deno.stdin.readable).text());
await loadTwilio();
const done = await Promise.all(asked.map(async ({ url, timeoutsMs }) => {
  const outcomes = [];
  for (const timeoutMs of timeoutsMs) {
    const startedAt = performance.now();
    const outcome = await sendSms(anAccount, aText, { apiBase: url, timeoutMs });
    outcomes.push({ outcome, elapsedMs: performance.now() - startedAt });
  }
  return outcomes;
}));

const report = {
  address: "https://clinic.example.com/functions/v1/sms-status?org=1&send_id=2",
  form: new URLSearchParams({ MessageStatus: "delivered", To: aText.to }),
};
const checks = await Promise.all([anAccount.authToken, "another"].map((token) => {
  const signature = sign(token, report.address, Object.fromEntries(report.form));
  return isSigned(anAccount.authToken, signature, report);
}));
console.log(JSON.stringify({ done, checks }));
