// Reads text/event-stream. EventSource cannot send Authorization, so the stream comes by fetch() and is taken apart here. Chunks may
// end anywhere, inside a character or between CR and LF too.

export interface ServerEvent {
  type: string;
  data: string;
  id: string;
}

// Longer than any record the server sends; a stream without line ends must not fill the memory.
export const EVENT_MAX = 8 << 20;

export class EventParser {
  private readonly emit: (event: ServerEvent) => void;
  private readonly decoder = new TextDecoder("utf-8", { fatal: true });
  private parts: string[] = [];
  private held = 0;
  private skipFeed = false;
  private type = "";
  private data: string[] = [];
  private id = "";

  constructor(emit: (event: ServerEvent) => void) {
    this.emit = emit;
  }

  // Throws when an event is too long or no UTF-8.
  push(chunk: Uint8Array): void {
    const text = this.decoder.decode(chunk, { stream: true });
    const ends = /[\r\n]/g;
    let from = 0;
    for (let found = ends.exec(text); found; found = ends.exec(text)) {
      const at = found.index;
      const isSecond = found[0] === "\n" && this.skipFeed && at === from;
      this.skipFeed = found[0] === "\r";
      if (!isSecond) this.line(text.slice(from, at));
      from = at + 1;
    }
    if (from < text.length) {
      this.skipFeed = false;
      this.hold(text.slice(from));
    }
  }

  private hold(part: string): void {
    this.parts.push(part);
    this.held += part.length;
    if (this.held > EVENT_MAX) throw new RangeError("an event of the stream is longer than 8 MiB");
  }

  private line(end: string): void {
    const line = this.parts.length > 0 ? this.parts.join("") + end : end;
    this.held -= line.length - end.length;
    this.parts = [];
    if (line === "") {
      this.dispatch();
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line.charAt(colon + 1) === " " ? colon + 2 : colon + 1);
    if (field === "event") this.type = value;
    else if (field === "data") {
      this.data.push(value);
      this.held += value.length + 1;
      if (this.held > EVENT_MAX) throw new RangeError("an event of the stream is longer than 8 MiB");
    } else if (field === "id" && !value.includes("\0")) this.id = value;
  }

  private dispatch(): void {
    const { type, data } = this;
    this.type = "";
    this.data = [];
    this.held = 0;
    if (data.length > 0) this.emit({ type: type || "message", data: data.join("\n"), id: this.id });
  }
}
