import assert from "node:assert/strict";
import { test } from "node:test";
import { CLOSE, EMPTY, foldedFrom, JsonText, OPEN, reveal, seenLines, STRING } from "./json";
import { SLICE_MS, inSlices } from "./slices";

function read(source: string, isCut = false): JsonText {
  const json = new JsonText(source, isCut);
  while (!json.step(1000));
  return json;
}

// What the lines show, without indentation: must be the source without the white space between its tokens.
function shown(json: JsonText): string {
  let text = "";
  for (let line = 0; line < json.lines; line++) {
    const kind = json.kind(line);
    const name = json.nameText(line);
    if (name !== null) text += name + ":";
    if (kind === OPEN) text += json.isArray(line) ? "[" : "{";
    else if (kind === CLOSE) text += json.isArray(line) ? "]" : "}";
    else if (kind === EMPTY) text += json.isArray(line) ? "[]" : "{}";
    else text += json.text(line);
    if (json.hasComma(line)) text += ",";
  }
  return text;
}

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const SCALARS = ["9223372036854775807", "0.10", "1e400", "-0", "1E+2", "true", "false", "null", '""', '"a\\u0041\\n"', '"São Paulo"', '"\ud83d\ude00"', '"\\/"'];
const NAMES = ['"a"', '"b c"', '"\\u0061"', '""', '"x\\""'];
const SPACES = ["", "", "", " ", "\n  ", "\t", "\r\n"];

function randomJson(next: () => number, depth: number): string {
  const one = <T>(list: T[]) => list[Math.floor(next() * list.length)] as T;
  const gap = () => one(SPACES);
  const kind = next();
  if (depth === 0 || kind < 0.4) return gap() + one(SCALARS) + gap();
  const members = Array.from({ length: Math.floor(next() * 4) }, () => randomJson(next, depth - 1));
  if (kind < 0.7) return `${gap()}[${members.length ? members.join(",") : gap()}]${gap()}`;
  return `${gap()}{${members.length ? members.map((one_) => gap() + one(NAMES) + gap() + ":" + one_).join(",") : gap()}}${gap()}`;
}

// Seed 0: a new one for each run; a failure names it.
const SEED = Number(process.env["TXS_TEST_SEED"] ?? 0) || (Date.now() & 0xffffff);

test("every number, escape, name and their order is shown as it was written", () => {
  const source = '{"a":9223372036854775807,"b":0.10,"c":1e400,"d":-0,"e":"\\u00e9\\/","a":"é"}';
  const json = read(source);
  assert.equal(json.fault, null);
  assert.equal(shown(json), source);
  assert.deepEqual([1, 2, 3, 4].map((line) => json.text(line)), ["9223372036854775807", "0.10", "1e400", "-0"]);
  assert.equal(json.text(0), source);
});

test("lines of any JSON text are its tokens, and it is accepted exactly when JSON is", () => {
  const next = random(SEED);
  for (let turn = 0; turn < 3000; turn++) {
    let source = randomJson(next, 4);
    if (turn % 2 === 1) {
      const at = Math.floor(next() * source.length);
      source = source.slice(0, at) + ["", ",", "}", '"', "0", "\\", "x", "\u00a0"][Math.floor(next() * 8)] + source.slice(at + 1);
    }
    let isValid = true;
    try {
      JSON.parse(source);
    } catch {
      isValid = false;
    }
    const json = read(source);
    assert.equal(json.fault === null, isValid, `seed ${SEED}: ${JSON.stringify(source)}`);
    if (!isValid) continue;
    const bare = source.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, (_, text: string | undefined) => text ?? "");
    assert.equal(shown(json), bare, `seed ${SEED}`);
  }
});

test("all occurrences of a repeated name are marked, however it is escaped", () => {
  const json = read('{"a":1,"b":{"a":2},"\\u0061":3,"c":[{"a":4},{"a":5}]}');
  const marked = Array.from({ length: json.lines }, (_, line) => line).filter((line) => json.isRepeatedName(line));
  assert.deepEqual(marked.map((line) => json.text(line)), ["1", "3"]);
  assert.equal(json.repeated, 1);
});

test("a repeated name is marked on an empty container and on a full one", () => {
  const json = read('{"a":{},"a":{"b":1},"a":[]}');
  assert.deepEqual([1, 2, 5].map((line) => json.isRepeatedName(line)), [true, true, true]);
  assert.equal(json.isRepeatedName(4), false);
});

test("a path leads to its node, and the node's text is exact", () => {
  const json = read('{"items": [ {"sku":"A"}, {"sku" : "B", "a b":{"\\u0078":[ 1.0 , 2 ]}} ]}');
  const line = json.lineAt(json.source.indexOf("2 ]"));
  assert.equal(json.path(line), '$.items[1]["a b"]["\\u0078"][1]');
  assert.equal(json.text(json.parent(line)), "[ 1.0 , 2 ]");
  assert.equal(json.path(0), "$");
});

test("a fault says where it is and what was expected", () => {
  const where = (source: string) => {
    const fault = read(source).fault;
    return fault && [fault.code, fault.line, fault.column];
  };
  assert.deepEqual(where('{"a":1,\n "b" 2}'), ["colon", 2, 6]);
  assert.deepEqual(where('{"a":1,}'), ["name", 1, 8]);
  assert.deepEqual(where("[1 2]"), ["comma", 1, 4]);
  assert.deepEqual(where("[01]"), ["number", 1, 2]);
  assert.deepEqual(where("[1.]"), ["number", 1, 2]);
  assert.deepEqual(where("[nul]"), ["value", 1, 2]);
  assert.deepEqual(where('["a'), ["string", 1, 2]);
  assert.deepEqual(where('["a\\x"]'), ["escape", 1, 4]);
  assert.deepEqual(where('["a\tb"]'), ["control", 1, 4]);
  assert.deepEqual(where("[1"), ["end", 1, 3]);
  assert.deepEqual(where("1 2"), ["extra", 1, 3]);
  assert.deepEqual(where(""), ["end", 1, 1]);
});

test("a text that is cut anywhere is not faulty, and shows what is complete", () => {
  const source = '{"a":[1.5,{"b\\u0041":"x\\n"}],"c":true,"d":-12e5}';
  for (let length = 0; length < source.length; length++) {
    const json = read(source.slice(0, length), true);
    assert.equal(json.fault, null, source.slice(0, length));
    assert.ok(source.startsWith(shown(json).replace(/,$/, "")) || shown(json).length <= length, source.slice(0, length));
  }
  const json = read('{"a":[1,2', true);
  assert.equal(json.text(1), "[1,2");
});

test("folding hides exactly what is inside, and a search opens what hides it", () => {
  const json = read('{"a":{"b":[1,2]},"c":3}');
  const folded = foldedFrom(json, 1);
  assert.deepEqual([...folded], [1, 2]);
  assert.deepEqual([...seenLines(json, folded)].map((line) => json.text(line)), [json.source, '{"b":[1,2]}', "3", json.source]);
  const line = json.lineAt(json.source.indexOf("2]"));
  const open = reveal(json, folded, line);
  assert.ok(seenLines(json, open).includes(line));
  assert.equal(json.size(0), 2);
  assert.equal(json.size(2), 2);
});

test("a hundred thousand levels need no stack", () => {
  const depth = 100_000;
  const json = read("[".repeat(depth) + "]".repeat(depth));
  assert.equal(json.fault, null);
  assert.equal(json.lines, depth * 2 - 1);
});

test("five MiB of any shape are read in slices", async (context) => {
  const size = 5 << 20;
  const shapes: Record<string, string> = {
    numbers: "[" + "1,".repeat(size / 2 - 2) + "1]",
    string: '"' + "x".repeat(size - 2) + '"',
    escapes: '"' + "\\n".repeat(size / 2 - 1) + '"',
    objects: "[" + '{"sku":"A-1","quantity":2,"price":10.50},'.repeat(size / 42) + "{}]",
    names: "{" + Array.from({ length: size / 14 }, (_, at) => `"n${at}":${at}`).join(",") + "}",
    depth: "[".repeat(size / 2) + "]".repeat(size / 2),
  };
  for (const [name, source] of Object.entries(shapes)) {
    const json = new JsonText(source);
    assert.ok(source.charCodeAt(size / 2)); // what was put together by repeat is one text from here on
    let longest = 0;
    let steps = 0;
    await new Promise<void>((done) => {
      inSlices(() => {
        const before = performance.now();
        const cpu = process.cpuUsage();
        const isDone = json.step(2000);
        // The clock counts what other processes do, and the CPU time what threads of the collector do.
        const used = process.cpuUsage(cpu);
        longest = Math.max(longest, Math.min(performance.now() - before, (used.user + used.system) / 1000));
        steps++;
        return isDone;
      }, done);
    });
    assert.equal(json.fault, null, name);
    // A slice ends with the first step that exceeds it: this is what a key press may wait for.
    assert.ok(longest + SLICE_MS < 100, `${name}: a step took ${longest.toFixed(1)} ms`);
    context.diagnostic(`${name}: ${json.lines} lines, ${steps} steps, longest ${longest.toFixed(1)} ms`);
  }
});

test("an escape where a long string is read in parts stays one", () => {
  for (let before = 0; before < 8; before++) {
    const long = '"' + "x".repeat((1 << 19) - before) + "\\u0041" + "y".repeat(1 << 19) + '"';
    const json = read("{" + long + ":" + long + "}");
    assert.equal(json.fault, null);
    assert.equal(json.nameText(1), long);
    assert.equal(json.text(1), long);
    assert.equal(read(long.replace("u0041", "q")).fault?.code, "escape");
  }
});

test("strings stay one line however long they are", () => {
  const json = read('["' + "y".repeat(100_000) + '"]');
  assert.equal(json.lines, 3);
  assert.equal(json.kind(1), STRING);
});
