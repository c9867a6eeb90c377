/** The log of a request: one line with the time of each part, and a warning if a part is slow. */
import assert from "node:assert/strict";
import type { Runtime } from "../../shared/runtime.ts";
import { type Bench, testWithBench as test } from "../support/clinic.ts";
import { aTextingClinic, PhoneCall } from "../support/phone_call.ts";

const linesOf = ({ lines }: Bench, callId: string) =>
  lines.map((line) => JSON.parse(line)).filter((line) => line.callId === callId);

/** The runtime on a database that takes this much longer. */
function slowedBy(runtime: Runtime, ms: number): Runtime {
  const within: Runtime["database"]["within"] = (budget, observer) =>
    runtime.database.within(
      budget,
      observer && {
        ...observer,
        called: (call) => observer.called({ ...call, durationMs: call.durationMs + ms }),
      },
    );
  return { ...runtime, database: { ...runtime.database, within } };
}

test("each tool call logs one line with who, what, the outcome and how long its parts took", async (bench) => {
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  const toolCallId = `call_${crypto.randomUUID()}`;
  await call.hold("10:00", {}, { toolCallId });
  await call.send();
  const [held, sent, ...others] = linesOf(bench, call.callId);
  assert.deepEqual(others, []);
  const { level, time, event, totalMs, databaseMs, databaseCalls, ...named } = held;
  // The machine may be busy.
  const expected = databaseMs > 500 ? ["warn", "tool_call_slow"] : ["info", "tool_call"];
  assert.deepEqual([level, event], expected);
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  assert.ok(totalMs >= databaseMs && databaseMs > 0);
  assert.equal(databaseCalls, 1);
  assert.deepEqual(named, {
    function: "hold_slot",
    tool: "hold_slot",
    orgId: call.clinic.id,
    callId: call.callId,
    toolCallId,
    outcome: "held",
    smsMs: 0,
  });
  assert.ok(sent.outcome === "sent" && sent.smsMs > 0 && sent.totalMs >= sent.smsMs);
});

test("a database over 500 ms and a text over 2 s are warned of", async (bench) => {
  const call = new PhoneCall(bench, await aTextingClinic(bench));
  const runtime = slowedBy(bench.runtime, 501);
  await call.hold("10:00", {}, { runtime, callId: "slow-database" });
  const [slow] = linesOf(bench, "slow-database");
  assert.deepEqual([slow.level, slow.event], ["warn", "tool_call_slow"]);
  assert.ok(slow.databaseMs > 500);

  await call.hold("11:00");
  bench.twilio.addFault("slow", { ms: 2050 });
  const said = await call.send();
  assert.equal(said.outcome, "sent");
  const sent = linesOf(bench, call.callId).at(-1);
  assert.deepEqual([sent.level, sent.event], ["warn", "tool_call_slow"]);
  assert.ok(sent.smsMs > 2000);
});
