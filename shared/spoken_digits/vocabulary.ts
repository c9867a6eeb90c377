/**
 * The words for digits, and the words between them. Only lists; the rules are in the other files.
 *
 * @module
 */

/** Reads `word=meaning` pairs with space between; `_` in a meaning is a space. */
export const mapOf = (entries: string) =>
  new Map(
    entries.trim().split(/\s+/).map((entry) => {
      const [word = "", meaning = ""] = entry.split("=");
      return [word, meaning.replaceAll("_", " ")] as const;
    }),
  );
const setOf = (words: string) => new Set(words.trim().split(/\s+/));

const germanUnits = mapOf(
  `eins=1 zwei=2 zwo=2 drei=3 vier=4 fünf=5 fuenf=5 sechs=6 sieben=7 acht=8 neun=9`,
);
const germanTens = mapOf(
  `zwanzig=2 dreißig=3 dreissig=3 vierzig=4 fünfzig=5 fuenfzig=5 sechzig=6 siebzig=7 achtzig=8
  neunzig=9`,
);
/** `zehn`, `dreizehn`, `achtundvierzig`. */
const germanPairs = new Map([
  ...mapOf(
    `zehn=10 zwölf=12 zwoelf=12 dreizehn=13 vierzehn=14 fünfzehn=15 fuenfzehn=15 sechzehn=16
    siebzehn=17 achtzehn=18 neunzehn=19`,
  ),
  ...[...germanTens].flatMap(([word, ten]) => [
    [word, `${ten}0`] as const,
    ...[...germanUnits, ["ein", "1"] as const].map(([unit, one]) =>
      [`${unit}und${word}`, ten + one] as const
    ),
  ]),
]);
/** `vierhundert`, `vierhundertzwei`, `vierhundertzweiundachtzig`. */
const germanHundreds = new Map(
  [...germanUnits, ["ein", "1"] as const].flatMap(([word, hundreds]) => [
    [`${word}hundert`, `${hundreds}00`] as const,
    ...[...germanUnits].map(([unit, one]) =>
      [`${word}hundert${unit}`, `${hundreds}0${one}`] as const
    ),
    ...[...germanPairs, ["elf", "11"] as const].map(([pair, two]) =>
      [`${word}hundert${pair}`, hundreds + two] as const
    ),
  ]),
);
/** German digits that are also words of another language. They count next to other German digits. */
export const germanHomographs = mapOf("null=0 elf=11");
export const germanDigits = new Map([...germanUnits, ...germanPairs]);

/** Single digits. */
export const units = new Map([
  ...germanUnits,
  ...mapOf(
    `zero=0 oh=0 o=0 nought=0 naught=0 ought=0 aught=0 nil=0 one=1 two=2 three=3 four=4 five=5 six=6
  seven=7 eight=8 nine=9 niner=9`,
  ),
]);
/** Two or three digits in one word. */
export const teens = new Map([
  ...germanPairs,
  ...germanHundreds,
  ...mapOf(
    `ten=10 eleven=11 twelve=12 thirteen=13 fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18
  nineteen=19`,
  ),
]);
export const tens = mapOf(
  "twenty=20 thirty=30 forty=40 fourty=40 fifty=50 sixty=60 seventy=70 eighty=80 ninety=90",
);
/** How often the next digit is repeated: `double five`. */
export const repeats = mapOf(
  `double=2 triple=3 treble=3 quadruple=4 quintuple=5
  doppel=2 doppelt=2 zweimal=2 dreifach=3 dreimal=3 viermal=4 fünfmal=5 fuenfmal=5`,
);
/** How often the previous digit is repeated: `five twice`. */
export const echoes = mapOf("twice=2 thrice=3");
/** Plurals after a count: `two fives`. */
export const plurals = mapOf(
  `zeros=0 zeroes=0 ohs=0 os=0 noughts=0 naughts=0 ones=1 twos=2 threes=3 fours=4 fives=5 sixes=6
  sevens=7 eights=8 nines=9`,
);
/** Words that speech recognition writes for a digit. They count only among other digits. */
export const homophones = mapOf("for=4 fore=4 to=2 too=2 won=1 ate=8");

/** Words before `one` that make it a pronoun: `the usual one`. */
export const pronounOpenings = setOf(
  `the this that which usual same other another old new first last right wrong only no any every
  each`,
);
/** Words after `one` that make it a word: `one moment`, `one I am calling from`. */
export const pronounEndings = setOf("moment second sec minute min more of i that who whose");
/** Those of them that can begin a new sentence after the last digit: `one that's it`. */
export const sentenceOpenings = setOf("i that who whose");

/** Words that fill a pause. */
export const hesitations = setOf("um uh er erm uhm umm ah hmm mm mhm äh ähm");
/** What people say between the digits of a number. */
export const fillers = setOf(
  `${[...hesitations].join(" ")} like and then a okay ok yeah yes so right dash hyphen space dot
  comma well let me see sorry its it s is that thats hang hold on wait now next again followed by
  i repeat und dann`,
);

/** What else people say while they look for the rest of a number. */
export const interruptions = setOf(
  `just give moment second sec minute while bear with you look check find open scroll get got there
  here we go think believe says reads one the my phone glasses text message was did oh where need
  to up down again please thanks thank`,
);

/** Words that take back the digits just said. */
export const corrections: readonly (readonly string[])[] = [
  ...["no", "nope", "sorry", "correction", "rather", "oops", "actually", "instead"],
  ...["i mean", "i meant", "scratch that", "strike that", "make that", "make it", "my mistake"],
  ...["my bad", "start again", "start over", "try again", "wait", "apologies"],
].map((phrase) => phrase.split(" "));

/** Units, and things that are counted. */
export const measures = setOf(
  `mg mcg ug g kg ml l dl iu units unit mmol mol nmol pmol mmhg bpm cm mm km pounds pound dollars
  euros euro pence cents percent hours hour days weeks months years minutes mins min seconds secs ms
  copies cells rows slots steps calories kcal tablets tabs capsules puffs drops patients people times
  records bytes characters digit digits figures milligrams micrograms grams kilograms millilitres
  litres am pm million billion thousand ago gbp usd eur degrees`,
);
