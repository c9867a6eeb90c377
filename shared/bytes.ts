/**
 * Bytes as WebCrypto takes them, by a name that every TypeScript knows.
 *
 * `Uint8Array` has had a type parameter since TypeScript 5.7, and WebCrypto's types ask for it;
 * hosted Supabase's Deno has 5.6, where it does not exist.
 *
 * @module
 */

/** `Uint8Array<ArrayBuffer>`, or `Uint8Array` before TypeScript 5.7. */
export type Bytes = ReturnType<TextEncoder["encode"]>;
