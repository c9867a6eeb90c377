/**
 * Compares the gateway with the recording of a real PostgREST; with POSTGREST_URL (and
 * POSTGREST_DB_URL, its database as a superuser), compares a real PostgREST with the recording.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import postgres from "postgres";
import { createClient } from "@supabase/supabase-js";
import { createGateway } from "../../supabase/local/rest/gateway.ts";
import { startCluster } from "./support/cluster.ts";
import {
  type Answer,
  answerOf,
  authorizationOf,
  type Case,
  corpusSecret,
  isRefusal,
  readCorpus,
  schemaSql,
  send,
  stable,
} from "./support/corpus.ts";

interface Server {
  readonly url: string;
  readonly reset: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

async function startServer(): Promise<Server> {
  const given = Deno.env.get("POSTGREST_URL");
  if (given !== undefined) {
    const db = postgres(Deno.env.get("POSTGREST_DB_URL") ?? "", { max: 1, onnotice: () => {} });
    return { url: given.replace(/\/$/, ""), reset: resetBy(db), stop: () => db.end() };
  }
  const cluster = await startCluster();
  const admin = postgres(cluster.url("postgres"), { max: 1, onnotice: () => {} });
  await admin.unsafe("create database corpus");
  await admin.end();
  const db = postgres(cluster.url("corpus"), { max: 1, onnotice: () => {} });
  await db.unsafe(schemaSql());
  const gateway = await createGateway({
    dbUrl: cluster.url("corpus", "authenticator"),
    schemas: ["public", "extra"],
    jwtSecret: corpusSecret,
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, gateway.fetch);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    reset: resetBy(db),
    stop: async () => {
      await server.shutdown();
      await gateway.close();
      await db.end();
      await cluster.stop();
    },
  };
}

/** Resets the database, unless nothing was written and no sequence was used since. */
function resetBy(db: postgres.Sql): () => Promise<void> {
  let clean = "";
  const state = async () => {
    const [row] = await db<{ state: string }[]>`
      select pg_snapshot_xmax(pg_current_snapshot()) || ' ' ||
        (select string_agg(last_value::text, ' ') from pg_sequences) as state`;
    return row?.state ?? "";
  };
  return async () => {
    if (await state() === clean) return;
    await db`select hidden.corpus_reset()`;
    clean = await state();
  };
}

async function play(server: Server, item: Case): Promise<Answer> {
  await server.reset();
  const answer = await answerOf(await send(server.url, item), item.record);
  if (item.then === undefined) return answer;
  return { ...answer, then: await answerOf(await send(server.url, item.then)) };
}

/** The result of supabase-js for the answers that `answer` gives. */
async function runClient({ js, headers }: Case, answer: typeof fetch): Promise<unknown> {
  const db = createClient("http://127.0.0.1", "key", {
    db: { schema: headers["accept-profile"] ?? headers["content-profile"] ?? "public" },
    auth: { persistSession: false, autoRefreshToken: false },
    global: { fetch: answer },
  });
  // The expressions are from our own corpus.
  const { data, error, count, status } = await new Function("db", `return ${js}`)(db);
  return stable({ data, error: error && { ...error, message: error.message }, count, status });
}

const asResponse = ({ status, headers, body, text }: Answer): Response => {
  const plain = JSON.stringify(
    body,
    (_, item) =>
      typeof item === "object" && item !== null && "number" in item ? Number(item.number) : item,
  );
  const content = body === undefined ? text ?? null : plain;
  const pairs = Object.entries(headers).map((
    [name, item],
  ): [string, string] => [name, String(item)]);
  return new Response(status === 204 ? null : content, { status, headers: pairs });
};

/** Asks the server instead of Supabase, as the case's caller. */
const fetchFrom = ({ url }: Server, auth: string): typeof fetch => (input, init) => {
  const request = new Request(input, init);
  const { pathname, search } = new URL(request.url);
  request.headers.delete("authorization");
  const authorization = authorizationOf(auth);
  if (authorization !== null) request.headers.set("authorization", authorization);
  return fetch(new Request(url + pathname.replace("/rest/v1", "") + search, request));
};

/** As the recorder does: supabase-js itself cannot send a bigint. */
async function withBigIntsAsText(run: () => Promise<void>): Promise<void> {
  const toJSON = {
    configurable: true,
    value(this: bigint) {
      return String(this);
    },
  };
  Object.defineProperty(BigInt.prototype, "toJSON", toJSON);
  try {
    await run();
  } finally {
    Reflect.deleteProperty(BigInt.prototype, "toJSON");
  }
}

interface Tally {
  equal: number;
  refused: number;
  readonly different: string[];
}

const emptyTally = (): Tally => ({ equal: 0, refused: 0, different: [] });

/** Plays every case, and its expression through supabase-js, which counts as a separate group. */
async function compareAll(server: Server): Promise<Map<string, Tally>> {
  const tallies = new Map<string, Tally>();
  const clients = emptyTally();
  for (const { name, case: item, recorded } of readCorpus()) {
    const tally = tallies.get(item.group) ?? emptyTally();
    tallies.set(item.group, tally);
    const actual = await play(server, item);
    if (isDeepStrictEqual(actual, recorded)) tally.equal++;
    else if (isRefusal(actual)) tally.refused++;
    else tally.different.push(difference(name, recorded, actual));
    if (item.js === undefined || isRefusal(actual)) continue;
    await server.reset();
    const live = await runClient(item, fetchFrom(server, item.auth));
    const expected = await runClient(item, () => Promise.resolve(asResponse(recorded)));
    if (isDeepStrictEqual(live, expected)) clients.equal++;
    else clients.different.push(difference(item.js, expected, live));
  }
  return tallies.set("supabase-js", clients);
}

const difference = (name: string, expected: unknown, actual: unknown): string =>
  `${name}: recorded ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`;

Deno.test("every recorded request is answered equally or refused", async (t) => {
  const server = await startServer();
  let tallies = new Map<string, Tally>();
  try {
    await withBigIntsAsText(async () => {
      tallies = await compareAll(server);
    });
  } finally {
    await server.stop();
  }
  let [equal, refused] = [0, 0];
  // The counts are the point of this test: a step's name is always printed.
  for (const [group, tally] of tallies) {
    const different = tally.different.length;
    const counts = `${tally.equal} equal, ${tally.refused} refused, ${different} different`;
    await t.step(`${group}: ${counts}`, () => assert.deepEqual(tally.different, []));
    if (group === "supabase-js") continue;
    equal += tally.equal;
    refused += tally.refused;
  }
  await t.step(`all: ${equal} equal, ${refused} refused`, () => assert.ok(equal >= 245));
});
