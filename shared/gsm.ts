/**
 * GSM-7, the alphabet of a text that fits 160 characters into one segment: one other character, and
 * it goes out as UCS-2, 70 to a segment, and costs as many texts.
 *
 * @module
 */

/** GSM 03.38's basic alphabet: one septet each. Its extension (`^{}[]~|\\€`) takes two, and is out. */
const gsmBasic = new Set(
  "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡" +
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);

/** Letters that have no accent to fold away. */
const plainLetters: Readonly<Record<string, string>> = {
  ...{ Ł: "L", ł: "l", Đ: "D", đ: "d", Ð: "D", ð: "d", Þ: "Th", þ: "th", Œ: "OE", œ: "oe" },
  ...{ ı: "i", Ħ: "H", ħ: "h", Ŧ: "T", ŧ: "t", Ŋ: "N", ŋ: "n", ĸ: "k", ẞ: "SS" },
};

/**
 * A name in GSM-7's basic alphabet, so that a text stays one segment: accents that it lacks are
 * folded, quotes and dashes straightened, the rest left out. Empty when most of the letters would be
 * left out: half a name in another script is none.
 *
 * @param maxLength Longest result, in characters, each one septet.
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
