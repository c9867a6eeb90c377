/**
 * Reproducible randomness: the same seed draws the same numbers.
 *
 * @module
 */

/** Draws from one seed. */
export interface Random {
  /** A whole number from 0 to `count` - 1. */
  below(count: number): number;
  /** True in one of `count` draws. */
  oneIn(count: number): boolean;
  /** One of several. */
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
}

/**
 * Numbers from 0 up to but not including 1: mulberry32, by Tommy Ettinger, with 32 bits of state, good
 * enough for this.
 */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws what a caller does. */
export function drawFrom(seed: number): Random {
  const next = randomFrom(seed);
  const below = (count: number) => Math.floor(next() * count);
  return {
    below,
    oneIn: (count) => below(count) === 0,
    pick: (items) => items[below(items.length)] ?? items[0],
  };
}
