import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, fromBase64, hexRow, modesOf, payloadOf, payloadOfBytes } from "./bytes";
import { parsePath, pick } from "./pick";
import { findAll, pieces, preview, rowText, textRows } from "./text";

const utf8 = (data: string) => payloadOf({ encoding: "utf8", data, size: String(data.length), truncated: false });

test("bytes that are no UTF-8 are hex only, and never become U+FFFD", () => {
  const payload = payloadOf({ encoding: "base64", data: "gAD/", size: "3", truncated: false });
  assert.equal(payload.text, null);
  assert.deepEqual(modesOf(payload), ["hex"]);
  assert.deepEqual([...payload.bytes], [0x80, 0, 0xff]);
  assert.equal(decode(new Uint8Array([0xc3, 0x28])), null);
  assert.equal(decode(new Uint8Array([0xed, 0xa0, 0x80])), null);
});

test("a byte order mark and a real U+FFFD stay", () => {
  assert.equal(payloadOfBytes(new Uint8Array([0xef, 0xbb, 0xbf, 0x41])).text, "\ufeffA");
  assert.equal(payloadOfBytes(new Uint8Array([0xef, 0xbf, 0xbd])).text, "\ufffd");
});

test("every byte goes through base64 and hex", () => {
  const all = Uint8Array.from({ length: 256 }, (_, at) => at);
  assert.deepEqual(fromBase64(Buffer.from(all).toString("base64")), all);
  const row = hexRow(all, 1);
  assert.equal(row.offset, "00000010");
  assert.equal(row.hex, "10 11 12 13 14 15 16 17  18 19 1a 1b 1c 1d 1e 1f");
  assert.equal(hexRow(all, 4).ascii, "@ABCDEFGHIJKLMNO");
  assert.equal(hexRow(new Uint8Array([65, 27, 127, 200]), 0).ascii, "A\u00b7\u00b7\u00b7");
  assert.equal(hexRow(new Uint8Array([65, 27, 127, 200]), 0).names, "1 ESC, 2 DEL");
});

test("what looks like JSON begins as JSON, other text as text", () => {
  const first = (data: string) => modesOf(utf8(data))[0];
  for (const text of ['{"a":1', "[", ' {"a":1}', "12.50", "null", '"x"', "-0"]) assert.equal(first(text), "json", text);
  for (const text of ["", "2024-01-01 started", "failed", "nginx", "key=1", '"a" b', "\u00a0{}"]) assert.equal(first(text), "text", text);
});

test("characters that cannot be seen have their names", () => {
  const named = (text: string) => pieces(text).map((piece) => (piece.isName ? `<${piece.text}>` : piece.text)).join("");
  assert.equal(named("a\0b\x1bc\x7fd\te"), "a<NUL>b<ESC>c<DEL>d\te");
  assert.equal(named("\u202eabc\u200b\ufeff\u0085"), "<U+202E>abc<U+200B><U+FEFF><U+0085>");
  assert.equal(named("São Paulo \u{1f600}"), "São Paulo \u{1f600}");
  assert.equal(named("a\r"), "a<CR>");
});

test("rows of a text are the text, at most so wide, and never half a pair", () => {
  for (const text of ["", "a", "a\n", "\n\n", "abcdefgh\nij", "abcd\nefgh\n", "ab\u{1f600}cd\u{1f600}\u{1f600}\u{1f600}", "abcd\r\nefghijklmnopq"]) {
    const rows = textRows(text, 4);
    let all = "";
    for (let row = 0; row + 1 < rows.length; row++) {
      all += text.slice(rows[row], rows[row + 1]);
      const shown = rowText(text, rows, row);
      assert.ok(shown.length <= 4, JSON.stringify(shown));
      assert.equal(Buffer.from(shown).toString(), shown, "a lone surrogate");
    }
    assert.equal(all, text);
  }
});

test("a search disregards case and keeps places, also behind letters that change their length", () => {
  assert.deepEqual(findAll("İstanbul ISTANBUL istanbul", "istanbul", 10), [9, 18]);
  assert.deepEqual(findAll("a.c abc a.c", "a.c", 10), [0, 8]);
  assert.equal(findAll("aaaa", "a", 2).length, 2);
  assert.deepEqual(findAll("abc", "", 5), []);
});

test("a preview is one line", () => {
  assert.equal(preview('{\n  "a":\t1\u0000}', 100), '{ "a": 1\u0000}');
  assert.equal(preview("x".repeat(1000), 10), "x".repeat(10));
});

test("a column takes the exact text of its path", () => {
  const source = '{"id": 9223372036854775807, "a": {"id": 1, "b": [ {"c":"x,]}"}, {"c" : -0.10 } ]}, "s": "q\\"", "e": [], "id2": 1e400}';
  const take = (path: string) => pick(source, parsePath(path) ?? []);
  assert.equal(take("id"), "9223372036854775807");
  assert.equal(take("$.a.b[1].c"), "-0.10");
  assert.equal(take("a.b[0].c"), '"x,]}"');
  assert.equal(take("a.b"), '[ {"c":"x,]}"}, {"c" : -0.10 } ]');
  assert.equal(take('["s"]'), '"q\\""');
  assert.equal(take("id2"), "1e400");
  assert.equal(take("e[0]"), null);
  assert.equal(take("a.b[2]"), null);
  assert.equal(take("nothing"), null);
  assert.equal(take("id.x"), null);
  assert.equal(pick('{"a":1,"a":2}', ["a"]), "2");
  for (const broken of ['{"a":', '{"a', "{", "[1,", "", '{"a":"x']) assert.equal(pick(broken, ["a"]), null, broken);
  for (const path of ["", "a..b", "a[", "a[x]", "a b"]) assert.equal(parsePath(path), null, path);
});
