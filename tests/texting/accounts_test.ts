/** Twilio accounts: cached, never another organization's, stored and rotated by operators. */
import assert from "node:assert/strict";
import sendOtp from "../../functions/send-otp/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import { readConfig } from "../../shared/config.ts";
import { createAccountCache, decryptAccount } from "../../shared/accounts.ts";
import type { CallFacts } from "../../shared/database/entry.ts";
import { startBudget } from "../../shared/deadline.ts";
import { credentials } from "../../supabase/tasks/credentials.ts";
import { runTask } from "../../supabase/tasks/task.ts";
import { readLine } from "../../supabase/tasks/terminal.ts";
import {
  aBench,
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  type Clinic,
  readSaid,
  testWithBench as test,
  withClaimFollowedBy,
} from "../support/clinic.ts";
import { aTerminal } from "../support/terminal.ts";

const sidOf = (clinic: Clinic) => `AC${clinic.id.replaceAll("-", "")}`;
const factsOf = (clinic: Clinic): CallFacts => ({
  calledNumber: clinic.number,
  callId: crypto.randomUUID(),
  toolCallId: "call_1",
  claims: {},
});
const readsOf = (bench: Bench) =>
  bench.restCalls.filter((path) => path.endsWith("/get_org_credentials")).length;

async function provisioned(bench: Bench, more: object = {}): Promise<Clinic> {
  const clinic = await aClinic(bench.database.sql, more);
  await bench.provision(clinic);
  return clinic;
}

/** A call that holds a slot and asks for a text. */
async function aSend(bench: Bench, clinic: Clinic) {
  const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
  const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Ada" };
  assert.equal((await bench.ask(holdSlot, { ...call, tool: "hold_slot", args })).outcome, "held");
  return () => bench.ask(sendOtp, { ...call, tool: "send_otp" });
}

test("sends of one clinic in a cold isolate read its account once", async (bench) => {
  const clinic = await provisioned(bench, { providers: 12 });
  const sends = await Promise.all(Array.from({ length: 12 }, () => aSend(bench, clinic)));
  const said = await Promise.all(sends.map((send) => send()));
  assert.ok(said.every(({ outcome }) => outcome === "sent"));
  assert.equal(readsOf(bench), 1);
});

test("an account is kept for five minutes, a failure not at all", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  let nowMs = 0;
  const { credentialKeys } = readConfig(bench.environment);
  const cache = createAccountCache(credentialKeys, () => nowMs);
  const get = async () => {
    const database = bench.runtime.database.within(startBudget(5000));
    return (await cache.get(database, factsOf(clinic))).outcome;
  };
  assert.equal(await get(), "sms_not_configured");
  await bench.provision(clinic);
  assert.equal(await get(), "found");
  assert.equal(readsOf(bench), 2);
  nowMs = 5 * 60_000 - 1;
  assert.equal(await get(), "found");
  assert.equal(readsOf(bench), 2);
  nowMs = 5 * 60_000;
  assert.equal(await get(), "found");
  assert.equal(readsOf(bench), 3);
});

test("an account that Twilio refuses is read again once, however many calls fail", async (bench) => {
  const clinic = await provisioned(bench, { providers: 8 });
  const sends = await Promise.all(Array.from({ length: 8 }, () => aSend(bench, clinic)));
  const [first, ...others] = sends;
  assert.equal((await first?.())?.outcome, "sent");
  await bench.provision(clinic, "token-after-rotation");
  bench.twilio.setAccount(sidOf(clinic), "token-after-rotation");
  const said = await Promise.all(others.map((send) => send()));
  assert.ok(said.every(({ outcome }) => outcome === "sent"), JSON.stringify(said));
  assert.equal(readsOf(bench), 2);
});

test("an account that stays refused is read again once per call, and nothing is sent", async (bench) => {
  const clinic = await provisioned(bench);
  const send = await aSend(bench, clinic);
  bench.twilio.setAccount(sidOf(clinic), "another-token");
  const said = await send();
  assert.equal(said.outcome, "sms_unauthorized");
  assert.equal(said.action, "ESCALATE");
  assert.equal(bench.twilio.postCount, 1);
  assert.equal(readsOf(bench), 2);
});

test("a row copied from another organization sends nothing, and is logged and audited", async (bench) => {
  const { sql } = bench.database;
  const [owner, thief] = [await provisioned(bench), await provisioned(bench)];
  const send = await aSend(bench, thief);
  await sql`update public.org_credentials as t
    set key_id = o.key_id, nonce = o.nonce, ciphertext = o.ciphertext
    from public.org_credentials as o where o.org_id = ${owner.id} and t.org_id = ${thief.id}`;
  const said = await send();
  assert.equal(said.outcome, "credentials_unreadable");
  assert.equal(said.action, "ESCALATE");
  assert.equal(bench.twilio.postCount, 0);
  const [passcodes] = await sql`select count(*)::int as n from public.one_time_passcodes`;
  assert.equal(passcodes?.["n"], 0, "credentials come before state");
  const line = bench.lines.map((text) => JSON.parse(text))
    .find(({ event }) => event === "credentials_unreadable");
  assert.equal(line?.orgId, thief.id);
  assert.equal(line?.level, "error");
  const [audited] = await sql`select org_id from public.audit_logs
    where action = 'read_credentials' and outcome = 'unreadable'`;
  assert.equal(audited?.["org_id"], thief.id);
  // Stored again, it works at once: failures are not cached.
  await bench.provision(thief);
  assert.equal((await send()).outcome, "sent");
});

test("a number that moved to another organization texts from neither account", async (bench) => {
  const { sql } = bench.database;
  const [before, after] = [await provisioned(bench), await provisioned(bench)];
  const send = await aSend(bench, before);
  await sql`update public.org_channels set org_id = ${after.id} where value = ${before.number}`;
  assert.equal((await send()).outcome, "hold_not_found");
  assert.equal(bench.twilio.postCount, 0);
});

test("a number that moves while its text is refused is not texted from its new owner's account", async (bench) => {
  const { sql } = bench.database;
  const [before, after] = [await provisioned(bench), await provisioned(bench)];
  const call = { called: before.number, caller: aPhone(), callId: crypto.randomUUID() };
  const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Ada" };
  await bench.ask(holdSlot, { ...call, tool: "hold_slot", args });
  bench.twilio.addFault(20003);
  const runtime = withClaimFollowedBy(
    bench.runtime,
    () => sql`update public.org_channels set org_id = ${after.id} where value = ${before.number}`,
  );
  const request = aRequest({ ...call, tool: "send_otp" });
  const said = await readSaid(await sendOtp.using(runtime).fetch(request));
  assert.equal(said.outcome, "sms_unauthorized");
  assert.equal(bench.twilio.postCount, 1);
  assert.equal(readsOf(bench), 2);
});

const key = (id: string) => `${id}:${btoa(id.padEnd(32, "-"))}`;
const secrets = {
  ACCOUNT_SID: `AC${"0123456789abcdef".repeat(2)}`,
  AUTH_TOKEN: "f".repeat(32),
  API_KEY_SID: `SK${"fedcba9876543210".repeat(2)}`,
  API_KEY_SECRET: "Q7".repeat(16),
  SENDER: "+442079460123",
};

/** Runs the task against a bench's database. */
async function run(bench: Bench, args: string[], input = "", env: Record<string, string> = {}) {
  const pipe = aTerminal({ input });
  const code = await runTask(credentials, args, {
    env: {
      SUPABASE_DB_URL: bench.database.url(),
      CREDENTIAL_KEYS: key("v1"),
      TWILIO_API_BASE: bench.twilio.url,
      ...env,
    },
    terminal: pipe.terminal,
  });
  const written = [...pipe.out, ...pipe.errors].join("\n");
  for (const name of ["AUTH_TOKEN", "API_KEY_SECRET"] as const) {
    assert.ok(!written.includes(secrets[name]), `${name} was written`);
  }
  return { code, ...pipe, written };
}

const stored = async (bench: Bench, clinic: Clinic) => {
  const [row] = await bench.database.sql<{ keyId: string; nonce: string; ciphertext: string }[]>`
    select key_id as "keyId", encode(nonce, 'base64') as nonce,
      encode(ciphertext, 'base64') as ciphertext
    from public.org_credentials where org_id = ${clinic.id}`;
  assert.ok(row);
  return row;
};

const keysOf = (bench: Bench, ...ids: string[]) =>
  readConfig({ ...bench.environment, CREDENTIAL_KEYS: ids.map(key).join(",") }).credentialKeys;

test("credentials set stores an account from standard input, and check reads it at Twilio", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  bench.twilio.setAccount(secrets.ACCOUNT_SID, secrets.AUTH_TOKEN);
  const lines = Object.entries(secrets).map(([name, value]) => `TWILIO_${name}="${value}"`);
  for (const input of [`# Twilio\n${lines.join("\n")}\n`, JSON.stringify(secrets)]) {
    assert.equal((await run(bench, ["set", "--org", clinic.id], input)).code, 0);
    const account = await decryptAccount(
      keysOf(bench, "v1"),
      clinic.id,
      await stored(bench, clinic),
    );
    assert.deepEqual(account, {
      accountSid: secrets.ACCOUNT_SID,
      authToken: secrets.AUTH_TOKEN,
      apiKey: { sid: secrets.API_KEY_SID, secret: secrets.API_KEY_SECRET },
      sender: { from: secrets.SENDER },
    });
  }
  const checked = await run(bench, ["check", "--org", clinic.id]);
  assert.deepEqual([checked.code, checked.errors], [0, []]);
  const [row] = await bench.database.sql`select count(*)::int as n from public.audit_logs
    where action = 'set_credentials' and outcome = 'stored' and org_id = ${clinic.id}`;
  assert.equal(row?.["n"], 2);
});

test("credentials set refuses an invalid account and says why without repeating it", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const { ACCOUNT_SID, AUTH_TOKEN, SENDER } = secrets;
  for (
    const [input, problem] of [
      ["", /ACCOUNT_SID is missing; AUTH_TOKEN is missing; SENDER/],
      [JSON.stringify({ ...secrets, ACCOUNT_SID: AUTH_TOKEN }), /ACCOUNT_SID is not AC and 32/],
      [JSON.stringify({ ...secrets, SENDER: "Sunrise" }), /SENDER is neither/],
      [JSON.stringify({ ...secrets, API_KEY_SECRET: null }), /API_KEY_SECRET go together/],
      [JSON.stringify({ ACCOUNT_SID, AUTH_TOKEN, SENDER, TOKEN: "x" }), /TOKEN is not known/],
      ["{broken", /starts like JSON/],
      ["AUTH_TOKEN", /line 1 is not NAME=value/],
    ] as const
  ) {
    const { code, written } = await run(bench, ["set", "--org", clinic.id], input);
    assert.equal(code, 2);
    assert.match(written, problem);
  }
  const [row] = await bench.database.sql`select count(*)::int as n from public.org_credentials`;
  assert.equal(row?.["n"], 0);
});

test("credentials takes no secret from its arguments, whatever they are called", async (bench) => {
  for (
    const secret of [
      ["--auth-token=hunter2hunter2"],
      ["--token", "x"],
      ["--authToken", "x"],
      [secrets.AUTH_TOKEN],
      [secrets.ACCOUNT_SID],
      [`--note=${secrets.AUTH_TOKEN}`],
    ]
  ) {
    const { code, written } = await run(bench, ["set", "--org", "sunrise-dental", ...secret]);
    assert.equal(code, 2);
    assert.match(written, /secrets are not taken from arguments/);
    assert.ok(!written.includes("hunter2"));
  }
});

test("credentials explains errors: arguments, organization, settings, database", async (bench) => {
  for (
    const [args, env, code, problem] of [
      [[], {}, 2, /Give one of set, check, rotate/],
      [["sett"], {}, 2, /Give one of set, check, rotate/],
      [["check"], {}, 2, /check needs --org/],
      [["check", "--org", "nobody"], {}, 1, /There is no organization nobody. Known: clinic-/],
      [["check", "--org", "x", "--env", "/no/such/file"], {}, 2, /Cannot read \/no\/such\/file/],
      [
        ["check", "--org", "x"],
        { CREDENTIAL_KEYS: "short" },
        2,
        /CREDENTIAL_KEYS must be id:base64/,
      ],
      [["check", "--org", "x"], { CREDENTIAL_KEYS: "" }, 2, /CREDENTIAL_KEYS is missing/],
      [["check", "--org", "x"], { SUPABASE_DB_URL: "" }, 2, /Set SUPABASE_DB_URL or give --db/],
      [["check", "--org", "x"], { SUPABASE_DB_URL: "mysql://x" }, 2, /must begin with postgres/],
      [
        ["check", "--org", "x", "--db", "postgres://x@127.0.0.1:9/x"],
        {},
        3,
        /could not be reached/,
      ],
    ] as const
  ) {
    await aClinic(bench.database.sql);
    const said = await run(bench, [...args], "", env);
    assert.equal(said.code, code, said.written);
    assert.match(said.written, problem);
    assert.doesNotMatch(said.written, /\bat .*\.ts:\d/);
  }
});

test("credentials check explains errors: nothing stored, unreadable, refused, unreachable", async (bench) => {
  const [clinic, other] = [await aClinic(bench.database.sql), await aClinic(bench.database.sql)];
  const check = (env = {}) => run(bench, ["check", "--org", clinic.id], "", env);
  const expect = async (code: number, problem: RegExp, env = {}) => {
    const said = await check(env);
    assert.equal(said.code, code, said.written);
    assert.match(said.written, problem);
  };
  await expect(1, /has no Twilio account: deno task credentials set --org clinic-/);
  for (const { id } of [clinic, other]) {
    await run(bench, ["set", "--org", id], JSON.stringify(secrets));
  }
  await expect(0, /Twilio accepts it/);
  await expect(1, /under key v1, which is not in CREDENTIAL_KEYS/, { CREDENTIAL_KEYS: key("v2") });
  bench.twilio.setAccount(secrets.ACCOUNT_SID, "another");
  await expect(1, /the auth token is refused \(401\)/);
  await expect(3, /could not be asked at http:\/\/127.0.0.1:9: no connection/, {
    TWILIO_API_BASE: "http://127.0.0.1:9",
  });
  // A suspended account, a revoked key, a server that is not Twilio.
  const answers = new Map<string, () => Response>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const isList = new URL(request.url).pathname.endsWith("/Messages.json");
    return answers.get(isList ? "texts" : "account")?.() ?? Response.json({ status: "active" });
  });
  const elsewhere = { TWILIO_API_BASE: `http://127.0.0.1:${server.addr.port}` };
  answers.set("account", () => Response.json({ status: "suspended" }));
  await expect(1, /the account is suspended at Twilio/, elsewhere);
  answers.set("account", () => new Response("<html>", { status: 200 }));
  await expect(3, /the server there is not Twilio/, elsewhere);
  answers.set("account", () => new Response(null, { status: 503 }));
  await expect(3, /Twilio answered 503/, elsewhere);
  answers.delete("account");
  answers.set("texts", () => Response.json({ code: 20003 }, { status: 401 }));
  await expect(1, /the API key is refused \(401\)/, elsewhere);
  await server.shutdown();
  await bench.database.sql`update public.org_credentials as t set nonce = o.nonce,
    ciphertext = o.ciphertext from public.org_credentials as o
    where t.org_id = ${clinic.id} and o.org_id = ${other.id}`;
  await expect(1, /does not decrypt: the row is damaged or belongs to another/);
});

test("credentials check names the webhooks without which answers to reminders get lost", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await run(bench, ["set", "--org", clinic.id], JSON.stringify(secrets));
  await bench.database.sql`update public.organizations set text_answers = true`;
  const wanted = "https://functions.test/sms-inbound";
  for (
    const [url, fallbackUrl, problem] of [
      [
        "",
        "",
        /receives nowhere\. Set the number's webhook for incoming messages at Twilio to https/,
      ],
      [wanted, "", /fails once nowhere\. Set the number's webhook for "primary handler fails" at/],
      [wanted, "https://elsewhere.test/", /fails once to https:\/\/elsewhere\.test\/\. Set/],
      [wanted, wanted, /Twilio accepts it/],
      [`${wanted}#rc=2&rp=all`, wanted, /Twilio accepts it/],
    ] as const
  ) {
    bench.twilio.setSmsUrl(url, fallbackUrl);
    const env = { FUNCTIONS_PUBLIC_URL: "https://functions.test" };
    const { written } = await run(bench, ["check", "--org", clinic.id], "", env);
    assert.match(written, problem);
  }
});

test("credentials rotate encrypts all accounts again, skips unreadable ones, and may be repeated", async (bench) => {
  const clinics: Clinic[] = [];
  while (clinics.length < 4) clinics.push(await aClinic(bench.database.sql));
  for (const { id } of clinics) await run(bench, ["set", "--org", id], JSON.stringify(secrets));
  const [damaged, ...sound] = clinics;
  await bench.database.sql`update public.org_credentials set ciphertext = '\\x00'
    where org_id = ${damaged?.id ?? ""}`;
  const env = { CREDENTIAL_KEYS: `${key("v2")},${key("v1")}` };
  const one = await run(bench, ["rotate", "--org", sound[0]?.id ?? ""], "", env);
  assert.deepEqual([one.code, one.out], [0, ["1 of 1 re-encrypted under key v2, 0 unreadable"]]);
  const all = await run(bench, ["rotate"], "", env);
  assert.deepEqual([all.code, all.out], [1, ["2 of 4 re-encrypted under key v2, 1 unreadable"]]);
  assert.match(all.errors.join(), /does not decrypt/);
  const again = await run(bench, ["rotate"], "", env);
  assert.deepEqual(again.out, ["0 of 4 re-encrypted under key v2, 1 unreadable"]);
  for (const clinic of sound) {
    const account = await decryptAccount(
      keysOf(bench, "v2"),
      clinic.id,
      await stored(bench, clinic),
    );
    assert.equal(account.authToken, secrets.AUTH_TOKEN);
  }
  const [row] = await bench.database.sql`
    select count(*)::int as n from public.audit_logs where outcome = 'encrypted_again'`;
  assert.equal(row?.["n"], 3);
  // The current key has the right name and other bytes.
  const wrong = { CREDENTIAL_KEYS: `v2:${btoa("w".repeat(32))}` };
  const blind = await run(bench, ["rotate"], "", wrong);
  assert.deepEqual([blind.code, blind.out], [
    1,
    ["0 of 4 re-encrypted under key v2, 4 unreadable"],
  ]);
});

test("credentials rotate does not touch a row that was stored in the meantime", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await run(bench, ["set", "--org", clinic.id], JSON.stringify(secrets));
  const before = await stored(bench, clinic);
  await run(
    bench,
    ["set", "--org", clinic.id],
    JSON.stringify({ ...secrets, SENDER: "+442079460199" }),
  );
  const after = await stored(bench, clinic);
  const [replaced] = await bench.database.sql`select public.set_org_credentials(
    ${clinic.id}, 'twilio', 'v2', ${before.nonce}, ${before.ciphertext}, ${before.nonce}) as done`;
  assert.equal(replaced?.["done"], false);
  assert.deepEqual(await stored(bench, clinic), after);
});

Deno.test(
  "credentials rotate loses nothing when it is killed, and continues the next time",
  async () => {
    const bench = await aBench();
    try {
      const { sql } = bench.database;
      const clinics: Clinic[] = [];
      while (clinics.length < 9) clinics.push(await provisioned(bench));
      clinics.sort((one, other) => one.id < other.id ? -1 : 1);
      const env = {
        CREDENTIAL_KEYS: `${key("v2")},${bench.environment["CREDENTIAL_KEYS"]}`,
        SUPABASE_DB_URL: bench.database.url(),
      };
      const rotated = async () => {
        const [row] = await sql`
          select count(*)::int as n from public.org_credentials where key_id = 'v2'`;
        return row?.["n"];
      };
      // The sixth row is locked: the task waits there, and is killed.
      const lock = await sql.reserve();
      await lock`begin`;
      await lock`select from public.org_credentials
        where org_id = ${clinics[5]?.id ?? ""} for update`;
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "supabase/tasks/credentials.ts", "rotate"],
        env,
        stdout: "null",
        stderr: "null",
      }).spawn();
      let hasEnded = false;
      const ended = child.status.finally(() => hasEnded = true);
      while (await rotated() !== 5) {
        assert.ok(!hasEnded, "the task ended before it was killed");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      child.kill("SIGKILL");
      await ended;
      await lock`rollback`;
      lock.release();
      const keys = readConfig({ ...bench.environment, ...env }).credentialKeys;
      const readAll = () =>
        Promise.all(clinics.map(async (clinic) => {
          const account = await decryptAccount(keys, clinic.id, await stored(bench, clinic));
          assert.equal(account.accountSid, sidOf(clinic));
        }));
      await readAll();
      assert.equal((await run(bench, ["rotate"], "", env)).code, 0);
      assert.equal(await rotated(), 9);
      await readAll();
    } finally {
      await bench.stop();
    }
  },
);

Deno.test("a hidden answer is not shown while it is typed, corrected or broken off", async () => {
  const type = (...keys: string[]) => {
    let shown = "";
    const raw: boolean[] = [];
    const keyboard = {
      read: () => {
        const next = keys.shift();
        return Promise.resolve(next === undefined ? undefined : new TextEncoder().encode(next));
      },
      write: (text: string) => void (shown += text),
      setRaw: (isRaw: boolean) => void raw.push(isRaw),
    };
    return { keyboard, raw, shown: () => shown };
  };
  const hidden = type("sec", "\u001b[D", "rex\u007f", "t\r");
  assert.equal(await readLine(hidden.keyboard, "Token: ", true), "secret");
  assert.equal(hidden.shown(), "Token: \n");
  assert.deepEqual(hidden.raw, [true, false]);
  const open = type("AC\u007fB\n");
  assert.equal(await readLine(open.keyboard, "SID: ", false), "AB");
  assert.equal(open.shown(), "SID: AC\b \bB\n");
  const broken = type("ab\u0003");
  await assert.rejects(readLine(broken.keyboard, "", true), { name: "Interrupted" });
  assert.deepEqual(broken.raw, [true, false]);
  await assert.rejects(readLine(type("ab").keyboard, "", true), { name: "Interrupted" });
});
