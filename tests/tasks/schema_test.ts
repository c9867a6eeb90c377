/** How deno task schema normalizes a dump; the gate runs the task itself, with PostgreSQL 15. */
import assert from "node:assert/strict";
import { compare, tidyDump } from "../../supabase/tasks/schema.ts";

const dumpOf = (version: string, rest = "") =>
  `--
-- PostgreSQL database dump
--

${rest}-- Dumped from database version ${version}
-- Dumped by pg_dump version ${version}

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: private; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA private;


--
-- Name: f(); Type: FUNCTION; Schema: private; Owner: -
--

CREATE FUNCTION private.f() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  -- A comment of ours.
  return;
end
$$;


--
-- PostgreSQL database dump complete
--

${rest.replace("restrict", "unrestrict")}`;

Deno.test("a dump reads the same from every minor version of pg_dump", () => {
  const tidy = tidyDump(dumpOf("15.18 (Debian 15.18-0+deb12u1)", "\\restrict abc\n\n"));
  assert.equal(
    tidy,
    `CREATE SCHEMA private;

CREATE FUNCTION private.f() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  -- A comment of ours.
  return;
end
$$;
`,
  );
  assert.equal(tidyDump(dumpOf("15.2")), tidy);
});

Deno.test("an outdated schema is reported with its first different line", () => {
  assert.equal(compare("a\nb\n", "a\nc\n"), "from line 2 on:\n- b\n+ c");
  assert.equal(compare("a\nb", "a"), "from line 2 on:\n- b\n+ ");
  assert.equal(compare("", "a"), "from line 1 on:\n- \n+ a");
});
