/**
 * The one grammar of digits the way people say, type and transcribe them, for whoever asks what
 * number somebody said and for whoever asks where in a text numbers are.
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
