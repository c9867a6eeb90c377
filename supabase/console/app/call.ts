/**
 * A phone call: what the caller says and hears, and what the agent does.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { CallableClinic } from "../lines.ts";
import type { PlayedTurn, PlayedUse, StartedCall } from "../phone_calls.ts";
import { Notice, onSubmit, onTick, onValue, type View } from "../../page/app/parts.ts";
import { hangUp, post, Refused, type Text, useAttempt, useLine } from "./stack.ts";
import { codeIn, suggest } from "./suggestions.ts";
import { Wire } from "./wire.ts";

/** One sentence of a call. */
interface Spoken {
  readonly who: "agent" | "you" | "line";
  readonly text: string;
}

interface Played {
  readonly callId: string | undefined;
  readonly asks: string | null;
  readonly spoken: readonly Spoken[];
  readonly uses: readonly PlayedUse[];
}

const silent: Played = { callId: undefined, asks: null, spoken: [], uses: [] };
const names = { agent: "Agent", you: "You", line: "" } as const;

/** The call of this window. */
export function Call(
  { clinics, clinic, onClinic, caller, onCaller, onGiven, onDay, texts, model }: {
    readonly clinics: readonly CallableClinic[];
    readonly clinic: CallableClinic | undefined;
    readonly onClinic: (slug: string) => void;
    readonly caller: string;
    readonly onCaller: (number: string) => void;
    /** Hears which other numbers the caller has given in this call. */
    readonly onGiven: (change: (known: readonly string[]) => readonly string[]) => void;
    /** Hears the local day of what was held or booked. */
    readonly onDay: (day: string) => void;
    /** To this caller's phone. */
    readonly texts: readonly Text[];
    /** The language model that answers; null if there is no key for one. */
    readonly model: string | null;
  },
): View {
  const [played, setPlayed] = useState(silent);
  const [said, setSaid] = useState("");
  const [isWithheld, setWithheld] = useState(false);
  const [isScripted, setScripted] = useState(false);
  const [speaks, setSpeaks] = useState(false);
  const { isBusy, problem, attempt } = useAttempt();
  const box = useRef<HTMLInputElement>(null);
  const log = useRef<HTMLDivElement>(null);
  const { callId, asks, spoken, uses } = played;
  const isOver = callId === undefined;

  useEffect(() => {
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [spoken]);
  useLine(callId);
  // Focus goes to the sentence when a call begins, and stays there.
  useEffect(() => box.current?.focus(), [callId]);

  const take = (turn: PlayedTurn, before: Played) => {
    if (speaks) speechSynthesis?.speak(new SpeechSynthesisUtterance(turn.says));
    const startTime = turn.uses.map(({ answer }) => answer["startTime"]).findLast(Boolean);
    if (typeof startTime === "string") onDay(startTime.slice(0, 10));
    const heard: Spoken[] = [{ who: "agent", text: turn.says }];
    if (turn.asks === null) heard.push({ who: "line", text: "The agent ended the call." });
    setPlayed({
      callId: turn.asks === null ? undefined : turn.callId,
      asks: turn.asks,
      spoken: [...before.spoken, ...heard],
      uses: [...before.uses, ...turn.uses],
    });
    if (turn.asks === null) hangUp(turn.callId).catch(() => {});
  };

  const start = () =>
    attempt(async () => {
      const from = { clinic: clinic?.slug ?? "", caller: isWithheld ? null : caller, isScripted };
      const started = await post<StartedCall>("/console/calls", from);
      onGiven(() => []);
      const who: Spoken[] = started.model === null
        ? []
        : [{ who: "line", text: `${started.model} answers.` }];
      take(started, { ...silent, spoken: who });
    });

  const say = (text: string) =>
    attempt(async () => {
      if (callId === undefined || text.trim() === "") return;
      const before = { ...played, spoken: [...spoken, { who: "you", text } as const] };
      setPlayed(before);
      setSaid("");
      if (asks === "patientPhone") onGiven((known) => [...known, text]);
      box.current?.focus();
      const turn = await post<PlayedTurn>(`/console/calls/${callId}/said`, { said: text })
        .catch((thrown) => {
          // Nobody heard it, so it can be said again, unless the stack has been restarted.
          const isGone = thrown instanceof Refused && thrown.status === 404;
          setPlayed(isGone ? { ...played, callId: undefined, asks: null } : played);
          throw thrown;
        });
      take(turn, before);
    });

  const end = () =>
    attempt(async () => {
      const ended = { who: "line", text: "You hung up. What was held is free again." } as const;
      setPlayed({ ...played, callId: undefined, asks: null, spoken: [...spoken, ended] });
      if (callId !== undefined) await hangUp(callId);
    });

  const code = texts.map(({ body }) => codeIn(body)).findLast(Boolean);
  const suggestions = asks === null || !clinic ? [] : suggest({
    ...{ asks, clinic, caller },
    answer: uses.at(-1)?.answer,
    code,
  });

  return html`
    <form class="fields" onSubmit=${onSubmit(start)}>
      <label>Clinic
        <select value=${clinic?.slug} onChange=${onValue(onClinic)} disabled=${!isOver}>
          ${clinics.map(({ slug, name }) =>
            html`<option key=${slug} value=${slug}>${name}</option>`
          )}
        </select>
      </label>
      <label>Your number
        <input
          type="tel"
          value=${caller}
          onInput=${onValue(onCaller)}
          disabled=${!isOver || isWithheld}
          required
          pattern="\\+[1-9][0-9]{6,14}"
          title="With its country code, as +447700900123"
        />
      </label>
      <label class="choice">
        <input type="checkbox" checked=${isWithheld} onChange=${onTick(
          setWithheld,
        )} disabled=${!isOver} />
        Withhold it
      </label>
      <label class="choice">
        <input type="checkbox" checked=${speaks} onChange=${onTick(setSpeaks)} />
        Speak aloud
      </label>
      ${model !== null && html`
        <label class="choice">
          <input type="checkbox" checked=${isScripted} onChange=${onTick(
            setScripted,
          )} disabled=${!isOver} />
          Without the model
        </label>
      `}
      ${isOver
        ? html`<button type="submit" class="main" disabled=${isBusy || !clinic}>Call</button>`
        : html`<button type="button" onClick=${end} disabled=${isBusy}>Hang up</button>`}
    </form>
    <div ref=${log} class="talk" role="log" aria-label="The call" tabindex="0">
      ${spoken.length === 0 &&
        html`<p class="nothing">Call, then answer with the buttons or in your own words.</p>`}
      ${spoken.map(({ who, text }, place) =>
        html`<p key=${place} class=${who}>${
          names[who] && html`
            <b>${names[who]}</b>
          `
        }${text}</p>`
      )}
    </div>
    <${Notice} kind="bad" text=${problem} />
    ${!isOver && html`
      <div class="suggestions" role="group" aria-label="You could say">
        ${suggestions.map(({ says, label = says }) =>
          html`<button key=${label} type="button" disabled=${isBusy} onClick=${() =>
            say(says)}>${label}</button>`
        )}
      </div>
      <form class="fields say" onSubmit=${onSubmit(() => say(said))}>
        <label>Say something
          <input ref=${box} value=${said} onInput=${onValue(
            setSaid,
          )} maxlength="500" autocomplete="off" />
        </label>
        <button type="submit" disabled=${isBusy}>Say</button>
      </form>
    `}
    <h3>On the wire</h3>
    <${Wire} uses=${uses} />
  `;
}
