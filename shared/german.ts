/**
 * German words for days and times, as the English ones that `days.ts`, `times.ts` and `given.ts` read.
 *
 * A word that is not known stays, so nobody understands the text and the caller is asked again.
 *
 * @module
 */

import { germanDigits, germanHomographs, mapOf } from "./spoken_digits.ts";

/** Words that say that a text is German. */
const words = new Map([
  ...mapOf(`
    heute=today gestern=yesterday morgen=tomorrow übermorgen=the_day_after_tomorrow
    uebermorgen=the_day_after_tomorrow montag=monday dienstag=tuesday mittwoch=wednesday
    donnerstag=thursday freitag=friday samstag=saturday sonnabend=saturday sonntag=sunday
    januar=january jänner=january februar=february märz=march maerz=march mai=may juni=june juli=july
    oktober=october dezember=december woche=week wochen=weeks tag=day tage=days tagen=days
    vormittag=morning vormittags=in_the_morning morgens=in_the_morning früh=in_the_morning
    nachmittag=afternoon nachmittags=in_the_afternoon abend=evening abends=in_the_evening
    nachts=at_night mittag=noon mittags=noon mitternacht=midnight nicht=not kein=no keine=no keinen=no
    außer=except ausser=except oder=or zwischen=between termin=appointment egal=no_preference
    uhr=uhr halb=halb viertel=viertel dreiviertel=dreiviertel`),
  ...forms("nächst naechst", "next"),
  ...forms("kommend", "coming"),
  ...forms("dies", "this"),
]);
/** Words that other languages have too. They are read only in a text that is German. */
const others = mapOf(`
  am=on um=at den=the der=the dem=the das=the die=the ab=from von=from bis=to und=and ein=a eine=a
  einem=a einen=a einer=a vor=vor nach=nach gegen=at bitte=please`);

const ordinals = mapOf(`
  erst=1 zweit=2 dritt=3 viert=4 fünft=5 sechst=6 siebt=7 siebent=7 acht=8 neunt=9 zehnt=10 elft=11 zwölft=12
  dreizehnt=13 vierzehnt=14 fünfzehnt=15 sechzehnt=16 siebzehnt=17 achtzehnt=18 neunzehnt=19
  zwanzigst=20 einundzwanzigst=21 zweiundzwanzigst=22 dreiundzwanzigst=23 vierundzwanzigst=24
  fünfundzwanzigst=25 sechsundzwanzigst=26 siebenundzwanzigst=27 achtundzwanzigst=28
  neunundzwanzigst=29 dreißigst=30 einunddreißigst=31`);

function forms(stems: string, meaning: string): (readonly [string, string])[] {
  return stems.split(" ").flatMap((stem) =>
    ["e", "en", "em", "er", "es"].map((ending) => [stem + ending, meaning] as const)
  );
}

/** A weekday with a part of the day: `Freitagnachmittag`. */
const joined = /\b(\p{L}+(?:tag|woch|abend))(morgen|früh|vormittag|nachmittag|abend)s?\b/gu;
/** `Freitag Morgen`, `am Morgen`: not the day after today. */
const ofMorning = /(?<=\b(?:heute|am|\p{L}+tag|mittwoch) )morgen\b/gu;

/** The text in English where it is German, in small letters; any other text as it is. */
export function toEnglish(text: string): string {
  const said = text.normalize("NFC").toLowerCase().replace(joined, "$1 $2");
  if (!(said.match(/\p{L}+/gu) ?? []).some(isGerman)) return text;
  const written = said.replace(ofMorning, "vormittag").replace(/\bein(?= uhr\b)/g, "1")
    .replace(/\p{L}+/gu, translate);
  return readClocks(written).replace(/\bon (?=in the\b)/g, "")
    .replace(/\bon (?=morning|afternoon|evening)/g, "in the ");
}

const isGerman = (word: string) =>
  words.has(word) || germanDigits.has(word) || ordinalOf(word) !== undefined;

function ordinalOf(word: string): string | undefined {
  return ordinals.get(/^(.+t)e[nrms]?$/.exec(word)?.[1] ?? "");
}

function translate(word: string): string {
  const ordinal = ordinalOf(word);
  if (ordinal !== undefined) return `${ordinal}th`;
  return words.get(word) ?? others.get(word) ?? germanDigits.get(word) ??
    germanHomographs.get(word) ?? word;
}

/** `14 Uhr 30`, `halb 3`, `Viertel nach 2`, `10 vor 3`. */
function readClocks(said: string): string {
  const before = (hour: string) => String((Number(hour) + 11) % 12 || 12);
  return said.replace(
    /\b(\d{1,2}) ?uhr (?:and )?(\d{1,2})\b/g,
    (_, hour: string, minute: string) => `${hour}:${minute.padStart(2, "0")}`,
  )
    .replace(/ ?\buhr\b/g, "")
    .replace(/\bhalb (\d{1,2})\b/g, (_, hour: string) => `half past ${before(hour)}`)
    .replace(/\bdreiviertel (\d{1,2})\b/g, "quarter to $1")
    .replace(
      /\b(viertel|\d{1,2}) (nach|vor) (?=\d)/g,
      (_, part: string, direction: string) =>
        `${part === "viertel" ? "quarter" : part} ${direction === "nach" ? "past" : "before"} `,
    )
    .replace(/\bnach\b/g, "after").replace(/\bvor\b/g, "before");
}
