/**
 * What an operator looks at: figures, alarms, the audit trail and the log.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import type { Figures } from "../figures.ts";
import { Notice, type View } from "../../page/app/parts.ts";
import { get, sentenceOf } from "./stack.ts";

const targetMs = 800;
/** The longest time that is counted. */
const longestMs = 6400;

/** What the figures with a target are called, and how they are written. */
const targetWords: Readonly<
  Record<string, {
    readonly label: string;
    readonly target: string;
    readonly say: (figures: Figures, value: number) => string;
    /** What was counted, as one of them; undefined when the value is a count itself. */
    readonly of?: string;
  }>
> = {
  otp_success_rate: { label: "Holds confirmed", target: "above 95 %", say: percent, of: "hold" },
  sms_delivery_rate: {
    label: "Texts of calls delivered",
    target: "above 99.5 %",
    say: percent,
    of: "text",
  },
  cross_tenant_denials: {
    label: "Calls that named another clinic",
    target: "0",
    say: (_, value) => String(value),
  },
  tool_p95_ms: {
    label: "95 % of the slowest tool's calls",
    target: "below 800 ms",
    say: ({ tools }) => sayWithin(slowest(tools)),
  },
};

function percent(_: Figures, value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

const sayWithin = (ms: number | null): string =>
  ms === null ? `over ${longestMs} ms` : `within ${ms} ms`;

/** Null, which is longer than any bound, counts as the longest. */
const slowest = (tools: Figures["tools"]): number | null =>
  tools.some(({ most }) => most === null) ? null : Math.max(...tools.map(({ most }) => most ?? 0));

/** The last hour. `changes` grows whenever something may have been written. */
export function Operate({ changes, lines }: {
  readonly changes: number;
  readonly lines: readonly string[];
}): View {
  const [figures, setFigures] = useState<Figures>();
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    const load = () =>
      get<Figures>("/console/figures").then(
        (read) => {
          setFigures(read);
          setProblem(undefined);
        },
        (thrown) => setProblem(sentenceOf(thrown)),
      );
    // The functions send their counts a second after an answer.
    const timers = [setTimeout(load, 200), setTimeout(load, 1500)];
    return () => timers.forEach(clearTimeout);
  }, [changes]);
  return html`
    <${Notice} kind="bad" text=${problem} />
    ${figures && html`<${Shown} figures=${figures} />`}
    <h3>Log</h3>
    <pre class="lines" tabindex="0" aria-label="The functions' log">${lines.slice(-30).toReversed()
      .join("\n") || "Nothing yet."}</pre>
  `;
}

function Shown({ figures }: { readonly figures: Figures }): View {
  const { targets, tools, callsByMinute, holds, alarms, audit } = figures;
  const most = Math.max(1, ...callsByMinute);
  const widest = Math.max(targetMs, slowest(tools) ?? longestMs);
  return html`
    <div class="figures">
      <div>
        <h3>Targets, in the last hour</h3>
        <table>
          <thead>
            <tr>
              <th scope="col">Figure</th>
              <th scope="col">Now</th>
              <th scope="col">Target</th>
            </tr>
          </thead>
          <tbody>
            ${targets.map(({ metric, value, isMet, events }) =>
              html`
                <tr key=${metric}>
                  <th scope="row">${targetWords[metric]?.label ?? metric}</th>
                  <td class=${isMet === null ? "" : isMet ? "good" : "bad"}>
                    ${value === null ? "no data" : targetWords[metric]?.say(figures, value)}
                    ${value !== null && targetWords[metric]?.of && html`
                      ${" "}<small>of ${events} ${targetWords[metric]?.of}${events === 1
                        ? ""
                        : "s"}</small>
                    `}
                  </td>
                  <td>${targetWords[metric]?.target}</td>
                </tr>
              `
            )}
          </tbody>
        </table>
        <h3>Tool calls by the minute</h3>
        <div class="columns" role="img" aria-label=${`${
          callsByMinute.reduce((sum, calls) => sum + calls, 0)
        } tool calls in the last hour, at most ${most} in a minute`}>
          ${callsByMinute.map((calls, place) =>
            html`<span key=${place} style=${{ height: `${100 * calls / most}%` }} />`
          )}
        </div>
        <h3>Holds</h3>
        <p>${holds.live} live, ${holds.lapsed} expired and not cleaned up, the oldest for ${Math
          .round(holds.cleanupLagSeconds)} s. ${holds.overlaps} appointments overlap.</p>
      </div>
      <div>
        <h3>Tools</h3>
        <table>
          <thead>
            <tr>
              <th scope="col">Tool</th><th scope="col">Calls</th>
              <th scope="col">Half answered</th><th scope="col">95 % answered</th>
            </tr>
          </thead>
          <tbody>
            ${tools.map(({ tool, calls, half, most }) =>
              html`
                <tr key=${tool}>
                  <th scope="row">${breakable(tool)}</th>
                  <td>${calls}</td>
                  <td>${sayWithin(half)}</td>
                  <td>
                    ${sayWithin(most)}
                    <span class="track" aria-hidden="true">
                      <span class=${`bar ${most !== null && most <= targetMs ? "own" : "twilio"}`}
                        style=${{ width: `${100 * (most ?? longestMs) / widest}%` }} />
                    </span>
                  </td>
                </tr>
              `
            )}
          </tbody>
        </table>
        ${tools.length === 0 && html`<p class="nothing">No tool was called in the last hour.</p>`}
        <h3>Alarms</h3>
        ${alarms.length === 0 && html`<p class="nothing">None.</p>`}
        <ul>
          ${alarms.map(({ clinic, kind, events, at }) =>
            html`<li key=${kind + at}>${clinic}: ${events} ${kind}, ${
              new Date(at).toLocaleTimeString()
            }</li>`
          )}
        </ul>
      </div>
    </div>
    <h3>Audit trail</h3>
    <div class="scroll short" tabindex="0" role="region" aria-label="Audit trail">
      <table class="trail">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Clinic</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">Outcome</th>
          </tr>
        </thead>
        <tbody>
          ${audit.map(({ id, at, clinic, actor, caller, action, outcome }) =>
            html`
              <tr key=${id}>
                <td>${new Date(at).toLocaleTimeString()}</td>
                <td>${clinic ?? "deleted"}</td>
                <td>${actor} ${caller}</td>
                <td>${action}</td>
                <td>${outcome}</td>
              </tr>
            `
          )}
        </tbody>
      </table>
    </div>
  `;
}

/** A tool's name, which a narrow page breaks between its words. */
const breakable = (tool: string) =>
  tool.split("_").map((word, place) => place === 0 ? word : html`_<wbr />${word}`);
