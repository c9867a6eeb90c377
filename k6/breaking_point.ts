/**
 * Ever more calls a second, ten seconds at each rate. Prints the first rate at which the 95th percentile
 * exceeds 800 ms or requests are refused.
 */
import { book, Call, playing, requireTarget } from "./support/call.ts";
import { handleSummary as printSummary, timesBy } from "./support/summary.ts";

const rates = [1, 2, 5, 10, 15, 20, 30, 40, 60, 80];
const stepS = 10;
const limitMs = 800;

export const options = playing(Object.fromEntries(rates.map((rate, step) => [
  nameOf(rate),
  {
    executor: "constant-arrival-rate",
    rate,
    timeUnit: "1s",
    duration: `${stepS}s`,
    startTime: `${step * stepS}s`,
    preAllocatedVUs: Math.min(rate * 10, 200),
    maxVUs: 400,
  },
])));

export const setup = requireTarget;

export default function () {
  book(new Call(__ENV.CLINIC ?? ""));
}

export function handleSummary(data: Parameters<typeof printSummary>[0]): Record<string, string> {
  const { metrics } = data;
  const broke = rates.find((rate) => {
    const p95 = metrics[`http_req_waiting{scenario:${nameOf(rate)}}`]?.values["p(95)"] ?? 0;
    return p95 > limitMs ||
      (metrics[`refused{scenario:${nameOf(rate)}}`]?.values["count"] ?? 0) > 0;
  });
  const verdict = broke === undefined
    ? `No breaking point up to ${rates.at(-1)} calls a second`
    : `Breaks at ${broke} calls a second: p95 over ${limitMs} ms, or requests refused`;
  const printed = printSummary(data);
  return {
    ...printed,
    stdout: `${timesBy("scenario", metrics).join("\n")}\n\n${printed["stdout"]}${verdict}\n`,
  };
}

function nameOf(rate: number): string {
  return `rate_${rate}`;
}
