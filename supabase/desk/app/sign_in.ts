/**
 * The form that a member of a clinic's staff signs in with.
 *
 * @module
 */
/// <reference lib="dom" />

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import type { Client } from "./client.ts";
import { field, Notice, onSubmit, typed, type View } from "../../page/app/parts.ts";

export function SignIn({ client }: { readonly client: Client }): View {
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const signIn = async (form: HTMLFormElement) => {
    setProblem(undefined);
    setBusy(true);
    const refusal = await client.signIn(field(form, "email"), typed(form, "password"));
    setBusy(false);
    setProblem(refusal);
  };
  return html`
    <main class="sign-in" tabindex="-1">
      <h1>Front desk</h1>
      <form onSubmit=${onSubmit(signIn)}>
        <label>E-mail address
          <input name="email" type="email" autocomplete="username" required autofocus />
        </label>
        <label>Password
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <${Notice} kind="bad" text=${problem} />
        <button type="submit" class="main" disabled=${isBusy}>Sign in</button>
      </form>
    </main>
  `;
}
