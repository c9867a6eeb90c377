/**
 * Validates our texts and the fake Twilio's answers against Twilio's own description of its Messages
 * resource.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sendSms, type SmsOutcome } from "../../shared/twilio.ts";
import { findFreePort } from "../../supabase/local/port.ts";
import { type FakeTwilio, startFakeTwilio } from "../../supabase/local/twilio/server.ts";
import { installPackage } from "../support/npm_package.ts";
import { anAccount, aText } from "../support/texts.ts";

const prismVersion = "5.16.0";
const description = new URL("../../../shared/twilio/messages-openapi.json", import.meta.url);
const isThere = existsSync(description);
const timeoutMs = 20_000;

/** A proxy that answers 422 to an invalid request, and 500 if the answer is not as described. */
interface Prism {
  readonly url: string;
}

async function withPrism(work: (prism: Prism, twilio: FakeTwilio) => Promise<void>): Promise<void> {
  const twilio = await startFakeTwilio();
  const prism = await installPackage("@stoplight/prism-cli", prismVersion);
  const file = join(prism.home, "messages.json");
  await writeFile(file, JSON.stringify(sharpen(JSON.parse(await readFile(description, "utf8")))));
  const port = findFreePort(20_000 + Math.floor(Math.random() * 10_000));
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", `npm:@stoplight/prism-cli@${prismVersion}`, "proxy", "--errors"],
      ...["--host", "127.0.0.1", "--port", String(port), file, twilio.url],
    ],
    cwd: prism.home,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    await waitFor(child.stdout, "Prism is listening");
    await work({ url: `http://127.0.0.1:${port}` }, twilio);
  } finally {
    child.kill();
    await child.status;
    await prism.remove();
    await twilio.stop();
  }
}

/** Reads until some text appears, and keeps reading, so that the writer never blocks. */
async function waitFor(stream: ReadableStream<Uint8Array>, wanted: string): Promise<void> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let seen = "";
  while (!seen.includes(wanted)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`Prism ended before it listened:\n${seen}`);
    seen += decoder.decode(value, { stream: true });
  }
  const drain = async () => {
    while (!(await reader.read()).done);
  };
  drain().catch(() => {});
}

/**
 * The description, with additions that Twilio does not write down: each answer has every field and no
 * other, and the addresses of pages are paths, as in its own examples.
 */
// deno-lint-ignore no-explicit-any -- an OpenAPI document is navigated, not typed
function sharpen(openapi: any) {
  const message = openapi.components.schemas["api.v2010.account.message"];
  const messages = openapi.paths["/2010-04-01/Accounts/{AccountSid}/Messages.json"];
  const list = messages.get.responses["200"].content["application/json"].schema;
  for (const schema of [message, list]) {
    schema.required = Object.keys(schema.properties);
    schema.additionalProperties = false;
  }
  for (const name of ["uri", "first_page_uri", "next_page_uri", "previous_page_uri"]) {
    delete list.properties[name].format;
  }
  return openapi;
}

const saidOf = (outcome: SmsOutcome) =>
  outcome.kind === "accepted" ? "accepted" : `${outcome.failure} ${outcome.code}`;

Deno.test(
  "our texts and the fake's answers are as Twilio describes them" +
    (isThere ? "" : " (not tested: ../shared/twilio/messages-openapi.json is absent)"),
  { ignore: !isThere },
  () =>
    withPrism(async ({ url }, twilio) => {
      const options = { apiBase: url, timeoutMs };
      const service = { messagingServiceSid: `MG${"a0".repeat(16)}` };
      const apiKey = { sid: `SK${"b0".repeat(16)}`, secret: "secret" };
      for (const account of [anAccount, { ...anAccount, sender: service, apiKey }]) {
        assert.equal(saidOf(await sendSms(account, aText, options)), "accepted");
      }
      twilio.addFault("report_undelivered");
      assert.equal(saidOf(await sendSms(anAccount, aText, options)), "accepted");
      await twilio.sendReports();

      const base = `${url}/2010-04-01/Accounts/${anAccount.accountSid}`;
      const authorization = `Basic ${btoa(`${anAccount.accountSid}:${anAccount.authToken}`)}`;
      const read = async (path: string) => {
        const response = await fetch(`${base}${path}`, { headers: { authorization } });
        const body = await response.text();
        assert.equal(response.status, 200, body);
      };
      for (const { sid } of twilio.messages) await read(`/Messages/${sid}.json`);
      await read("/Messages.json");
      await read("/Messages.json?PageSize=1&Page=1");

      // The same check notices a missing field, and one with a wrong type.
      twilio.addFault("no_sid");
      assert.equal(saidOf(await sendSms(anAccount, aText, options)), "provider_error 500");
      const wrong = { ...aText, validitySeconds: Number.NaN };
      assert.equal(saidOf(await sendSms(anAccount, wrong, options)), "rejected 422");
    }),
);
