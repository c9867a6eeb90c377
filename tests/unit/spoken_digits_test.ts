/** Digits as people say them: passcodes and numbers, by the same grammar as redaction's. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readPhone } from "../../shared/phone.ts";
import { redact } from "../../shared/redaction.ts";
import { readPasscode } from "../../shared/spoken_digits.ts";
import { anyText } from "../support/any_text.ts";
import { atLength } from "../support/length.ts";
import { spokenNumbers } from "../support/spoken_numbers.ts";

// 22 5 00 22 763 or 22 522 700 63: it is ambiguous, so the caller is asked again.
const twofold = "plus one... twenty two, five hundred twenty-two seven hundred sixty three";
const london = "+442079460123";
const newYork = "+12125550123";

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
    ["vier acht zwo, neun eins drei", "482913"],
    ["achtundvierzig neunundzwanzig dreizehn", "482913"],
    ["Null null sieben, äh, elf drei", "007113"],
    ["doppel vier zwei, neun eins drei", "442913"],
    ["dreimal die Null, zweimal Fünf und eine 6, also 000556", "000556"],
    ["vierhundertzweiundachtzig neunhundertdreizehn", "482913"],
    ["vierhundertzwei, neunhundertelf", "402911"],
    ["zweimal täglich, dreimal", undefined],
    ["null null sieben und dann eins zwei drei", "007123"],
    ["null null null null null null", undefined],
    ["elf, elf, null, null", undefined],
    ["The code is 4 8 2 nine one 3#", "482913"],
    ["four eight two, nine one three.", "482913"],
    ["It's forty eight, twenty nine, thirteen", "482913"],
    ["four hundred eighty-two thousand nine hundred and thirteen", "482913"],
    ["four hundred eighty two thousand, nine hundred thirteen", "482913"],
    ["four hundred eighty two thousand 913", "482913"],
    ["482 thousand 913", "482913"],
    ["482 thousand, 913", "482913"],
    ["482 thousand and 13", "482013"],
    ["482 thousand", undefined],
    ["it costs 482 thousand and I have 913 of them", undefined],
    ["four eighty-two nine thirteen", "482913"],
    ["four eighty two nine hundred thirteen", "482913"],
    ["four for two nine won three", "442913"],
    ["four eight too nine one three", "482913"],
    ["four ate for two nine one", "484291"],
    ["for eight two nine one three", "482913"],
    ["four eight two nine won for", "482914"],
    ["the code is for you: 482913", "482913"],
    ["I got to 482913, which is too long for me", "482913"],
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
    ["482913, no, 482931", "482931"],
    ["482913 or 482931", undefined],
    // 21 40 85, or 20 1 48 5: two codes are possible.
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

Deno.test('a last digit "one" and a sentence that begins with "one" are told apart', async () => {
  const said: [string, string | undefined][] = [
    ["four eight two nine three one that's it", "482931"],
    ["four eight two nine three one I think", "482931"],
    ["four eight two nine three one of course", "482931"],
    ["four eight two nine three one sec", "482931"],
    ["4 8 2 9 3 one sec", "482931"],
    ["four eight two nine one three one sec", "482913"],
    ["four eight two nine one three one moment please", "482913"],
    ["4 8 2, one moment, 9 1 3", "482913"],
    ["482913 one of the two I got", "482913"],
    ["Oh one sec, it's 482913", "482913"],
    ["eighty five eight two four one that's it", "858241"],
    // 85 8 2 4 1, or 80 5 8 2 4 and a second to wait.
    ["eighty five eight two four one sec", undefined],
  ];
  for (const [given, expected] of said) assert.equal(readPasscode(given), expected, given);
  const number = "oh seven seven double oh nine double oh one two";
  for (const ending of ["that's it", "I think", "sec", "one sec", "one moment please"]) {
    const given = `${number} one ${ending}`;
    assert.deepEqual(await readPhone(given, [london]), texted("+447700900121"), given);
  }
  const tooLong = "oh seven eighty double oh nine double oh one two one I think";
  assert.equal((await readPhone(tooLong, [london])).kind, "unclear");
});

const texted = (e164: string) => ({ kind: "phone", e164, country: "GB" });

Deno.test("an Oh before a zero can be one more or an exclamation", async () => {
  const british = texted("+447795123456");
  for (
    const given of [
      "Oh, oh seven seven nine five one two three four five six",
      "oh zero seven seven nine five one two three four five six",
      "Oh, 07795 123456",
    ]
  ) assert.deepEqual(await readPhone(given, [london]), british, given);
  // 07 95 1234567 near London, or 00 7 905 1234567 in Russia.
  const twoCountries = "oh zero seven ninety five one two three four five six seven";
  assert.equal((await readPhone(twoCountries, [london])).kind, "unclear");
  assert.equal(readPasscode("Oh, oh four eight two nine one"), "048291");
  assert.equal(readPasscode("oh oh four eight two nine"), "004829");
  assert.equal(readPasscode("Oh, 048291"), "048291");
  assert.equal(readPasscode("Oh double oh four eight two nine"), "004829");
});

Deno.test("a last digit that seems to count something never shortens a number without asking", async () => {
  const german = "plus four nine one five one two three four five six seven eight";
  for (const ending of ["two three minutes ago", "three hundred percent"]) {
    const given = `${german} ${ending}`;
    assert.equal((await readPhone(given, [london])).kind, "unclear", given);
  }
  const whole = "oh seven seven double oh nine double oh one two one minutes ago";
  assert.deepEqual(await readPhone(whole, [london]), texted("+447700900121"));
  assert.equal(readPasscode("four eight two nine one three five minutes ago"), "482913");
  assert.equal(readPasscode("482913, five minutes ago"), "482913");
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

/** Every way to say the next digits of a code, with the number of digits that each says. */
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

/** A code, and the same code in words drawn from all ways to say it. */
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

const numRuns = atLength({ short: 800, full: 5000 });

Deno.test("any six digits are read back in any form they can be said in, with pauses", () => {
  fc.assert(
    fc.property(
      spoken({ joint: "-", pause: fc.constantFrom(", ", "; ", ". ", " ... ") }),
      ({ code, said }) => assert.equal(readPasscode(said), code, said),
    ),
    { numRuns },
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
    { numRuns },
  );
  assert.ok(understood > numRuns * 0.75, `${understood} of ${numRuns} were understood`);
});

Deno.test("reading digits never fails, whatever is said", () => {
  const word = fc.constantFrom(
    ...digitWords.flat(),
    ...teenWords,
    ...tenWords,
    ...["hundred", "thousand", "double", "and", "a", "oh", "-", ","],
  );
  const anything = fc.oneof(
    anyText(100),
    fc.array(word).map((all) => all.join(" ")),
  );
  fc.assert(
    fc.property(anything, (said) => {
      const code = readPasscode(said.slice(0, 200));
      assert.ok(code === undefined || /^[0-9]{6}$/.test(code), `${said}: ${code}`);
    }),
    { numRuns },
  );
});

Deno.test("a code is found among other figures, said twice, interrupted and corrected", () => {
  const text =
    "is your Sunrise Dental code to confirm your appointment. Read it to our assistant on " +
    "this call. Expires in 5 min. We never call to ask for it.";
  const said: [string, string | undefined][] = [
    [`482913 ${text}`, "482913"],
    [`four eight two nine one three ${text}`, "482913"],
    ["482913 is your Clinic 24 code to change your appointment. Expires in 4 min.", "482913"],
    ["it came at 14:30, 482913", "482913"],
    ["482913 and I'm on 07700 900456", "482913"],
    ["you asked for 6 digits: 482913", "482913"],
    ["code 1: 482913", "482913"],
    ["482913, am I right?", "482913"],
    ["482913, I repeat, 482913", "482913"],
    ["four eight two nine one three, that's four eight two nine one three", "482913"],
    ["482913, 4 8 2 9 1 3", "482913"],
    ["it's, hang on, 4 8 2, 9 1 3", "482913"],
    ["4 8 2, hang on, let me just look again, 9 1 3", "482913"],
    ["4 8 2 ... one moment ... 9 1 3", "482913"],
    ["482 913, no, 482 931", "482931"],
    ["482913. Scratch that, 482 931", "482931"],
    ["4 8 2, 9 1 3, sorry, 9 3 1", "482931"],
    ["four eight two, nine one four, no wait, nine one three", "482913"],
    ["4 8 2 9 1 4, sorry, 3", "482913"],
    ["no. 482913", "482913"],
    // It is unclear which digit is wrong, or which of two codes is meant.
    ["482913, no, the 3 is a 4", undefined],
    ["482913, sorry, the last one is a 4", undefined],
    ["I got two codes, 482913 and 482931", undefined],
    ["not 482913 but 482931", undefined],
    // Parts of two numbers do not make a code.
    ["my code is 4829 and it expires in 13", undefined],
    ["482 and my house number is 913", undefined],
    ["482913 5", undefined],
    ["482 482 913", undefined],
    ["oh, it's 4 8 2 9 1", undefined],
    ["oh 4 8 2 9 1", "048291"],
  ];
  for (const [given, expected] of said) assert.equal(readPasscode(given), expected, given);
});

Deno.test("digits are read in any script, with the letter O, and by the words that sound like them", () => {
  const said = [
    ...["\u0664\u0668\u0662\u0669\u0661\u0663", "\u096a\u096e\u0968\u096f\u0967\u0969"],
    ...["four eight to nine won three", "4 8 2 niner one three", "482 nine, one, three"],
    ...["double two, no sorry, four eight two nine one three"],
  ];
  for (const given of said) assert.equal(readPasscode(given), "482913", given);
  assert.equal(readPasscode("O4829O"), "048290");
  assert.equal(readPasscode("O4829O1"), undefined);
  assert.equal(readPasscode("O482OO"), "048200");
  assert.equal(readPasscode("two fives, five twice, quadruple one"), undefined);
  assert.equal(readPasscode("two fives, quadruple one"), "551111");
  assert.equal(readPasscode("five twice, quadruple one"), "551111");
});

/** A code, and remarks around it that contain no six digits. */
const remarks = fc.constantFrom(
  ...[
    "",
    "It says ",
    "The text came at 14:30. ",
    "I have 2 texts, the newest is ",
    "Room 12, code ",
  ],
  ...[
    "I think it was 3 minutes ago. ",
    "My number is 07700 900456, the code is ",
    "Expires in 5 min: ",
  ],
);

Deno.test("a code among other figures is read back or asked for again, never taken for another", () => {
  let understood = 0;
  fc.assert(
    fc.property(
      remarks,
      spoken({ joint: "-", pause: fc.constantFrom(", ", " ", "; ") }),
      fc.constantFrom("", ". It expires in 5 minutes", ", I'm in room 7", ". Born in 1984"),
      (before, { code, said }, after) => {
        const read = readPasscode(before + said + after);
        if (read !== undefined) understood++;
        assert.ok(read === code || read === undefined, `${before}${said}${after}: ${read}`);
      },
    ),
    { numRuns },
  );
  assert.ok(understood > numRuns * 0.8, `${understood} of ${numRuns} were understood`);
});

Deno.test("the last version of a corrected code counts, or the caller is asked again", () => {
  const codes = fc.integer({ min: 0, max: 999_999 }).map((value) => String(value).padStart(6, "0"));
  const words = fc.constantFrom(", no, ", ". Sorry, ", ", I mean ", " no wait, ", ", correction, ");
  fc.assert(
    fc.property(codes, codes, words, fc.integer({ min: 1, max: 6 }), (code, other, sorry, kept) => {
      const wrong = code.slice(0, 6 - kept) + other.slice(6 - kept);
      const again = code.slice(6 - kept);
      for (const say of [(digits: string) => [...digits].join(" "), sayWords]) {
        const said = `${say(wrong)}${sorry}${say(again)}`;
        assert.equal(readPasscode(said), code, said);
      }
    }),
  );
});

const sayWords = (digits: string) => [...digits].map(wordOf).join(" ");

Deno.test("a number that can be read as two is asked for again", async () => {
  assert.equal((await readPhone(twofold, [newYork])).kind, "unclear");
});

Deno.test("redaction cuts the same digits as a number that a tool reads", async () => {
  const seed = 20_261_101;
  const spoken = fc.sample(spokenNumbers, { numRuns: 400, seed });
  let [both, found] = [0, 0];
  for (const { text, parts, digits } of spoken) {
    if (parts.length > 1) continue;
    const [number = ""] = parts;
    const cut = redact(text).spans.some(({ start, end }) =>
      text.slice(start, end).includes(number)
    );
    if (cut) found++;
    const clinic = digits.startsWith("0") || digits.startsWith("+44") ? london : newYork;
    const read = await readPhone(number, [clinic]);
    if (read.kind !== "phone") continue;
    const national = digits.replace(/^0|^\+?1(?=\d{10}$)/, "");
    assert.ok(
      read.e164.endsWith(national.replace("+", "")),
      `${number}: ${read.e164} (seed ${seed})`,
    );
    if (cut) both++;
  }
  assert.ok(both > 100 && both > found * 0.5, `${both} of ${found} are read (seed ${seed})`);
});
