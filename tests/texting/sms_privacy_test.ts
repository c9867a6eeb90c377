/** A provider's answer may quote the text, the number and the credentials: nothing of it is kept. */
import assert from "node:assert/strict";
import holdSlot from "../../functions/hold-slot/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import { readConfig } from "../../shared/config.ts";
import { openLog } from "../../shared/logging.ts";
import { createRuntime } from "../../shared/runtime.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  readSaid,
  withBench,
} from "../support/clinic.ts";

const token = "secret-token-0123456789";

/** How an answer quotes the request. */
type Quote = (quoted: string) => Response;

const quotes: Readonly<Record<string, Quote>> = {
  "400 as Twilio's errors": (quoted) =>
    Response.json({ code: 21211, message: quoted, more_info: quoted, status: 400 }, {
      status: 400,
    }),
  "401": (quoted) =>
    Response.json({ code: 20003, message: quoted, details: { quoted } }, { status: 401 }),
  "429": (quoted) =>
    new Response(quoted, { status: 429, headers: { "retry-after": "3600", "x-quoted": quoted } }),
  "500 as text": (quoted) => new Response(quoted, { status: 500 }),
  "503 as RFC 9457": (quoted) =>
    Response.json({ type: quoted, title: quoted, status: 503, code: 1, detail: quoted }, {
      status: 503,
    }),
  "201 that is not JSON": (quoted) => new Response(quoted, { status: 201 }),
  "201 with a code and SID of text": (quoted) =>
    Response.json({ sid: quoted, status: quoted, error_code: quoted, body: quoted }, {
      status: 201,
    }),
  "201 that failed": (quoted) =>
    Response.json({ sid: `SM${"0".repeat(32)}`, status: "failed", error_message: quoted }, {
      status: 201,
    }),
};

/** A provider that quotes requests in its answers, and records them. */
function startQuoting(quote: Quote) {
  const asked: { code: string; to: string }[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const body = await request.text();
      const form = new URLSearchParams(body);
      asked.push({ code: form.get("Body")?.slice(0, 6) ?? "", to: form.get("To") ?? "" });
      const authorization = request.headers.get("authorization") ?? "";
      return quote(`${authorization} ${atob(authorization.slice(6))} ${body} ${form.get("Body")}`);
    },
  );
  return { asked, url: `http://127.0.0.1:${server.addr.port}`, stop: () => server.shutdown() };
}

/** Everything in the database as text, except the hold itself, which has the number. */
async function everythingStored({ database }: Bench): Promise<string> {
  const tables = await database.admin<{ name: string }[]>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'
      and table_name not in ('appointments', 'org_channels')`;
  const parts = await Promise.all(
    tables.map(({ name }) =>
      database.admin<{ all: string | null }[]>`
        select string_agg(t::text, ' ') as all from ${database.admin(`public.${name}`)} as t`
    ),
  );
  return parts.map(([row]) => row?.all ?? "").join("\n");
}

Deno.test(
  "an answer that quotes text, number and credentials leaves no trace of them",
  (test) =>
    withBench(async (bench) => {
      for (const [name, quote] of Object.entries(quotes)) {
        await test.step({
          name,
          fn: () => quoteOnce(bench, quote),
        });
      }
    }),
);

async function quoteOnce(bench: Bench, quote: Quote): Promise<void> {
  const provider = startQuoting(quote);
  try {
    const clinic = await aClinic(bench.database.sql);
    await bench.provision(clinic, token);
    const lines: string[] = [];
    const runtime = createRuntime(
      readConfig({ ...bench.environment, TWILIO_API_BASE: provider.url }),
      openLog("debug", (line) => lines.push(line)),
    );
    const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
    const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Ada" };
    await bench.ask(holdSlot, { ...call, tool: "hold_slot", args });
    const request = aRequest({ ...call, tool: "send_otp" });
    const said = await readSaid(await sendOtp.using(runtime).fetch(request));
    assert.equal(said.success, false);
    assert.ok(provider.asked.length > 0);
    await runtime.recorder.flush();
    const written = [JSON.stringify(said), ...lines, await everythingStored(bench)].join("\n");
    assert.ok(written.includes("rolling back OTP storage"));
    for (const { code, to } of provider.asked) {
      const account = `AC${clinic.id.replaceAll("-", "")}`;
      // As a separate number: identifiers and times contain six digits in a row too.
      assert.doesNotMatch(written, new RegExp(`(?<![0-9a-f.])${code}(?![0-9a-f])`));
      for (const secret of [to, to.slice(1), token, btoa(`${account}:${token}`)]) {
        assert.ok(!written.includes(secret), `${secret} in ${written}`);
      }
    }
  } finally {
    await provider.stop();
  }
}
