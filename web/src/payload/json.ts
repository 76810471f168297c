// A JSON text as lines to show, each of which knows where it stands in the text. What is shown and copied are slices of that text,
// so numbers, escapes, order and repeated names stay as they were written; JSON.parse would change all of them.
//
// Lines are kept in pages of integers, and reading is done in steps: a value of some MiB has a million lines, and reading it must
// not stop the page; an array that grows would be copied, which does. Depth is limited by memory only, there is no recursion.

export const OPEN = 0;
export const CLOSE = 1;
export const EMPTY = 2;
export const STRING = 3;
export const NUMBER = 4;
export const WORD = 5;
const KIND = 7;
const REPEATED = 8;
const COMMA = 16;
const ARRAY = 32;

export type FaultCode =
  | "value"
  | "name"
  | "colon"
  | "comma"
  | "string"
  | "escape"
  | "control"
  | "number"
  | "extra"
  | "end";

export interface Fault {
  code: FaultCode;
  at: number;
  line: number;
  column: number;
}

// What may come next.
const AT_VALUE = 0;
const AT_FIRST_VALUE = 1;
const AT_NAME = 2;
const AT_FIRST_NAME = 3;
const AT_COMMA = 4;
const AT_END = 5;

// What is kept of a line: columns of a page.
const FLAGS = 0;
const DEPTH = 1;
const NAME = 2; // of a closing line: how many members its container has
const NAME_END = 3;
const START = 4;
const END = 5;
const PEER = 6;
const PARENT = 7;
const COLUMNS = 8;
const PAGE_BITS = 13;
const PAGE = 1 << PAGE_BITS;

const NUMBER_FORM = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD_FORM = /true|false|null/y;
const QUOTE = 34;
// Characters of one string that one step reads.
const STRING_SLICE = 1 << 19;
const UNFINISHED = 0; // where no string ends
const BACKSLASH = 92;

export class JsonText {
  readonly source: string;
  readonly isCut: boolean;
  lines = 0;
  position = 0;
  fault: Fault | null = null;
  repeated = 0;

  private pages: Int32Array[] = [];

  private next = AT_VALUE;
  private container = -1;
  private name = -1;
  private nameEnd = -1;
  private isRepeated = false;
  private last = -1;
  private members: number[] = [];
  private seen: Map<string, number>[] = [];
  private resumeAt = -1; // in a long string

  // `isCut`: the source is the beginning of a longer text, so that its end is no fault.
  constructor(source: string, isCut = false) {
    this.source = source;
    this.isCut = isCut;
  }

  // Reads up to `tokens` further tokens, or a part of a long string; true when all is read, or a fault ended it.
  step(tokens: number): boolean {
    for (let left = tokens; left > 0; left--) {
      if (this.fault !== null || !this.token()) return true;
      if (this.resumeAt >= 0) return false;
    }
    return false;
  }

  kind(line: number): number {
    return this.get(FLAGS, line) & KIND;
  }
  depth(line: number): number {
    return this.get(DEPTH, line);
  }
  isArray(line: number): boolean {
    return (this.get(FLAGS, line) & ARRAY) !== 0;
  }
  isRepeatedName(line: number): boolean {
    return (this.get(FLAGS, line) & REPEATED) !== 0;
  }
  hasComma(line: number): boolean {
    return (this.get(FLAGS, line) & COMMA) !== 0;
  }
  // The line of the other bracket; of a container that is cut off, -1.
  peer(line: number): number {
    return this.get(PEER, line);
  }
  parent(line: number): number {
    return this.get(PARENT, line);
  }
  start(line: number): number {
    return this.get(START, line);
  }

  // As written, with its quotes; null for an element of an array.
  nameText(line: number): string | null {
    const from = this.get(NAME, line);
    if (from < 0 || this.kind(line) === CLOSE) return null;
    return this.source.slice(from, this.get(NAME_END, line));
  }

  // The whole value as written, also of a container.
  text(line: number): string {
    const at = this.kind(line) === CLOSE ? this.peer(line) : line;
    return this.source.slice(this.start(at), this.end(at));
  }

  // Behind the value; of a container that is cut off, where the text ends.
  end(line: number): number {
    return this.kind(line) === OPEN && this.peer(line) < 0 ? this.source.length : this.get(END, line);
  }

  size(line: number): number {
    const close = this.peer(line);
    return close < 0 ? 0 : this.get(NAME, close);
  }

  // $.items[2]["a b"]: names that are no identifiers in quotes, as written.
  path(line: number): string {
    let at = this.kind(line) === CLOSE ? this.peer(line) : line;
    const parts: string[] = [];
    while (this.parent(at) >= 0) {
      const name = this.nameText(at);
      if (name === null) parts.push(`[${this.place(at)}]`);
      else if (/^"[A-Za-z_][A-Za-z0-9_]*"$/.test(name)) parts.push("." + name.slice(1, -1));
      else parts.push(`[${name}]`);
      at = this.parent(at);
    }
    return "$" + parts.reverse().join("");
  }

  // The line at which `at`, a position of the source, is shown.
  lineAt(at: number): number {
    let low = 0;
    let high = this.lines - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.first(middle) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // Where the line's own text begins: its name's, or its value's.
  first(line: number): number {
    const name = this.get(NAME, line);
    return name >= 0 && this.kind(line) !== CLOSE ? name : this.get(START, line);
  }

  private place(line: number): number {
    let count = 0;
    for (let at = this.parent(line) + 1; at < line; count++) {
      const peer = this.kind(at) === OPEN ? this.peer(at) : at;
      if (peer < 0) break;
      at = peer + 1;
    }
    return count;
  }

  private get(column: number, line: number): number {
    return this.pages[line >> PAGE_BITS]?.[(column << PAGE_BITS) | (line & (PAGE - 1))] ?? -1;
  }

  private set(column: number, line: number, value: number): void {
    const page = this.pages[line >> PAGE_BITS];
    if (page) page[(column << PAGE_BITS) | (line & (PAGE - 1))] = value;
  }

  private mark(line: number, flag: number): void {
    this.set(FLAGS, line, this.get(FLAGS, line) | flag);
  }

  private token(): boolean {
    const source = this.source;
    const at = this.space(this.position);
    const code = source.charCodeAt(at);
    this.position = at;
    if (at >= source.length) {
      if (this.next !== AT_END && !this.isCut) this.fail("end", at);
      return false;
    }
    switch (this.next) {
      case AT_COMMA:
        return this.comma(code);
      case AT_FIRST_NAME:
      case AT_NAME:
        if (code === 125 && this.next === AT_FIRST_NAME) return this.close();
        return code === QUOTE ? this.readName() : this.fail("name", at);
      case AT_END:
        return this.fail("extra", at);
      default:
        if (code === 93 && this.next === AT_FIRST_VALUE) return this.close();
        return this.value(code);
    }
  }

  private space(from: number): number {
    let at = from;
    let code = this.source.charCodeAt(at);
    while (code === 32 || code === 10 || code === 13 || code === 9) code = this.source.charCodeAt(++at);
    return at;
  }

  private value(code: number): boolean {
    const at = this.position;
    if (code === 123 || code === 91) {
      const isArray = code === 91;
      this.container = this.add(OPEN | (isArray ? ARRAY : 0), at, at + 1);
      this.members.push(0);
      if (!isArray) this.seen.push(new Map());
      this.position = at + 1;
      this.next = isArray ? AT_FIRST_VALUE : AT_FIRST_NAME;
      return true;
    }
    let end: number;
    let kind = STRING;
    if (code === QUOTE) {
      end = this.stringEnd(at);
      if (end < 0) return false;
      if (end === UNFINISHED) return true;
    } else {
      kind = code === 45 || (code >= 48 && code <= 57) ? NUMBER : WORD;
      const form = kind === NUMBER ? NUMBER_FORM : WORD_FORM;
      form.lastIndex = at;
      end = form.test(this.source) ? form.lastIndex : at;
      const isCutOff = this.isCut && /^[-+.\w]*$/.test(this.source.slice(end, end + 32)) && end + 32 > this.source.length;
      if (isCutOff) return this.cut();
      // 01, 1.5.2 and nullx are one wrong token, not a token and a missing comma.
      if (end === at || /[\w.+-]/.test(this.source.charAt(end))) return this.fail(kind === NUMBER ? "number" : "value", at);
    }
    this.add(kind, at, end);
    this.position = end;
    this.after();
    return true;
  }

  private readName(): boolean {
    const at = this.position;
    const end = this.stringEnd(at);
    if (end < 0) return false;
    if (end === UNFINISHED) return true;
    const colon = this.space(end);
    if (this.source.charCodeAt(colon) !== 58) return colon >= this.source.length && this.isCut ? this.cut() : this.fail("colon", colon);
    const raw = this.source.slice(at, end);
    // Only to compare: "a" and "\u0061" are one name.
    const plain = raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    const seen = this.seen[this.seen.length - 1];
    const before = seen?.get(plain);
    this.isRepeated = before !== undefined;
    if (before !== undefined) {
      this.mark(before, REPEATED);
      this.repeated++;
    } else seen?.set(plain, this.lines);
    this.name = at;
    this.nameEnd = end;
    this.position = colon + 1;
    this.next = AT_VALUE;
    return true;
  }

  private comma(code: number): boolean {
    const isArray = this.isArray(this.container);
    if (code === 44) {
      this.mark(this.last, COMMA);
      this.position++;
      this.next = isArray ? AT_VALUE : AT_NAME;
      return true;
    }
    if (code === (isArray ? 93 : 125)) return this.close();
    return this.fail("comma", this.position);
  }

  private close(): boolean {
    const open = this.container;
    const end = ++this.position;
    const isArray = this.isArray(open);
    const count = this.members.pop() ?? 0;
    if (!isArray) this.seen.pop();
    this.set(END, open, end);
    this.container = this.parent(open);
    if (open === this.lines - 1) {
      this.mark(open, EMPTY);
      this.last = open;
    } else {
      const line = this.add(CLOSE | (isArray ? ARRAY : 0), end - 1, end, false);
      this.set(NAME, line, count);
      this.set(PEER, line, open);
      this.set(PEER, open, line);
    }
    this.after();
    return true;
  }

  private after(): void {
    this.next = this.container < 0 ? AT_END : AT_COMMA;
  }

  private add(flags: number, start: number, end: number, isMember = true): number {
    const line = this.lines++;
    if (line >> PAGE_BITS === this.pages.length) this.pages.push(new Int32Array(COLUMNS << PAGE_BITS));
    this.set(FLAGS, line, flags | (isMember && this.isRepeated ? REPEATED : 0));
    this.set(DEPTH, line, this.container < 0 ? 0 : this.depth(this.container) + 1);
    this.set(NAME, line, isMember ? this.name : -1);
    this.set(NAME_END, line, isMember ? this.nameEnd : -1);
    this.set(START, line, start);
    this.set(END, line, end);
    this.set(PEER, line, -1);
    this.set(PARENT, line, this.container);
    if (isMember) {
      const top = this.members.length - 1;
      if (top >= 0) this.members[top] = (this.members[top] ?? 0) + 1;
      this.name = -1;
      this.isRepeated = false;
    }
    this.last = line;
    return line;
  }

  // Behind the closing quote; -1 after a fault, or where the text is cut; UNFINISHED: the next call goes on.
  private stringEnd(from: number): number {
    const source = this.source;
    const begin = this.resumeAt >= 0 ? this.resumeAt : from + 1;
    const until = begin + STRING_SLICE;
    this.resumeAt = -1;
    for (let at = begin; at < source.length; at++) {
      if (at >= until) {
        this.resumeAt = at;
        return UNFINISHED;
      }
      const code = source.charCodeAt(at);
      if (code === QUOTE) return at + 1;
      if (code < 32) {
        this.fail("control", at);
        return -1;
      }
      if (code !== BACKSLASH) continue;
      const escaped = source.charAt(++at);
      const isHex = escaped === "u" && /^[0-9a-fA-F]{4}$/.test(source.slice(at + 1, at + 5));
      if (isHex) at += 4;
      else if (!escaped || !'"\\/bfnrt'.includes(escaped)) {
        if (this.isCut && at + 5 > source.length) break;
        this.fail("escape", at - 1);
        return -1;
      }
    }
    if (this.isCut) this.cut();
    else this.fail("string", from);
    return -1;
  }

  private cut(): boolean {
    this.position = this.source.length;
    return false;
  }

  private fail(code: FaultCode, at: number): boolean {
    const before = this.source.slice(0, at);
    const line = before.lastIndexOf("\n") + 1;
    this.fault = { code, at, line: before.split("\n").length, column: at - line + 1 };
    return false;
  }
}

// Which lines are seen, for a set of folded containers. Whole again for each change: a million lines take some milliseconds.
export function seenLines(json: JsonText, folded: ReadonlySet<number>): Int32Array {
  const seen = new Int32Array(json.lines);
  let count = 0;
  for (let line = 0; line < json.lines; line++) {
    seen[count++] = line;
    if (folded.size > 0 && folded.has(line)) {
      const peer = json.peer(line);
      line = peer < 0 ? json.lines : peer;
    }
  }
  return seen.subarray(0, count);
}

// All containers of `depth` and deeper.
export function foldedFrom(json: JsonText, depth: number): Set<number> {
  const folded = new Set<number>();
  for (let line = 0; line < json.lines; line++) if (json.kind(line) === OPEN && json.depth(line) >= depth) folded.add(line);
  return folded;
}

// Opens what hides `line`.
export function reveal(json: JsonText, folded: ReadonlySet<number>, line: number): Set<number> {
  const open = new Set(folded);
  for (let at = json.parent(line); at >= 0; at = json.parent(at)) open.delete(at);
  return open;
}
