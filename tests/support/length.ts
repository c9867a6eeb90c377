/**
 * How often the tests that repeat something do so: briefly in `deno task test`, and at full length
 * with `--full`, as a leg of the gate does. `deno task test --full` finds its files by this import.
 *
 * @module
 */

/** Set to 1 for the full length. */
export const fullVariable = "TEST_FULL";

/** Whether this run is at full length. */
export const isFull = Deno.env.get(fullVariable) === "1";

/** The one of two lengths that this run has. Also the short one must be able to fail. */
export function atLength<Length>({ short, full }: { short: Length; full: Length }): Length {
  return isFull ? full : short;
}
