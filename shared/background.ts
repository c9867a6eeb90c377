/**
 * Work that continues after an answer has been sent.
 *
 * @module
 */

/** Runs work that no answer waits for. */
export interface Background {
  /** @param work Must not reject: it logs its own errors. */
  run(work: Promise<void>): void;
  /** Resolves when all started work is done. */
  settled(): Promise<void>;
}

/** Creates the background of an isolate. */
export function createBackground(): Background {
  const open = new Set<Promise<void>>();
  return {
    run: (work) => {
      open.add(work);
      keepAlive(work.finally(() => open.delete(work)));
    },
    settled: async () => {
      while (open.size > 0) await Promise.all(open);
    },
  };
}

/**
 * Asks hosted Supabase to keep the isolate alive until the work is done. Elsewhere, or if it refuses,
 * the promise runs by itself.
 */
export function keepAlive(work: Promise<void>): void {
  const edge: unknown = Reflect.get(globalThis, "EdgeRuntime");
  if (
    typeof edge === "object" && edge !== null && "waitUntil" in edge &&
    typeof edge.waitUntil === "function"
  ) {
    try {
      edge.waitUntil(work);
    } catch {
      // An answer must not fail because of work that follows it.
    }
  }
}
