/**
 * The uses of a tool in a call: the request and the answer as on the wire, and a waterfall.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import type { PlayedUse } from "../phone_calls.ts";
import type { View } from "../../page/app/parts.ts";
import { type Bar, barsOf, type Kind, sayMs } from "./waterfall.ts";

const kinds: Readonly<Record<Kind, string>> = {
  parse: "Read",
  database: "Database",
  twilio: "Twilio",
  own: "Own work",
  answer: "Answer",
};

/** The uses so far, the newest first and open. */
export function Wire({ uses }: { readonly uses: readonly PlayedUse[] }): View {
  if (uses.length === 0) {
    return html`<p class="nothing">Each request to a tool is shown here, with its answer.</p>`;
  }
  return html`
    <ol class="wire" reversed>
      ${uses.toReversed().map((use, place) =>
        html`
          <li key=${use.exchange.startedAt}>
            <${Use} use=${use} isNewest=${place === 0} />
          </li>
        `
      )}
    </ol>
  `;
}

function Use({ use, isNewest }: { readonly use: PlayedUse; readonly isNewest: boolean }): View {
  const { tool, answer, exchange } = use;
  return html`
    <h4>
      <code>${tool}</code>${" "}
      <span class=${answer.success ? "good" : "bad"}>${answer.outcome}</span>${" "}
      <span class="ms">${sayMs(exchange.endedAt - exchange.startedAt)}</span>
    </h4>
    <${Waterfall} bars=${barsOf(use)} />
    <details open=${isNewest}>
      <summary>Request and answer</summary>
      <pre tabindex="0" aria-label=${`Request of ${tool}`}>${[
        `POST ${new URL(exchange.url).pathname}`,
        ...Object.entries(exchange.headers).map(([name, value]) => `${name}: ${value}`),
        "",
        pretty(exchange.body),
      ].join("\n")}</pre>
      <pre tabindex="0" aria-label=${`Answer of ${tool}`}>${`${exchange.status}\n\n${
        pretty(exchange.answer)
      }`}</pre>
    </details>
  `;
}

/** JSON with line breaks. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A list, since a picture says nothing to a screen reader. */
function Waterfall({ bars }: { readonly bars: readonly Bar[] }): View {
  return html`
    <ul class="waterfall" aria-label="Where the time went">
      ${bars.map(({ kind, label, from, to, ms }, place) =>
        html`
          <li key=${place}>
            <span class="label">${kinds[kind]}<small>${label}</small></span>
            <span class="track" aria-hidden="true">
              <span
                class=${`bar ${kind}`}
                style=${{ left: `${100 * from}%`, width: `${100 * Math.max(to - from, 0.005)}%` }}
              />
            </span>
            <span class="ms">${sayMs(ms)}</span>
          </li>
        `
      )}
    </ul>
  `;
}
