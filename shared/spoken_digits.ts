/**
 * The one grammar of digits as people say, type and transcribe them. It answers two questions: which
 * number was said, and where in a text numbers are.
 *
 * @module
 */

export { chainsOf, continued, readingsOf, segmentsOf } from "./spoken_digits/chains.ts";
export {
  Gap,
  isFiller,
  isMeasured,
  lengthOfCorrection,
  type Piece,
  readPieces,
} from "./spoken_digits/pieces.ts";
export { codesIn, readPasscode } from "./spoken_digits/passcode.ts";
export { type Reading, readingsAt } from "./spoken_digits/readings.ts";
export { germanDigits, germanHomographs, mapOf } from "./spoken_digits/vocabulary.ts";
