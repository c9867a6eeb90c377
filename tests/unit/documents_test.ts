/**
 * What the documents refer to exists: files, headings, SQL, commands and their options; states are
 * those in the SQL.
 */
import assert from "node:assert/strict";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { tools } from "../../functions/vapi-webhook/tools.ts";
import { describeTools } from "../../supabase/tasks/docs.ts";
import { loadTasks } from "../support/tasks.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

const migrations = readdirSync(join(root, "migrations"))
  .map((name) => read(`migrations/${name}`)).join("\n");
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
];

/** A document in parts. */
interface Parts {
  /** Text outside of fenced blocks and inline code. */
  readonly text: string;
  /** Inline code. */
  readonly inline: readonly string[];
  readonly blocks: readonly { readonly language: string; readonly lines: readonly string[] }[];
  /** As GitHub derives them from the headings. */
  readonly anchors: ReadonlySet<string>;
}

function parse(markdown: string): Parts {
  const blocks: { language: string; lines: string[] }[] = [];
  const unfenced = markdown.replaceAll(/^```(\w*)\n(.*?)^```$/gms, (_, language, body) => {
    blocks.push({ language, lines: body.trimEnd().split("\n") });
    return "";
  });
  const inline: string[] = [];
  const text = unfenced.replaceAll(/`([^`]+)`/g, (_, code) => {
    // Inline code may be wrapped.
    inline.push(code.replaceAll(/\s+/g, " "));
    return "";
  });
  const headings = [...unfenced.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
  const anchors = headings.map((heading) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-")
  );
  assert.equal(new Set(anchors).size, anchors.length, "two headings have one anchor");
  return { text, inline, blocks, anchors: new Set(anchors) };
}

const parsed = new Map(documents.map((path) => [path, parse(read(path))]));

Deno.test("every link in the documents leads to a file and a heading", () => {
  let count = 0;
  for (const [path, { text }] of parsed) {
    for (const [, target = ""] of text.matchAll(/\]\(([^)]*)\)/g)) {
      count++;
      if (/^https:/.test(target)) {
        assert.ok(URL.canParse(target), `${path}: ${target}`);
        continue;
      }
      const [file = "", anchor] = target.split("#");
      const found = relative(root, join(root, file === "" ? path : join(dirname(path), file)));
      assert.ok(existsSync(join(root, found)), `${path} links to ${target}, which does not exist`);
      if (anchor !== undefined) {
        assert.ok(parsed.get(found)?.anchors.has(anchor), `${path}: ${target} is not a heading`);
      }
    }
  }
  assert.ok(count > 30);
});

Deno.test("every document can be reached from the README", () => {
  const reached = new Set(["README.md"]);
  for (const path of reached) {
    for (const [, target = ""] of (parsed.get(path)?.text ?? "").matchAll(/\]\(([^)#]+)/g)) {
      const found = relative(root, join(root, dirname(path), target));
      if (parsed.has(found)) reached.add(found);
    }
  }
  assert.deepEqual(documents.filter((path) => !reached.has(path)), []);
});

Deno.test("every path and every SQL function in the documents exists", () => {
  const folders = "functions|shared|migrations|supabase|tests|k6|docs|\\.ci|\\.github";
  let count = 0;
  for (const [path, { inline }] of parsed) {
    for (const code of inline) {
      if (new RegExp(`^(?:${folders})(?:/[\\w.*/-]*)?$`).test(code) && code.includes("/")) {
        count++;
        // NAME is a placeholder.
        const pattern = code.replace("NAME", "*");
        assert.ok(globSync(pattern, { cwd: root }).length > 0, `${path}: ${code} does not exist`);
      }
      const [, name] = /^(private\.\w+)(?:\(\))?$/.exec(code) ?? [];
      if (name !== undefined) {
        count++;
        const created = new RegExp(`^create (function|table) ${RegExp.escape(name)}\\b`, "m");
        assert.match(migrations, created, `${path}: no migration creates ${name}`);
      }
    }
  }
  assert.ok(count > 20);
});

/** A command in the documents: `deno task NAME WORD --option ...`. */
interface Command {
  readonly path: string;
  readonly text: string;
  readonly task: string;
  readonly words: readonly string[];
}

const command = /^(?:npx --yes deno@(\S+)|deno) task(?: (.*))?$/;

function commands(): Command[] {
  return [...parsed].flatMap(([path, { inline, blocks }]) => {
    const shell = blocks.filter(({ language }) => language === "sh").flatMap(({ lines }) => lines);
    return [...shell, ...inline].flatMap((line) => {
      const text = line.replace(/\s+#.*$/, "").replace(/ [<>|].*$/, "");
      const [, , rest] = command.exec(text) ?? [];
      const [task = "", ...words] = rest?.match(/"[^"]*"|\S+/g) ?? [];
      return task === "" ? [] : [{ path, text, task, words }];
    });
  });
}

const loadedTasks = await loadTasks();

Deno.test("every command in the documents is a task and takes the words and options shown", () => {
  const help = new Map(loadedTasks.map(({ name, task }) => [name, task.usage]));
  const used = commands();
  assert.ok(used.length > 30);
  for (const { path, text, task } of used) {
    assert.ok(help.has(task), `${path}: there is no task in "${text}"`);
  }
  for (const { path, text, task, words } of used) {
    const usage = help.get(task) ?? "";
    for (const [at, word] of words.entries()) {
      const isValue = words[at - 1]?.startsWith("--") ?? false;
      const isTest = task === "test" &&
        (existsSync(join(root, word)) || existsSync(join(root, "tests", word)));
      // Every task takes --help, whether its usage mentions it or not.
      if (isValue || isTest || word === "--help") continue;
      const isKnown = new RegExp(`(?<![\\w-])${RegExp.escape(word)}(?![\\w-])`).test(usage);
      assert.ok(isKnown, `${path}: "${text}": deno task ${task} does not know ${word}`);
    }
  }
});

Deno.test("the documents and the gate name one version of Deno", () => {
  const { dependencies: { deno: version } } = JSON.parse(read(".ci/deno/package.json"));
  const named = [...parsed.keys()].flatMap((path) =>
    [...read(path).matchAll(/deno@(\d[\d.]*\d)/g)].map(([, name]) => name)
  );
  named.push(/deno-version: (\S+)/.exec(read(".github/workflows/ci.yml"))?.[1]);
  assert.ok(named.length > 2);
  assert.deepEqual([...new Set(named)], [version]);
});

Deno.test("docs/tools.md matches the tools' own descriptions", () => {
  assert.equal(read("docs/tools.md"), describeTools(tools), "run deno task docs");
});

Deno.test("the states in docs/concepts.md are those of the SQL", () => {
  const statesOf = (constraint: string) => {
    const [, list = ""] = new RegExp(`constraint ${constraint}\\s+check \\(\\w+ in \\(([^)]*)\\)`)
      .exec(migrations) ?? [];
    return [...list.matchAll(/'(\w+)'/g)].map(([, state]) => state).sort();
  };
  const diagrams = parsed.get("docs/concepts.md")?.blocks
    .filter(({ language }) => language === "mermaid")
    .map(({ lines }) => {
      const states = lines.flatMap((line) => /^ *(\S+) --> (\S+):/.exec(line)?.slice(1) ?? []);
      return [...new Set(states)].filter((state) => state !== "[*]").sort();
    });
  assert.equal(diagrams?.length, 3);
  assert.deepEqual(diagrams?.[0], statesOf("appointments_status_known"));
  assert.deepEqual(diagrams?.[1], statesOf("one_time_passcodes_state_known"));
});

Deno.test("docs/jobs.md lists every job", () => {
  const scheduled = [...migrations.matchAll(/cron\.schedule\(\s*'([\w-]+)', '([^']+)'/g)]
    .map(([, name, at]) => [name, at === "* * * * *" ? "every minute" : at]);
  const listed = [...read("docs/jobs.md").matchAll(/^\| `([\w-]+)` \| (.*?) \|/gm)]
    .map(([, name, runs = ""]) => [
      name,
      runs.replace(/^every night at (\d+):(\d+) UTC$/, "$2 $1 * * *"),
    ]);
  assert.ok(scheduled.length > 5);
  assert.deepEqual(listed.sort(), scheduled.sort());
});

Deno.test("docs/data.md lists the rules of retention", () => {
  const [, rows = ""] =
    /insert into private\.retention_rules \(name, [^)]*\) values\s([^;]*);/.exec(migrations) ?? [];
  const rules = [...rows.matchAll(/^ *\('(\w+)', 'public\./gm)].map(([, rule]) => rule).sort();
  const [, table = ""] = read("docs/data.md").split("| rule in `private.retention_rules`");
  const listed = table.split("\n\n")[0]?.split("\n").flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, rule]) => rule)
  ).sort();
  assert.ok(rules.length > 8);
  assert.deepEqual(listed, rules);
});
