/** Which numbers are texted: people's phones, in the country that they belong to. */
import assert from "node:assert/strict";
import {
  getCountries,
  getCountryCallingCode,
  getExampleNumber,
  parsePhoneNumberFromString,
} from "libphonenumber-js/max";
import examples from "libphonenumber-js/mobile/examples";
import { isWithheldNumber, readPhone } from "../../shared/phone.ts";
import { readMessage } from "../../shared/vapi.ts";

const london = "+442079460123";
const newYork = "+12125550123";

async function kindOf(given: string, ...nearby: string[]): Promise<string> {
  const read = await readPhone(given, nearby);
  return read.kind === "phone" ? `${read.country} ${read.e164}` : read.kind;
}

Deno.test("every area code under +1 belongs to its country, assigned or not", async () => {
  const codes: Readonly<Record<string, readonly number[]>> = {
    US: [212, 415, 646, 907, 808, 202],
    CA: [416, 604, 514, 867],
    JM: [876, 658],
    DO: [809, 829, 849],
    PR: [787, 939],
    TT: [868],
    BS: [242],
    BB: [246],
    AI: [264],
    AG: [268],
    VG: [284],
    VI: [340],
    KY: [345],
    BM: [441],
    GD: [473],
    TC: [649],
    MS: [664],
    MP: [670],
    GU: [671],
    AS: [684],
    SX: [721],
    LC: [758],
    DM: [767],
    VC: [784],
    KN: [869],
  };
  for (const [country, areas] of Object.entries(codes)) {
    for (const area of areas) {
      // A number that may exist, and one for drama.
      for (const rest of ["6262345", "5550123"]) {
        assert.equal(await kindOf(`+1${area}${rest}`), `${country} +1${area}${rest}`);
      }
      // One that cannot exist: it has the country's code, or is in a range that is not texted.
      assert.match(await kindOf(`+1${area}1234567`), new RegExp(`^(${country} .*|premium)$`));
    }
  }
});

Deno.test("numbers that are not a person's phone are refused, in every country and range", async () => {
  const refused = [
    // Premium rate and shared cost.
    ...["+19005551234", "+19001234567", "+449098790000", "+449012345678", "+448712345678"],
    ...["+448451234567", "+33899123456", "+39899123456", "+499001234567", "+611900123456"],
    ...["0909 879 0000", "0871 234 5678", "09061 234 567"],
    // Toll-free.
    ...["+18005551234", "+18881234567", "+448001111111"],
    // Personal and universal numbers, pagers.
    ...["+447012345678", "07012 345678", "+15005551234", "+15215551234", "+443001234567"],
    ...["+445512345678", "+447600123456"],
    // Without a country: satellites, machines, international services.
    ...["+870773123456", "+881612345678", "+882161234567", "+883510012345", "+80012345678"],
    ...["+80812345678", "+979123456789"],
    // Ranges that cost money, even for numbers that the library does not know.
    ...["+44701234567", "+44871234567", "+44901234567", "+44841234567", "070 123 45678"],
    ...["+17002345678", "+17102345678", "+19762345678", "+18222345678"],
  ];
  for (const number of refused) assert.equal(await kindOf(number, london), "premium", number);
});

Deno.test("short codes and emergency numbers are not phones, wherever the clinic is", async () => {
  const codes = ["911", "999", "112", "000", "12345", "22000", "62262", "741741", "116123", "7726"];
  for (const country of getCountries()) {
    const clinic = getExampleNumber(country, examples)?.number;
    for (const code of codes) {
      const read = await readPhone(code, [clinic]);
      if (read.kind !== "phone") continue;
      // A few small countries have phone numbers that short, and these are among them.
      assert.ok(parsePhoneNumberFromString(read.e164)?.isValid(), `${code} near ${clinic}`);
    }
  }
  for (const code of codes) {
    for (const clinic of [london, newYork]) assert.equal(await kindOf(code, clinic), "unclear");
  }
});

Deno.test("mobile numbers of every country are read correctly", async () => {
  for (const country of getCountries()) {
    const number = getExampleNumber(country, examples)?.number;
    assert.ok(number);
    const read = await readPhone(number, [london]);
    assert.ok(read.kind === "phone", number);
    assert.equal(read.e164, number);
    // Some share their ranges: a phone in Åland cannot be told from one in Finland.
    assert.equal(getCountryCallingCode(read.country), getCountryCallingCode(country));
  }
});

Deno.test("numbers reserved for demonstrations are read as phones", async () => {
  const spoken: [string, string, string][] = [
    ["+447700900456", london, "GB +447700900456"],
    ["07700 900456", london, "GB +447700900456"],
    ["020 7946 0958", london, "GB +442079460958"],
    ["+15551234567", newYork, "US +15551234567"],
    ["(212) 555-0199", newYork, "US +12125550199"],
    ["+61491570156", london, "AU +61491570156"],
    ["+447797123456", london, "JE +447797123456"],
    ["+447624123456", london, "IM +447624123456"],
    ["+77012345678", london, "KZ +77012345678"],
  ];
  for (const [given, clinic, read] of spoken) assert.equal(await kindOf(given, clinic), read);
});

Deno.test("phone numbers are read with the country of the clinic", async () => {
  const read = (given: string) => readPhone(given, [london]);
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

Deno.test("a number that cannot be read is asked for again, and so is one without its area code", async () => {
  const unread: [string, string][] = [
    ...["five five five, zero four six eight", "555-0468", "5550468", "07700900456"]
      .map((given): [string, string] => [given, newYork]),
    ...["7946 0123", "946 0123", "nine four six, oh one two three", "07700 900 45", "five"]
      .map((given): [string, string] => [given, london]),
    ...[
      "07700 900456 or 07700 900457",
      "07700 900456 and 946 0123",
      "\u0660\u0667\u0667\u0660\u0660",
    ]
      .map((given): [string, string] => [given, london]),
    ...[
      "my wife's number",
      "my other number",
      "another number",
      "not this number",
      "the one on file",
    ]
      .map((given): [string, string] => [given, london]),
    ...["the same as last time", "my work phone", "my daughter's mobile", "Jane Example", "no"]
      .map((given): [string, string] => [given, london]),
  ];
  for (const [given, clinic] of unread) assert.equal(await kindOf(given, clinic), "unclear", given);
});

Deno.test("phrases for the number that the caller calls from are told from other people's", async () => {
  const phrases = [
    ...["the one I'm calling from", "this number", "same", "my number", "the number I'm on"],
    ...["caller ID", "Use caller ID please", "same as caller id", "this one", "same number"],
    ...["the number I am calling you from", "It's this one", "the phone I'm on now", "callerId"],
    ...["the caller's number", "the number I called from", "yes, this phone", "current number"],
  ];
  for (const given of phrases) assert.equal(await kindOf(given, london), "own", given);
});

Deno.test("digits of every script are digits, the letter O is a zero", async () => {
  const zeros = [0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xe50, 0xff10, 0x1d7ce];
  for (const zero of zeros) {
    const given = Array.from(
      "07700 900456",
      (digit) => digit === " " ? digit : String.fromCodePoint(zero + Number(digit)),
    ).join("");
    assert.equal(await kindOf(given, london), "GB +447700900456", given);
  }
  for (const given of ["O77OO 9OO456", "o7700 900456", "O double seven double O, 9OO, 456"]) {
    assert.equal(await kindOf(given, london), "GB +447700900456", given);
  }
});

Deno.test("a number is read with fillers and corrections, and however it is spoken", async () => {
  const spoken = [
    ...["oh seven seven double oh niner double oh four five six", "07700 900 457, no, 456"],
    ...["double oh four four, seven seven double oh, nine double oh, four five six"],
    ...["oh seven seven double oh nine, sorry, nine double oh four five six"],
    ...[
      "07700 900457. Sorry, 07700 900456",
      "07700 900456 07700 900456",
      "call 07700 900456 after 5",
    ],
    ...[
      "it's my wife's phone, 07700 900456",
      "oh seven seven double oh nine double oh for five six",
    ],
    ...[
      "my number is +44 (0)7700 900456",
      "plus four four, seven seven double oh, nine hundred, 456",
    ],
  ];
  for (const given of spoken) {
    assert.equal(await kindOf(given, london), "GB +447700900456", given);
  }
  const american = "oh, it's two one two, triple five, oh one double nine";
  assert.equal(await kindOf(american, newYork), "US +12125550199");
});

Deno.test("an extension takes no texts", async () => {
  const extensions = [
    "ext 12",
    "x12",
    " x 12",
    ", extension twelve",
    " #12",
    ";ext=12",
    " option 2",
  ];
  for (const extension of extensions) {
    assert.equal(await kindOf(`212-555-0199${extension}`, newYork), "extension", extension);
  }
});

Deno.test("what networks send for a withheld number counts as none, as an argument and in the envelope", async () => {
  const withheld = [
    ...["+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "+10000000000"],
    ...["+19999999999", "anonymous", "Anonymous caller", "Restricted", "Unavailable", "unknown"],
    ...["sip:anonymous@anonymous.invalid", "Private number"],
  ];
  for (const given of withheld) {
    assert.equal(await kindOf(given, london), "withheld", given);
    const message = { message: { type: "status-update", customer: { number: given } } };
    const read = readMessage(JSON.stringify(message));
    assert.ok(read.type === "status-update");
    assert.equal(read.envelope.callerNumber, undefined, given);
  }
  for (const real of ["+447700900456", "+12125550199", "+2908999", "+15555550123"]) {
    assert.equal(isWithheldNumber(real), false, real);
  }
});
