/** What patients write: generous with a yes, strict with a cancellation. */
import assert from "node:assert/strict";
import { readPatientAnswer } from "../../shared/patient_answer.ts";

const meaningOf = (body: string) => readPatientAnswer(body).meaning;

Deno.test("whatever says yes confirms", () => {
  const texts = [
    ...[
      "C",
      "c",
      " c. ",
      "C!",
      "(C)",
      "'C'",
      "“C”",
      "Ｃ",
      "c please",
      "Please C",
      "confirm",
      "Confirmed.",
    ],
    ...[
      "I confirm",
      "I can confirm",
      "yes",
      "YES",
      "Yes please",
      "yes, thank you!",
      "Yes x",
      "Yes xx",
    ],
    ...[
      "y",
      "Yep",
      "yeah 👍",
      "ok",
      "OK thanks",
      "Okay, see you then",
      "👍",
      "👍🏽",
      "✅",
      "👌 👍",
      "✔️",
    ],
    ...[
      "Yes I'll be there",
      "I will be there",
      "I'll come",
      "see you tomorrow",
      "Thanks, see you then",
    ],
    ...["sure", "Ja", "Sí", "oui", "C\n"],
  ];
  for (const body of texts) assert.equal(meaningOf(body), "confirm", body);
});

Deno.test("only X alone cancels", () => {
  for (
    const body of [
      "X",
      "x",
      " x. ",
      "x!",
      "(x)",
      "X please",
      "please x",
      "x, thanks",
      "\nX\n",
      "X\0",
      "\u200fX",
    ]
  ) {
    assert.equal(meaningOf(body), "cancel", body);
  }
});

Deno.test("everything else is no answer", () => {
  const texts = [
    ...[
      "",
      " ",
      "xx",
      "xxx",
      "C X",
      "C/X",
      "C or X",
      "x c",
      "see you then x?",
      "Reply C to confirm, X to cancel",
    ],
    ...["no", "No thanks", "yes but can I come later?", "Yes, but I will be late", "yes?", "C?"],
    ...["ok can you call me", "yes I want to cancel", "Yes please cancel", "confirm or cancel"],
    ...[
      "please cancel",
      "cancel my appointment",
      "don't cancel",
      "I can't come",
      "I cannot confirm",
    ],
    ...[
      "can I move it",
      "ok what time was it again",
      "who is this",
      "hello",
      "🙁",
      "❌",
      "👎",
      "👍👎",
    ],
    ...["Thank you for your message. I am away until Monday.", "I'm driving - Sent from My Car"],
    ...[
      "yes I got your message and I will read it as soon as I am back",
      "10 am",
      "0",
      "12",
    ],
    ...['Liked "Sunrise Dental: a reminder of your appointment. Reply C to confirm, X to cancel."'],
  ];
  for (const body of texts) assert.equal(meaningOf(body), "other", body);
});

Deno.test("a kiss, a smile or a question cancels nothing", () => {
  const texts = [
    ...[
      "Thanks x",
      "Thank you x",
      "ta x",
      "cheers X",
      "👍 x",
      "x 👍",
      ":) x",
      "❤️ x",
      "... x",
      "x)",
    ],
    ...[
      "X?",
      "x ?",
      "x or c",
      "X-ray",
      "x mas",
      "xmas?",
      "Hello x",
      "Ok thank you x?",
      "X/C",
      "<x",
    ],
    // Choose nothing either.
    ...["no 1", "No 2", "<3", ":3", "+1", "-1", "1/2", "2?", "1-2", "2.5", "both?", "👎 2", "3 pm"],
  ];
  for (const body of texts) assert.equal(meaningOf(body), "other", body);
});

Deno.test("a yes that another language takes back is no yes", () => {
  const texts = [
    ...["ok, muss absagen", "Ja, bitte stornieren", "Sí, quiero cancelar", "oui annuler"],
    ...["Ok sorry I am sick", "I can confirm I am unable to attend", "I will come next week"],
  ];
  for (const body of texts) assert.equal(meaningOf(body), "other", body);
});

Deno.test("numbers choose", () => {
  const cases: [body: string, choices: number[]][] = [
    ...[["1", [1]], ["2.", [2]], [" 2 please", [2]], ["No. 2", [2]], ["Number 1", [1]]] as const,
    ...[["1 and 2", [1, 2]], ["2, 1", [1, 2]], ["1+1", [1]], ["both", [0]], ["ALL", [0]], ["2️⃣", [
      2,
    ]]] as const,
  ].map(([body, choices]) => [body, [...choices]]);
  for (const [body, choices] of cases) {
    assert.deepEqual(readPatientAnswer(body), { meaning: "choice", choices }, body);
  }
});

Deno.test("Twilio's keywords are a wish, and nothing else", () => {
  for (
    const body of ["STOP", "stop.", "Stop All", "unsubscribe", "Cancel", "END", "quit", "opt out"]
  ) {
    const asksDesk = body === "Cancel" ? { asksDesk: true } : {};
    assert.deepEqual(
      readPatientAnswer(body),
      { meaning: "stop", wish: "stop", ...asksDesk },
      body,
    );
  }
  assert.deepEqual(readPatientAnswer("HELP"), { meaning: "help" });
  assert.deepEqual(readPatientAnswer("info"), { meaning: "help" });
  assert.deepEqual(readPatientAnswer("START"), { meaning: "start", wish: "start" });
  assert.deepEqual(readPatientAnswer("yes"), { meaning: "confirm", wish: "start" });
  assert.deepEqual(readPatientAnswer("yes please"), { meaning: "confirm" });
  // Where the clinic has keywords of its own, Twilio says what a text was.
  assert.deepEqual(readPatientAnswer("ARRET", "STOP"), { meaning: "stop", wish: "stop" });
  assert.deepEqual(readPatientAnswer("C", "STOP"), { meaning: "stop", wish: "stop" });
  assert.deepEqual(readPatientAnswer("HILFE", "HELP"), { meaning: "help" });
  assert.deepEqual(readPatientAnswer("C", "START"), { meaning: "confirm", wish: "start" });
});
