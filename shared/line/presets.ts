/**
 * Voices, models and transcribers that a clinic can choose by name. All of them stream, so the caller
 * hears the first words before the rest is ready.
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

/** The language model of the conversation, by the clinic's `model`. None is a reasoning model. */
export const models: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  openai: { provider: "openai", model: "gpt-4.1" },
  "openai-mini": { provider: "openai", model: "gpt-4.1-mini" },
  anthropic: { provider: "anthropic", model: "claude-haiku-4-5-20251001" },
  google: { provider: "google", model: "gemini-2.5-flash" },
};

/** A transcriber with its settings for taking turns. */
export interface Hearing {
  readonly transcriber: Readonly<Record<string, unknown>>;
  readonly startSpeakingPlan: Readonly<Record<string, unknown>>;
}

/**
 * How callers of a language are transcribed. Flux, for English, detects the end of a turn itself; a
 * smart endpointing plan would silently disable that. Other languages use Nova, which waits for a
 * pause, a longer one while digits are read.
 *
 * @param language A tag such as `en` or `de-CH`.
 * @param keyterms Names that are not in a general vocabulary.
 */
export function hear(language: string, keyterms: readonly string[]): Hearing {
  const heard = { provider: "deepgram", numerals: true, keyterm: [...keyterms] };
  if (/^en\b/.test(language)) {
    return {
      transcriber: {
        ...heard,
        model: "flux-general-en",
        language: "en",
        // At 0.5 the model may start answering, and is stopped if the caller continues. A pause
        // between digits ends a turn only after five seconds.
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
