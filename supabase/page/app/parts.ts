/**
 * Small parts that every view of both pages uses.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** What a component gives. */
export type View = VNode | VNode[] | null;

/** What a form says under a name, as it was typed. */
export function typed(form: HTMLFormElement, name: string): string {
  const input = form.elements.namedItem(name);
  return input instanceof HTMLInputElement || input instanceof HTMLSelectElement ? input.value : "";
}

/** The same without spaces around it. */
export const field = (form: HTMLFormElement, name: string): string => typed(form, name).trim();

/** Hears the submission of a form, which never leaves the page. */
export const onSubmit = (hear: (form: HTMLFormElement) => unknown) => (event: Event): void => {
  event.preventDefault();
  if (event.currentTarget instanceof HTMLFormElement) hear(event.currentTarget);
};

/** Hears what an input or a choice says now. */
export const onValue = (hear: (value: string) => void) => (event: Event): void => {
  const { currentTarget: from } = event;
  if (from instanceof HTMLInputElement || from instanceof HTMLSelectElement) hear(from.value);
};

/** Hears whether a box is ticked. */
export const onTick = (hear: (isTicked: boolean) => void) => (event: Event): void => {
  if (event.currentTarget instanceof HTMLInputElement) hear(event.currentTarget.checked);
};

/** A window over the page: the browser keeps the focus in it and gives it back afterwards. */
export function Dialog(
  { title, onClose, children }: {
    readonly title: string;
    readonly onClose: () => void;
    readonly children?: ComponentChildren;
  },
): View {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const { current } = dialog;
    const before = document.activeElement;
    current?.showModal();
    return () => {
      current?.close();
      // What opened it may have been drawn again in the meantime.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      else document.querySelector("main")?.focus();
    };
  }, []);
  return html`
    <dialog ref=${dialog} aria-labelledby="dialog-title" onCancel=${onClose}>
      <header>
        <h2 id="dialog-title">${title}</h2>
        <button type="button" class="quiet" onClick=${onClose}>Close</button>
      </header>
      ${children}
    </dialog>
  `;
}

/** A message that is read out when it appears. */
export function Notice({ kind, text }: {
  readonly kind: "good" | "bad" | "";
  readonly text: string | undefined;
}): View {
  return html`<p class=${`notice ${kind}`} role=${kind === "bad" ? "alert" : "status"}>${
    text ?? ""
  }</p>`;
}

/** The time by a clock, each second; in milliseconds since 1970. */
export function useClock(read: () => number): number {
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return read();
}
