/**
 * How many repetitions the repeating tests run: few in `deno task test`, all with `--full`, as one leg
 * of the gate does. `deno task test --full` finds its files by this import.
 *
 * @module
 */

/** Set to 1 for the full length. */
export const fullVariable = "TEST_FULL";

/** Whether this is a run at full length. */
export const isFull = Deno.env.get(fullVariable) === "1";

/** Options of a test that takes too long for the short run. */
export const fullLengthOnly = { ignore: !isFull };

/** Picks the length for this run. The short one must be able to fail too. */
export function atLength<Length>({ short, full }: { short: Length; full: Length }): Length {
  return isFull ? full : short;
}
