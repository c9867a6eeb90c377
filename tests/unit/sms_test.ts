/** The text of a passcode fits into one segment. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { toGsmText } from "../../shared/gsm.ts";
import { composeText } from "../../shared/texting.ts";
import { anyText } from "../support/any_text.ts";
import { atLength } from "../support/length.ts";

/** GSM 03.38 by code point: a character of the basic table takes one septet, one of the extension two. */
const basicTable = [
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ",
  " !\"#¤%&'()*+,-./0123456789:;<=>?",
  "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§",
  "¿abcdefghijklmnopqrstuvwxyzäöñüà",
].join("");
const extension = "\f^{}\\[~]|€";

/**
 * How many septets a text takes; undefined if it would be sent as UCS-2, with 70 characters per
 * segment.
 */
function countSeptets(text: string): number | undefined {
  let septets = 0;
  for (const char of text) {
    if (basicTable.includes(char)) septets += 1;
    else if (extension.includes(char)) septets += 2;
    else return undefined;
  }
  return septets;
}

const anyName = fc.oneof(
  anyText(120),
  fc.string({ unit: "grapheme", maxLength: 120 }),
  fc.string({
    unit: fc.constantFrom(...extension, "€", "É", "ß", "ł", "́", "Я", " "),
    maxLength: 60,
  }),
);

Deno.test("the text is one segment whatever the clinic is called, code first", () => {
  const seed = Number(Deno.env.get("SEED") ?? Math.trunc(Math.random() * 2 ** 31));
  fc.assert(
    fc.property(anyName, fc.integer({ min: 0, max: 300 }), (name, seconds) => {
      const text = composeText("482913", {
        clinic: name,
        purpose: "confirm",
        expiresInSeconds: seconds,
      });
      const septets = countSeptets(text);
      assert.ok(septets !== undefined && septets <= 160, `${septets} septets: ${text}`);
      assert.match(text, /^482913 is your \S/);
    }),
    { seed, numRuns: atLength({ short: 400, full: 2000 }) },
  );
});

Deno.test("a clinic's name keeps its letters where GSM-7 has them", () => {
  const names: [string, string][] = [
    ["Sunrise Dental", "Sunrise Dental"],
    ["Clínica São José", "Clinica Sao José"],
    ["Łódź Dental – “Uśmiech”", 'Lodz Dental - "Usmiech"'],
    ["O’Brien & Sons", "O'Brien & Sons"],
    ["Bäckström Tandvård", "Bäckström Tandvård"],
    ["Smile [North] | €99 ~ {Ltd}", "Smile North 99 Ltd"],
    ["Straße der Zähne", "Straße der Zähne"],
    ["A very long name of a clinic in the north", "A very long name of a cli"],
    ["Дентал 24", ""],
    ["北京牙科", ""],
    ["北京 Dental Clinic", "Dental Clinic"],
    ["  \n\t ", ""],
    ["\u0000\u200b\ud800", ""],
  ];
  for (const [name, kept] of names) assert.equal(toGsmText(name, 25), kept);
});
