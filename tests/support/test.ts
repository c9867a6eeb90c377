/**
 * How tests are registered that hold connections.
 *
 * @module
 */

/** Registers a test whose connections may close a moment after it, which the sanitizers would report. */
export function testWithConnections(
  name: string,
  work: (t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: work });
}
