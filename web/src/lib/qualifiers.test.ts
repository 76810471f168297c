import assert from "node:assert/strict";
import { test } from "node:test";

import { complete, quoted, wordStart, type Qualifier } from "./qualifiers";

const qualifiers: Qualifier[] = [
  { name: "state", hint: "", values: ["pending", "parked", "published"] },
  { name: "type", hint: "" },
];
const offers = (text: string, caret = text.length) => complete(text, caret, qualifiers).map((offer) => text.slice(0, offer.from) + offer.text);

test("names are offered at the beginning of a word", () => {
  assert.deepEqual(offers(""), ["state:", "type:"]);
  assert.deepEqual(offers("type:A s"), ["type:A state:"]);
});

test("values are offered behind the colon, one after the other", () => {
  assert.deepEqual(offers("state:pa"), ["state:parked"]);
  assert.deepEqual(offers("state:parked,pu"), ["state:parked,published"]);
});

test("within quotes a blank begins no word", () => {
  assert.equal(wordStart('key:"a b', 8), 0);
  assert.deepEqual(offers('key:"a s'), []);
});

test("what is left of the caret counts", () => {
  assert.deepEqual(offers("sta type:A", 3), ["state:"].map((text) => text));
});

test("a value that would be read as two is quoted", () => {
  assert.equal(quoted("a b"), '"a b"');
  assert.equal(quoted("a,b"), '"a,b"');
  assert.equal(quoted("A-1"), "A-1");
});
