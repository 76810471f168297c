import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import en from "./en.json";
import pt from "./pt-BR.json";

const english = en as Record<string, string>;
const portuguese = pt as Record<string, string>;
const parameters = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

// What the server says in English needs words only in other languages (lib/sentences.ts).
const isServers = (key: string) => /^(cause|incident|check|step|explanation|reason)\./.test(key);

test("every message is there in Portuguese, and no other", () => {
  assert.deepEqual(Object.keys(portuguese).filter((key) => !isServers(key)).sort(), Object.keys(english).sort());
});

test("a message names the same parameters in both languages", () => {
  for (const [key, text] of Object.entries(english)) {
    assert.deepEqual(parameters(portuguese[key] ?? ""), parameters(text), key);
  }
});

test("code spans are closed", () => {
  for (const [key, text] of [...Object.entries(english), ...Object.entries(portuguese)]) {
    assert.equal(text.split("`").length % 2, 1, key);
  }
});

function sources(): string {
  const files = readdirSync("src", { recursive: true }).map(String);
  return files.filter((name) => /\.tsx?$/.test(name) && !name.includes("i18n")).map((name) => readFileSync(`src/${name}`, "utf8")).join("\n");
}

test("no message is left over", () => {
  const text = sources();
  // Keys made of a part that the server or a choice names: sentence("cause", code), t(`severity.${…}`) and t(`payload.mode_${…}`).
  const groups = [...text.matchAll(/sentence\("([\w.]+)"/g), ...text.matchAll(/\bt\(`([\w.]+)\.\$\{/g)].map((found) => `${found[1]}.`);
  const stems = [...text.matchAll(/\btn?\(`([\w.]+_)\$\{/g)].map((found) => found[1] ?? "");
  const unused = Object.keys(english).filter((key) => {
    const stem = key.replace(/_(one|other)$/, "");
    return !text.includes(`"${key}"`) && !text.includes(`"${stem}"`) && ![...groups, ...stems].some((group) => key.startsWith(group));
  });
  assert.deepEqual(unused, []);
});
