/**
 * Free ports on the loopback, outside the range of outgoing connections.
 *
 * @module
 */

/** Whether somebody could listen on this port of the loopback now. */
export function isPortFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * The first free port from one on; after twenty tries a random one below 32768, where outgoing
 * connections do not take ports.
 *
 * @throws {Error} When none is free.
 */
export function findFreePort(from: number): number {
  const near = Array.from({ length: 20 }, (_, step) => from + step);
  const far = Array.from({ length: 50 }, () => 10_000 + Math.floor(Math.random() * 20_000));
  const port = [...near, ...far].find(isPortFree);
  if (port === undefined) throw new Error(`Cannot find a free port near ${from}`);
  return port;
}
