// deno-lint-ignore-file no-console -- the figures are read by people
/** What redaction finds, what it leaves, what it promises for any text, and how long it takes. */
import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import fc from "fast-check";
import { getCountries, getCountryCallingCode, Metadata } from "libphonenumber-js/max";
import { redact, type RedactionType } from "../../shared/redaction.ts";
import { callingCodes } from "../../shared/redaction/calling_codes.ts";
import { isIpv6 } from "../../shared/redaction/identifiers.ts";
import { spokenNumbers } from "../support/spoken_numbers.ts";
import { redactionCorpus } from "./redaction_corpus.ts";
import { score } from "./redaction_score.ts";

const types: readonly RedactionType[] = [
  ...["PHONE", "OTP", "EMAIL", "CARD", "NHS", "SSN", "NINO", "IBAN", "IP"] as const,
];
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

for (const [name, cases] of Object.entries(redactionCorpus)) {
  Deno.test(`redact finds what must go in the ${name} cases and destroys nothing`, () => {
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

/** Any Unicode, and what numbers are made of thrown together. */
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
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.array(fc.constantFrom(...parts), { maxLength: 40 }).map((words) => words.join("")),
    fc.array(fc.constantFrom(...parts), { maxLength: 30 }).map((words) => words.join(" ")),
  );
  fc.assert(fc.property(texts, check), { numRuns: 1500 });
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

const worstTexts = [
  ...[
    "a@",
    "1",
    "1 2 3 7 ",
    "07700 ",
    " ",
    "double ",
    "double oh ",
    "[",
    "(",
    "+",
    "1:",
    "ab:",
    "1.",
  ],
  ...[
    "a at b dot ",
    "1\u200b",
    "1-",
    "1,",
    "A-",
    "٠",
    "𝟎",
    "💬",
    "\ud83d",
    "GB82 ",
    "800-A",
    "code ",
  ],
  ...[
    "07700 900123 ",
    "phone number is 12 ",
    "User: oh seven\nAI: ok\n",
    "User:",
    "a.b@c.de ",
    "%2B44 ",
  ],
  ...[
    "nine hundred and twenty one ",
    '{"a":',
    '"',
    "\\",
    "A B 1 2 3 4 5 6 ",
    "at dot at ",
    "[REDACTED: ",
  ],
];

Deno.test("redact takes time in proportion to the text, also when the text is made to be slow", () => {
  for (const part of worstTexts) {
    const whole = part.repeat(Math.ceil(50_000 / part.length));
    const fourth = whole.slice(0, whole.length / 4);
    redact(fourth);
    const time = (text: string) =>
      Math.min(...[1, 2].map(() => {
        const startedAt = performance.now();
        redact(text);
        return performance.now() - startedAt;
      }));
    const ms = time(whole);
    // Linear is 4; a quadratic one gives 16. The machine may be busy with other things.
    if (ms > 200) assert.ok(ms / time(fourth) < 10, `50 KB of ${JSON.stringify(part)}`);
    assert.ok(ms < 2000, `50 KB of ${JSON.stringify(part)} took ${ms} ms`);
  }
});

Deno.test("redact reads a million characters a second", () => {
  const texts = Object.values(redactionCorpus).flat().map(({ text }) => text);
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  const times = Array.from({ length: 12 }, () => {
    const startedAt = performance.now();
    for (const text of texts) redact(text);
    return performance.now() - startedAt;
  });
  const perSecond = characters / Math.min(...times) * 1000;
  console.log(`\n${(perSecond / 1e6).toFixed(2)} million characters a second`);
  // A third is left for a machine that does other things meanwhile.
  assert.ok(perSecond > 330_000);
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
  // What no country has: freephone, satellites and the like (ITU-T E.164.1).
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
