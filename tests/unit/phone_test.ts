/** Which numbers are texted: people's phones, in the country they are in. */
import assert from "node:assert/strict";
import {
  getCountries,
  getCountryCallingCode,
  getExampleNumber,
  parsePhoneNumberFromString,
} from "libphonenumber-js/max";
import examples from "libphonenumber-js/mobile/examples";
import { readPhone } from "../../shared/phone.ts";

const london = "+442079460123";
const newYork = "+12125550123";

async function kindOf(given: string, ...nearby: string[]): Promise<string> {
  const read = await readPhone(given, nearby);
  return read.kind === "phone" ? `${read.country} ${read.e164}` : read.kind;
}

Deno.test("every area code under +1 is of its own country, assigned or not", async () => {
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
      // One that cannot exist: of its country too, or of a range that is not texted.
      assert.match(await kindOf(`+1${area}1234567`), new RegExp(`^(${country} .*|premium)$`));
    }
  }
});

Deno.test("numbers that are no person's phone are refused, in every country and range", async () => {
  const refused = [
    // Premium and shared cost.
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
  ];
  for (const number of refused) assert.equal(await kindOf(number, london), "premium", number);
});

Deno.test("short codes and emergency numbers are no phones, wherever the clinic is", async () => {
  const codes = ["911", "999", "112", "000", "12345", "22000", "62262", "741741", "116123", "7726"];
  for (const country of getCountries()) {
    const clinic = getExampleNumber(country, examples)?.number;
    for (const code of codes) {
      const read = await readPhone(code, [clinic]);
      if (read.kind !== "phone") continue;
      // A few small countries have phones with numbers that short, and these are such.
      assert.ok(parsePhoneNumberFromString(read.e164)?.isValid(), `${code} near ${clinic}`);
    }
  }
  for (const code of codes) {
    for (const clinic of [london, newYork]) assert.equal(await kindOf(code, clinic), "unclear");
  }
});

Deno.test("everybody's mobile phone is read as what it is, in every country", async () => {
  for (const country of getCountries()) {
    const number = getExampleNumber(country, examples)?.number;
    assert.ok(number);
    const read = await readPhone(number, [london]);
    assert.ok(read.kind === "phone", number);
    assert.equal(read.e164, number);
    // Some share their ranges: a phone of Åland cannot be told from one of Finland.
    assert.equal(getCountryCallingCode(read.country), getCountryCallingCode(country));
  }
});

Deno.test("numbers of demonstrations are read as phones", async () => {
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
