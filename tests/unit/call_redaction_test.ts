/** What is removed from a stored report because it is known from the call, and what stays. */
import assert from "node:assert/strict";
import { redactCall } from "../../shared/redaction.ts";

const known = {
  names: [
    "Jane Example",
    "May Brown",
    "Zoë O'Neill",
    "José Brown",
    "Zoë King",
    "Rene Grant",
    "Jörg Mueller",
    "'' \u0301\u0301",
    "Siobhan O'Brien",
    "Ronald McDonald",
    "Mary-Kate Sample",
    "D'Arcy Jones",
    "Ana Mc Intyre",
    "Jens Groß",
  ],
  phones: ["+447700900456"],
  isTexted: true,
};

/** `⟦...⟧` marks what must be removed. */
const cases: readonly string[] = [
  "AI: May I have your name?\nUser: ⟦NAME:Jane Example⟧, that's ⟦NAME:J-A-N-E⟧.\nAI: Thanks, ⟦NAME:Jane⟧.",
  "User: for ⟦NAME:May Brown⟧, my daughter, on 3 May; may we come at ten? Brown discharge since May.",
  "user: it's ⟦NAME:jane example⟧, or ⟦NAME:jose brown⟧, in a brown coat",
  "AI: Thank you, ⟦NAME:Grant⟧, we grant it. User: ⟦NAME:rene-grant⟧. Frau ⟦NAME:Brown⟧. Thanks, may I go?",
  "User: ⟦NAME:Jens Groß, G R O ß⟧, or ⟦NAME:G R O S S⟧.",
  "For: ⟦NAME:Brown, José⟧. User: ⟦NAME:Brown, B, R, O, W, N⟧. May? ⟦NAME:K-I-N-G⟧.",
  "user: it's ⟦NAME:jane⟧'s mum, and ⟦NAME:zoe oneill⟧ too\nuser: ⟦NAME:Zoë O’Neill⟧",
  "AI: Ring you on ⟦PHONE:oh seven seven double oh nine hundred four five six⟧?\nUser: the one ending 456.",
  "User: half of it again, ⟦PHONE:nine double oh four five six⟧, that's all",
  "User: hang on. ⟦OTP:four eight two, nine one three⟧.",
  "User: ⟦OTP:vier acht zwo, neun eins drei⟧.\nUser: also ⟦OTP:achtundvierzig neunundzwanzig dreizehn⟧.",
  "User: ⟦OTP:vierhundertzweiundachtzig neunhundertdreizehn⟧, nein, ⟦OTP:dreimal die fünf, dreimal neun⟧.",
  "User: unter ⟦PHONE:null sieben sieben doppel null neun zweimal die null eins zwei drei⟧, zweimal am Tag.",
  "AI: Ihr Geburtsdatum?\nUser: ⟦BIRTH:vierzehnter März neunzehnhundertvierundachtzig⟧.",
  "User: ich bin am ⟦BIRTH:14. März 1984⟧ geboren. Der letzte Termin war am 3. März 2025.",
  "User: geboren am ⟦BIRTH:dritten Mai 1990⟧, ich wohne in der ⟦ADDRESS:Hauptstraße 12⟧.",
  "AI: Wie ist Ihre Adresse?\nUser: ⟦ADDRESS:Lindenweg 4, 10115 Berlin⟧.",
  "AI: Unsere Adresse ist Hauptstraße 5.\nUser: Danke, am dritten um acht.",
  "AI: Die Adresse der Praxis ist Hauptstraße 5.\nUser: Danke, am dritten um acht.",
  "User: meine Nummer ist ⟦PHONE:null eins sieben eins zwei drei vier fünf sechs sieben acht⟧.",
  'User: um acht oder neun, am dreizehnten. {"code": null, "ids": [null, null, null, null, null, null]}',
  "User: it was ⟦OTP:482 913⟧, and I take 500 mg twice, BP 120 over 80, seen 2026-03-03 at 14:30.",
  "AI: What is your date of birth?\nUser: ⟦BIRTH:March fourteenth nineteen eighty four⟧.\nAI: Which day?\nUser: March third.",
  "User: I was born on ⟦BIRTH:14/03/1984⟧ in Leeds and had surgery on 12/10/2019.",
  "DOB ⟦BIRTH:14 March 1984⟧. Last seen 3 March 2025, next 12 March 2026.",
  "AI: And your date of birth?\nUser: ⟦BIRTH:the twelfth of the seventh nineteen eighty one⟧."
    .replace("⟦BIRTH:the ", "the ⟦BIRTH:"),
  "AI: And your address?\nUser: It's ⟦ADDRESS:12 Baker Street, flat 4, London⟧.\nAI: Postcode?\nUser: ⟦ADDRESS:N W one six X E⟧.",
  "User: I live at ⟦ADDRESS:9 Elm Road, Leeds⟧. My last visit was 3 March 2025.",
  "⟦NAME:Jane Example⟧ (lives at ⟦ADDRESS:12 High Street, Leeds⟧) called about knee pain since 2019.",
  "AI: Our address is 350 Fifth Avenue, Suite 4100.\nUser: Thanks, is that near 14 Harley Street?",
  "AI: What is your address?\nUser: I'd rather not say.",
  "Residing at ⟦ADDRESS:12 Oak Street, Springfield⟧. They live at ⟦ADDRESS:9 Elm Road⟧.",
  "The caller, residing in ⟦ADDRESS:44 Maple Avenue⟧, has pain. Lives: ⟦ADDRESS:flat 4, 12 Baker Street⟧.",
  "Has been living for years at ⟦ADDRESS:7 Mill Lane⟧, asked for Tuesday. Home address given as ⟦ADDRESS:12 Oak Street⟧.",
  "The address on file is ⟦ADDRESS:12 Oak Street⟧. Mailing address: ⟦ADDRESS:PO Box 123, Springfield⟧.",
  "She is at ⟦ADDRESS:12 Oak Street⟧ now. ⟦NAME:Jane Example⟧, ⟦ADDRESS:12 Oak Street, Leeds⟧, called.",
  "Recently relocated to ⟦ADDRESS:12 Oak Street⟧. Caller (⟦ADDRESS:12 Oak St, Leeds⟧) wants a cleaning.",
  "User: my house is ⟦ADDRESS:12 Oak Street⟧.\nAI: So that's ⟦ADDRESS:12 Oak Street⟧?\nUser: send it to ⟦ADDRESS:9 Elm Road⟧ please.",
  "AI: So you live at ⟦ADDRESS:twelve oak street⟧?\nUser: we live at number ⟦ADDRESS:four, privet drive⟧."
    .replace("number ⟦ADDRESS:", "⟦ADDRESS:number "),
  "Their ZIP is ⟦ADDRESS:90210⟧. Resident of ⟦ADDRESS:12 Oak Street⟧.",
  "The clinic is located at 350 Fifth Avenue. The clinic's address is 350 Fifth Avenue. Pharmacy at 14 Harley Street.",
  "AI: You can find us at 350 Fifth Avenue.\nUser: is your address 350 Fifth Avenue? And the parking is at 9 Elm Road?",
  "We address the 2 issues. Confirmed her address on 3 March 2026. Moved to 14:30. She is on 2 tablets, at 12 weeks.",
  "User: I'm staying on 30 mg and live in Leeds with 3 children; my home is 20 minutes away, in room 12.",
  "Frau ⟦NAME:Mueller⟧, not ⟦NAME:Müller⟧ or ⟦NAME:Muller⟧, and ⟦NAME:Jörg⟧ or ⟦NAME:Joerg⟧ called.",
  "⟦NAME:Jose Brown⟧ here. ⟦NAME:Zoe King⟧ or ⟦NAME:Zoe\u0308 King⟧ or ⟦NAME:JOSÉ BROWN⟧ or ⟦NAME:René Grànt⟧; King size, naïve café.",
  "User: it's ⟦OTP:482,913⟧. Or ⟦OTP:482.913⟧, or ⟦OTP:482/913⟧? It is ⟦OTP:4,8,2,9,1,3⟧; yes: ⟦OTP:4,8,2, 9,1,3⟧!",
  "User: ⟦OTP:48,29,13⟧ then ⟦OTP:48:29:13⟧ then ⟦OTP:4/8/2/9/1/3⟧ then #⟦OTP:482913⟧ then ⟦OTP:4,829.13⟧ then ⟦OTP:482'913⟧.",
  "User: BP 140/100, at 14:30:15 on 12.10.19, £482,913 or $4,829.13, dose 100,000 units, 7.2, 6.8, 7.1, 1,482,913 people.",
  "User: warfarin 3 mg, HbA1c 48 mmol/mol, INR 2.5 on 01/03, £1,250.00, room 212, order 4839201745.",
  "User: ⟦NAME:O Brien⟧ here, ⟦NAME:O'Briens⟧, the ⟦NAME:OBriens⟧, two ⟦NAME:Siobhans⟧ and ⟦NAME:O’Brien⟧'s son.",
  "User: ⟦NAME:Mc Donald⟧; ⟦NAME:mcdonald⟧'s; the ⟦NAME:McDonalds⟧; the ⟦NAME:McIntyres⟧; mac and cheese.",
  "User: ⟦NAME:marykate⟧; ⟦NAME:Mary Kate⟧; ⟦NAME:D Arcy⟧; ⟦NAME:d'arcy⟧; ⟦NAME:Darcy⟧; keep up with the ⟦NAME:Joneses⟧.",
  "User: ⟦BIRTH:12 May 1980⟧ is my birthday. Or is 3 June 2026 free, before my birthday?",
  "User: ⟦BIRTH:May 12th, 1980⟧, that's my date of birth. Seen on 3 March 2025. ⟦BIRTH:12/05/1980⟧ was when I was born.",
  "AI: What is your date of birth?\nUser: Sure.\nAI: Take your time.\nUser: ⟦BIRTH:12 May 1980⟧.",
  "AI: What is your date of birth?\nUser: Sure.\nUser: ⟦BIRTH:12 May 1980⟧.",
  "AI: And your address?\nUser: Sure.\nUser: ⟦ADDRESS:12 Baker Street, London⟧.",
  "AI: And your address, please?\nUser: Hang on.\nAI: Okay.\nUser: It's ⟦ADDRESS:9 Elm Road⟧.",
  "User: It's my birthday soon.\nAI: How nice.\nUser: Is 3 March free?\nAI: Thanks for the address.\nUser: Sure.\nUser: I take 20 mg of 3.",
  "AI: Your date of birth?\nUser: Why?\nAI: Never mind.\nUser: Is 3 March free?",
  "User: it's ⟦OTP:twenty-three, sorry, one one, 06, three one⟧.",
  "User: ⟦OTP:2370, sorry, six seven seven one, one oh⟧",
  "User: ⟦OTP:nine double seven, I mean five six seven, 914⟧",
  "User: okay, ⟦OTP:576 1 5 8, wait, no, four two, oh eight three two⟧ that's it",
  "User: ⟦OTP:675⟧\nAI: Got ⟦OTP:675⟧.\nUser: ⟦OTP:999⟧",
  "User: ⟦OTP:six seven five nine⟧\nUser: ⟦OTP:nine nine⟧",
  "User: ⟦OTP:48⟧\nAI: Go on.\nUser: ⟦OTP:29⟧\nAI: Okay.\nUser: ⟦OTP:13⟧",
  "AI: What dose do you take?\nUser: 250\nAI: And how many?\nUser: 120",
  "AI: What is the order number?\nUser: 250\nAI: Go on.\nUser: 120",
];

Deno.test("a call's report loses the data known from the call, and everything else stays unchanged", () => {
  for (const each of cases) {
    const text = each.replace(/⟦[A-Z]+:([^⟧]*)⟧/g, "$1");
    const expected = each.replace(/⟦([A-Z]+):[^⟧]*⟧/g, "[REDACTED: $1]");
    assert.equal(redactCall(text, known).text, expected);
  }
});

Deno.test("without a code, six digits stay; without a call's facts, names stay", () => {
  const text = "User: the batch is 482913, 482,913, 482.913 or 4,8,2,9,1,3, says Jane Example.";
  assert.equal(redactCall(text, { names: [], phones: [], isTexted: false }).text, text);
});

Deno.test("known facts are looked for in time proportional to the text", () => {
  for (
    const part of [
      "Jane ",
      "born 1 ",
      "I live at 1 ",
      "1 2 3 4 5 6 ",
      "my address is ",
      "J-A-",
      "4,",
      "é ",
      "is at 1 ",
      "lives at 12 Oak Street, ",
      "is at twenty twenty ",
      "address is as ",
      "Jane, ",
      "User: 48\n",
      "48 29, sorry, ",
      "wohne in ",
    ]
  ) {
    const longest = part.startsWith("wohne") ? 120_000 : 20_000;
    const time = (length: number) => {
      const text = part.repeat(Math.ceil(length / part.length));
      const startedAt = performance.now();
      redactCall(text, known);
      return performance.now() - startedAt;
    };
    const measure = () => Math.max(20, time(longest)) / Math.max(20, time(longest / 10));
    // Linear is 10, quadratic is 100; on a busy machine the best of some rounds counts.
    let ratio = measure();
    for (let round = 1; round < 5 && ratio >= 50; round++) ratio = Math.min(ratio, measure());
    assert.ok(ratio < 50, `${JSON.stringify(part)}: ${ratio}`);
  }
});
