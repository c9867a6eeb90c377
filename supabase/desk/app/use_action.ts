/**
 * One action of a dialog: whether it runs, what became of it, and the id of its request.
 *
 * @module
 */

import { useRef, useState } from "preact/hooks";
import type { Desk } from "./use_desk.ts";
import { type Answer, isDone, sentenceFor, type StaffFunction } from "./words.ts";

/** How a dialog acts. */
export interface Action {
  readonly isBusy: boolean;
  /** What went wrong, if the last action was not done. */
  readonly problem: string | undefined;
  readonly answer: Answer | undefined;
  run(
    name: StaffFunction,
    args: Readonly<Record<string, unknown>>,
    onDone: (sentence: string, answer: Answer) => void,
  ): Promise<void>;
  /** Says something that the page itself found wrong. */
  refuse(problem: string | undefined): void;
}

/** An {@link Action}. What nobody answered is sent again under the same id: it takes effect once. */
export function useAction(desk: Desk): Action {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const [answer, setAnswer] = useState<Answer>();
  const unanswered = useRef<{ readonly what: string; readonly request: string } | undefined>(
    undefined,
  );
  return {
    isBusy,
    problem,
    answer,
    refuse: setProblem,
    run: async (name, args, onDone) => {
      const what = JSON.stringify([name, args]);
      const request = unanswered.current?.what === what
        ? unanswered.current.request
        : crypto.randomUUID();
      setBusy(true);
      setProblem(undefined);
      const got = await desk.act(name, args, request);
      unanswered.current = ["unreachable", "busy"].includes(got.outcome)
        ? { what, request }
        : undefined;
      setBusy(false);
      setAnswer(got);
      const sentence = sentenceFor(name, got);
      if (isDone(got)) onDone(sentence, got);
      else setProblem(sentence);
    },
  };
}
