/**
 * Secrets of the local stack that are no secret.
 *
 * @module
 */

/** The secret of the local functions, for `X-Vapi-Secret`. */
export const localVapiSecret = "local-vapi-secret";
/** The bearer token of the local metrics. */
export const localMetricsToken = "local-metrics-token";
