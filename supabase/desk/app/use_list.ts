/**
 * What a function for staff lists, read again after every action.
 *
 * @module
 */

import { useEffect, useState } from "preact/hooks";
import type { Desk } from "./use_desk.ts";
import { type Answer, sentenceFor, type StaffFunction } from "./words.ts";

/** The last list that was read, or why there is none. */
export interface Listed {
  readonly list: Answer | undefined;
  readonly problem: string | undefined;
}

/** Reads a list for as long as a view shows it. */
export function useList(desk: Desk, name: StaffFunction): Listed {
  const [list, setList] = useState<Answer>();
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    let isOver = false;
    desk.client.ask(name, desk.orgId, {}).then((answer) => {
      if (isOver) return;
      if (answer.outcome === "found") setList(answer);
      setProblem(answer.outcome === "found" ? undefined : sentenceFor(name, answer));
    });
    return () => {
      isOver = true;
    };
    // It is read again after each action, and otherwise each minute.
  }, [desk.practice]);
  return { list, problem };
}
