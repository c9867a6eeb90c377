/**
 * Registers tests that hold connections.
 *
 * @module
 */

/** Whether a test is skipped on this machine. */
export type TestOptions = Pick<Deno.TestDefinition, "ignore">;

/** Registers a test whose connections may close shortly after it, which the sanitizers would report. */
export function testWithConnections(
  name: string,
  work: (t: Deno.TestContext) => Promise<void>,
  options: TestOptions = {},
): void {
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, ...options, fn: work });
}
