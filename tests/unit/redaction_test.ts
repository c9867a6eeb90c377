// deno-lint-ignore-file no-console -- the figures are read by people
/** What redaction finds, what it leaves, what it promises for any text, and how long it takes. */
import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import process from "node:process";
import fc from "fast-check";
import { getCountries, getCountryCallingCode, Metadata } from "libphonenumber-js/max";
import { redact, type RedactionType } from "../../shared/redaction.ts";
import { callingCodes } from "../../shared/calling_codes.ts";
import { isIpv6 } from "../../shared/redaction/identifiers.ts";
import { anyText } from "../support/any_text.ts";
import { atLength } from "../support/length.ts";
import { spokenNumbers } from "../support/spoken_numbers.ts";
import { redactionCorpus } from "./redaction_corpus.ts";
import { redactAll, score } from "./redaction_score.ts";

const types: readonly RedactionType[] = [
  ...["PHONE", "OTP", "EMAIL", "CARD", "NHS", "SSN", "NINO", "IBAN", "IP"] as const,
];
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

for (const [name, corpus] of Object.entries(redactionCorpus)) {
  Deno.test(`redact finds what must be removed in the ${name} cases and destroys nothing`, () => {
    const cases = redactAll(corpus);
    console.log(`\n${name}: ${cases.length} cases`);
    for (const type of [undefined, ...types]) {
      const { precision, recall, f1, found, wanted } = score(cases, type);
      if (found + wanted === 0) continue;
      const figures = [precision, recall, f1].map(percent).join("  ");
      console.log(`  ${(type ?? "all").padEnd(6)} ${String(wanted).padStart(4)}  ${figures}`);
    }
    const { destroyed, wrong } = score(cases);
    console.log(`  precision, recall, F1; destroyed: ${destroyed}`);
    for (const each of wrong) console.log(`  ${each}`);
    const phone = score(cases, "PHONE");
    assert.ok(phone.precision >= 0.97 && phone.recall >= 0.94 && phone.f1 >= 0.96);
    for (const type of types) assert.ok(score(cases, type).f1 >= 0.95, `${type} in ${name}`);
    assert.equal(destroyed, 0);
  });
}

Deno.test("redact finds 95 % of 500 numbers spoken at random", () => {
  const seed = Date.now() % 2 ** 31;
  const spoken = fc.sample(spokenNumbers, { numRuns: 500, seed });
  const missed = spoken.filter(({ text, parts }) => {
    const { spans } = redact(text);
    let from = 0;
    return !parts.every((part) => {
      const start = text.indexOf(part, from);
      from = start + part.length;
      return spans.some((span) =>
        span.type === "PHONE" && span.start <= start && span.end >= start + part.length
      );
    });
  });
  const recall = 1 - missed.length / spoken.length;
  console.log(`\nspoken at random: ${percent(recall)} of ${spoken.length} (seed ${seed})`);
  for (const { text } of missed.slice(0, 5)) console.log(`  missed ${JSON.stringify(text)}`);
  assert.ok(recall >= 0.95);
});

const written = [
  ...["07700 900123", "07700900123", "020 7946 0123", "0113 496 0018", "07700-900-123"],
  ...["+44 7700 900123", "+447700900123", "0044 7700 900123", "+33 6 12 34 56 78"],
  ...["(212) 555-0143", "212-555-0143", "212.555.0143", "212 555 0143", "+1 212 555 0143"],
  ...["+12125550143", "1-212-555-0143", "oh seven seven double oh nine hundred one two three"],
  ...["zero seven seven zero zero, nine zero zero, one two three"],
  ...["two one two, five five five, oh one four three"],
];
/** Recognized as numbers only because somebody asked for one. */
const asked = [
  ...["2125550143", "5550143", "555-0143", "555 0143", "12125550143", "447700900123"],
  ...["four oh one oh two three two"],
];
const sentences = [
  ...["X", "(X)", "X is fine", "her mum - X", "Dr Patel, X, is away", "Yes, X", "no, X", "so X"],
  ...[
    "it was X",
    "John Smith X",
    "Smith, John X",
    "M: X",
    "'X'",
    '"X"',
    "<X>",
    "[X]",
    "X;",
    "X!",
    "X?",
  ],
  ...["On 2026-03-03 call X", "at 14:30 call X", "Room 12, X", "BP 120/80, tel X", "Order 1234, X"],
  ...[
    "- X",
    "* X",
    "1. X",
    "a) X",
    "#1 X",
    "X (home)",
    "X / 14:30",
    "X | 14:30",
    "X\t14:30",
    "14:30 X",
  ],
  ...[
    "£50 X",
    "X x",
    "Hi X",
    "the line X rang out",
    "from X",
    "to X",
    "at X by 9",
    "User: X",
    "AI: X?",
  ],
];
const questions = [
  ...[
    "my number is X",
    "call me on X",
    "phone: X",
    "Phone X",
    "mobile X",
    "contact number X",
    "cell: X",
  ],
  ...[
    "AI: What's your phone number?\nUser: X",
    "AI: And the best number to call?\nUser: Yeah it's X",
  ],
  ...[
    '{"phone":"X"}',
    '{"contactPhone": "X"}',
    "callback number X please",
    "text X",
    "Tel. X",
    "Ph X",
  ],
  ...[
    "you can reach me at X",
    "her number's X",
    "What's your number? X",
    "number to call is X",
    "dial X",
  ],
  ...["WhatsApp X", "fax X", "My mobile, X", "Home phone = X"],
];

Deno.test("redact finds a phone number in any sentence, and a short one where it was asked for", () => {
  const find = (sentence: string, number: string) =>
    assert.equal(
      redact(sentence.replace("X", number)).text,
      sentence.replace("X", "[REDACTED: PHONE]"),
      sentence.replace("X", number),
    );
  for (const number of written) for (const each of [...sentences, ...questions]) find(each, number);
  for (const number of asked) for (const each of questions) find(each, number);
});

const nouns =
  ("order invoice reference ref tracking ticket case claim account policy member MRN NPI " +
    "confirmation booking serial batch lot model part barcode transaction prescription passport licence " +
    "encounter accession specimen chart group subscriber referral parcel customer employee vendor sample " +
    "study device inventory catalogue quote contract permit vehicle engine voucher application incident " +
    "requisition report document cheque deposit loan charity student library locker flight row widget")
    .split(" ");
const ownings = [
  ...[
    "N number X",
    "N number: X",
    "N no. X",
    "N # X",
    "N #X",
    "N ID X",
    "N ID: X",
    "the N number is X",
  ],
  ...[
    "my N number is X",
    "N number was X",
    "X is the N number",
    "X is my N number",
    "N reference X",
  ],
  ...["AI: What is the N number?\nUser: X", "AI: Can I have your N number?\nUser: yes it's X"],
];

Deno.test("redact leaves a noun's number, whatever it looks like", () => {
  const ids = [
    "5551234567",
    "555-123-4567",
    "07700900123",
    "212 555 0143",
    "1234567890",
    "9434765919",
  ];
  for (const noun of nouns) {
    for (const owning of ownings) {
      for (const id of ids) {
        const text = owning.replace("N", noun).replace("X", id);
        assert.equal(redact(text).text, text);
      }
    }
  }
});

Deno.test("redact leaves text outside of its markers alone, and its spans say where they were", () => {
  checkAnyText((text) => {
    const { text: redacted, spans } = redact(text);
    let [rebuilt, at] = ["", 0];
    for (const { start, end, type } of spans) {
      assert.ok(start >= at && end > start && end <= text.length);
      rebuilt += `${text.slice(at, start)}[REDACTED: ${type}]`;
      at = end;
    }
    assert.equal(redacted, rebuilt + text.slice(at));
  });
});

Deno.test("redact gives offsets into the input even for what an earlier redaction reveals", () => {
  const { text, spans } = redact("ada@example.co 943 476 5919 8");
  assert.equal(text, "[REDACTED: EMAIL] [REDACTED: NHS] 8");
  assert.deepEqual(spans, [
    { start: 0, end: 14, type: "EMAIL" },
    { start: 15, end: 27, type: "NHS" },
  ]);
});

Deno.test("redact changes nothing when it is asked again", () => {
  checkAnyText((text) => {
    const { text: once } = redact(text);
    assert.deepEqual(redact(once), { text: once, spans: [] });
  });
});

Deno.test("redact finds only the types that are asked for", () => {
  checkAnyText((text) => {
    const { spans } = redact(text, { types: ["EMAIL"] });
    assert.ok(spans.every(({ type }) => type === "EMAIL"));
  });
});

/** Random Unicode, mixed with the parts of numbers. */
function checkAnyText(check: (text: string) => void): void {
  const parts = [
    ..."0123456789 -.()/+,:;@\n\"'{}[]#%&=\u200b\u00a0\ufeff\u20e3",
    ..."٠٧９０𝟎🅰💬£\ud83d\udc00",
    ...["07700", "900", "123", "415", "555", "oh", "seven", "double", "nine hundred", "plus", "um"],
    ...["code", "phone", "order", "is", "my", "number", "dot", "at", "gmail", "com", "NHS", "card"],
    ...["AI:", "User:", "\nAI: ", "\nUser: ", "What's your number?", "[REDACTED: PHONE]", "QQ"],
    ...["2026-03-03", "14:30", "GB82WEST12345698765432", "10.0.0.1", "::1", "-800-", "FLOWERS"],
    ...["a@b.co", "4242424242424242", "943 476 5919", "219-09-9999", "1-", "+44", " ", " ", " "],
  ];
  const texts = fc.oneof(
    anyText(60),
    fc.array(fc.constantFrom(...parts), { maxLength: 40 }).map((words) => words.join("")),
    fc.array(fc.constantFrom(...parts), { maxLength: 30 }).map((words) => words.join(" ")),
  );
  fc.assert(fc.property(texts, check), { numRuns: atLength({ short: 150, full: 1500 }) });
}

Deno.test("redact reads a number whatever stands between its digits and whatever script it is in", () => {
  const digits = "07700900123";
  for (
    const between of ["\u200b", "\u00a0", "\u2009", "\u2060", "\ufeff", "\u00ad", "‑", "–", ". "]
  ) {
    const text = `mobile ${[...digits].join(between)}`;
    assert.equal(redact(text).text, "mobile [REDACTED: PHONE]", JSON.stringify(between));
  }
  for (const zero of [0x660, 0x6f0, 0x966, 0xff10, 0x1d7ce, 0x1d7d8]) {
    const written = [...digits].map((digit) => String.fromCodePoint(zero + Number(digit))).join("");
    assert.equal(redact(`mobile ${written}`).text, "mobile [REDACTED: PHONE]");
  }
  const keycaps = [...digits].map((digit) => `${digit}\ufe0f\u20e3`).join("");
  assert.match(redact(keycaps).text, /^\[REDACTED: PHONE\]/);
});

/** Length of a text; a quarter of it still takes long enough to be measured. */
const worstLength = atLength({ short: 20_000, full: 50_000 });

const worstTexts = [
  "card 4111 1111 1111 1111 123 ",
  ...["a@", "a.b@c.de ", "a at b dot ", "at dot at ", "User: at ", "email is a at gmail dot com "],
  ...[
    "1",
    "1-",
    "1.",
    "1,",
    "1:",
    "1\u200b",
    "1 2 3 7 ",
    "07700 ",
    "07700 900123 ",
    "٠",
    "𝟎",
    "💬",
  ],
  ...["double ", "double oh ", "nine hundred and twenty one ", "phone number is 12 ", "code ", " "],
  ...["[", "(", "+", '"', "\\", '{"a":', "[REDACTED: ", "\ud83d", "%2B44 ", "User:", "ab:", "A-"],
  ...["User: oh seven\nAI: ok\n", "10.0.0.1,", "1.1.1.1 ", "GB82 ", "GB82 WEST ", "800-A"],
  ...["A B 1 2 3 4 5 6 ", "Ada: 1\n", "a ".repeat(9) + "at ", "\n", "01/02/", "Bearer "],
];

/** Milliseconds of processor time, which other load on the machine hardly changes. */
function measure(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

Deno.test("redact takes time in proportion to the text, even when the text is made to be slow", async (t) => {
  const said = Object.values(redactionCorpus).flat().map(({ text }) => text).join("\n");
  const ordinary = said.repeat(Math.ceil(worstLength / said.length)).slice(0, worstLength);
  let ordinaryMs = measure(() => redact(ordinary));
  let slowest = 0;
  for (const part of worstTexts) {
    const whole = part.repeat(Math.ceil(worstLength / part.length));
    const fourth = whole.slice(0, whole.length / 4);
    let [wholeMs, fourthMs] = [Infinity, Infinity];
    // Linear is 4, quadratic is 16; fast ones show neither. The best of some rounds counts.
    const isSlow = () =>
      wholeMs > 40 * ordinaryMs || wholeMs > 2 * ordinaryMs && wholeMs > 10 * fourthMs;
    for (let round = 0; round < 8 && (round === 0 || isSlow()); round++) {
      if (round > 0) ordinaryMs = Math.min(ordinaryMs, measure(() => redact(ordinary)));
      wholeMs = Math.min(wholeMs, measure(() => redact(whole)));
      fourthMs = Math.min(fourthMs, measure(() => redact(fourth)));
    }
    slowest = Math.max(slowest, wholeMs / ordinaryMs);
    const took = `${whole.length} characters of ${JSON.stringify(part)} took ${wholeMs} ms`;
    assert.ok(
      !isSlow(),
      `${took}, a fourth of them ${fourthMs} ms, what people say ${ordinaryMs} ms`,
    );
  }
  await t.step(`the slowest took ${slowest.toFixed(1)} times what people say takes`, () => {});
});

Deno.test("a card's security code is redacted even when it is said before the card", () => {
  const visa = "⟦4012 8888 8888 1881⟧";
  for (
    const each of [
      `security code ⟦999⟧ for my Visa ${visa}`,
      "CVV: ⟦4321⟧, Amex ⟦3782 822463 10005⟧",
      `the CVC is ⟦nine nine nine⟧, and the card is ${visa}, expires 12/27`,
      `AI: Security code?\nUser: ⟦999⟧.\nAI: And the card?\nUser: ${visa}`,
      `CVV ⟦999⟧ card ${visa} and cvv ⟦123⟧ card ⟦4242 4242 4242 4242⟧`,
      `room 212, the security code is on the card ${visa}`,
      `500 mg in room 212, card ${visa}`,
      "CVV 884 today",
    ]
  ) {
    const text = each.replace(/[⟦⟧]/g, "");
    assert.equal(redact(text).text, each.replace(/⟦[^⟧]*⟧/g, "[REDACTED: CARD]"));
  }
});

Deno.test("redact takes at most two hundred times what finding the words takes", async (t) => {
  const texts = Object.values(redactionCorpus).flat().map(({ text }) => text);
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  const time = (work: (text: string) => unknown) => measure(() => texts.forEach(work));
  let [redactMs, wordsMs] = [Infinity, Infinity];
  // The best of some rounds: the first are slow until the code is compiled.
  for (let round = 0; round < 10 && (round < 2 || redactMs >= 200 * wordsMs); round++) {
    redactMs = Math.min(redactMs, time((text) => redact(text)));
    wordsMs = Math.min(wordsMs, time((text) => text.match(/\p{L}+|\p{N}+/gu)));
  }
  const perSecond = characters / redactMs / 1000;
  const times = redactMs / wordsMs;
  await t.step(
    `${perSecond.toFixed(2)} million characters a second, ${times.toFixed(1)} times as long`,
    () => {},
  );
  assert.ok(times < 200, `${times} times as long`);
});

Deno.test("the calling codes and lengths are libphonenumber's", () => {
  const lengths = new Map<string, number[]>();
  for (const country of getCountries()) {
    const metadata = new Metadata();
    metadata.selectNumberingPlan(country);
    const code = getCountryCallingCode(country);
    const known = lengths.get(code) ?? [];
    lengths.set(code, [...known, ...metadata.numberingPlan?.possibleLengths() ?? []]);
  }
  for (const [code, known] of lengths) {
    const expected = { shortest: Math.min(...known), longest: Math.max(...known) };
    assert.deepEqual(callingCodes.get(code), expected, `+${code}`);
  }
  // Codes without a country: freephone, satellites and other global services (ITU-T E.164.1).
  const shared = [...callingCodes.keys()].filter((code) => !lengths.has(code));
  assert.deepEqual(shared.filter((code) => !/^(?:8\d\d|979)$/.test(code)), []);
});

Deno.test("isIpv6 agrees with node:net", () => {
  const group = fc.oneof(
    fc.nat(0xffff).map((value) => value.toString(16)),
    fc.constantFrom("", "0", "00000", "g", "::", "1.2.3.4", "256.1.1.1", "01.2.3.4"),
  );
  fc.assert(fc.property(fc.array(group, { maxLength: 10 }), (groups) => {
    const written = groups.join(":");
    assert.equal(isIpv6(written), isIPv6(written), written);
  }));
});
