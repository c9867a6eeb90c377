/** `deno task webhooks`: an endpoint is added, tried, replaced, listed and removed, and mistakes get an answer. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type postgres from "postgres";
import { Webhook } from "standardwebhooks";
import type { Network } from "../../shared/exchange.ts";
import { readCredentialConfig } from "../../shared/config.ts";
import {
  createWebhookSecret,
  decryptWebhookSecret,
  encryptWebhookSecret,
} from "../../shared/webhook.ts";
import { credentials } from "../../supabase/tasks/credentials.ts";
import { webhooks } from "../../supabase/tasks/webhooks.ts";
import { tryEndpoint } from "../../supabase/tasks/webhooks/try.ts";
import { Stop } from "../../supabase/tasks/task.ts";
import { aClinic, testWithBench as test } from "../support/clinic.ts";
import { answerWith } from "../support/network.ts";
import { aTerminal, runHere } from "../support/terminal.ts";

const address = "https://hooks.example/T0/secret-path";

test("the events are the same in the SQL, the task's usage and the documents", async ({ database }) => {
  const [row] = await database.sql`select private.webhook_types() as types`;
  const document = readFileSync(new URL("../../docs/webhooks.md", import.meta.url), "utf8");
  const table = [...document.matchAll(/^\| `(\w+\.\w+)` \|/gm)].map(([, type]) => type);
  assert.deepEqual(table, [...row?.["types"] ?? [], "webhook.test"]);
  const [, listed = ""] = /--events E,E\s+([^;]+);/.exec(webhooks.usage) ?? [];
  assert.deepEqual(listed.split(/,\s+/), row?.["types"]);
});

test("an endpoint is added, tried, replaced, listed and removed, and mistakes get an answer", async (bench) => {
  const { database } = bench;
  const clinic = await aClinic(database.sql);
  const sent: string[] = [];
  let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const network: Network = {
    resolve: () => Promise.resolve(["93.184.216.34"]),
    connect: () => Promise.resolve(answerWith(answer, (asked) => void sent.push(asked))),
  };
  const env = { CREDENTIAL_KEYS: `v1:${btoa("k".repeat(32))}` };
  const run = async (args: readonly string[], given = ""): Promise<[number, string]> => {
    const all = [...args, "--db", database.url()];
    const { code, said } = await runHere(webhooks, all, env, { input: given });
    return [code, said.split("\ndeno task webhooks list")[0] ?? ""];
  };
  const at = ["--org", clinic.slug];
  assert.deepEqual(await run(["list", ...at]), [0, "Sunrise Dental has no endpoints"]);
  const [code, said] = await run(
    ["add", ...at, "--events", "booking.created,alarm.raised"],
    address,
  );
  assert.equal(code, 0, said);
  const [secret = ""] = said.split("\n");
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const [, listed] = await run(["list", ...at]);
  assert.match(
    listed,
    /^\S{36} {2}hooks\.example: booking\.created alarm\.raised \(works; 0 waiting, 0 given up\)$/,
  );
  const one = [...at, "--id", listed.slice(0, 36)];

  const endpointId = listed.slice(0, 36);
  const keys = () => readCredentialConfig(env).credentialKeys;
  const tryIt = async () => {
    const { terminal, out } = aTerminal();
    const trial = {
      sql: database.sql,
      clinic: { ...clinic, name: "Sunrise Dental" },
      terminal,
      keys,
    };
    await tryEndpoint(trial, endpointId, network);
    return out;
  };
  assert.deepEqual(await tryIt(), ["webhook.test was accepted: 200 ok"]);
  const [head = "", body = ""] = (sent.at(-1) ?? "").split("\r\n\r\n");
  const headers = Object.fromEntries(
    head.split("\r\n").slice(1).map((line) =>
      line.toLowerCase().startsWith("webhook-") ? line.split(": ") : []
    ).filter(({ length }) => length === 2),
  );
  const event = new Webhook(secret).verify(body, headers) as Record<string, unknown>;
  assert.equal(event["type"], "webhook.test");
  answer = "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops";
  await assert.rejects(tryIt(), new Stop(1, "webhook.test was not accepted: 500 oops"));
  await database.sql`update public.webhook_endpoints set address = 'https://127.0.0.1:9/'`;
  assert.deepEqual(await run(["test", ...one]), [
    1,
    "webhook.test was not accepted: no answer (address_not_public)",
  ]);
  await database.sql`update public.webhook_endpoints set address = ${address}`;

  const [rotated, next] = await run(["rotate", ...one]);
  assert.equal(rotated, 0);
  assert.match(next, /^whsec_/);
  assert.notEqual(next.split("\n")[0], secret);
  assert.deepEqual(await run(["failed", ...at]), [0, "Nothing was given up"]);
  assert.equal((await run(["resend", ...at]))[0], 1);
  await database.sql`select private.raise_alarm(${clinic.id}, 'wrong_codes', 50, now(), now())`;
  await database.sql`update public.webhook_messages set state = 'failed'`;
  await database.sql`update public.webhook_endpoints set disabled_at = now()`;
  const [refusal, whyNot] = await run(["resend", ...at]);
  assert.equal(refusal, 1);
  assert.ok(whyNot.endsWith(`enable --org ${clinic.id} --id ${endpointId}`), whyNot);
  assert.equal((await run(["enable", ...one]))[0], 0);
  assert.deepEqual(await run(["resend", ...at]), [0, "1 messages are sent again within a minute"]);
  const other = await aClinic(database.sql);
  assert.equal((await run(["remove", "--org", other.slug, ...one.slice(2)]))[0], 1);
  assert.equal((await run(["test", "--org", other.slug, ...one.slice(2)]))[0], 1);
  assert.equal((await run(["add", ...at], address))[0], 1, "it is told already");
  for (const bad of ["http://a.example/", "https://user:pw@a.example/", "nonsense"]) {
    const [refused, why] = await run(["add", ...at], bad);
    assert.equal(refused, 2);
    assert.match(why, /begins with https:\/\//);
  }
  for (const inside of ["127.0.0.1", "2130706433", "[::1]", "169.254.169.254", "localhost"]) {
    const [refused, why] = await run(["add", ...at], `https://${inside}/x`);
    assert.equal(refused, 2);
    assert.match(why, /is not an address of the public internet$/);
  }
  assert.match((await run(["add", ...at], "https://b.example:99999/"))[1], /not an address$/);
  assert.match((await run(["add", ...at, "--events", "all"], "https://b.example/"))[1], /some of/);
  assert.equal((await run(["add", ...at], ""))[0], 2);
  assert.deepEqual(await run(["remove", ...one]), [0, "Removed: it receives nothing more"]);
  assert.deepEqual(await run(["list", "--org", "nowhere"]), [1, "There is no clinic nowhere"]);
  for (
    const wrong of [
      [],
      ["list"],
      ["test", ...at],
      ["test", ...at, "--id", "1"],
      ["list", ...at, "--names"],
      ["failed", ...one],
      ["add", ...at, "--id", one[3] ?? ""],
    ]
  ) {
    assert.equal((await run(wrong))[0], 2, wrong.join(" "));
  }
  const told = await database.sql`select string_agg(to_jsonb(l)::text, '') as text
    from public.audit_logs as l`;
  assert.match(told[0]?.["text"], /"host": "hooks\.example"/);
  assert.doesNotMatch(told[0]?.["text"], /secret-path|whsec/);
});

test("secrets are encrypted under a new key; an old one that is over or unreadable is left out", async (bench) => {
  const { database: { sql, url } } = bench;
  const clinic = await aClinic(sql);
  const endpointId = crypto.randomUUID();
  const of = { orgId: clinic.id, endpointId };
  const [older, newer] = [`v1:${btoa("k".repeat(32))}`, `v2:${btoa("n".repeat(32))}`];
  const { credentialKeys } = readCredentialConfig({ CREDENTIAL_KEYS: older });
  const [first, second] = [createWebhookSecret(), createWebhookSecret()];
  const seal = async (secret: string) => ({
    ...await encryptWebhookSecret(credentialKeys, of, secret),
  });
  const rotate = () =>
    runHere(credentials, ["rotate", "--db", url()], { CREDENTIAL_KEYS: `${newer},${older}` });
  const secretsOf = async () => {
    const [row] = await sql`select secrets from public.webhook_endpoints`;
    const keys = readCredentialConfig({ CREDENTIAL_KEYS: newer }).credentialKeys;
    return await Promise.all(
      row?.["secrets"].map((one: never) => decryptWebhookSecret(keys, of, one)),
    );
  };
  const store = (secrets: readonly postgres.JSONValue[]) =>
    sql`update public.webhook_endpoints set secrets = ${sql.json([...secrets])}`;
  await sql`select public.add_webhook(${clinic.id}, ${endpointId}, ${address}, null, false,
    ${sql.json(await seal(first))})`;
  await sql`select public.change_webhook(${clinic.id}, ${endpointId}, 'rotated',
    ${sql.json(await seal(second))})`;
  assert.equal((await rotate()).code, 0);
  assert.deepEqual(await secretsOf(), [second, first]);

  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  const lost = { ...await seal(first), keyId: "lost" };
  await store([await seal(second), { ...lost, until: tomorrow }]);
  assert.equal((await rotate()).code, 0);
  assert.deepEqual(await secretsOf(), [second]);
  await store([await seal(second), { ...await seal(first), until: "2026-01-01T00:00:00Z" }]);
  assert.equal((await rotate()).code, 0);
  assert.deepEqual(await secretsOf(), [second]);

  // The one that ends tomorrow cannot stay alone.
  await store([lost, { ...await seal(second), until: tomorrow }]);
  const { code, said } = await rotate();
  assert.equal(code, 1);
  assert.match(said, /cannot be read. Replace it: deno task webhooks rotate/);
});
