/**
 * Text of any characters, lone surrogates included. The unit `binary` of fast-check has them too, but
 * takes two seconds of processor time to prepare.
 *
 * @module
 */

import fc from "fast-check";

const character = fc.oneof(
  fc.integer({ min: 0, max: 0x7f }),
  fc.integer({ min: 0, max: 0xffff }),
  fc.integer({ min: 0, max: 0x10ffff }),
).map((code) => String.fromCodePoint(code));

/** Draws text of at most this many characters. */
export function anyText(maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: character, maxLength });
}
