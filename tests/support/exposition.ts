/**
 * A strict reader of Prometheus' text format 0.0.4, as a scraper reads it.
 *
 * @module
 */

import assert from "node:assert/strict";

/** One metric family. */
export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** One line. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const sampleLine =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/;

/** Reads and checks a whole exposition; throws on anything that a scraper or promtool would refuse. */
export function readExposition(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line has no end");
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (help?.[1]) {
      current = help[1];
      assert.ok(!families.has(current), `${current} comes twice`);
      families.set(current, { type: "", help: help[2] ?? "", samples: [] });
      continue;
    }
    const family = families.get(current);
    assert.ok(family, `a line before any family: ${line}`);
    if (type) {
      assert.equal(type[1], current, "TYPE follows its HELP");
      family.type = type[2] ?? "";
      continue;
    }
    const [, name = "", labels = "", value = ""] = sampleLine.exec(line) ?? [];
    assert.ok(name, `no sample: ${line}`);
    const suffixes = family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    assert.ok(suffixes.some((suffix) => name === current + suffix), `${name} under ${current}`);
    assert.ok(!seen.has(name + labels), `a sample twice: ${line}`);
    seen.add(name + labels);
    assert.ok(Number.isFinite(Number(value)) && value !== "", `no value: ${line}`);
    family.samples.push({ name, labels: readLabels(labels), value: Number(value) });
  }
  for (const [name, { type, samples }] of families) {
    if (type === "counter") assert.match(name, /_total$/);
    if (type === "histogram") checkBuckets(name, samples);
    for (const { value } of samples) assert.ok(type === "gauge" || value >= 0, name);
  }
  return families;
}

function readLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)].map((
      [, name = "", value = ""],
    ) => [name, value.replace(/\\n/g, "\n").replace(/\\(["\\])/g, "$1")]),
  );
}

function checkBuckets(name: string, samples: readonly Sample[]): void {
  const series = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const group of series.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) =>
      labels["le"] === "+Inf" ? Infinity : Number(labels["le"])
    );
    assert.deepEqual(bounds, bounds.toSorted((a, b) => a - b));
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(counts, counts.toSorted((a, b) => a - b), `${name} is not cumulative`);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    assert.equal(bounds.at(-1), Infinity);
    assert.equal(counts.at(-1), count);
    assert.ok(group.some((sample) => sample.name === `${name}_sum`));
  }
}

/** The value of one sample, 0 if it is missing. */
export function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const family = families.get(name.replace(/_(bucket|sum|count)$/, "")) ?? families.get(name);
  assert.ok(family, `there is no metric ${name}`);
  const wanted = Object.entries(labels);
  return family.samples
    .filter((sample) =>
      sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value)
    )
    .reduce((sum, { value }) => sum + value, 0);
}
