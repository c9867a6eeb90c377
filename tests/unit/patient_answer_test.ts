/** What patients write: a bare answer counts, and nothing else. */
import assert from "node:assert/strict";
import { readPatientAnswer } from "../../shared/patient_answer.ts";

const meaningOf = (body: string) => readPatientAnswer(body).meaning;

Deno.test("a bare yes confirms, with or without thanks", () => {
  const texts = [
    ...["C", "c", " c. ", "C!", "(C)", "'C'", "“C”", "„C“", "Ｃ", "C\n", "c please", "C. Thanks!"],
    ...["confirm", "Confirmed.", "I confirm", "yes", "YES", "Yes please", "yes, thank you!", "y"],
    ...["Yep", "ok", "OK thanks", "sure", "Ja", "ja bitte", "Ja, danke.", "Sí", "oui", "Bestätigt"],
    ...["👍", "👍🏽", "✅", "👌 👍", "✔️", "👍!"],
  ];
  for (const body of texts) assert.deepEqual(meaningOf(body), "confirm", body);
});

Deno.test("only X alone cancels", () => {
  const texts = ["X", "x", " x. ", "x!", "(x)", '"X"', "“x”", "x .", "\nX\n", "X\0", "\u200fX"];
  for (const body of texts) assert.equal(meaningOf(body), "cancel", body);
});

Deno.test("a text that is more than an answer, or not an answer, changes nothing", () => {
  const texts = [
    ...["", " ", "xx", "xxx", "C X", "CX", "C/X", "C or X", "X/C", "x c", "c c", "x, y"],
    ...["please x", "Please C", "X please", "x thanks", "X, thank you", "x ok", "yes x", "Yes xx"],
    ...["X?", "x ?", "C?", "yes?", "X-ray", "x mas", "<x", "x)", ":) x", "... x", "❤️ x", "👍 x"],
    ...[
      "Thanks x",
      "Thank you x",
      "ta x",
      "Hello x",
      "see you then x?",
      "x 👍",
      "👍👎",
      "❌",
      "🙁",
    ],
    ...["no", "No thanks", "yes but can I come later?", "Yes, but I will be late", "yes 10 am"],
    ...["ok can you call me", "yes I want to cancel", "Yes please cancel", "confirm or cancel"],
    ...[
      "please cancel",
      "cancel my appointment",
      "don't cancel",
      "I can't come",
      "I cannot confirm",
    ],
    ...[
      "ok, muss absagen",
      "Ja, bitte stornieren",
      "Sí, quiero cancelar",
      "oui annuler",
      "ja nein",
    ],
    ...["Yes I'll be there", "see you tomorrow", "who is this", "hello", "Okay, see you then"],
    ...["Thank you for your message. I am away until Monday.", "I'm driving - Sent from My Car"],
    ...['Liked "Sunrise Dental: a reminder of your appointment. Reply C to confirm, X to cancel."'],
    ...["Reply C to confirm, X to cancel", "thanks", "please", "10 am", "0", "12", "X 0", "X 12"],
    ...[
      "no 1",
      "No 2",
      "No. 2",
      "<3",
      ":3",
      "+1",
      "-1",
      "1/2",
      "2?",
      "1-2",
      "2.5",
      "both?",
      "👎 2",
    ],
    ...["3 pm", "2 please", "x 2 please", "2 x", "1 C", "yes 2?", "X all but 2", "all C"],
  ];
  for (const body of texts) assert.deepEqual(readPatientAnswer(body), { meaning: "other" }, body);
});

Deno.test("a number chooses, and a letter or a yes with it says what for", () => {
  const cases: [body: string, choices: number[], chosenTo?: string][] = [
    ...[["1", [1]], ["2.", [2]], [" 2 ", [2]], ["(2)", [2]], ["2️⃣", [2]], ["1 2", [1, 2]]],
    ...[["1 and 2", [1, 2]], ["2, 1", [1, 2]], ["1+1", [1]], ["both", [0]], ["ALL", [0]]],
    ...[["Alle.", [0]], ["X 2", [2], "cancel"], ["x2", [2], "cancel"], ["X both!", [0], "cancel"]],
    ...[["yes 2", [2], "confirm"], ["C 1, 2", [1, 2], "confirm"]],
    ...[["ja 2 bitte", [2], "confirm"], ["ok all, thanks", [0], "confirm"]],
  ] as [string, number[], string?][];
  for (const [body, choices, chosenTo] of cases) {
    const answer = { meaning: "choice", choices, ...(chosenTo ? { chosenTo } : {}) };
    assert.deepEqual(readPatientAnswer(body), answer, body);
  }
});

Deno.test("only Twilio's keywords change whether a patient gets texts", () => {
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
