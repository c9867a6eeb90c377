/**
 * Small parts that every view uses.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import type { ComponentChildren, VNode } from "preact";

/** What a component gives. */
export type View = VNode | VNode[] | null;

/** Hears the submission of a form, which never leaves the page. */
export const onSubmit = (hear: () => unknown) => (event: Event): void => {
  event.preventDefault();
  hear();
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

/** One of the page's parts, with a heading that can be jumped to. */
export function Section({ id, title, about, children }: {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly children?: ComponentChildren;
}): View {
  return html`
    <section id=${id} aria-labelledby=${`${id}-title`}>
      <h2 id=${`${id}-title`} tabindex="-1">${title}</h2>
      <p class="about">${about}</p>
      ${children}
    </section>
  `;
}

/** A group of choices of which one is made. */
export function Choices({ name, legend, choices, chosen, onChoose }: {
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

/** What went wrong, read out when it appears. */
export function Problem({ text }: { readonly text: string | undefined }): View {
  return html`<p class="problem" role="alert">${text ?? ""}</p>`;
}
