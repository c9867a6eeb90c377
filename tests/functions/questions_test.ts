/** answer_question: the clinic's own sentence or none, no advice, and no question is lost. */
import assert from "node:assert/strict";
import answerQuestion, { isMedical } from "../../functions/answer-question/index.ts";
import holdSlot from "../../functions/hold-slot/index.ts";
import { addClinics, readClinics } from "../../supabase/local/clinics.ts";
import {
  aClinic,
  aDay,
  aPhone,
  aRequest,
  type Bench,
  type Clinic,
  testWithBench as test,
} from "../support/clinic.ts";
import {
  answerable,
  type KnownFact,
  knownFacts,
  medical,
  mistaken,
  unanswerable,
} from "../support/questions.ts";

const tool = "answer_question";

async function know(bench: Bench, { id }: Clinic, facts: readonly KnownFact[]): Promise<void> {
  for (const { name, question, alsoAsked, tags } of facts) {
    await bench.database.sql`
      insert into public.clinic_facts (org_id, question, also_asked, answer, tags)
      values (${id}, ${question}, ${alsoAsked as string[]}, ${name}, ${tags as string[]})`;
  }
}

const kept = (bench: Bench) =>
  bench.database.sql<{ org_id: string; question: string; asked: number; call_id: string }[]>`
    select * from public.open_questions order by first_asked_at`;

test("each question of the test set gets the right answer or none", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await know(bench, clinic, knownFacts);
  const ask = async (question: string) => {
    const said = await bench.ask(answerQuestion, {
      ...{ tool, called: clinic.number, callId: crypto.randomUUID() },
      args: { question },
    });
    return said.outcome === "answered" ? said.message : said.outcome;
  };
  let [right, asked] = [0, 0];
  for (const [name, questions] of Object.entries(answerable)) {
    for (const question of questions) {
      const answer = await ask(question);
      assert.ok([name, "not_found"].includes(answer), `${question}: ${answer}`);
      asked++;
      if (answer === name) right++;
    }
  }
  for (const question of unanswerable) {
    assert.match(await ask(question), /^(not_found|medical_question)$/, question);
  }
  for (const question of medical) {
    assert.match(await ask(question), /^(not_found|medical_question)$/, question);
  }
  for (const question of mistaken) assert.equal(await ask(question), "opening hours");
  assert.ok(right >= 0.9 * asked, `${right} of ${asked}`);
  assert.ok(medical.filter(isMedical).length >= 0.8 * medical.length, "few are seen as medical");
  const odd = unanswerable.filter(isMedical);
  assert.deepEqual(odd, [], "taken for questions of health");
});

test("a question without an answer is stored once, redacted, and deleted when a fact answers it", async (bench) => {
  const { sql } = bench.database;
  const clinic = await aClinic(sql);
  const ask = (question: string, callId: string = crypto.randomUUID()) =>
    bench.insist(answerQuestion, { tool, called: clinic.number, callId, args: { question } });
  const said = await ask("Can I bring my dog? My number is 07700 900321");
  assert.deepEqual([said.outcome, said.action, said["nextTool"]], [
    "not_found",
    "ESCALATE",
    "leave_message",
  ]);
  assert.match(said.message, /^I don't have an answer to that\. /);
  await Promise.all(["may I bring my dog", "I bring dogs, can I?"].map((text) => ask(text)));
  const [first, second, ...more] = await kept(bench);
  assert.match(first?.question ?? "", /^Can I bring my dog\? My number is \[REDACTED: PHONE\]$/);
  assert.deepEqual([second?.asked, more.length], [2, 0]);
  await ask("Born on 5 May 1971, I live at 12 Oak Lane. Where do I park?", "born");
  const born = (await kept(bench)).find(({ call_id }) => call_id === "born")?.question ?? "";
  assert.match(born, /BIRTH.*ADDRESS/);
  assert.doesNotMatch(born, /1971|Oak/);
  await sql`delete from public.open_questions where call_id = 'born'`;
  assert.doesNotMatch(JSON.stringify(await kept(bench)) + bench.lines.join(""), /900321/);

  // Three per call; nothing about anybody's health.
  for (const thing of ["parrot", "piano", "bicycle", "surfboard"]) {
    assert.equal((await ask(`where do I leave my ${thing}`, "one")).outcome, "not_found");
  }
  assert.equal((await kept(bench)).filter(({ call_id }) => call_id === "one").length, 3);
  const advice = await ask("can I take ibuprofen tonight");
  assert.equal(advice.outcome, "medical_question");
  assert.match(advice.message, /^I can't give medical advice\. If it's urgent, please call the/);
  assert.equal((await kept(bench)).filter(({ question }) => /ibuprofen/.test(question)).length, 0);

  const [row] = await sql<{ clinic: object }[]>`
    select public.read_clinic(${clinic.slug}) -> 'clinic' as clinic`;
  const fact = { question: "Can I bring my dog?", alsoAsked: [], answer: "Yes.", tags: [] };
  const changed = { ...row?.clinic, facts: [{ ...fact, inPrompt: false }] };
  await sql`select public.apply_clinic(${JSON.stringify(changed)}::text::jsonb, ${clinic.id})`;
  assert.equal((await ask("may I bring my dog")).message, "Yes.");
  assert.deepEqual(
    (await kept(bench)).filter(({ question }) => /may|I bring dogs/.test(question)),
    [],
  );
});

test("a question about a patient of the call is not stored", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  const asked = { called: clinic.number, callId: crypto.randomUUID() };
  const args = { slotId: `consultation/${aDay()}T10:00`, patientName: "Zebediah Quixley" };
  assert.equal((await bench.ask(holdSlot, { ...asked, tool: "hold_slot", args })).outcome, "held");
  for (
    const question of [
      "does quixley need to bring a towel",
      "Is 482913 the code for the door?",
      "where do I hang my coat",
    ]
  ) {
    const said = await bench.ask(answerQuestion, { ...asked, tool, args: { question } });
    assert.equal(said.outcome, "not_found");
  }
  assert.deepEqual((await kept(bench)).map(({ question }) => question), [
    "where do I hang my coat",
  ]);
});

test("a clinic keeps fifty new questions an hour, and goes on answering", async (bench) => {
  const clinic = await aClinic(bench.database.sql);
  await know(bench, clinic, knownFacts.slice(0, 1));
  const letters = "abcdefghijklmnopqrstuvwxyz";
  await Promise.all(Array.from({ length: 60 }, (_, index) => {
    const word = `${letters[index % 26]}${letters[Math.floor(index / 26)]}zzq`;
    const args = { question: `where is the ${word}` };
    return bench.insist(answerQuestion, {
      ...{ tool, called: clinic.number, callId: crypto.randomUUID(), args },
    });
  }));
  assert.equal((await kept(bench)).length, 50);
  const args = { question: "where can I park" };
  const said = await bench.ask(answerQuestion, { tool, called: clinic.number, args });
  assert.deepEqual([said.success, said.message], [true, "parking"]);
});

test("a clinic's answers are for its own callers, and bad requests are refused", async (bench) => {
  const [clinic, other] = [await aClinic(bench.database.sql), await aClinic(bench.database.sql)];
  await know(bench, clinic, knownFacts);
  const ask = (called: string, args: object) =>
    bench.ask(answerQuestion, {
      ...{ tool, called, caller: aPhone(), callId: crypto.randomUUID(), args },
    });
  const question = "where can I park";
  assert.equal((await ask(clinic.number, { question })).message, "parking");
  assert.equal((await ask(other.number, { question })).outcome, "not_found");
  assert.deepEqual((await kept(bench)).map(({ org_id }) => org_id), [other.id]);
  const foreign = await ask(clinic.number, { question, tenantId: other.id });
  assert.equal(foreign.outcome, "cross_tenant_denied");
  assert.equal((await ask("+442079460000", { question })).outcome, "unknown_clinic");
  for (const args of [{}, { question: 7 }, { question: [question] }]) {
    assert.equal((await ask(clinic.number, args)).outcome, "invalid_arguments");
  }
  const long = await ask(clinic.number, { question: `${question} ${"and so on ".repeat(500)}` });
  assert.notEqual(long.outcome, "error");
  const denied = await answerQuestion.using(bench.runtime).fetch(
    aRequest({ tool, secret: "wrong" }),
  );
  assert.equal(denied.status, 401);
  assert.equal(bench.restCalls.filter((path) => path.endsWith("/answer_question")).length, 5);
});

test("the example clinics answer what their files say", async (bench) => {
  const clinics = await readClinics(new URL("../../supabase/clinics/", import.meta.url));
  await addClinics(bench.database.url(), clinics);
  for (const { numbers, facts } of clinics) {
    for (const { question, alsoAsked, answer } of facts) {
      for (const asked of [question, ...alsoAsked]) {
        const said = await bench.ask(answerQuestion, {
          ...{ tool, called: numbers[0] ?? "", callId: crypto.randomUUID() },
          args: { question: asked },
        });
        assert.equal(said.message, answer, asked);
      }
    }
  }
});
