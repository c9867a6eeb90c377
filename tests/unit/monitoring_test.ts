/** The dashboard, the alerts and the runbook cover everything that exists, and nothing else. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { toPrometheus } from "../../shared/metrics.ts";
import { readExposition } from "../support/exposition.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const gauges = {
  holdsLive: 1,
  holdsLapsed: 0,
  passcodesWaiting: 0,
  cleanupLagSeconds: 0,
  overlaps: 0,
  indexRowsLost: 0,
  followUpsOpen: 0,
  followUpsKept: 0,
  followUpsLagSeconds: 0,
};
const odd = 'a "quoted" back\\slash\nand a line';
const totals = [
  { name: "tool_calls", labels: { tool: odd, outcome: "held" }, value: 1e21 },
  { name: "tool_seconds_bucket", labels: { tool: odd, part: "total", le: "0.1" }, value: 2 },
  { name: "tool_seconds_bucket", labels: { tool: odd, part: "total", le: "+Inf" }, value: 1 },
  { name: "tool_seconds_sum", labels: { tool: odd, part: "total" }, value: 12.25 },
];
const families = readExposition(toPrometheus({ totals, recent: [], gauges }));

/** Names of metrics in a text, without the suffixes of histograms. */
const namesIn = (text: string) =>
  new Set(
    [...text.matchAll(/master_orchestrator_[a-z0-9_]+/g)].map(([name]) =>
      name.replace(/_(bucket|sum|count)$/, "")
    ),
  );

Deno.test("a scraper reads back every label as it was", () => {
  const [sample] = families.get("master_orchestrator_tool_calls_total")?.samples ?? [];
  assert.deepEqual(sample?.labels, { tool: odd, outcome: "held" });
  assert.equal(sample?.value, 1e21);
});

Deno.test("an empty database has all families, and those that alerts count start at 0", () => {
  const empty = readExposition(toPrometheus({ totals: [], recent: [], gauges }));
  assert.deepEqual([...empty.keys()], [...families.keys()]);
  for (const name of ["cross_tenant_denials", "otp_requested", "sms", "otp_rollbacks"]) {
    const samples = empty.get(`master_orchestrator_${name}_total`)?.samples ?? [];
    assert.ok(samples.length > 0 && samples.every(({ value }) => value === 0), name);
  }
});

for (const file of ["dashboard.json", "alerts.yml", "alerts_test.yml"]) {
  Deno.test(`${file} uses metrics that exist`, () => {
    const names = namesIn(read(`supabase/monitoring/${file}`));
    assert.ok(names.size > 5);
    for (const name of names) assert.ok(families.has(name), name);
  });
}

Deno.test("the dashboard shows every metric, and its panels do not overlap", () => {
  const dashboard = JSON.parse(read("supabase/monitoring/dashboard.json"));
  const names = namesIn(JSON.stringify(dashboard));
  for (const name of families.keys()) assert.ok(names.has(name), name);
  const cells = new Set<string>();
  for (const { gridPos: { x, y, w, h } } of dashboard.panels) {
    assert.ok(x + w <= 24);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        assert.ok(!cells.has(`${column}/${row}`));
        cells.add(`${column}/${row}`);
      }
    }
  }
});

Deno.test("the documents explain every metric and log event", () => {
  const monitoring = read("docs/monitoring.md");
  const runbook = read("docs/runbook.md");
  for (const name of families.keys()) {
    const short = name.replace("master_orchestrator_", "");
    assert.ok(monitoring.includes(`\`${short}\``), `docs/monitoring.md does not explain ${short}`);
  }
  const files = ["shared", "functions"].flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`)
  );
  const events = new Set(
    files.flatMap((file) =>
      [
        ...read(file).matchAll(
          /\blog(?:\.(?:debug|info|warn|error|fatal)|\[[^\]]*\])\(\s*"([^"]+)"/g,
        ),
      ]
        .map(([, event]) => event)
    ),
  );
  assert.ok(events.size > 10);
  // shared/work.ts builds these names from two parts.
  for (const event of ["tool_call", "message"]) {
    for (const end of ["", "_slow", "_failed"]) events.add(event + end);
  }
  // shared/job.ts builds this one from the function's name.
  const jobs = files.flatMap((file) => [...read(file).matchAll(/\bserveJob\(\s*"([^"]+)"/g)])
    .map(([, name = ""]) => `${name.replaceAll("-", "_")}_failed`);
  assert.ok(jobs.length > 1);
  for (const event of [...events, ...jobs]) {
    assert.ok(
      runbook.includes(`\`${event}\``),
      `docs/runbook.md does not explain the event ${event}`,
    );
  }
});

const rules = z.object({
  groups: z.array(z.object({
    rules: z.array(z.object({
      alert: z.string(),
      annotations: z.object({ summary: z.string(), runbook_url: z.string() }),
    })),
  })),
});

Deno.test("every alert leads to its heading in the runbook, and every heading there is an alert", () => {
  const alerts = rules.parse(parse(read("supabase/monitoring/alerts.yml")))
    .groups.flatMap((group) => group.rules);
  const page = "https://github.com/OWNER/REPOSITORY/blob/main/docs/runbook.md";
  for (const { alert, annotations } of alerts) {
    assert.equal(annotations.runbook_url, `${page}#${alert.toLowerCase()}`);
  }
  const runbook = read("docs/runbook.md");
  const section = /^## Alerts$(.*?)^## /ms.exec(runbook)?.[1] ?? "";
  const headings = [...section.matchAll(/^### (\w+)$/gm)].map(([, heading]) => heading);
  assert.deepEqual(headings.sort(), alerts.map(({ alert }) => alert).sort());
  assert.match(runbook, /sed 's\|OWNER\/REPOSITORY\|/);
});
