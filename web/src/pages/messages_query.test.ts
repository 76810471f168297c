import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsText, filterValue, fromText, kcatCommand, parseColumns, parseFrom, parsePartitions, traceOf, unitOf, withTerm } from "./messages_query";

test("each way to begin survives its address, and what is not understood is refused", () => {
  for (const text of ["newest", "oldest", "offset:9223372036854775807", "time:2026-01-31T12:00:00Z", "-1h", "-90s"]) {
    const from = parseFrom(text);
    assert.ok(from, text);
    assert.equal(fromText(from), text);
  }
  assert.equal(parseFrom(null)?.mode, "newest");
  for (const text of ["offset:", "offset:-1", "offset:1.5", "time:yesterday", "-1w", "1h", "latest"]) assert.equal(parseFrom(text), null, text);
});

test("partitions are numbers and ranges", () => {
  assert.deepEqual(parsePartitions("5-7, 0,2,2"), [0, 2, 5, 6, 7]);
  assert.deepEqual(parsePartitions(""), []);
  for (const text of ["a", "1-", "-1", "1-99999999", "0-100000"]) assert.equal(parsePartitions(text), null, text);
});

test("columns of headers and paths survive their address, whatever their names", () => {
  const columns = parseColumns("time,h.a%2Cb%25,j.items[0].sku,bogus,j.a..b,key");
  assert.deepEqual(columns.map((column) => column.name), ["time", "a,b%", "items[0].sku", "key"]);
  assert.deepEqual(parseColumns(columnsText(columns)), columns);
  assert.equal(columnsText(parseColumns(null)), null);
  assert.equal(columnsText(parseColumns("bogus")), null);
});

test("values of a filter are quoted when they must be, and terms are added once", () => {
  assert.equal(filterValue("order-7"), "order-7");
  assert.equal(filterValue('São "Paulo" \\'), '"São \\"Paulo\\" \\\\"');
  assert.equal(filterValue("-7"), '"-7"');
  assert.equal(filterValue("a|b"), '"a|b"');
  assert.equal(filterValue(""), '""');
  assert.equal(withTerm("", "key:a"), "key:a");
  assert.equal(withTerm("key:a", "key:a"), "key:a");
  assert.equal(withTerm("key:ab", "key:a"), "key:ab key:a");
});

test("a trace is taken from a traceparent only", () => {
  assert.equal(traceOf("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), "4bf92f3577b34da6a3ce929d0e0e4736");
  assert.equal(traceOf("00-4bf9-00-01"), null);
  assert.equal(traceOf(null), null);
});

test("a command is safe in a shell, whatever the topic is called", () => {
  assert.equal(kcatCommand("txstream.events", 2, "1234"), 'kcat -b "$KAFKA_BROKERS" -C -t txstream.events -p 2 -o 1234 -c 1 -e -q');
  assert.ok(kcatCommand("a'; rm -rf ~", 0, "1").includes("-t 'a'\\''; rm -rf ~' "));
});

test("a caret stands under the right character behind letters of two code units", () => {
  assert.equal(unitOf("\u{1f600}a b", 2), 3);
  assert.equal(unitOf("ab", 9), 2);
});
