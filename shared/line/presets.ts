/**
 * Voices, models and transcribers that a clinic can choose by name. All stream: the caller hears the
 * first words while the rest is still being made.
 *
 * Sources: Vapi's CartesiaVoice, ElevenLabsVoice, OpenAIModel, AnthropicModel, GoogleModel and
 * DeepgramTranscriber.
 *
 * @module
 */

/** The voice that speaks, by `voice` of the clinic. */
export const voices: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  cartesia: {
    provider: "cartesia",
    voiceId: "f786b574-daa5-4673-aa0c-cbe3e8534c02",
    model: "sonic-3",
  },
  "cartesia-british": {
    provider: "cartesia",
    voiceId: "79a125e8-cd45-4c13-8a67-188112f4dd22",
    model: "sonic-3",
  },
  elevenlabs: { provider: "11labs", voiceId: "sarah", model: "eleven_flash_v2_5" },
};

/** The language model that runs the conversation, by `model` of the clinic. None of them reasons. */
export const models: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  openai: { provider: "openai", model: "gpt-4.1" },
  "openai-mini": { provider: "openai", model: "gpt-4.1-mini" },
  anthropic: { provider: "anthropic", model: "claude-haiku-4-5-20251001" },
  google: { provider: "google", model: "gemini-2.5-flash" },
};

/** A transcriber, and the turn taking that goes with it. */
export interface Hearing {
  readonly transcriber: Readonly<Record<string, unknown>>;
  readonly startSpeakingPlan: Readonly<Record<string, unknown>>;
}

/**
 * How callers of a language are heard. Flux, for English, decides itself when a turn has ended; a
 * smart endpointing plan would switch that off without a word. Other languages get Nova, which waits
 * for a pause: a longer one while digits are read.
 *
 * @param language A tag such as `en` or `de-CH`.
 * @param keyterms Names that a general vocabulary does not have.
 */
export function hear(language: string, keyterms: readonly string[]): Hearing {
  const heard = { provider: "deepgram", numerals: true, keyterm: [...keyterms] };
  if (/^en\b/.test(language)) {
    return {
      transcriber: {
        ...heard,
        model: "flux-general-en",
        language: "en",
        // The model may begin at 0.5 and is stopped when the caller goes on; a pause between digits
        // ends a turn only after five seconds.
        eagerEotThreshold: 0.5,
        eotThreshold: 0.8,
        eotTimeoutMs: 5000,
      },
      startSpeakingPlan: { waitSeconds: 0.3 },
    };
  }
  return {
    transcriber: { ...heard, model: "nova-3", language, endpointing: 150 },
    startSpeakingPlan: {
      waitSeconds: 0.4,
      transcriptionEndpointingPlan: {
        onPunctuationSeconds: 0.2,
        onNoPunctuationSeconds: 1.2,
        onNumberSeconds: 2,
      },
    },
  };
}
