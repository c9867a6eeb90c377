/**
 * Work that goes on after an answer has gone.
 *
 * @module
 */

/** Runs work that no answer waits for. */
export interface Background {
  /** @param work Never rejects: whatever goes wrong is its own affair to write down. */
  run(work: Promise<void>): void;
  /** Resolves when all work that was begun is done. */
  settled(): Promise<void>;
}

/** Makes the background of an isolate. */
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
 * Lets hosted Supabase keep the isolate until the work is done; elsewhere, or when it refuses, the
 * promise is enough.
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
      // An answer must not fail because of what comes after it.
    }
  }
}
