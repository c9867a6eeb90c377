/**
 * The other side of a connection that `shared/exchange.ts` opens.
 *
 * @module
 */

import type { Connection } from "../../shared/exchange.ts";

/**
 * A connection on which one answer can be read.
 *
 * @param hear Gets what was asked, before the answer is read.
 */
export function answerWith(
  answer: string,
  hear: (asked: string) => Promise<void> | void,
): Connection {
  let asked = "";
  let rest = new TextEncoder().encode(answer);
  return {
    write: (bytes) => {
      asked += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
    read: async (buffer) => {
      const heard = asked;
      asked = "";
      if (heard !== "") await hear(heard);
      const part = rest.subarray(0, buffer.length);
      rest = rest.subarray(part.length);
      buffer.set(part);
      return part.length === 0 ? null : part.length;
    },
    close: () => {},
  };
}
