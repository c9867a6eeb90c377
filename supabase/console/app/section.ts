/**
 * A part of the page under a heading.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import type { ComponentChildren } from "preact";
import type { View } from "../../page/app/parts.ts";

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
