/**
 * The migrations as text: what each file creates and uses.
 *
 * @module
 */

import * as release from "../../supabase/tasks/release/migrations.ts";

/** One file of `migrations/`. */
export type Migration = release.Migration;

/** All migrations, in the order of application. */
export function readMigrations(): Migration[] {
  return release.readMigrations(new URL("../../migrations/", import.meta.url));
}

/** Removes both kinds of SQL comments; no string of the migrations contains their delimiters. */
export function withoutComments(sql: string): string {
  return sql.replace(/\/\*[\s\S]*?\*\//g, "").replace(/--.*/g, "");
}

/** Tables, views, types, functions and indexes that a migration creates in `public` and `private`. */
export function namesCreated(sql: string): string[] {
  const created =
    /^create (?:or replace )?(?:table|view|type|domain|function) ((?:public|private)\.\w+)/gm;
  const indexed = /^create (?:unique )?index (\w+)\s+on (public|private)\./gm;
  return [
    ...[...withoutComments(sql).matchAll(created)].map(([, name = ""]) => name),
    ...[...withoutComments(sql).matchAll(indexed)].map(([, name, schema]) => `${schema}.${name}`),
  ];
}

/** Every name in `public` and `private` that a migration mentions, function bodies included. */
export function namesUsed(sql: string): Set<string> {
  return new Set(withoutComments(sql).match(/\b(?:public|private)\.\w+/g));
}

/** A function as written in a migration. */
export interface SqlFunction {
  /** With its schema, such as `private.audit`. */
  readonly name: string;
  /** The block comment in front of it, or an empty string. */
  readonly header: string;
  /** Without comments. */
  readonly body: string;
}

/** The functions of a migration. */
export function readFunctions(sql: string): SqlFunction[] {
  const pieces = sql.split(/^create (?:or replace )?function (?=(?:public|private)\.)/m);
  return pieces.slice(1).map((piece, index) => {
    const quoted = piece.match(/\bas \$\$([\s\S]*?)\$\$;/)?.[1];
    // A SQL-standard body has no quotes; the function's `comment on` follows it.
    const body = quoted ?? piece.slice(0, piece.search(/^comment on function /m));
    return {
      name: piece.slice(0, piece.indexOf("(")),
      header: pieces[index]?.match(/\/\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/)?.[1] ?? "",
      body: withoutComments(body),
    };
  });
}
