// A text as rows of at most so many characters, and the names of characters that cannot be seen.

const NAMES = "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(" ");

// C0 but tab, DEL, C1, and what is invisible or turns the direction of the text around it.
const UNSEEN = /[\0-\x08\x0a-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]/g;

export function nameOf(code: number): string {
  return NAMES[code] ?? (code === 127 ? "DEL" : "U+" + code.toString(16).toUpperCase().padStart(4, "0"));
}

export interface Piece {
  text: string;
  isName: boolean;
}

export function pieces(text: string): Piece[] {
  const result: Piece[] = [];
  let from = 0;
  for (const found of text.matchAll(UNSEEN)) {
    if (found.index > from) result.push({ text: text.slice(from, found.index), isName: false });
    result.push({ text: nameOf(found[0].charCodeAt(0)), isName: true });
    from = found.index + 1;
  }
  if (from < text.length) result.push({ text: text.slice(from), isName: false });
  return result;
}

// Where rows begin, and behind the last one where the text ends. A row ends behind a line feed, or after `columns` characters but
// never inside a surrogate pair.
export function textRows(text: string, columns: number): Int32Array {
  let rows = new Int32Array(1024);
  let count = 0;
  const add = (at: number) => {
    if (count === rows.length) {
      const wider = new Int32Array(count * 2);
      wider.set(rows);
      rows = wider;
    }
    rows[count++] = at;
  };
  for (let at = 0; at < text.length; ) {
    add(at);
    const feed = text.indexOf("\n", at);
    const end = feed < 0 ? text.length : feed + 1;
    while (end - at > columns + 1 || (end - at > columns && feed !== end - 1)) {
      at += columns;
      const code = text.charCodeAt(at);
      if (code >= 0xdc00 && code < 0xe000) at--;
      if (at < end) add(at);
    }
    at = end;
  }
  add(text.length);
  return rows.subarray(0, count);
}

export function rowText(text: string, rows: Int32Array, row: number): string {
  const line = text.slice(rows[row], rows[row + 1]);
  return line.endsWith("\n") ? line.slice(0, -1) : line;
}

// All places of `wanted`, without regard to case, at most `limit`. By a regular expression, since toLowerCase may change lengths.
export function findAll(text: string, wanted: string, limit: number): number[] {
  if (!wanted) return [];
  const form = new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gi");
  const found: number[] = [];
  for (let one = form.exec(text); one && found.length < limit; one = form.exec(text)) found.push(one.index);
  return found;
}

// The beginning of a text on one line: white space is one space.
export function preview(text: string, length: number): string {
  return text
    .slice(0, length * 4)
    .replace(/[ \t\r\n]+/g, " ")
    .slice(0, length);
}
