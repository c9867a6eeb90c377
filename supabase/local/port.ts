/**
 * Free ports on the loopback, outside the range of outgoing connections.
 *
 * @module
 */

/** Whether a program can listen on a port, and if not, why. */
export type PortState =
  | { readonly kind: "free" | "taken" | "forbidden" }
  | { readonly kind: "failed"; readonly reason: string };

/** Tries to listen on a port of the loopback. */
export function tryPort(port: number): PortState {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return { kind: "free" };
  } catch (thrown) {
    if (thrown instanceof Deno.errors.AddrInUse) return { kind: "taken" };
    if (thrown instanceof Deno.errors.PermissionDenied) return { kind: "forbidden" };
    return { kind: "failed", reason: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/**
 * The first free port from a number on. After twenty attempts, a random one below 32768, a range that
 * outgoing connections do not use.
 *
 * @throws {Error} When none is free.
 */
export function findFreePort(from: number): number {
  const near = Array.from({ length: 20 }, (_, step) => from + step);
  const far = Array.from({ length: 50 }, () => 10_000 + Math.floor(Math.random() * 20_000));
  const port = [...near, ...far].find((candidate) => tryPort(candidate).kind === "free");
  if (port === undefined) throw new Error(`Cannot find a free port near ${from}`);
  return port;
}
