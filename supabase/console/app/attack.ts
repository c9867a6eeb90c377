/**
 * What an attacker tries, with one button each.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import type { AttackName, AttackReport } from "../attacks.ts";
import { Notice, type View } from "../../page/app/parts.ts";
import { post, sentenceOf } from "./stack.ts";
import { sayMs } from "./waterfall.ts";

const attacks = new Map<AttackName, readonly [string, string]>([
  ["names", ["A list of names", "Whose appointment is it? Twelve names for one number."]],
  ["hoarding", ["A day's hoarding", "Hold every time of a day, from several numbers."]],
  ["codes", ["A hundred codes", "Guess the code that was texted to somebody else."]],
  ["report", ["A forged report", "Say that a text has failed, as if Twilio did."]],
]);

/** The attacks, and what came of the last one of each. */
export function Attack(): View {
  const [reports, setReports] = useState<readonly AttackReport[]>([]);
  const [running, setRunning] = useState<AttackName>();
  const [problem, setProblem] = useState<string>();
  const start = async (name: AttackName) => {
    setRunning(name);
    setProblem(undefined);
    try {
      const report = await post<AttackReport>("/console/attacks", { name });
      setReports((known) => [report, ...known.filter((one) => one.name !== name)]);
    } catch (thrown) {
      setProblem(sentenceOf(thrown));
    }
    setRunning(undefined);
  };
  return html`
    <ul class="attacks">
      ${[...attacks].map(([name, [title, what]]) =>
        html`
          <li key=${name}>
            <button type="button" disabled=${running !== undefined} onClick=${() => start(name)}>
              ${title}
            </button>
            <span>${what}</span>
          </li>
        `
      )}
    </ul>
    <${Notice} kind="bad" text=${problem} />
    <div role="status">
      ${running && html`<p>${attacks.get(running)?.[0]} is under way…</p>`}
      ${reports.map((report) => html`<${Report} key=${report.name} report=${report} />`)}
    </div>
  `;
}

function Report({ report }: { readonly report: AttackReport }): View {
  const { name, requests, heard, findings, honest } = report;
  return html`
    <article class="outcome">
      <h3>${attacks.get(name)?.[0]}: ${requests} requests</h3>
      ${findings.map((finding) => html`<p key=${finding}>${finding}</p>`)}
      <p class="honest">
        An honest caller in the meantime: <b>${honest.outcome}</b>${" "}after ${sayMs(honest.ms)}.
      </p>
      <details>
        <summary>What came back</summary>
        <table>
          <thead><tr><th scope="col">Answer</th><th scope="col">How often</th></tr></thead>
          <tbody>
            ${Object.entries(heard).map(([what, count]) =>
              html`
                <tr key=${what}>
                  <td>${what}</td>
                  <td>${count}</td>
                </tr>
              `
            )}
          </tbody>
        </table>
      </details>
    </article>
  `;
}
