import assert from "node:assert/strict";
import { test } from "node:test";

import { hold } from "./held";

interface Row {
  id: number;
  state: string;
}
const row = (id: number, state = "pending"): Row => ({ id, state });
const key = ({ id }: Row) => String(id);

test("rows change in place, and new ones wait above", () => {
  const { rows, waiting } = hold([row(2), row(1)], [row(4), row(3), row(2, "published"), row(1)], key);
  assert.deepEqual(rows, [row(2, "published"), row(1)]);
  assert.equal(waiting, 2);
});

test("a row that fell off the page stays where it was", () => {
  assert.deepEqual(hold([row(2), row(1)], [row(3), row(2)], key).rows, [row(2), row(1)]);
});

test("rows that come below are added", () => {
  assert.deepEqual(hold([row(3)], [row(3), row(1)], key), { rows: [row(3), row(1)], waiting: 0 });
});

test("nothing in common is another list", () => {
  assert.deepEqual(hold([row(1)], [row(9), row(8)], key), { rows: [row(9), row(8)], waiting: 0 });
});
