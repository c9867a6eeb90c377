/**
 * The fake phone: the texts that were sent, answers to them, and the faults that spoil the next ones.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Notice, onSubmit, onTick, onValue, type View } from "../../page/app/parts.ts";
import { type Overview, post, sentenceOf, type Text, useAttempt } from "./stack.ts";

/** Faults of the request, by the kinds of the fake Twilio. */
const answers = new Map([
  ["none", "Twilio takes them"],
  ["slow", "Twilio is slow (2 s)"],
  ["21211", "Wrong number: Twilio refuses them"],
  ["http_503", "Twilio is down"],
]);

/** Faults of the delivery. */
const reports = new Map([
  ["none", "They arrive in a second"],
  ["report_late", "The report is late (5 s)"],
  ["report_undelivered", "They do not arrive"],
  ["report_forged", "The report is forged"],
]);

/** The choice that the waiting faults come from. */
function chosenFrom(choices: ReadonlyMap<string, string>, faults: Overview["faults"]): string {
  return faults.map(({ kind }) => String(kind)).find((kind) => choices.has(kind)) ?? "none";
}

/** The texts to this window's phone, or to all. */
export function Phone({ texts, own, caller, faults, isAway }: {
  readonly texts: readonly Text[];
  readonly own: readonly Text[];
  readonly caller: string;
  readonly faults: Overview["faults"];
  readonly isAway: boolean;
}): View {
  const [showsAll, setShowsAll] = useState(false);
  const [answer, setAnswer] = useState(chosenFrom(answers, faults));
  const [report, setReport] = useState(chosenFrom(reports, faults));
  const [problem, setProblem] = useState<string>();

  const attempt = (act: Promise<unknown>) => {
    setProblem(undefined);
    act.catch((thrown) => setProblem(sentenceOf(thrown)));
  };
  const order = (forAnswer: string, forReport: string) => {
    setAnswer(forAnswer);
    setReport(forReport);
    const kinds = [forAnswer, forReport].filter((kind) => kind !== "none");
    attempt(post("/console/faults", {
      kinds: kinds.map((kind) => /^\d+$/.test(kind) ? Number(kind) : kind),
    }));
  };
  const shown = (showsAll ? texts : own).toReversed().slice(0, 20);

  return html`
    <div class="phone">
      <label class="choice">
        <input type="checkbox" checked=${showsAll} onChange=${onTick(setShowsAll)} />
        Texts to every number
      </label>
      <ul class="texts" aria-label="Texts" aria-live="polite">
        ${shown.map((text) =>
          html`<${Bubble} key=${text.sid} text=${text} showsNumber=${text.to !== caller} />`
        )}
      </ul>
      ${shown.length === 0 && html`<p class="nothing">No text has been sent to ${caller} yet.</p>`}
      <${Answer} key=${caller} caller=${caller} clinic=${own.at(-1)?.from} />
    </div>
    <div class="faults">
      <${Choices} name="answer" legend="What Twilio does with the next texts" choices=${answers}
        chosen=${answer}
        onChoose=${(kind: string) => order(kind, report)} />
      <${Choices} name="report" legend="Whether they arrive" choices=${reports} chosen=${report}
        onChoose=${(kind: string) => order(answer, kind)} />
      <fieldset>
        <legend>The database</legend>
        <label class="choice">
          <input
            type="checkbox"
            checked=${isAway}
            onChange=${onTick((away) => attempt(post("/console/database", { isAway: away })))}
          />
          Take it away from the functions
        </label>
      </fieldset>
    </div>
    <${Notice} kind="bad" text=${problem} />
  `;
}

/** What became of a reminder that was asked for. */
interface Reminded {
  readonly written: number;
  readonly isNight: boolean;
}

/** Texts to the number that has texted last, and asks for reminders. */
function Answer({ caller, clinic }: {
  readonly caller: string;
  /** The number or service that sent the newest text; undefined if there is none. */
  readonly clinic: string | undefined;
}): View {
  const [body, setBody] = useState("");
  const [said, setSaid] = useState("");
  const { isBusy, problem, attempt } = useAttempt();
  const answer = (text: string) =>
    attempt(async () => {
      setBody("");
      await post("/local/sms/inbound", { from: caller, to: clinic, body: text });
      setSaid(`You texted: ${text}`);
    });
  const remind = () =>
    attempt(async () => {
      setSaid(sayReminded(await post<Reminded>("/local/reminders", { to: caller })));
    });
  return html`
    <form class="fields" aria-label="Answer by text" onSubmit=${onSubmit(() =>
      body.trim() !== "" && answer(body.trim())
    )}>
      <label>Answer by text
        <input value=${body} onInput=${onValue(setBody)} maxlength="160" autocomplete="off"
          disabled=${clinic === undefined} />
      </label>
      <button type="submit" disabled=${isBusy || clinic === undefined}>Send</button>
      ${["C", "X"].map((text) =>
        html`
          <button key=${text} type="button" disabled=${isBusy || clinic === undefined}
            onClick=${() => answer(text)}>${text}</button>
        `
      )}
      <button type="button" disabled=${isBusy} onClick=${remind}>Remind me now</button>
    </form>
    <${Notice} kind=${problem === undefined ? "good" : "bad"} text=${problem ?? said} />
  `;
}

function sayReminded({ written, isNight }: Reminded): string {
  if (written === 0) return "Nothing to remind of: book first, or it was reminded of before.";
  return isNight
    ? "It is night at the clinic: the reminder comes at 8 in the morning."
    : "The reminder comes in a second. Answer it with C to confirm or X to cancel.";
}

/** A group of choices of which one is made. */
function Choices({ name, legend, choices, chosen, onChoose }: {
  readonly name: string;
  readonly legend: string;
  /** Values with their labels. */
  readonly choices: ReadonlyMap<string, string>;
  readonly chosen: string;
  readonly onChoose: (choice: string) => void;
}): View {
  return html`
    <fieldset>
      <legend>${legend}</legend>
      ${[...choices].map(([value, label]) =>
        html`
          <label key=${value} class="choice">
            <input
              type="radio"
              name=${name}
              value=${value}
              checked=${value === chosen}
              onChange=${onValue(onChoose)}
            />
            ${label}
          </label>
        `
      )}
    </fieldset>
  `;
}

function Bubble({ text, showsNumber }: {
  readonly text: Text;
  readonly showsNumber: boolean;
}): View {
  const { body, status, errorCode, to, createdAt } = text;
  const isLost = status === "undelivered" || status === "failed";
  return html`
    <li>
      <p>${body}</p>
      <p class="state">
        ${showsNumber && `${to}, `}<time datetime=${createdAt}>${new Date(createdAt)
          .toLocaleTimeString()}</time>, <span class=${isLost
          ? "bad"
          : status === "delivered"
          ? "good"
          : ""}>${status}${errorCode === undefined ? "" : ` (${errorCode})`}</span>
      </p>
    </li>
  `;
}
