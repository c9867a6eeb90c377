/**
 * The console: make a call, read the texts, and see why it is safe.
 *
 * @module
 */
/// <reference lib="dom" />

import { html, render } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { Attack } from "./attack.ts";
import { Book } from "./book.ts";
import { Call } from "./call.ts";
import { Operate } from "./operate.ts";
import { dropStrayClicks } from "../../page/app/double_click.ts";
import type { View } from "../../page/app/parts.ts";
import { Phone } from "./phone.ts";
import { Section } from "./section.ts";
import { keepReading, listen, type Overview, type Text, textsTo } from "./stack.ts";

const textLimit = 50;
const lineLimit = 200;

/** Where a window keeps its number, so that it is the same caller after it is loaded again. */
const numberKey = "number";

/** Another number in each window, so that two of them are two callers. */
const ownNumber = sessionStorage.getItem(numberKey) ||
  `+447700900${String(Math.floor(Math.random() * 1000)).padStart(3, "0")}`;

const about = {
  script: "You are the caller. A scripted agent answers, and does what the tools' answers tell it.",
  model:
    "You are the caller. A language model answers, with the prompt and the tools of the clinic's assistant.",
  book: "The clinic's day, live. Press a time in two windows at once, or send 200 callers at it.",
  attack:
    "Each attack is aimed at a clinic of its own, over HTTP, while an honest patient books there.",
  operate: "What an operator sees. Names, numbers and codes are removed before anything gets here.",
} as const;

function App(): View {
  const [overview, setOverview] = useState<Overview>();
  const [slug, setSlug] = useState<string>();
  const [caller, setCaller] = useState(ownNumber);
  const [given, setGiven] = useState<readonly string[]>([]);
  const [isConnected, setConnected] = useState(true);
  const [day, setDay] = useState<string>();
  const [changes, setChanges] = useState(0);
  const [problem, setProblem] = useState<string>();

  useEffect(() => {
    let endLoading = () => {};
    const reload = () => {
      endLoading();
      endLoading = keepReading<Overview>("/console/overview", {
        found: (loaded) => {
          setOverview(loaded);
          setProblem(undefined);
        },
        failed: setProblem,
      });
      setChanges((count) => count + 1);
    };
    const amend = (change: (known: Overview) => Overview) =>
      setOverview((known) => known && change(known));
    const endListening = listen({
      text: (text) => amend((known) => ({ ...known, texts: withText(known.texts, text) })),
      line: (line) =>
        amend((known) => ({ ...known, lines: [...known.lines, line].slice(-lineLimit) })),
      database: (database) => {
        amend((known) => ({ ...known, database }));
        if (!database.isAway) reload();
      },
      changed: () => setChanges((count) => count + 1),
      connected: (isThere) => {
        setConnected(isThere);
        // Also after the stack was started again.
        if (isThere) reload();
      },
    });
    return () => {
      endListening();
      endLoading();
    };
  }, []);

  useEffect(() => sessionStorage.setItem(numberKey, caller), [caller]);

  const clinics = overview?.clinics ?? [];
  const clinic = clinics.find((one) => one.slug === slug) ??
    clinics.find((one) => one.slug === "sunrise-dental") ?? clinics[0];
  const database = overview?.database;
  const own = textsTo(overview?.texts ?? [], caller, given);
  const phone = { ...overview, own, caller, isAway: database?.isAway };
  return html`
    <header>
      <h1>Master Orchestrator</h1>
      <p>The console of the local stack: the functions and the database are real. Only Twilio is fake, and
        its texts arrive on the phone on this page. The <a href="/desk/">front desk</a> shows what staff see;
        deno task start prints a login.</p>
      <nav aria-label="Parts of this page">
        <a href="#call">Call</a> <a href="#phone">Phone</a>
        <a href="#book">Book</a> <a href="#attack">Attack</a> <a href="#operate">Operate</a>
      </nav>
      <${Guide} />
    </header>
    <div role="status" class="banners">
      ${!isConnected &&
        html`<p class="banner">The stack does not answer. This page goes on when it does.</p>`}
      ${database?.isAway && html`<p class="banner">The database is away. ${database.why}</p>`}
      ${problem && html`<p class="banner">${problem}</p>`}
    </div>
    <main>
      ${overview && html`
        <${Section} id="call" title="Call"
          about=${overview.model === null ? about.script : about.model}>
          <${Call} ...${{
            clinics,
            clinic,
            onClinic: (chosen: string) => {
              setSlug(chosen);
              setDay(undefined);
            },
            caller,
            onCaller: setCaller,
            onGiven: setGiven,
            onDay: setDay,
          }} texts=${own} model=${overview.model} />
          </${Section}>
          <${Section} id="phone" title="Phone"
            about="Your phone. Let the next texts fail, then call and hear what the agent says.">
            <${Phone} ...${phone} />
          </${Section}>
          ${clinic && html`
            <${Section} id="book" title="Book" about=${about.book}>
              <${Book} key=${clinic.slug} ...${{ clinic, caller, day, changes }} onDay=${setDay} />
              </${Section}>
          `}
          <${Section} id="attack" title="Attack" about=${about.attack}>
            <${Attack} />
          </${Section}>
          <${Section} id="operate" title="Operate" about=${about.operate}>
            <${Operate} changes=${changes} lines=${overview.lines} />
          </${Section}>
      `}
    </main>
  `;
}

/** What to do first, and what it shows. */
function Guide(): View {
  return html`
    <details class="guide" open>
      <summary>What to try</summary>
      <ol>
        <li><b>Book.</b> Press Call, then a button for each answer. The code arrives on the phone.</li>
        <li><b>Say a wrong code.</b> The agent says that it does not match and asks again. Five wrong ones
          end that code. Then a new one can be texted, and after too many the front desk takes over.</li>
        <li><b>Let a text fail.</b> Choose a fault on the phone, then call: you hear that the text did not
          go out or arrive, and what to do about it. The time stays on hold.</li>
        <li><b>Be the second caller.</b> Send 200 callers at one time: one of them holds it, and the others
          are told that it is taken and offered other times.</li>
      </ol>
    </details>
  `;
}

/** A text, new or with another state. */
function withText(texts: readonly Text[], text: Text): readonly Text[] {
  return texts.some(({ sid }) => sid === text.sid)
    ? texts.map((known) => known.sid === text.sid ? text : known)
    : [...texts, text].slice(-textLimit);
}

dropStrayClicks(document);
const root = document.getElementById("page");
if (root) render(html`<${App} />`, root);
