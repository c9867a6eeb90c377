/**
 * The agent that answers a clinic's phone: a script or a language model.
 *
 * @module
 */

/** One turn of an agent. */
export interface Turn {
  /** What the caller hears. */
  readonly says: string;
  /** What the agent waits for, as scripted callers need it; undefined when the call is over. */
  readonly asks: Ask | undefined;
}

/**
 * What the agent asks for: an argument of a tool, the purpose of the call, agreement to what it
 * offered, or anything.
 */
export type Ask = "purpose" | "agreement" | "anything" | (string & Record<never, never>);

/** Answers one call. */
export interface Agent {
  /** What the caller hears first. */
  greet(): Turn;
  /** Hears what the caller said, uses tools and answers. */
  hear(said: string): Promise<Turn>;
}
