/** deno task monitor, as operators and scripts use it. */
import assert from "node:assert/strict";
import checkAvailability from "../../functions/check-availability/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import metrics from "../../functions/metrics/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import {
  aBench,
  aClinic,
  aDay,
  aPhone,
  type Bench,
  metricsToken,
  newestCode,
} from "../support/clinic.ts";
import { runApart } from "../support/terminal.ts";

/** A bench whose metrics are served over HTTP, and the task run against it. */
async function withMonitor(
  work: (bench: Bench, monitor: (...args: string[]) => ReturnType<typeof run>) => Promise<void>,
): Promise<void> {
  const bench = await aBench();
  const { fetch } = metrics.using(bench.runtime);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, fetch);
  try {
    await work(
      bench,
      (...args) => run([...args, "--url", `http://127.0.0.1:${server.addr.port}/`]),
    );
  } finally {
    await server.shutdown();
    await bench.stop();
  }
}

async function run(args: readonly string[], token = metricsToken) {
  const task = ["run", "--quiet", "--no-check", "-A", "supabase/tasks/monitor.ts"];
  const { code, said } = await runApart([...task, ...args], { env: { METRICS_TOKEN: token } });
  assert.ok(!/\n\s+at /.test(said), said);
  return { code, said };
}

Deno.test(
  "monitor shows the targets of a day that goes wrong, and ends with a code for alerts",
  () =>
    withMonitor(async (bench, monitor) => {
      const fresh = await monitor("--once");
      assert.equal(fresh.code, 0, fresh.said);
      assert.match(fresh.said, /otp_success_rate +no data/);
      const empty = await monitor("--metric", "otp_success_rate");
      assert.equal(empty.code, 3);
      assert.match(empty.said, /nothing happened in the last 60 minutes/);

      const clinic = await aClinic(bench.database.sql);
      await bench.provision(clinic);
      const ask = async (time: string) => {
        const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
        const args = { slotId: `consultation/${aDay()}T${time}`, patientName: "Ada" };
        const held = await bench.ask(holdSlot, { ...call, tool: "hold_slot", args });
        const sent = await bench.ask(sendOtp, { ...call, tool: "send_otp" });
        assert.deepEqual([held.outcome, sent.outcome], ["held", "sent"]);
        return call;
      };
      const booked = await ask("10:00");
      const code = newestCode(bench.twilio);
      // A hold that waits for its passcode is neither a success nor a failure.
      await ask("12:00");
      const verified = await bench.ask(verifyOtp, {
        ...booked,
        tool: "verify_otp",
        args: { code },
      });
      assert.equal(verified.outcome, "confirmed");
      const good = await monitor("--metric", "otp_success_rate");
      assert.equal(good.code, 0, good.said);
      assert.match(good.said, /100\.0 % +target > 95 % +of 1 +ok/);

      await bench.database.sql`update public.appointments
        set expires_at = now() - interval '90 seconds' where status = 'held'`;
      const bad = await monitor("--metric", "otp_success_rate");
      assert.equal(bad.code, 1);
      assert.match(bad.said, /50\.0 % .* NOT MET/);
      await bench.ask(checkAvailability, {
        ...booked,
        tool: "check_availability",
        args: { date: aDay(), serviceType: "consultation", tenantId: crypto.randomUUID() },
      });
      const all = await monitor("--once");
      assert.equal(all.code, 1);
      assert.match(all.said, /cross_tenant_denials +1 +target 0 .* NOT MET/);
      assert.match(all.said, /holds: 0 live, 1 expired and not cleaned up, the oldest for 9\d s/);
    }),
);

Deno.test(
  "monitor explains wrong arguments, a wrong token and a wrong address",
  () =>
    withMonitor(async (_, monitor) => {
      const help = await monitor("--help");
      assert.equal(help.code, 0);
      assert.match(help.said, /exit code 0/);
      for (
        const args of [
          ["--metric", "otp"],
          ["--metrik"],
          ["--minutes", "0"],
          ["--minutes", "ten"],
          ["--every", "-1"],
          ["surplus"],
        ]
      ) {
        const { code, said } = await monitor("--once", ...args);
        assert.equal(code, 2, said);
        assert.match(said, /deno task monitor \[--metric NAME\]/);
      }
      assert.equal((await run(["--once", "--url", "nowhere"])).code, 2);
      const unreachable = await run(["--once", "--url", "http://127.0.0.1:9/"]);
      assert.equal(unreachable.code, 3);
      assert.match(unreachable.said, /Cannot reach/);
      const untold = await run(["--once", "--url", "https://example.invalid/"], "");
      assert.equal(untold.code, 2);
      assert.match(untold.said, /METRICS_TOKEN/);
    }),
);

Deno.test("a wrong token is reported as such, and so is an address without metrics", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      request.headers.get("authorization") === "Bearer right"
        ? new Response("<html>")
        : new Response(null, { status: 401 }),
  );
  try {
    const url = `http://127.0.0.1:${server.addr.port}/`;
    const refused = await run(["--once", "--url", url], "wrong");
    assert.equal(refused.code, 3);
    assert.match(refused.said, /refuses the token/);
    const other = await run(["--once", "--url", url], "right");
    assert.equal(other.code, 3);
    assert.match(other.said, /answered 200 and no metrics/);
  } finally {
    await server.shutdown();
  }
});
