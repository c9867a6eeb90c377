/** Digits and times as people say them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readPhone } from "../../shared/phone.ts";
import { makePasscode } from "../../shared/passcodes.ts";
import { composeText } from "../../shared/texting.ts";
import { readPasscode } from "../../shared/digits.ts";
import { sayTime } from "../../shared/speech.ts";

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
    ["four eight two, nine one three.", "482913"],
    ["It's forty eight, twenty nine, thirteen", "482913"],
    ["four hundred eighty-two thousand nine hundred and thirteen", "482913"],
    ["four hundred and five, two hundred", "405200"],
    ["nought one two treble three", "012333"],
    ["forty eight hundred, twelve", "480012"],
    ["double four double eight double zero", "448800"],
    ["The six-digit code is 482913", "482913"],
    ["Oh, it's 4 8 2 9 1 3", "482913"],
    ["oh yes it is four eight two nine one three", "482913"],
    ["oh four eight two nine one", "048291"],
    ["twenty, one, three four five", "201345"],
    ["\uFF14\uFF18\uFF12\uFF19\uFF11\uFF13", "482913"],
    ["482,913", "482913"],
    ["User's Keypad Entry: 4829", undefined],
    ["482913, no, 482931", undefined],
    ["482913 or 482931", undefined],
    // 21 40 85, or 20 1 48 5: two codes can be meant.
    ["twenty one forty eight five", undefined],
    ["constructor toString", undefined],
    ["four eight two", undefined],
    ["482913.0", undefined],
    [Number.NaN, undefined],
    ["12345", undefined],
    ["1234567", undefined],
    ["", undefined],
    [-1, undefined],
    [1.5, undefined],
    [1_000_000, undefined],
  ];
  for (const [given, expected] of said) assert.equal(readPasscode(given), expected, String(given));
});

const digitWords: readonly (readonly string[])[] = [
  ["zero", "oh", "o", "nought", "0", "\uFF10"],
  ...["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    .map((word, index) => [word, String(index + 1), String.fromCharCode(0xFF11 + index)]),
];
const teenWords = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
  .split(" ");
const tenWords = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ");
const wordOf = (digit: string | undefined) => digitWords[Number(digit)]?.[0] ?? "";

/** Every way to say the next digits of a code: what is said, and how many digits that was. */
function waysToSay(digits: string, joint: string): { said: string; count: number }[] {
  const [first = "", second = "", third = ""] = digits;
  const ways = (digitWords[Number(first)] ?? []).map((said) => ({ said, count: 1 }));
  if (first === second) ways.push({ said: `double ${wordOf(first)}`, count: 2 });
  if (first === second && second === third) {
    ways.push({ said: `triple ${wordOf(first)}`, count: 3 }, { said: `treble ${first}`, count: 3 });
  }
  const pair = Number(first + second);
  const below = (value: number) =>
    value < 10 ? wordOf(String(value)) : value < 20 ? teenWords[value - 10] ?? "" : [
      tenWords[Math.floor(value / 10) - 2],
      ...value % 10 === 0 ? [] : [wordOf(String(value % 10))],
    ].join(joint);
  if (second !== "" && pair >= 10) ways.push({ said: below(pair), count: 2 });
  if (third !== "" && first !== "0") {
    const rest = Number(second + third);
    const tail = rest === 0 ? "" : ` and ${below(rest)}`;
    ways.push({ said: `${wordOf(first)} hundred${tail}`, count: 3 });
  }
  return ways;
}

/** A code and the same said aloud, at every place in a way drawn from all. */
function spoken({ joint, pause }: { joint: string; pause: fc.Arbitrary<string> }) {
  return fc.tuple(
    fc.integer({ min: 0, max: 999_999 }).map((value) => String(value).padStart(6, "0")),
    fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
    fc.array(pause, { minLength: 6, maxLength: 6 }),
    fc.constantFrom("", "It's ", "The code is: ", "um, I think it's ", "User's Keypad Entry: "),
    fc.constantFrom("", ".", "#", " please", ", that's it"),
  ).map(([code, choices, pauses, opening, ending]) => {
    let said = opening;
    for (let at = 0, step = 0; at < code.length; step++) {
      const ways = waysToSay(code.slice(at), joint);
      const way = ways[(choices[step] ?? 0) % ways.length];
      said += (at === 0 ? "" : pauses[step]) + (way?.said ?? "");
      at += way?.count ?? 1;
    }
    return { code, said: said + ending };
  });
}

Deno.test("any six digits are read back in any form they can be said in, with pauses", () => {
  fc.assert(
    fc.property(
      spoken({ joint: "-", pause: fc.constantFrom(", ", "; ", ". ", " ... ") }),
      ({ code, said }) => assert.equal(readPasscode(said), code, said),
    ),
    { numRuns: 5000 },
  );
});

Deno.test("without pauses a code is read back or asked for again, never taken for another", () => {
  let understood = 0;
  fc.assert(
    fc.property(spoken({ joint: " ", pause: fc.constant(" ") }), ({ code, said }) => {
      const read = readPasscode(said);
      if (read !== undefined) understood++;
      assert.ok(read === code || read === undefined, `${said}: ${read}, not ${code}`);
    }),
    { numRuns: 5000 },
  );
  assert.ok(understood > 4000, `${understood} of 5000 were understood`);
});

Deno.test("nothing that is said makes the reading of digits fail", () => {
  const word = fc.constantFrom(
    ...digitWords.flat(),
    ...teenWords,
    ...tenWords,
    ...["hundred", "thousand", "double", "and", "a", "oh", "-", ","],
  );
  const anything = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(word).map((all) => all.join(" ")),
  );
  fc.assert(
    fc.property(anything, (said) => {
      const code = readPasscode(said.slice(0, 200));
      assert.ok(code === undefined || /^[0-9]{6}$/.test(code), `${said}: ${code}`);
    }),
    { numRuns: 2000 },
  );
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
