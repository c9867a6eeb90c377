/**
 * Where one of our processes spends its time, as measured through its inspector.
 *
 * @module
 */

import { z } from "zod";

const profileAnswer = z.object({
  profile: z.object({
    nodes: z.array(z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    })),
    samples: z.array(z.number()),
    timeDeltas: z.array(z.number()),
  }),
});

/** A function's self time. */
export interface OwnTime {
  readonly name: string;
  /** URL of its file; empty for anything but JavaScript. */
  readonly url: string;
  readonly line: number;
  readonly ms: number;
}

/**
 * Profiles a process while some work runs.
 *
 * @param inspect Host and port of its inspector.
 * @returns Each function's self time, without the time in which the process was idle.
 */
export async function profile(inspect: string, work: () => Promise<void>): Promise<OwnTime[]> {
  const targets = z.array(z.object({ webSocketDebuggerUrl: z.string() }))
    .parse(await (await fetch(`http://${inspect}/json`)).json());
  const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl ?? "");
  await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
  const waiting = new Map<number, (answer: unknown) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(data);
    waiting.get(id)?.(result);
  });
  const ask = (method: string, params = {}) =>
    new Promise<unknown>((resolve) => {
      const id = waiting.size + 1;
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params }));
    });
  try {
    await ask("Profiler.enable");
    await ask("Profiler.setSamplingInterval", { interval: 500 });
    await ask("Profiler.start");
    await work();
    return ownTimes(profileAnswer.parse(await ask("Profiler.stop")).profile);
  } finally {
    socket.close();
  }
}

function ownTimes(
  { nodes, samples, timeDeltas }: z.output<typeof profileAnswer>["profile"],
): OwnTime[] {
  const spent = new Map<number, number>();
  for (const [index, id] of samples.entries()) {
    spent.set(id, (spent.get(id) ?? 0) + (timeDeltas[index] ?? 0) / 1000);
  }
  return nodes.flatMap(({ id, callFrame: { functionName, url, lineNumber } }) =>
    functionName === "(idle)"
      ? []
      : [{ name: functionName || "(anonymous)", url, line: lineNumber + 1, ms: spent.get(id) ?? 0 }]
  );
}
