/** Digits and times as people say them. */
import assert from "node:assert/strict";
import { readPhone } from "../../shared/phone.ts";
import { composeText, makePasscode } from "../../shared/otp.ts";
import { readPasscode, sayTime } from "../../shared/speech.ts";

Deno.test("a passcode is read however it was said, typed or passed on", () => {
  const said: [string | number, string | undefined][] = [
    ["482913", "482913"],
    [482913, "482913"],
    [42, "000042"],
    ["4 8 2 9 1 3", "482913"],
    ["4-8-2, 9-1-3.", "482913"],
    ["four eight two, double nine one", "482991"],
    ["triple oh one two three", "000123"],
    ["forty-eight twenty nine thirteen", "482913"],
    ["four hundred and eighty two nine one three", "482913"],
    ["User's Keypad Entry: 482913", "482913"],
    ["The code is 4 8 2 nine one 3#", "482913"],
    ["12345", undefined],
    ["1234567", undefined],
    ["", undefined],
    [-1, undefined],
    [1.5, undefined],
    [1_000_000, undefined],
  ];
  for (const [given, expected] of said) assert.equal(readPasscode(given), expected, String(given));
});

Deno.test("times are said in clinic time", () => {
  assert.equal(sayTime("2026-03-03T14:30:00+00:00"), "Tuesday 3 March at 2:30 PM");
  assert.equal(sayTime("2026-03-03T09:00:00-05:00"), "Tuesday 3 March at 9 AM");
  assert.equal(sayTime("2026-03-03T12:00:00+00:00"), "Tuesday 3 March at noon");
});

Deno.test("phone numbers are read with the country of the clinic", async () => {
  const read = (given: string) => readPhone(given, ["+442079460123"]);
  const uk = { kind: "phone", e164: "+447700900456", country: "GB" };
  assert.deepEqual(await read("07700 900456"), uk);
  assert.deepEqual(await read("+44 (0)7700 900456"), uk);
  assert.deepEqual(await read("oh seven seven double oh nine hundred four five six"), uk);
  assert.deepEqual(await read("+1 (212) 555-0123"), {
    kind: "phone",
    e164: "+12125550123",
    country: "US",
  });
  const caribbean = await read("+1 876 555 0123");
  assert.equal(caribbean.kind === "phone" && caribbean.country, "JM");
  assert.deepEqual(await read("0909 879 0000"), { kind: "premium" });
  assert.deepEqual(await read("12"), { kind: "unclear" });
});

Deno.test("the text is one GSM-7 segment whatever the clinic is called", () => {
  for (
    const name of ["Sunrise Dental", "Zahnärzte “Łódź” & Söhne – Praxis für alle", "東京歯科", ""]
  ) {
    for (const seconds of [300, 299, 60, 45]) {
      const text = composeText("482913", name, seconds);
      assert.ok(text.length <= 160, `${text.length}: ${text}`);
      assert.match(text, /^482913 is your /);
      assert.doesNotMatch(text, /[^\x20-\x7eäöüÄÖÜßéèàùìòñÑ£¥§¿¡ÆæØøÅåÇÉ]/);
    }
  }
});

Deno.test("passcodes are six digits, all digits at all places", () => {
  const seen = Array.from({ length: 6 }, () => new Set<string>());
  for (let draw = 0; draw < 2000; draw++) {
    const code = makePasscode();
    assert.match(code, /^\d{6}$/);
    seen.forEach((digits, place) => digits.add(code[place] ?? ""));
  }
  assert.ok(seen.every((digits) => digits.size === 10));
});
