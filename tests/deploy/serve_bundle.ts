// deno-lint-ignore-file no-console -- tells its parent where it listens
/**
 * Serves one deployed function as the hosted runtime does, under that runtime's version of Deno.
 *
 * @module
 */

const [entrypoint = ""] = Deno.args;
Object.assign(globalThis, {
  EdgeRuntime: { waitUntil: (work: Promise<unknown>) => void work.catch(() => {}) },
});
const { default: served } = await import(entrypoint);
Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`Listening on ${port}`),
}, (request) => served.fetch(request));
