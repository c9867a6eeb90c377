/**
 * What a fake Twilio remembers.
 *
 * @module
 */

import { FaultQueue } from "./faults.ts";
import type { FakeMessage } from "./message.ts";
import { Tokens } from "./tokens.ts";

/** The texts, faults, accounts and numbers of one fake. */
export class State {
  /** Oldest first. */
  readonly messages: FakeMessage[] = [];
  readonly faults = new FaultQueue();
  readonly tokens = new Tokens();
  /** Numbers that no account has. */
  readonly lostNumbers = new Set<string>();
  /** Phones that want no texts from a sender: the sender, a space, the phone. */
  readonly optedOut = new Set<string>();
  smsUrl = "";
  smsFallbackUrl = "";
  postCount = 0;

  /** @param onMessage Receives every text, as accepted and after each report was answered. */
  constructor(readonly onMessage: (message: FakeMessage) => void) {}

  /** Keeps a text. */
  add(message: FakeMessage): void {
    this.messages.push(message);
    this.onMessage(message);
  }
}
