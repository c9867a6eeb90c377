/** Spoken times, and the text of a passcode. */
import assert from "node:assert/strict";
import { makePasscode } from "../../shared/passcodes.ts";
import { composeText } from "../../shared/texting.ts";
import { sayTime } from "../../shared/speech.ts";

Deno.test("times are said in clinic time", () => {
  assert.equal(sayTime("2026-03-03T14:30:00+00:00"), "Tuesday 3 March at 2:30 PM");
  assert.equal(sayTime("2026-03-03T09:00:00-05:00"), "Tuesday 3 March at 9 AM");
  assert.equal(sayTime("2026-03-03T12:00:00+00:00"), "Tuesday 3 March at noon");
});

Deno.test("the text is one GSM-7 segment whatever the clinic is called", () => {
  for (
    const name of ["Sunrise Dental", "Zahnärzte “Łódź” & Söhne – Praxis für alle", "東京歯科", ""]
  ) {
    for (const seconds of [300, 299, 60, 45]) {
      const text = composeText("482913", {
        clinic: name,
        purpose: "confirm",
        expiresInSeconds: seconds,
      });
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
