/**
 * GSM-7, the alphabet in which 160 characters fit into one segment. A single character outside of it
 * turns the text into UCS-2 with 70 characters a segment, and every segment costs money.
 *
 * @module
 */

/** How many characters of the basic alphabet fit into a text that costs one segment. */
export const segmentLength = 160;
/** How many fit into each segment of a longer one. */
export const partLength = 153;

/** The basic alphabet of GSM 03.38, one septet each; its extension (`^{}[]~|\\€`) would take two. */
const gsmBasic = new Set(
  "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡" +
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);

/** The characters of a text that are not in the basic alphabet. */
export function findForeign(text: string): string[] {
  return [...new Set(Array.from(text).filter((char) => !gsmBasic.has(char)))];
}

/** How many segments a text of the basic alphabet costs. */
export function countSegments(text: string): number {
  return text.length <= segmentLength ? 1 : Math.ceil(text.length / partLength);
}

/** Letters that Unicode does not decompose, and what replaces them. */
const plainLetters: Readonly<Record<string, string>> = {
  ...{ Ł: "L", ł: "l", Đ: "D", đ: "d", Ð: "D", ð: "d", Þ: "Th", þ: "th", Œ: "OE", œ: "oe" },
  ...{ ı: "i", Ħ: "H", ħ: "h", Ŧ: "T", ŧ: "t", Ŋ: "N", ŋ: "n", ĸ: "k", ẞ: "SS" },
};

/**
 * Converts a name to the basic alphabet of GSM-7: removes accents that the alphabet lacks, straightens
 * quotes and dashes, and drops other characters. Empty when most letters would be dropped, because
 * nobody would recognize the name.
 *
 * @param maxLength The longest result, in characters of one septet each.
 */
export function toGsmText(text: string, maxLength: number): string {
  const straight = text
    .replace(/[\u2018\u2019\u201b\u2032`´]/g, "'")
    .replace(/[\u201c\u201d\u201e\u2033]/g, '"')
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .replace(/\s+/g, " ");
  const basic = Array.from(straight, toBasic).join("").replace(/ +/g, " ").trim();
  if (2 * countLetters(basic) < countLetters(straight.normalize("NFC"))) return "";
  return basic.slice(0, maxLength).trim();
}

function toBasic(char: string): string {
  if (gsmBasic.has(char)) return char;
  const folded = plainLetters[char] ?? char.normalize("NFKD");
  return Array.from(folded).filter((part) => gsmBasic.has(part)).join("");
}

function countLetters(text: string): number {
  return text.match(/\p{L}/gu)?.length ?? 0;
}
