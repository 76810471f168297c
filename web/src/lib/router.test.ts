import assert from "node:assert/strict";
import { test } from "node:test";

import { at, match, queryText, withQuery } from "./router";

test("parts of a path are encoded and come back whole", () => {
  for (const name of ["a/b", "foo/bar.baz", "100%", "ção", "a b", "..", "?x#y"]) {
    const parts = match("/topics/:topic/messages", `${at("topics", name)}/messages`);
    assert.deepEqual(parts, { topic: name });
  }
});

test("a path that does not match, or is badly encoded, is none", () => {
  assert.equal(match("/topics/:topic", "/topics"), null);
  assert.equal(match("/topics/:topic", "/topics/a/b"), null);
  assert.equal(match("/topics/:topic", "/topics/%E0%A4%A"), null);
});

test("a trailing slash changes nothing", () => {
  assert.deepEqual(match("/topics", "/topics/"), {});
});

test("changing the query keeps what is not named, also keys that nobody knows", () => {
  const from = { path: "/outbox", query: new URLSearchParams("q=a&strange=1&cursor=x"), turned: 0 };
  assert.equal(withQuery({ q: "state:parked", cursor: null }, from), "/outbox?q=state:parked&strange=1");
  assert.equal(withQuery({ q: "", strange: false, cursor: undefined }, from), "/outbox");
});

test("a query stays readable, and means the same", () => {
  const query = new URLSearchParams({ q: "state:pending,parked created:>-1h a+b&c" });
  assert.deepEqual(new URLSearchParams(queryText(query)).get("q"), query.get("q"));
  assert.match(queryText(query), /q=state:pending,parked/);
});
