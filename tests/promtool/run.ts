// deno-lint-ignore-file no-console -- a command-line program
/**
 * Prometheus' own promtool reads what we say: the metrics of a played call, the alert rules, and
 * the alerts' tests.
 *
 * Needs promtool on the PATH (Debian: prometheus).
 *
 * @module
 */

import holdSlot from "../../functions/hold-slot/index.ts";
import metrics from "../../functions/metrics/index.ts";
import sendOtp from "../../functions/send-otp/index.ts";
import verifyOtp from "../../functions/verify-otp/index.ts";
import { aBench, aClinic, aDay, aPhone, metricsToken, newestCode } from "../support/clinic.ts";

const monitoring = new URL("../../supabase/monitoring/", import.meta.url).pathname;

await promtool(["check", "rules", `${monitoring}alerts.yml`]);
await promtool(["test", "rules", `${monitoring}alerts_test.yml`]);
const text = await playedMetrics();
await promtool(["check", "metrics"], text);
console.log(`promtool reads ${text.split("\n").length} lines of metrics`);
Deno.exit(0);

/** The metrics after a call that was booked. */
async function playedMetrics(): Promise<string> {
  const bench = await aBench();
  try {
    const clinic = await aClinic(bench.database.sql);
    await bench.provision(clinic);
    const call = { called: clinic.number, caller: aPhone(), callId: crypto.randomUUID() };
    const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Ada" };
    await bench.ask(holdSlot, { ...call, tool: "hold_slot", args });
    await bench.ask(sendOtp, { ...call, tool: "send_otp" });
    const code = newestCode(bench.twilio);
    const said = await bench.ask(verifyOtp, { ...call, tool: "verify_otp", args: { code } });
    if (said.outcome !== "confirmed") throw new Error(`Cannot play a call: ${said.outcome}`);
    const headers = { authorization: `Bearer ${metricsToken}` };
    const request = new Request("http://functions.test/", { headers });
    return await (await metrics.using(bench.runtime).fetch(request)).text();
  } finally {
    await bench.stop();
  }
}

async function promtool(args: readonly string[], input = ""): Promise<void> {
  const child = new Deno.Command("promtool", {
    args: [...args],
    stdin: "piped",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code } = await child.status;
  if (code !== 0) {
    console.error(`promtool ${args.join(" ")} ended with ${code}`);
    Deno.exit(1);
  }
}
