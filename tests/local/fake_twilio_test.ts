/** Each fault of the fake Twilio does on the wire what its name says, and signatures are Twilio's. */
import assert from "node:assert/strict";
import twilioSdk from "twilio";
import {
  type FakeTwilio,
  type FaultKind,
  faultKinds,
  readFaultOrder,
  startFakeTwilio,
} from "../../supabase/local/twilio/server.ts";
import { sign } from "../../supabase/local/twilio/reports.ts";

const accountSid = `AC${"a1".repeat(16)}`;
const authToken = "token-of-the-account";
/** For requests that are answered, even on a busy machine. */
const patientMs = 20_000;
/** For answers that never end. */
const shortMs = 1500;

async function withTwilio(work: (twilio: FakeTwilio) => Promise<void>): Promise<void> {
  const twilio = await startFakeTwilio();
  try {
    await work(twilio);
  } finally {
    await twilio.stop();
  }
}

interface Asked {
  readonly form?: Readonly<Record<string, string>>;
  readonly token?: string;
  readonly path?: string;
  readonly method?: string;
  readonly timeoutMs?: number;
}

function ask(twilio: FakeTwilio, asked: Asked = {}): Promise<Response> {
  const { form = {}, token = authToken, path = "/Messages", method = "POST" } = asked;
  const text = { To: "+447700900456", From: "+442079460123", Body: "hello", ...form };
  return fetch(`${twilio.url}/2010-04-01/Accounts/${accountSid}${path}.json`, {
    method,
    headers: { authorization: `Basic ${btoa(`${accountSid}:${token}`)}`, connection: "close" },
    redirect: "manual",
    signal: AbortSignal.timeout(asked.timeoutMs ?? patientMs),
    ...(method === "POST" ? { body: new URLSearchParams(text) } : {}),
  });
}

/** What a client sees of an answer. */
async function see(twilio: FakeTwilio, timeoutMs = patientMs): Promise<string> {
  try {
    const response = await ask(twilio, { timeoutMs });
    try {
      return `${response.status} ${(await response.text()).slice(0, 12)}`;
    } catch (thrown) {
      return `${response.status} ${nameOf(thrown)}`;
    }
  } catch (thrown) {
    return nameOf(thrown);
  }
}

const nameOf = (thrown: unknown) => thrown instanceof Error ? thrown.name : "?";

const seen: readonly [FaultKind, RegExp, number][] = [
  [21211, /^400 \{"code":2121/, 0],
  [20003, /^401 /, 0],
  ["http_500", /^500 \{"code":2050/, 0],
  ["http_418", /^418 /, 0],
  ["rate_limited", /^429 /, 0],
  ["html", /^200 <html>/, 0],
  ["failed", /^201 \{"sid":"SM00/, 0],
  ["redirect", /^307 /, 0],
  ["timeout", /^TimeoutError$/, 0],
  ["reset_before", /^TypeError$/, 0],
  ["reset_after", /^TypeError$/, 1],
  ["lost_answer", /^TimeoutError$/, 1],
  ["slow", /^201 \{"account_si/, 1],
  ["drip", /^201 TimeoutError$/, 1],
  ["flood", /^201 TimeoutError$/, 1],
  ["half_body", /^201 TypeError$/, 1],
  ["cut_body", /^(201 )?TypeError$/, 1],
  ["empty", /^201 $/, 1],
  ["wrong_json", /^201 \[/, 1],
  ["no_sid", /^201 \{"account_si/, 1],
];

for (const [kind, expected, taken] of seen) {
  Deno.test(
    `fake Twilio, ${kind}: seen on the wire, ${taken ? "taken" : "not taken"}, then gone`,
    () =>
      withTwilio(async (twilio) => {
        twilio.addFault(kind, kind === "slow" ? { ms: 50 } : {});
        const hasNoEnd = expected.source.includes("Timeout");
        assert.match(await see(twilio, hasNoEnd ? shortMs : patientMs), expected);
        assert.equal(twilio.messages.length, taken);
        assert.match(await see(twilio), /^201 \{"account_si/);
        assert.equal(twilio.postCount, 2);
      }),
  );
}

Deno.test("fake Twilio: every kind has a test, and an unknown kind is answered with the list of kinds", () => {
  const tested = new Set(seen.map(([kind]) => String(kind)));
  const named = Object.keys(faultKinds).filter((kind) => !/^(report_|http_|\d)/.test(kind));
  assert.deepEqual(named.filter((kind) => !tested.has(kind)), []);
  for (const kind of named) assert.equal(readFaultOrder({ kind }).ok, true);
  const wrong = [
    undefined,
    {},
    { kind: "nonsense" },
    { kind: "toString" },
    { kind: 5 },
    { kind: "http_200" },
    { kind: 21211, times: 0 },
    { kind: 21211, times: 1.5 },
    { kind: "slow", seconds: 2 },
  ];
  for (const order of wrong) {
    const read = readFaultOrder(order);
    assert.ok(!read.ok && read.message.startsWith("Cannot order a fault: "), JSON.stringify(order));
  }
});

Deno.test(
  "fake Twilio keeps accounts apart and refuses wrong tokens once an account is known",
  () =>
    withTwilio(async (twilio) => {
      const { sid } = await (await ask(twilio)).json();
      assert.equal((await ask(twilio, { method: "GET", path: `/Messages/${sid}` })).status, 200);
      const other = `/2010-04-01/Accounts/AC${"b2".repeat(16)}`;
      const headers = { authorization: `Basic ${btoa(`AC${"b2".repeat(16)}:x`)}` };
      const found = await fetch(`${twilio.url}${other}/Messages/${sid}.json`, { headers });
      assert.equal(found.status, 404);
      const list = await fetch(`${twilio.url}${other}/Messages.json`, { headers });
      assert.deepEqual((await list.json()).messages, []);
      await found.body?.cancel();
      twilio.setAccount(accountSid, authToken);
      for (const [token, status] of [["wrong", 401], [authToken, 200]] as const) {
        const account = await ask(twilio, { method: "GET", path: "", token });
        assert.equal(account.status, status);
        await account.body?.cancel();
      }
    }),
);

Deno.test(
  "fake Twilio refuses what Twilio refuses, with its code",
  () =>
    withTwilio(async (twilio) => {
      const refused: [Record<string, string>, number][] = [
        [{ To: "" }, 21604],
        [{ To: "07700 900456" }, 21211],
        [{ From: "" }, 21603],
        [{ From: "clinic" }, 21212],
        [{ From: "+447700900456" }, 21266],
        [{ Body: "" }, 21602],
        [{ Body: "x".repeat(1601) }, 21617],
        [{ StatusCallback: "not an address" }, 21609],
        [{ ValidityPeriod: "0" }, 21624],
      ];
      for (const [form, code] of refused) {
        assert.equal((await (await ask(twilio, { form })).json()).code, code);
      }
      assert.equal(twilio.messages.length, 0);
    }),
);

Deno.test("fake Twilio signs as in the example of Twilio's documentation", () => {
  const form = {
    CallSid: "CA1234567890ABCDE",
    Caller: "+14158675309",
    Digits: "1234",
    From: "+14158675309",
    To: "+18005551212",
  };
  const signature = sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form);
  assert.equal(signature, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
});

/** A receiver of reports that checks each of them with Twilio's own validator. */
async function withReceiver(
  work: (url: string, got: string[]) => Promise<void>,
): Promise<void> {
  const got: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (asked) => {
      const form = Object.fromEntries(new URLSearchParams(await asked.text()));
      const signature = asked.headers.get("x-twilio-signature") ?? "";
      const isSigned = twilioSdk.validateRequest(authToken, signature, asked.url, form);
      const { MessageStatus, ErrorCode = "" } = form;
      got.push([isSigned ? "signed" : "not signed", MessageStatus, ErrorCode].join(" ").trim());
      return new Response(null, { status: 204 });
    },
  );
  try {
    await work(`http://127.0.0.1:${server.addr.port}/sms-status?org=1&send_id=2`, got);
  } finally {
    await server.shutdown();
  }
}

for (
  const [kind, expected, state] of [
    [undefined, ["signed sent", "signed delivered"], "delivered"],
    ["report_none", [], "queued"],
    ["report_late", ["signed sent", "signed delivered"], "delivered"],
    ["report_early", ["signed sent", "signed delivered"], "delivered"],
    [
      "report_doubled",
      ["signed sent", "signed sent", "signed delivered", "signed delivered"],
      "delivered",
    ],
    ["report_unordered", ["signed delivered", "signed sent"], "delivered"],
    ["report_forged", ["not signed delivered"], "queued"],
    ["report_unsigned", ["not signed delivered"], "queued"],
    ["report_undelivered", ["signed sent", "signed undelivered 30003"], "undelivered"],
    ["report_failed", ["signed failed 30006"], "failed"],
  ] as const
) {
  Deno.test(
    `fake Twilio, ${kind ?? "no fault"}: ${expected.join(", ") || "no report"}`,
    () =>
      withTwilio((twilio) =>
        withReceiver(async (url, got) => {
          if (kind) twilio.addFault(kind);
          await (await ask(twilio, { form: { StatusCallback: url } })).body?.cancel();
          if (kind === "report_early") assert.deepEqual(got, expected);
          const sent = await twilio.sendReports();
          assert.ok(sent.every(({ answered }) => answered === 204));
          assert.deepEqual(got, expected);
          assert.equal(twilio.messages[0]?.status, state);
        })
      ),
  );
}
