/** Texts over the wire: one POST whatever happens, on our Deno and on the hosted one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sendSms, type SmsOutcome } from "../../shared/twilio.ts";
import {
  type FakeTwilio,
  type FaultKind,
  faultKinds,
  startFakeTwilio,
} from "../../supabase/local/twilio/server.ts";
import { fullLengthOnly } from "../support/length.ts";
import { hostedDenoVersion, installHostedDeno } from "../support/npm_package.ts";
import { type Drop, startStubbornServer } from "../support/stubborn_server.ts";
import { anAccount, aText, secrets } from "../support/texts.ts";

/** For requests that are answered: reached only on a very busy machine. */
const patientMs = 20_000;
/** For answers that never end. */
const shortMs = 2500;

interface Shape {
  readonly kind: FaultKind;
  readonly ms?: number;
  readonly times?: number;
  /** The result of the spoiled text: `accepted`, or failure, code and whether it may have been sent. */
  readonly becomes: string;
  /** POSTs of the spoiled text. */
  readonly posts: number;
}

const shapes: readonly Shape[] = [
  { kind: 21211, becomes: "bad_destination 21211 not sent", posts: 1 },
  { kind: 21610, becomes: "opted_out 21610 not sent", posts: 1 },
  { kind: 21408, becomes: "blocked_country 21408 not sent", posts: 1 },
  { kind: 21606, becomes: "misconfigured 21606 not sent", posts: 1 },
  { kind: 20003, becomes: "unauthorized 20003 not sent", posts: 1 },
  { kind: 29999, becomes: "rejected 29999 not sent", posts: 1 },
  { kind: 20500, becomes: "provider_error 20500 may be sent", posts: 1 },
  { kind: "http_500", becomes: "provider_error 20500 may be sent", posts: 1 },
  { kind: "http_503", becomes: "provider_error 20503 may be sent", posts: 1 },
  { kind: "http_408", becomes: "provider_error 20408 may be sent", posts: 1 },
  { kind: "http_404", becomes: "rejected 20404 not sent", posts: 1 },
  { kind: "http_429", becomes: "accepted", posts: 2 },
  { kind: "rate_limited", becomes: "accepted", posts: 2 },
  {
    kind: "rate_limited",
    times: 2,
    becomes: "rate_limited 20429 not sent",
    posts: 2,
  },
  { kind: "rate_limited", ms: 60_000, becomes: "rate_limited 20429 not sent", posts: 1 },
  { kind: "html", becomes: "provider_error 200 may be sent", posts: 1 },
  { kind: "failed", becomes: "rejected 30007 not sent", posts: 1 },
  { kind: "redirect", becomes: "provider_error 307 may be sent", posts: 1 },
  { kind: "timeout", becomes: "timeout may be sent", posts: 1 },
  { kind: "lost_answer", becomes: "timeout may be sent", posts: 1 },
  { kind: "drip", becomes: "timeout may be sent", posts: 1 },
  { kind: "flood", becomes: "provider_error 201 may be sent", posts: 1 },
  { kind: "reset_before", becomes: "unreachable may be sent", posts: 1 },
  { kind: "reset_after", becomes: "unreachable may be sent", posts: 1 },
  { kind: "half_body", becomes: "unreachable may be sent", posts: 1 },
  { kind: "cut_body", becomes: "unreachable may be sent", posts: 1 },
  { kind: "empty", becomes: "provider_error 201 may be sent", posts: 1 },
  { kind: "wrong_json", becomes: "provider_error may be sent", posts: 1 },
  { kind: "no_sid", becomes: "provider_error may be sent", posts: 1 },
  { kind: "slow", ms: 200, becomes: "accepted", posts: 1 },
];

const hasNoEnd = ({ becomes }: Shape) => becomes.startsWith("timeout");

function say(outcome: SmsOutcome): string {
  if (outcome.kind === "accepted") return "accepted";
  const { failure, code, mayHaveBeenSent } = outcome;
  return [failure, code, mayHaveBeenSent ? "may be sent" : "not sent"].filter(Boolean).join(" ");
}

interface Done {
  readonly outcome: SmsOutcome;
  readonly elapsedMs: number;
}

interface Sent {
  readonly done: readonly (readonly Done[])[];
  /** Whether a signed report was accepted, and a forged one. */
  readonly checks: readonly boolean[];
}

/** Sends texts in a separate process, see send_texts.ts. */
async function sendTexts(
  deno: string,
  texts: readonly { readonly url: string; readonly timeoutsMs: readonly number[] }[],
): Promise<Sent & { readonly output: string }> {
  const script = new URL("../support/send_texts.ts", import.meta.url).pathname;
  const root = new URL("../../", import.meta.url).pathname;
  const child = new Deno.Command(deno, {
    args: ["run", "-A", "--no-lock", "--no-check", "--quiet", script],
    cwd: root,
    env: {
      NO_COLOR: "1",
      // The SDK's own client would use these.
      TWILIO_ACCOUNT_SID: `AC${"f".repeat(32)}`,
      TWILIO_AUTH_TOKEN: "token-of-the-platform",
      TWILIO_EDGE: "sydney",
      TWILIO_REGION: "au1",
      TWILIO_LOG_LEVEL: "debug",
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    // A process that hangs is killed, and fails the test.
    signal: AbortSignal.timeout(60_000),
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(texts)));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  assert.ok(success, `the process died:\n${output}`);
  const sent: Sent = JSON.parse(decoder.decode(stdout));
  return { ...sent, output };
}

async function withTwilios(
  count: number,
  work: (twilios: readonly FakeTwilio[]) => Promise<void>,
): Promise<void> {
  const twilios = await Promise.all(Array.from({ length: count }, () => startFakeTwilio()));
  try {
    await work(twilios);
  } finally {
    await Promise.all(twilios.map((twilio) => twilio.stop()));
  }
}

async function tryShapes(deno: string): Promise<void> {
  await withTwilios(shapes.length, async (twilios) => {
    for (const [index, { kind, ms, times }] of shapes.entries()) {
      twilios[index]?.setAccount(anAccount.accountSid, anAccount.authToken);
      // The first text succeeds, so that there is a connection that might be reused.
      twilios[index]?.addFault("slow", { ms: 1 });
      twilios[index]?.addFault(kind, { ms, times });
    }
    const { done, checks, output } = await sendTexts(
      deno,
      shapes.map((shape, index) => ({
        url: twilios[index]?.url ?? "",
        timeoutsMs: [patientMs, hasNoEnd(shape) ? shortMs : patientMs, patientMs],
      })),
    );
    const seen = done.map((outcomes) => outcomes.map(({ outcome }) => say(outcome)));
    assert.deepEqual(seen, shapes.map(({ becomes }) => ["accepted", becomes, "accepted"]));
    assert.deepEqual(
      twilios.map(({ postCount }) => postCount),
      shapes.map(({ posts }) => 2 + posts),
      "POSTs on the wire",
    );
    for (const [index, shape] of shapes.entries()) {
      const elapsedMs = done[index]?.[1]?.elapsedMs ?? Infinity;
      // A drip would last a minute and a half.
      if (hasNoEnd(shape)) assert.ok(elapsedMs < 30_000, `${shape.kind}: ${elapsedMs} ms`);
    }
    assert.deepEqual(checks, [true, false], "signatures of reports");
    for (const secret of secrets) assert.ok(!output.includes(secret), `${secret} was printed`);
  });
}

/** Sends texts to servers that keep every connection open, whatever the request says. */
async function tryStubbornServers(deno: string): Promise<void> {
  const drops: readonly Drop[] = ["after_request", "in_request", "before_request"];
  const message = { sid: `SM${"ab".repeat(16)}`, status: "queued" };
  const servers = drops.map((drop) => startStubbornServer(drop, message));
  try {
    const timeoutsMs = [patientMs, patientMs, patientMs];
    const { done } = await sendTexts(deno, servers.map(({ url }) => ({ url, timeoutsMs })));
    for (const [index, drop] of drops.entries()) {
      const seen = done[index]?.map(({ outcome }) => say(outcome));
      assert.deepEqual(seen, ["accepted", "accepted", "accepted"], drop);
      assert.equal(servers[index]?.requestCount, 3, `POSTs on the wire, dropped ${drop}`);
    }
  } finally {
    for (const server of servers) server.stop();
  }
}

Deno.test(
  `every failure on the wire is one POST and one outcome, a 429 two POSTs, and the process lives`,
  () => tryShapes(Deno.execPath()),
);

Deno.test(
  "each text is one POST on a separate connection, even if the server keeps connections open",
  () => tryStubbornServers(Deno.execPath()),
);

Deno.test(`the same on Deno ${hostedDenoVersion}, the hosted version`, fullLengthOnly, async () => {
  const hosted = await installHostedDeno();
  try {
    await tryShapes(join(hosted.folder, "deno"));
    await tryStubbornServers(join(hosted.folder, "deno"));
    await tryUnreachable(join(hosted.folder, "deno"));
  } finally {
    await hosted.remove();
  }
});

Deno.test("every kind of spoiled answer has its shape", () => {
  const tested = new Set(shapes.map(({ kind }) => String(kind)));
  const named = Object.keys(faultKinds).filter((kind) => !kind.startsWith("report_"));
  assert.deepEqual(named.filter((kind) => !tested.has(kind)), []);
});

Deno.test(
  "texts go from the number or the messaging service, with token or API key, and expire in time",
  () =>
    withTwilios(1, async ([twilio]) => {
      if (!twilio) return;
      const service = { messagingServiceSid: `MG${"a0".repeat(16)}` };
      const apiKey = { sid: `SK${"b0".repeat(16)}`, secret: "secret of the key" };
      const ask = (account: typeof anAccount) =>
        sendSms(account, aText, { apiBase: twilio.url, timeoutMs: patientMs });
      for (const account of [anAccount, { ...anAccount, sender: service, apiKey }]) {
        assert.equal((await ask(account)).kind, "accepted");
      }
      const sent = twilio.messages.map(({ from, user, validitySeconds, statusCallback }) => ({
        ...{ from, user, validitySeconds, statusCallback },
      }));
      const { validitySeconds, statusCallback } = aText;
      assert.deepEqual(sent, [
        { from: "+442079460123", user: anAccount.accountSid, validitySeconds, statusCallback },
        { from: service.messagingServiceSid, user: apiKey.sid, validitySeconds, statusCallback },
      ]);
    }),
);

Deno.test(
  "an account that lost a field sends nothing, whatever the environment holds",
  () =>
    withTwilios(1, async ([twilio]) => {
      if (!twilio) return;
      const before = Deno.env.toObject();
      Deno.env.set("TWILIO_ACCOUNT_SID", anAccount.accountSid);
      Deno.env.set("TWILIO_AUTH_TOKEN", "token-of-the-platform");
      try {
        const { accountSid, sender } = anAccount;
        const apiKey = { sid: `SK${"b0".repeat(16)}` };
        const damaged = [{ authToken: "" }, {}, { apiKey }, { apiKey: { ...apiKey, secret: "" } }];
        for (const part of damaged) {
          // JSON has no types, so this is like a stored account that lost a field.
          const account = JSON.parse(JSON.stringify({ accountSid, sender, ...part }));
          const outcome = await sendSms(account, aText, {
            apiBase: twilio.url,
            timeoutMs: patientMs,
          });
          assert.equal(say(outcome), "misconfigured not sent");
        }
        assert.equal(twilio.postCount, 0);
      } finally {
        for (const name of ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]) {
          if (before[name] === undefined) Deno.env.delete(name);
          else Deno.env.set(name, before[name]);
        }
      }
    }),
);

/** An address where nothing listens. */
function aClosedAddress(): string {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  return `127.0.0.1:${closed.addr.port}`;
}

/** A server that accepts connections and closes them, whatever arrives. */
function aClosingServer(): { readonly address: string; close(): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) connection.close();
  })();
  return { address: `127.0.0.1:${listener.addr.port}`, close: () => listener.close() };
}

async function tryUnreachable(deno: string): Promise<void> {
  const closing = aClosingServer();
  try {
    const places: readonly (readonly [string, string])[] = [
      [`http://${aClosedAddress()}`, "unreachable not sent"],
      [`https://${aClosedAddress()}`, "unreachable not sent"],
      ["https://api.twilio.invalid", "unreachable not sent"],
      // The TLS handshake failed.
      [`https://${closing.address}`, "unreachable not sent"],
      [`http://${closing.address}`, "unreachable may be sent"],
    ];
    const { done } = await sendTexts(
      deno,
      places.map(([url]) => ({ url, timeoutsMs: [patientMs] })),
    );
    assert.deepEqual(
      done.map((outcomes) => outcomes.map(({ outcome }) => say(outcome))),
      places.map(([, becomes]) => [becomes]),
    );
  } finally {
    closing.close();
  }
}

Deno.test(
  "a request that was never sent is known as such: no name, no connection, no TLS",
  () => tryUnreachable(Deno.execPath()),
);
