/**
 * The day of a clinic, doctors side by side, and races for its times.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useLayoutEffect, useState } from "preact/hooks";
import type { Book as Day, OpenTime } from "../book.ts";
import type { CallableClinic } from "../lines.ts";
import type { Rush } from "../rush.ts";
import { type Cell, rowsOf } from "./grid.ts";
import { sayDay, sayLeft, sayMinute } from "../../page/app/clinic_time.ts";
import { Notice, onSubmit, onValue, useClock, type View } from "../../page/app/parts.ts";
import { hangUp, keepReading, post, useAttempt, useLine } from "./stack.ts";
import { sayMs } from "./waterfall.ts";

/** A request of this window for a time. */
interface Asked {
  readonly callId: string;
  readonly answer: { readonly outcome: string; readonly message: string };
}

/** The book. `changes` grows whenever something may have been written. */
export function Book({ clinic, caller, day, onDay, changes }: {
  readonly clinic: CallableClinic;
  readonly caller: string;
  /** Local; undefined for the next one with an open time. */
  readonly day: string | undefined;
  readonly onDay: (day: string) => void;
  readonly changes: number;
}): View {
  const [book, setBook] = useState<Day & { readonly readAt: number }>();
  const [chosen, setChosen] = useState<string>();
  const [asked, setAsked] = useState<Asked>();
  const [result, setResult] = useState<Rush & { readonly wanted: string }>();
  const { isBusy, problem, setProblem, attempt } = useAttempt();
  const now = useClock(Date.now) + (book ? book.now - book.readAt : 0);

  // A layout effect, since an ordinary one would end the reading of an earlier day a moment after another
  // was chosen, and that reading could put the earlier day back.
  useLayoutEffect(() => {
    const path = `/console/book/${clinic.slug}${day === undefined ? "" : `/${day}`}`;
    return keepReading<Day>(path, {
      found: (read) => {
        setBook({ ...read, readAt: Date.now() });
        onDay(read.day);
        setProblem(undefined);
      },
      failed: setProblem,
    });
  }, [clinic.slug, day, changes]);

  useLine(asked?.callId);

  const hold = ({ slotId }: OpenTime) =>
    attempt(async () => {
      const patientName = `Window ${inLetters(caller)}`;
      setAsked(undefined);
      setAsked(
        await post<Asked>("/console/holds", { clinic: clinic.slug, caller, slotId, patientName }),
      );
    });
  const release = () =>
    attempt(async () => {
      if (asked) await hangUp(asked.callId);
      setAsked(undefined);
    });
  const target = book?.open.find(({ slotId }) => slotId === chosen) ?? book?.open[0];
  const send = () =>
    attempt(async () => {
      setResult(undefined);
      if (!target) return;
      const { slotId, from, doctor } = target;
      const rush = await post<Rush>("/console/rush", { clinic: clinic.slug, slotId });
      setResult({ ...rush, wanted: `${sayMinute(from)} with ${nameOf(doctor)}` });
    });
  const nameOf = (slug: string) => book?.doctors.find((one) => one.slug === slug)?.name ?? slug;

  return html`
    <form class="fields" onSubmit=${onSubmit(send)}>
      <label>Day
        <input type="date" value=${day ?? ""} onChange=${onValue((value) =>
          value && onDay(value)
        )} />
      </label>
      <label>Time
        <select value=${target?.slotId ?? ""} onChange=${onValue(setChosen)}>
          ${book?.open.map(({ slotId, doctor, from }) =>
            html`<option key=${slotId} value=${slotId}>${sayMinute(from)} ${
              nameOf(doctor)
            }</option>`
          )}
        </select>
      </label>
      <button type="submit" class="main" disabled=${isBusy ||
        !target}>Send 200 callers at it</button>
    </form>
    <${Notice} kind="bad" text=${problem} />
    <div role="status" class="result">
      ${asked && html`<${Answered} asked=${asked} onRelease=${release} isBusy=${isBusy} />`}
      ${result && html`<${Outcome} result=${result} />`}
    </div>
    ${book && html`
      <${Table} book=${book} now=${now} hold=${hold} isBusy=${isBusy}
        clinic=${clinic.name} />
    `}
  `;
}

function Answered({ asked, onRelease, isBusy }: {
  readonly asked: Asked;
  readonly onRelease: () => void;
  readonly isBusy: boolean;
}): View {
  const { answer } = asked;
  const isHeld = answer.outcome === "held";
  return html`
    <p class="heard">
      <b class=${isHeld ? "good" : "bad"}>${answer.outcome}</b>${" "}“${answer.message}”${" "}
      ${isHeld &&
        html`<button type="button" onClick=${onRelease} disabled=${isBusy}>Hang up</button>`}
    </p>
  `;
}

/** What 200 callers heard. */
function Outcome({ result }: { readonly result: Rush & { readonly wanted: string } }): View {
  const { wanted, callers, held, offered, others, rows, winnerHears, othersHear, ms } = result;
  const rest = Object.entries(others).map(([outcome, count]) => `${count} ${outcome}`).join(", ");
  return html`
    <div class="outcome">
      <p><b>${callers} callers wanted ${wanted}: ${held} got it, ${offered} were offered other times${rest &&
        `, ${rest}`}.</b>${" "}The database has ${rows} ${rows === 1
        ? "row"
        : "rows"} for this time.${" "}Half were
        answered within ${sayMs(ms.p50)}, 95 of 100 within ${sayMs(ms.p95)}, all within ${sayMs(
          ms.longest,
        )}.</p>
      ${winnerHears && html`<p>The first caller heard: “${winnerHears}”</p>`}
      ${othersHear && html`<p>The other callers heard: “${othersHear}”</p>`}
    </div>
  `;
}

function Table({ book, now, hold, isBusy, clinic }: {
  readonly book: Day;
  readonly now: number;
  readonly hold: (open: OpenTime) => void;
  readonly isBusy: boolean;
  readonly clinic: string;
}): View {
  const rows = rowsOf(book, now);
  if (rows.length === 0) {
    return html`<p class="nothing">${clinic} has no times on ${sayDay(book.day)}.</p>`;
  }
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="The book">
      <table class="book">
        <caption>${clinic}, ${sayDay(book.day)}: ${book.service.name}, ${book.service
          .minutes} minutes</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            ${book.doctors.map(({ slug, name }) => html`<th key=${slug} scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(({ from, cells }) =>
            html`
              <tr key=${from}>
                <th scope="row">${sayMinute(from)}</th>
                ${cells.map((cell, place) =>
                  html`
                    <td key=${place} class=${classOf(cell)}>
                      <${Entry}
                        cell=${cell}
                        now=${now}
                        hold=${hold}
                        isBusy=${isBusy}
                        label=${`${sayMinute(from)} with ${book.doctors[place]?.name}`}
                      />
                    </td>
                  `
                )}
              </tr>
            `
          )}
        </tbody>
      </table>
    </div>
  `;
}

const classOf = (cell: Cell): string => cell.kind === "booked" ? cell.booked.status : cell.kind;

function Entry({ cell, now, hold, isBusy, label }: {
  readonly cell: Cell;
  readonly now: number;
  readonly hold: (open: OpenTime) => void;
  readonly isBusy: boolean;
  readonly label: string;
}): View {
  switch (cell.kind) {
    case "closed":
      return html`<span class="hidden">closed</span>`;
    case "open":
      return html`
        <button type="button" disabled=${isBusy} onClick=${() => hold(cell.open)}>
          open<span class="hidden">${" "}${label}</span>
        </button>
      `;
    case "booked": {
      const { status, patient, phone, expiresAt, service } = cell.booked;
      if (!cell.isStart) return html`<small>${status}, continued</small>`;
      return html`
        <b>${status}</b>${" "}${expiresAt !== null && html`
          <span class="left">${sayLeft(expiresAt - now)} left</span>
        `}
        <small>${patient ?? "erased patient"}, ${phone}, ${service.toLowerCase()}</small>
      `;
    }
  }
}

/** The last digits of a number as a part of a name, which has no digits. */
const inLetters = (number: string): string =>
  [...number.slice(-3)].map((digit) => "abcdefghij"[Number(digit)] ?? "k").join("").replace(
    /^./,
    (first) => first.toUpperCase(),
  );
