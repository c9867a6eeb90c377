/**
 * What a release fixes: the migrations that belong to it never change, and later ones leave the
 * functions of the last release working.
 *
 * Functions are deployed after the migrations and can be rolled back without them. So a change of the
 * schema comes in two releases: the first only adds (expand), a later one removes what nothing uses any
 * more (contract).
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import { sha256 } from "../../../shared/bytes.ts";

/** One file of `migrations/`. */
export interface Migration {
  /** Such as `20261101000100_organizations.sql`. */
  readonly file: string;
  readonly text: string;
}

/** All migrations of a folder, in the order of application. */
export function readMigrations(folder: URL): Migration[] {
  return readdirSync(folder).filter((name) => name.endsWith(".sql")).sort().map((file) => ({
    file,
    text: readFileSync(new URL(file, folder), "utf8"),
  }));
}

/** A release and the migrations that it added. */
export interface Release {
  /** Such as `0.1.0`. */
  readonly version: string;
  /** SHA-256 in hex, by file. */
  readonly migrations: ReadonlyMap<string, string>;
}

/**
 * Reads `supabase/released.sha256`: a line `# v0.1.0` for each release, followed by the checksums of its
 * migrations as `sha256sum` prints them. Other comments are allowed.
 *
 * @throws {Error} When a line is neither.
 */
export function readReleases(text: string): Release[] {
  const releases: { version: string; migrations: Map<string, string> }[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const version = /^# v(\d+\.\d+\.\d+)$/.exec(line)?.[1];
    const [, sum, file] = /^([0-9a-f]{64}) {2}(\S+\.sql)$/.exec(line) ?? [];
    if (version !== undefined) releases.push({ version, migrations: new Map() });
    else if (sum !== undefined && file !== undefined && releases.length > 0) {
      releases.at(-1)?.migrations.set(file, sum);
    } else if (line !== "" && !line.startsWith("# ")) {
      throw new Error(`released.sha256, line ${index + 1} is neither a release nor a checksum`);
    }
  }
  return releases;
}

/** The lines that a release adds to `supabase/released.sha256`. */
export function writeRelease(version: string, added: readonly Migration[]): string {
  return [`# v${version}`, ...added.map(({ file, text }) => `${sha256(text)}  ${file}`)]
    .join("\n") + "\n";
}

/** The migrations that no release has yet, in order. */
export function findUnreleased(
  releases: readonly Release[],
  migrations: readonly Migration[],
): Migration[] {
  const released = new Set(releases.flatMap(({ migrations }) => [...migrations.keys()]));
  return migrations.filter(({ file }) => !released.has(file));
}

/**
 * What is wrong with the migrations, each with what to do. Before the first release, nothing is.
 *
 * @param migrations All of them, in the order of application.
 */
export function findBreaches(
  releases: readonly Release[],
  migrations: readonly Migration[],
): string[] {
  const texts = new Map(migrations.map(({ file, text }) => [file, text]));
  const changed = releases.flatMap(({ version, migrations }) =>
    [...migrations].flatMap(([file, sum]) => {
      const text = texts.get(file);
      if (text === undefined) return [`${file} of v${version} is missing: bring it back`];
      return sha256(text) === sum ? [] : [
        `${file} of v${version} has changed: bring it back, and write the change as a new migration`,
      ];
    })
  );
  if (releases.length === 0) return changed;
  const last = releases.flatMap(({ migrations }) => [...migrations.keys()]).sort().at(-1) ?? "";
  const versions = new Set(releases.map(({ version }) => version));
  const late = findUnreleased(releases, migrations).flatMap(({ file, text }) => [
    ...file > last ? [] : [
      `${file} sorts before ${last}, which is released: give it a later time, or no released ` +
      `database gets it`,
    ],
    ...findHazards(text, versions).map((hazard) => `${file} ${hazard}`),
  ]);
  return [...changed, ...late];
}

/** What would make callers wait, or break the functions of the last release. */
function findHazards(text: string, versions: ReadonlySet<string>): string[] {
  const sql = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/--.*/g, "")
    .replace(/(\$\w*\$)[\s\S]*?\1/g, "''");
  const statements = sql.split(";").map((statement) => statement.trim().replace(/\s+/g, " "));
  const hazards = [];
  if (!/^set (?:local )?lock_timeout = '\d+m?s'$/.test(statements[0] ?? "")) {
    hazards.push(
      "does not begin with set local lock_timeout = '2s': while it waits for a lock, every caller " +
        "waits behind it",
    );
  }
  const altered = findAlteredTables(statements);
  if (altered.length > 1) {
    hazards.push(
      `alters ${
        altered.join(" and ")
      }: give each table a migration of its own, because calls lock ` +
        "tables in another order and both would deadlock",
    );
  }
  const withDefault = findColumnWithDefault(statements);
  if (withDefault !== undefined) {
    hazards.push(
      `adds ${withDefault} with a default, which PostgreSQL 15.20 and later refuse if a function with ` +
        "a SQL-standard body reads rows of the table: add the column, and set its default afterwards",
    );
  }
  const contracts = /^-- contract: v(\d+\.\d+\.\d+)$/m.exec(text)?.[1];
  if (contracts !== undefined && !versions.has(contracts)) {
    hazards.push(`removes what v${contracts} no longer uses, which is not released`);
  }
  const removal = statements.find((statement) => removes(statement, statements));
  if (removal !== undefined && contracts === undefined) {
    hazards.push(
      `removes something (${
        removal.slice(0, 60)
      }) that the functions of the last release may use: ` +
        `stop using it first, release that, then name the release here: -- contract: v0.2.0`,
    );
  }
  return hazards;
}

/** The tables that a migration alters and does not create itself. */
function findAlteredTables(statements: readonly string[]): string[] {
  const named = (pattern: RegExp) =>
    new Set(statements.flatMap((statement) => pattern.exec(statement.toLowerCase())?.[1] ?? []));
  const created = named(/^create table (?:if not exists )?([\w.]+)/);
  const altered = named(/^alter table (?:if exists |only )*([\w.]+)/);
  return [...altered].filter((table) => !created.has(table));
}

/** A column that gets its default in the statement that adds it. */
function findColumnWithDefault(statements: readonly string[]): string | undefined {
  return statements.filter((statement) => /^alter table /i.test(statement))
    .flatMap((statement) => withoutParentheses(statement).split(","))
    .map((action) => /\badd (?:column )?(?:if not exists )?(\w+) .*\bdefault\b/i.exec(action)?.[1])
    .find((column) => column !== undefined && column.toLowerCase() !== "constraint");
}

/** The text without what stands in parentheses, so that its commas separate its parts. */
function withoutParentheses(text: string): string {
  const shorter = text.replace(/\([^()]*\)/g, "");
  return shorter === text ? text : withoutParentheses(shorter);
}

/** Whether a statement takes away what the last release's functions may use. */
function removes(statement: string, all: readonly string[]): boolean {
  const lower = statement.toLowerCase();
  // A function that comes back in the same file only changes, as when it gets a further parameter.
  const dropped = /^drop (?:function|view) (?:if exists )?([\w.]+)/.exec(lower)?.[1];
  if (dropped !== undefined) {
    return !all.some((other) =>
      new RegExp(`^create (?:or replace )?(?:function|view) ${dropped}\\b`, "i").test(other)
    );
  }
  return /^drop (?:table|schema|type|domain|extension|materialized view|sequence|procedure)\b/
    .test(lower) ||
    /^alter .*\b(?:rename|set schema)\b/.test(lower) ||
    /^alter table .*\b(?:drop column|drop (?!constraint|default|not null|expression|identity)\w)/
      .test(lower) ||
    /^alter table .*\balter (?:column )?\w+ (?:(?:set data )?type|set not null)\b/.test(lower) ||
    /^truncate\b/.test(lower) || /^revoke\b/.test(lower) && !revokesFromNew(lower, all);
}

/** Whether a file takes rights only on what it creates itself: nobody had them before. */
function revokesFromNew(revoke: string, all: readonly string[]): boolean {
  const [, list = ""] = / on (?:function |table |view |sequence )?(.+?) from /.exec(revoke) ?? [];
  return list !== "" &&
    list.replace(/\([^)]*\)/g, "").split(",").every((name) =>
      all.some((other) =>
        new RegExp(`^create (?:function|table|view|sequence) ${name.trim()}\\b`, "i").test(other)
      )
    );
}
