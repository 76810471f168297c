// Every code that the server can send has the page's words for it. The codes are read where the server has them: a new one without words
// fails here, not in front of a reader.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import en from "./en.json";
import pt from "./pt-BR.json";

const english = en as Record<string, string>;
const portuguese = pt as Record<string, string>;

/** What the first group of a pattern finds in sources of the server. */
function found(files: string[], pattern: RegExp, least: number): string[] {
  const codes = new Set(files.flatMap((file) => [...readFileSync(`../src/${file}`, "utf8").matchAll(pattern)].flatMap((match) => match.slice(1).filter(Boolean))));
  // A pattern that finds too little has lost its table.
  assert.ok(codes.size >= least, `${files.join(", ")}: only ${[...codes].join(", ")}`);
  return [...codes].sort();
}

const missing = (table: Record<string, string>, group: string, codes: string[]) => codes.filter((code) => table[`${group}.${code}`] === undefined);

const BLOCKAGES = "console/detail/overview_blockages.cpp";
const relayReasons = () => found([BLOCKAGES], /Telling\{\s*"(\w+)"/g, 10);

test("every cause has words in Portuguese", () => {
  const own = found(["console/overview.cpp", "console/detail/overview_notices.cpp", BLOCKAGES], /\bcode = (?:[^;,"]*\? )?"(\w+)"(?:\s*:\s*"(\w+)")?/g, 20);
  assert.deepEqual(missing(portuguese, "cause", [...own, ...relayReasons()]), []);
});

test("every incident has words in Portuguese", () => {
  const kinds = found(["console/overview_incidents.cpp"], /(?:Kind\{\s*|\.code = )"(\w+)"/g, 12);
  assert.deepEqual(missing(portuguese, "incident", kinds), []);
});

test("every reason why a relay waits has words in both languages", () => {
  for (const table of [english, portuguese]) assert.deepEqual(missing(table, "blocked", relayReasons()), []);
});

test("every step of the first start has words in Portuguese, done or to do", () => {
  const source = readFileSync("../src/console/overview_figures.cpp", "utf8");
  const list = source.slice(source.indexOf("checklist_of("));
  const codes = [...list.matchAll(/\{\s*"(\w+)",/g)].map((match) => match[1] ?? "").filter((code) => code !== "");
  assert.ok(codes.length >= 5, codes.join());
  assert.deepEqual(missing(portuguese, "check", codes.flatMap((code) => [`${code}.done`, `${code}.to_do`])), []);
});

test("every warning about topics and brokers has words in both languages", () => {
  const codes = found(["console/kafka_warnings.cpp"], /\b(?:warning|add)\(\s*(?:[^",;]*\? )?"(\w+)"(?:\s*:\s*"(\w+)")?/g, 11);
  for (const table of [english, portuguese]) assert.deepEqual(missing(table, "warning", codes), []);
});

test("every class of error that is explained has its explanation in Portuguese", () => {
  const codes = found(["console/event_json.cpp"], /std::string_view\("(\w+)"\)/g, 5);
  assert.deepEqual(missing(portuguese, "explanation", codes), []);
});

test("the problems that are about a server that is away, or a reader, have words in both languages", () => {
  const codes = found(["console/kafka_answers.cpp", "console/json.cpp"], /"(kafka_unavailable|timed_out|not_supported|kafka_forbidden)"/g, 4);
  for (const table of [english, portuguese]) assert.deepEqual(missing(table, "error", [...codes, "database_unavailable"]), []);
});

test("every way to lose a lease has words in both languages", () => {
  const ways = found(["relay/metrics.cpp"], /case Lost::(\w+):/g, 3);
  for (const table of [english, portuguese]) assert.deepEqual(missing(table, "lease_lost", ways), []);
});
