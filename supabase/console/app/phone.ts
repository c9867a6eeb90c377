/**
 * The fake phone: the texts that were sent, and the faults that the next ones meet.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Notice, onTick, onValue, type View } from "../../page/app/parts.ts";
import { type Overview, post, sentenceOf, type Text } from "./stack.ts";

/** Faults of the request, by the kinds of the fake Twilio. */
const answers = new Map([
  ["none", "Twilio takes them"],
  ["slow", "Twilio is slow (2 s)"],
  ["21211", "Wrong number: Twilio refuses it"],
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

/** The texts of this window's number, or of all. */
export function Phone({ texts, caller, faults, isAway }: {
  readonly texts: readonly Text[];
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
  const shown = texts.filter(({ to }) => showsAll || to === caller).toReversed().slice(0, 20);

  return html`
    <div class="phone">
      <label class="choice">
        <input type="checkbox" checked=${showsAll} onChange=${onTick(setShowsAll)} />
        Texts to every number
      </label>
      <ul class="texts" aria-label="Texts" aria-live="polite">
        ${shown.map((text) =>
          html`<${Bubble} key=${text.sid} text=${text} showsNumber=${showsAll} />`
        )}
      </ul>
      ${shown.length === 0 && html`<p class="nothing">No text has been sent to ${caller} yet.</p>`}
    </div>
    <div class="faults">
      <${Choices} name="answer" legend="The next texts" choices=${answers} chosen=${answer}
        onChoose=${(kind: string) => order(kind, report)} />
      <${Choices} name="report" legend="Their delivery" choices=${reports} chosen=${report}
        onChoose=${(kind: string) => order(answer, kind)} />
      <fieldset>
        <legend>The database</legend>
        <label class="choice">
          <input
            type="checkbox"
            checked=${isAway}
            onChange=${onTick((away) => attempt(post("/console/database", { isAway: away })))}
          />
          Away: /rest/v1 has lost it
        </label>
      </fieldset>
    </div>
    <${Notice} kind="bad" text=${problem} />
  `;
}

/** A group of choices of which one is made. */
function Choices({ name, legend, choices, chosen, onChoose }: {
  readonly name: string;
  readonly legend: string;
  /** Values with what is said of them. */
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
