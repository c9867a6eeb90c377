/** Every text of every language is valid, and one segment long whatever is filled in. */
import assert from "node:assert/strict";
import { composeAppointmentText } from "../../shared/appointment_text.ts";
import { toldOutcomes } from "../../shared/database/text_answers.ts";
import { countSegments, findForeign } from "../../shared/gsm.ts";
import { isTextKind, languages, textKinds } from "../../shared/patient_texts.ts";
import { composeReply } from "../../shared/text_reply.ts";
import { fillTemplate, findTemplateProblem } from "../../shared/text_template.ts";
import { readClinicFile } from "../../supabase/tasks/clinic/file.ts";

const long = "Zahnärztezentrum Überlingen-Süd ".repeat(3);
const facts = {
  ...{ clinic: long, address: long, doctor: long, callBack: "+4915112345678", words: {} },
  startTime: "2027-09-29T10:30:00+01:00",
};

Deno.test("our texts have every kind, and a clinic could have written them", () => {
  for (const [language, texts] of Object.entries(languages)) {
    assert.deepEqual(Object.keys(texts), Object.keys(textKinds));
    for (const [kind, template] of Object.entries(texts)) {
      assert.ok(isTextKind(kind));
      assert.equal(findTemplateProblem(kind, template), undefined, `${language} ${kind}`);
    }
  }
});

Deno.test("a text is one segment in every language, even in one that only a clinic has, and keeps the time", () => {
  for (const language of [...Object.keys(languages), "es", "fr", "pl"]) {
    for (const kind of ["confirmation", "change", "cancellation", "reminder"] as const) {
      for (const offersAnswer of [true, false]) {
        const body = composeAppointmentText({ ...facts, kind, language, offersAnswer }, undefined);
        assert.equal(countSegments(body), 1, body);
        assert.deepEqual(findForeign(body), [], body);
        assert.match(body, /10:30/);
        assert.equal(kind === "reminder" && offersAnswer, /\bC\b.*\bX\b/.test(body), body);
      }
    }
    for (const outcome of toldOutcomes) {
      const body = composeReply({
        ...{ ...facts, outcome, language, meaning: "cancel", isReplied: true },
        appointments: [facts, ...outcome === "which" ? [facts] : []],
      }, "");
      assert.ok(body);
      assert.deepEqual(findForeign(body), [], body);
      assert.ok(countSegments(body) <= (outcome === "which" ? 2 : 1), body);
    }
  }
});

Deno.test("if a text does not fit, its later parts are left out first, each with its blanks", () => {
  const values = { a: "aaaa", b: "bbbb", none: "" };
  const fill = (limit: number) => fillTemplate("{a}[ {b}][ {none}!][ cc].", values, limit);
  assert.deepEqual([5, 8, 9, 10, 13].map(fill), [
    "aaaa.",
    "aaaa cc.",
    "aaaa cc.",
    "aaaa bbbb.",
    "aaaa bbbb cc.",
  ]);
});

Deno.test("a clinic's own text is checked, and the answer says what to write", () => {
  const cases: [kind: keyof typeof textKinds, template: string, problem: RegExp | undefined][] = [
    ["reminder", "{clinic}: {time}{offer}", undefined],
    ["reminder", "{clinic}: {time}", /^\{offer\} is missing/],
    ["reminder", "{clinic}[: {time}]{offer}", /^\{time\} is missing, outside of square brackets/],
    [
      "confirmation",
      "{clinic}: {time} {patient}",
      /^\{patient\} is not a placeholder .*\{clinic\}, \{time\}/,
    ],
    ["confirmation", "{clinic}: {time} Łódź", /^"Ł", "ó", "ź" would make the text .* GSM-7/],
    ["confirmation", "{clinic}: { time }", /^"\{", "\}" would/],
    ["confirmation", "{clinic}: {time} [maybe", /^"\[" would/],
    [
      "confirmation",
      `{clinic}: {time}${" more".repeat(40)}`,
      /it has up to \d+ characters, which is 2 texts; 160/,
    ],
    ["confirmation", `{clinic}: {time}[${" more".repeat(40)}]`, undefined],
    ["offer", `{confirm} {cancel}${"x".repeat(43)}`, /45 are possible/],
    ["offer", "Answer {confirm} if you come, {cancel} if not.", undefined],
    ["offer", "Reply X to confirm, C to cancel.", /^"X" stands for itself; write \{confirm\} for/],
    ["offer", "Reply {confirm} or {cancel}, c is yes.", /^"c" stands for itself/],
    ["offer", "C'est {confirm} ou {cancel}.", undefined],
    ["offer", "Reply {confirm} to confirm.", /^\{cancel\} is missing/],
    ["unclear", "{clinic}: only {confirm} and {cancel}.", undefined],
    ["unclear", "{clinic}: only letters.", /^\{confirm\} is missing/],
    ["reminder", "{clinic}: {time}{offer} X is yes.", /^"X" stands .* \{offer\} says with which/],
    ["confirmation", "{clinic}: {time}, house C.", undefined],
    ["too_many", "", /a text is needed/],
  ];
  for (const [kind, template, problem] of cases) {
    const found = findTemplateProblem(kind, template);
    if (problem === undefined) assert.equal(found, undefined, template);
    else assert.match(found ?? "", problem, template);
  }
});

const file = (texts: string) =>
  readClinicFile(`
clinic: a
name: A
zone: Europe/Paris
country: FR
texts:
${texts}
services: [{ id: c, name: C, minutes: 30 }]
doctors: [{ id: d, name: D }]
`);

Deno.test("a clinic's file has its own texts, and needs all of them in a language that we do not have", () => {
  const read = file(`
  language: fr
  words:
    fr: { confirmation: "{clinic}: rendez-vous {time}." }`);
  assert.ok(read.ok);
  assert.equal(read.clinic.textWords["fr"]?.["confirmation"], "{clinic}: rendez-vous {time}.");
  const problems = (texts: string) => {
    const refused = file(texts);
    return refused.ok ? [] : refused.problems.map(({ line, message }) => `${line} ${message}`);
  };
  assert.match(
    problems("  language: fr\n  reminder: 17:00").join("\n"),
    /^7 there are no texts in "fr": write words: fr: with confirmation, reminder, or take one of en, de$/,
  );
  assert.match(
    problems("  words: { en: { reminders: hello } }").join("\n"),
    /"reminders" is not a text; there are confirmation, change/,
  );
  assert.match(problems("  language: english").join("\n"), /"english" is not a language/);
});
