/** More callers than can be answered: who is refused, what they hear, and what stays afterwards. */
import assert from "node:assert/strict";
import checkAvailability from "../../functions/check-availability/index.ts";
import vapiWebhook from "../../functions/vapi-webhook/index.ts";
import { createAdmission } from "../../shared/admission.ts";
import type { Runtime } from "../../shared/runtime.ts";
import * as sentences from "../../shared/sentences.ts";
import {
  aClinic,
  aDay,
  aPost,
  aRequest,
  type Bench,
  readSaid,
  testWithBench as test,
} from "../support/clinic.ts";

const turns = 3;

/** A runtime with few turns, whose database answers nobody until it is released. */
function aFullRuntime({ runtime }: Bench) {
  const held = Promise.withResolvers<void>();
  let asked = 0;
  const full: Runtime = {
    ...runtime,
    admission: createAdmission({
      ...{ turns, patienceMs: 100 },
      onRefused: (refused) => runtime.log.warn("overloaded", { refused }),
    }),
    database: {
      within: (...given) => {
        const database = runtime.database.within(...given);
        return {
          call: async (...called) => {
            asked++;
            await held.promise;
            return await database.call(...called);
          },
        };
      },
    },
  };
  /** Asks as often as there are turns, and waits until the database has been asked. */
  const fill = async <T>(ask: () => Promise<T>) => {
    const begun = Array.from({ length: turns }, ask);
    while (asked < turns) await new Promise((resolve) => setTimeout(resolve, 5));
    return begun;
  };
  return { full, fill, letGo: held.resolve, asked: () => asked };
}

test("callers who cannot be answered hear at once that it is busy, and requests that have started are finished", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const { full, fill, letGo, asked } = aFullRuntime(bench);
  const ask = () =>
    checkAvailability.using(full).fetch(aRequest({
      ...{ tool: "check_availability", called: clinic.number },
      args: { date: aDay(), serviceType: "consultation" },
    })).then(readSaid);
  const begun = await fill(ask);
  const refused = await Promise.all(Array.from({ length: 20 }, ask));
  for (const said of refused) {
    assert.deepEqual(said, {
      success: false,
      outcome: "busy",
      message: sentences.busy,
      action: "RETRY",
    });
  }
  assert.equal(asked(), turns, "the database was asked for somebody who was refused");
  letGo();
  const outcomes = await Promise.all(begun.map(async (said) => (await said).outcome));
  assert.deepEqual(outcomes, Array(turns).fill("available"));
  assert.equal((await ask()).outcome, "available");

  const about = bench.lines.filter((line) => line.includes("overloaded"));
  assert.equal(about.length, 1, "a line for many that were refused");
  await bench.runtime.recorder.flush();
  const [row] = await bench.database.sql`
    select sum(value)::int as n from public.metric_events
    where name = 'tool_calls' and labels ->> 'outcome' = 'busy'`;
  const [total] = await bench.database.sql`
    select sum(value)::int as n from public.metric_totals
    where name = 'tool_calls' and labels ->> 'outcome' = 'busy'`;
  assert.equal((row?.["n"] ?? 0) + (total?.["n"] ?? 0), 20);
});

test("each of several tool calls in a refused request has its answer", async (bench) => {
  const { full, fill, letGo } = aFullRuntime(bench);
  const request = (ids: readonly string[]) =>
    aPost(JSON.stringify({
      message: {
        type: "tool-calls",
        toolCallList: ids.map((id) => ({
          id,
          type: "function",
          function: {
            name: "check_availability",
            arguments: { date: aDay(), serviceType: "consultation" },
          },
        })),
        phoneNumber: { number: "+442079460000" },
      },
    }));
  const begun = await fill(() => checkAvailability.using(full).fetch(request(["first"])));
  const response = await checkAvailability.using(full).fetch(request(["one", "two"]));
  const { results } = await response.json();
  assert.deepEqual(results.map(({ toolCallId }: { toolCallId: string }) => toolCallId), [
    "one",
    "two",
  ]);
  letGo();
  await Promise.all(begun);
});

test("a stranger is refused as always, and a report is sent again later", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const { full, fill, letGo } = aFullRuntime(bench);
  const ask = (request: Request) => vapiWebhook.using(full).fetch(request);
  const availability = { tool: "check_availability", called: clinic.number, args: {} };
  const begun = await fill(() =>
    ask(aRequest({ ...availability, args: { date: aDay(), serviceType: "consultation" } }))
  );
  for (const secret of [null, "another secret altogether"]) {
    const response = await ask(aRequest({ ...availability, secret }));
    assert.equal(response.status, 401);
    assert.equal(await response.text(), "");
  }
  const message = { phoneNumber: { number: clinic.number }, call: { id: crypto.randomUUID() } };
  const assistant = await ask(
    aPost(JSON.stringify({ message: { type: "assistant-request", ...message } })),
  );
  assert.deepEqual(await assistant.json(), { error: sentences.callNotTaken });
  // A report does not hold up anybody: it gets a turn when one is free.
  const report = ask(
    aPost(JSON.stringify({ message: { type: "end-of-call-report", ...message } })),
  );
  letGo();
  assert.equal((await report).status, 200);
  await Promise.all(begun);
});

test("a statement that the database cancels at its timeout is busy too, and undone", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  // Only the statement's timeout can end this wait.
  await bench.database.admin.unsafe(
    `alter role authenticator in database ${bench.database.name} set lock_timeout = 0`,
  );
  const ask = () =>
    bench.ask(checkAvailability, {
      tool: "check_availability",
      called: clinic.number,
      args: { date: aDay(), serviceType: "consultation" },
    });
  const outcome = await bench.database.sql.begin(async (sql) => {
    await sql`lock table public.organizations in access exclusive mode`;
    return (await ask()).outcome;
  });
  assert.equal(outcome, "busy");
});
