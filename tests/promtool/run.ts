// deno-lint-ignore-file no-console -- a command-line program
/**
 * Prometheus' own promtool checks the metrics of a whole call, the alert rules and the tests of the
 * alerts.
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
await testDashboard();
const text = await playedMetrics();
await promtool(["check", "metrics"], text);
console.log(`promtool reads ${text.split("\n").length} lines of metrics`);
Deno.exit(0);

/**
 * The share of confirmed holds is at most 1, also in an hour in which all confirmed holds had their
 * passcode requested earlier.
 */
async function testDashboard(): Promise<void> {
  const dashboard = JSON.parse(await Deno.readTextFile(`${monitoring}dashboard.json`));
  const panel = dashboard.panels.find(({ title }: { title: string }) => title === "OTP success");
  const expr = String(panel.targets[0].expr).replaceAll("$__range", "1h");
  const cases = [
    { name: "requested before, confirmed now", confirmed: "0x60 0+1x9 10x60", share: 1 },
    { name: "requested before, half confirmed", confirmed: "0x60 0+1x4 5x60", share: 0.5 },
  ];
  const folder = await Deno.makeTempDir();
  const file = `${folder}/dashboard_test.yml`;
  const tests = cases.map(({ name, confirmed, share }) => ({
    name,
    interval: "1m",
    input_series: [
      { series: "master_orchestrator_otp_requested_total", values: "0+1x9 10x120" },
      { series: "master_orchestrator_otp_confirmed_total", values: confirmed },
      { series: "master_orchestrator_otp_waiting", values: "0+1x9 10x50 10-1x9 0x60" },
    ],
    promql_expr_test: [
      // To one digit, since Prometheus extrapolates at the window's edges.
      {
        expr: `round(${expr}, 0.1)`,
        eval_time: "2h",
        exp_samples: [{ labels: "{}", value: share }],
      },
    ],
  }));
  // JSON is valid YAML.
  await Deno.writeTextFile(file, JSON.stringify({ rule_files: [], tests }));
  await promtool(["test", "rules", file]);
  await Deno.remove(folder, { recursive: true });
}

/** The metrics after a call that booked. */
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
