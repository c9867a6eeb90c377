/**
 * Prints the times of each tool, the counters and the failed thresholds at the end of a run.
 *
 * @module
 */

/** The parts of k6's summary that are read. */
interface Summary {
  readonly metrics: Readonly<Record<string, Metric>>;
}

interface Metric {
  readonly values: Readonly<Record<string, number>>;
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
}

const counters = [
  "completed_calls",
  "holds",
  "refused",
  "faults",
  "errors",
  "wrong_answers",
  "leaks",
];

/** Prints the table; with SUMMARY, also writes everything as JSON to that file. */
export function handleSummary(data: Summary): Record<string, string> {
  const { metrics } = data;
  const lines = [
    ...timesBy("tool", metrics),
    "",
    ...counters.flatMap((name) => {
      const count = metrics[name]?.values["count"];
      return count === undefined ? [] : [`${name.padEnd(24)}${count}`];
    }),
    ...failed(metrics),
    "",
  ];
  return {
    stdout: `${lines.join("\n")}\n`,
    ...(__ENV.SUMMARY ? { [__ENV.SUMMARY]: JSON.stringify(data, null, 1) } : {}),
  };
}

/** A table with a row for each value of a tag. */
export function timesBy(tag: string, metrics: Summary["metrics"]): string[] {
  const rows = Object.entries(metrics).flatMap(([name, { values }]) => {
    const value = name.startsWith(`http_req_waiting{${tag}:`) ? name.split(/[:}]/)[1] : undefined;
    return value === undefined || !values["count"] ? [] : [{ value, values }];
  }).sort((one, other) => one.value.localeCompare(other.value, "en", { numeric: true }));
  const ms = (value = NaN) => value.toFixed(0).padStart(8);
  return [
    `${tag.padEnd(24)}${["requests", "p50 ms", "p95 ms", "max ms"].join("  ")}`,
    ...rows.map(({ value, values }) =>
      value.padEnd(24) + [values["count"], values["med"], values["p(95)"], values["max"]]
        .map(ms).join("")
    ),
  ];
}

function failed(metrics: Summary["metrics"]): string[] {
  return Object.entries(metrics).flatMap(([name, { thresholds = {} }]) =>
    Object.entries(thresholds).filter(([, { ok }]) => !ok)
      .map(([threshold]) => `FAILED: ${name} ${threshold}`)
  );
}
