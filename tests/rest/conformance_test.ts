/**
 * The gateway against the recording of a real PostgREST; with POSTGREST_URL (and POSTGREST_DB_URL, a
 * superuser's address of its database) a real PostgREST against the recording.
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

/** Puts the database back, unless no transaction wrote and no sequence was drawn from since. */
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

/** What supabase-js makes of the answers that `answer` gives. */
async function runClient({ js, headers }: Case, answer: typeof fetch): Promise<unknown> {
  const db = createClient("http://127.0.0.1", "key", {
    db: { schema: headers["accept-profile"] ?? headers["content-profile"] ?? "public" },
    auth: { persistSession: false, autoRefreshToken: false },
    global: { fetch: answer },
  });
  // The expressions are those of our own corpus.
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

const serverOptions = { sanitizeResources: false, sanitizeOps: false };

Deno.test(
  "the gateway answers every recorded request equally or refuses it",
  serverOptions,
  async () => {
    const server = await startServer();
    const tally = new Map<string, { equal: number; refused: number; different: number }>();
    const differences: string[] = [];
    const clientDifferences: string[] = [];
    let expressions = 0;
    // As the recorder does: supabase-js itself cannot send a bigint.
    Object.defineProperty(BigInt.prototype, "toJSON", {
      configurable: true,
      value(this: bigint) {
        return String(this);
      },
    });
    try {
      for (const { name, case: item, recorded } of readCorpus()) {
        const counts = tally.get(item.group) ?? { equal: 0, refused: 0, different: 0 };
        tally.set(item.group, counts);
        const actual = await play(server, item);
        if (isDeepStrictEqual(actual, recorded)) counts.equal++;
        else if (isRefusal(actual)) counts.refused++;
        else {
          counts.different++;
          differences.push(
            `${name}: recorded ${JSON.stringify(recorded)}, got ${JSON.stringify(actual)}`,
          );
        }
        if (item.js === undefined || isRefusal(actual)) continue;
        expressions++;
        await server.reset();
        const live = await runClient(item, (input, init) => {
          const request = new Request(input, init);
          const { pathname, search } = new URL(request.url);
          request.headers.delete("authorization");
          const authorization = authorizationOf(item.auth);
          if (authorization !== null) request.headers.set("authorization", authorization);
          return fetch(
            new Request(server.url + pathname.replace("/rest/v1", "") + search, request),
          );
        });
        const expected = await runClient(item, () => Promise.resolve(asResponse(recorded)));
        if (!isDeepStrictEqual(live, expected)) {
          clientDifferences.push(
            `${item.js}: recorded ${JSON.stringify(expected)}, got ${JSON.stringify(live)}`,
          );
        }
      }
    } finally {
      Reflect.deleteProperty(BigInt.prototype, "toJSON");
      await server.stop();
    }
    const all = [...tally].map(([group, counts]) => ({ group, ...counts }));
    const sum = (key: "equal" | "refused" | "different") =>
      all.reduce((total, counts) => total + counts[key], 0);
    for (
      const { group, equal, refused, different } of [
        ...all,
        { group: "all", equal: sum("equal"), refused: sum("refused"), different: sum("different") },
      ]
    ) {
      // deno-lint-ignore no-console -- the counts are what this test is read for
      console.log(`${group.padEnd(12)} ${equal} equal, ${refused} refused, ${different} different`);
    }
    // deno-lint-ignore no-console -- likewise
    console.log(`supabase-js  ${expressions} expressions, ${clientDifferences.length} different`);
    assert.deepEqual(differences, []);
    assert.deepEqual(clientDifferences, []);
    assert.ok(sum("equal") >= 245, `only ${sum("equal")} equal`);
  },
);
