/**
 * Who answers a clinic's phone: the scripted agent or a language model.
 *
 * @module
 */

/** One turn of an agent. */
export interface Turn {
  /** What the caller hears. */
  readonly says: string;
  /** What the agent waits for, which a scripted caller goes by; undefined when the call is over. */
  readonly asks: Ask | undefined;
}

/**
 * What is asked for: an argument of a tool, what the call is about, whether the agent may do what it
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
