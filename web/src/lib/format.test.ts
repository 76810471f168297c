import assert from "node:assert/strict";
import { test } from "node:test";

import { count, duration, money, num, rate, size, time } from "./format";
import { language, timeZone } from "./settings";

// Thin and no-break spaces become plain ones: a test that shows neither is hard to read.
const plain = (text: string) => text.replaceAll("\u2009", " ").replaceAll("\u00a0", " ");

test("thousands are separated, for numbers of any length", () => {
  assert.equal(plain(num(999)), "999");
  assert.equal(plain(num(1204)), "1 204");
  assert.equal(plain(num(12040)), "12 040");
  assert.equal(plain(num("9223372036854775807")), "9 223 372 036 854 775 807");
  assert.equal(plain(num("-0.10")), "\u22120.10");
});

test("what is no number is left alone", () => {
  assert.equal(num("n/a"), "n/a");
});

test("durations have at most two units and are never negative", () => {
  assert.equal(plain(duration(-5)), "0 ms");
  assert.equal(plain(duration(4.23)), "4.2 ms");
  assert.equal(plain(duration(850)), "850 ms");
  assert.equal(plain(duration(999.7)), "1 s");
  assert.equal(plain(duration(12_000)), "12 s");
  assert.equal(plain(duration(59_700)), "1 min");
  assert.equal(plain(duration(200_000)), "3 min 20 s");
  assert.equal(plain(duration(7_200_000)), "2 h");
  assert.equal(plain(duration(90_000_000)), "1 d 1 h");
});

test("sizes are binary", () => {
  assert.equal(plain(size(512)), "512 B");
  assert.equal(plain(size("1536")), "1.5 KiB");
  assert.equal(plain(size(1024 * 1024 - 1)), "1 MiB");
  assert.equal(plain(size(2_202_009)), "2.1 MiB");
});

test("money keeps its places", () => {
  assert.equal(plain(money("12345678901234567890.10", "BRL")), "12 345 678 901 234 567 890.10 BRL");
  language.value = "pt-BR";
  assert.equal(plain(money("1234.50", "BRL")), "1 234,50 BRL");
  language.value = "en";
});

test("a capped count says so", () => {
  assert.equal(plain(count({ value: "10000", exact: false })), "10 000+");
  assert.equal(count(null), "–");
});

test("rates", () => {
  assert.equal(plain(rate(1204.3)), "1 204/s");
  assert.equal(plain(rate(0.25)), "0.3/s");
});

test("a time of another day has its date, and UTC says so", () => {
  timeZone.value = "utc";
  assert.equal(time("2020-01-02T03:04:05.678901Z"), "2020-01-02 03:04:05Z");
  assert.equal(time("2020-01-02T03:04:05.678901Z", true), "2020-01-02 03:04:05.678Z");
  timeZone.value = "local";
});
