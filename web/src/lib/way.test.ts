import assert from "node:assert/strict";
import { test } from "node:test";

import { groupsAt, groupsState } from "./way";

const group = (name: string, committed: string | null, partition = 2) => ({
  group: name,
  state: "Stable" as const,
  members: 1,
  lag: null,
  offsets: [{ topic: "t", partition, committed, end: null, lag: null, member: null, is_stale: false, error: null }],
});
const answer = (...items: ReturnType<typeof group>[]) => ({ items, groups_seen: items.length, groups_total: items.length });

test("a group has read a record when its offset is behind it, exactly beyond 2^53", () => {
  const readers = groupsAt(answer(group("at", "9007199254740993"), group("past", "9007199254740994")), 2, "9007199254740993");
  assert.deepEqual(readers.map((reader) => [reader.group, reader.hasRead, reader.behind]), [
    ["at", false, 1n],
    ["past", true, 0n],
  ]);
});

test("an offset of another partition says nothing", () => {
  assert.deepEqual(groupsAt(answer(group("other", "99", 3)), 2, "5")[0], { group: "other", state: "Stable", committed: null, hasRead: false, behind: null });
});

test("the station waits for the last group, and is unknown without any", () => {
  assert.equal(groupsState(groupsAt(answer(group("a", "9"), group("b", "5")), 2, "5")), "waiting");
  assert.equal(groupsState(groupsAt(answer(group("a", "9"), group("b", "6")), 2, "5")), "done");
  assert.equal(groupsState([]), "unknown");
});
