/**
 * Registers the tests of several files in one process: `deno test tests/support/together.ts -- FILE ...`.
 * Their common modules are loaded and compiled once, and each gets the database of the one before, whose
 * connections have already planned their statements.
 *
 * @module
 */

for (const file of Deno.args) await import(new URL(`../../${file}`, import.meta.url).href);
