import assert from "node:assert/strict";
import { test } from "node:test";
import { delayAfter, HIDDEN_MS, Refused, SILENCE_MS, Tail, type TailRecord } from "./client";
import { Ring, rowsOf, SPEAK_MS, Speaker } from "./ring";
import { EVENT_MAX, EventParser, type ServerEvent } from "./sse";

const encode = (text: string) => new TextEncoder().encode(text);

function parse(bytes: Uint8Array, cuts: number[]): ServerEvent[] {
  const events: ServerEvent[] = [];
  const parser = new EventParser((event) => events.push(event));
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    parser.push(bytes.subarray(from, cut));
    from = cut;
  }
  return events;
}

const STREAM = encode(
  ': hello\r\n\r\nevent: record\r\nid: 0:5\r\ndata: {"v":"São \u{1f600}"}\r\n\r\nevent:progress\ndata:{}\ndata: x\n\nid: 0:6\rdata: cr\r\rdata\n\nevent: end\n\n: bye\n\n',
);
const EVENTS: ServerEvent[] = [
  { type: "record", data: '{"v":"São \u{1f600}"}', id: "0:5" },
  { type: "progress", data: "{}\nx", id: "0:5" },
  { type: "message", data: "cr", id: "0:6" },
  { type: "message", data: "", id: "0:6" },
];

test("a stream is the same wherever its chunks end", () => {
  assert.deepEqual(parse(STREAM, []), EVENTS);
  for (let cut = 0; cut <= STREAM.length; cut++) {
    assert.deepEqual(parse(STREAM, [cut]), EVENTS, `cut at ${cut}`);
    assert.deepEqual(parse(STREAM, [cut, Math.min(cut + 1, STREAM.length)]), EVENTS, `cut at ${cut} and behind`);
  }
  assert.deepEqual(parse(STREAM, Array.from({ length: STREAM.length }, (_, at) => at)), EVENTS, "byte by byte");
});

test("an event without end is refused before it fills the memory, in one line or many", () => {
  const chunk = encode("data: " + "x".repeat(1 << 20));
  const parser = new EventParser(() => undefined);
  assert.throws(() => {
    for (let count = 0; count * (1 << 20) <= EVENT_MAX; count++) parser.push(chunk);
  }, RangeError);
  const lines = new EventParser(() => undefined);
  assert.throws(() => {
    for (let count = 0; count * (1 << 20) <= EVENT_MAX; count++) {
      lines.push(chunk);
      lines.push(encode("\n"));
    }
  }, RangeError);
});

test("bytes that are no UTF-8 end the stream instead of becoming other characters", () => {
  assert.throws(() => parse(new Uint8Array([0x64, 0x80, 0x0a]), []), TypeError);
});

test("a ring keeps the newest, and counts what it dropped", () => {
  const ring = new Ring<number>(3);
  for (let item = 0; item < 10_000; item++) ring.push(item);
  assert.deepEqual(ring.newestFirst(), [9999, 9998, 9997]);
  assert.deepEqual(ring.newestFirst(2), [9999, 9998]);
  assert.equal(ring.dropped, 9997);
  ring.resize(5);
  ring.push(10_000);
  assert.deepEqual(ring.newestFirst(), [10_000, 9999, 9998, 9997]);
  ring.resize(2);
  assert.deepEqual(ring.newestFirst(), [10_000, 9999]);
  ring.push(10_001);
  assert.deepEqual(ring.newestFirst(), [10_001, 10_000]);
  ring.clear();
  assert.deepEqual(ring.newestFirst(), []);
});

test("rows that are kept are from 100 to 5000, else 500", () => {
  assert.deepEqual([null, "", "x", "99", "100", "700", "9999", "1.5"].map(rowsOf), [500, 500, 500, 500, 100, 700, 5000, 500]);
});

test("a burst is one sentence in five seconds", () => {
  const speaker = new Speaker();
  const spoken: number[] = [];
  for (let now = 0; now < 20_000; now += 10) {
    speaker.add(12);
    const count = speaker.take(now);
    if (count > 0) spoken.push(count);
  }
  assert.equal(spoken.length, 20_000 / SPEAK_MS);
  assert.equal(new Speaker().take(0), 0);
});

test("delays grow to half a minute at most, and differ", () => {
  assert.equal(delayAfter(1, 1), 500);
  assert.equal(delayAfter(1, 0), 250);
  assert.equal(delayAfter(4, 1), 4000);
  assert.equal(delayAfter(1000, 1), 30_000);
});

// Streams and time in the hands of the test.
class World {
  opened: string[] = [];
  timers: { ms: number; what: () => void }[] = [];
  push: (chunk: string | null) => void = () => undefined;
  signal: AbortSignal | null = null;
  refuse: Refused | null = null;

  readonly outside = {
    open: (lastId: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
      this.opened.push(lastId);
      this.signal = signal;
      if (this.refuse) return Promise.reject(this.refuse);
      return Promise.resolve(this.chunks(signal));
    },
    after: (ms: number, what: () => void) => {
      const timer = { ms, what };
      this.timers.push(timer);
      return () => (this.timers = this.timers.filter((one) => one !== timer));
    },
    random: () => 1,
    changed: () => undefined,
  };

  private async *chunks(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = await new Promise<string | null>((resolve, reject) => {
        this.push = resolve;
        signal.addEventListener("abort", () => reject(new Error("aborted")));
      });
      if (chunk === null) return;
      yield encode(chunk);
    }
  }

  async send(chunk: string | null): Promise<void> {
    this.push(chunk);
    await settle();
  }

  async fire(ms: number): Promise<void> {
    const timer = this.timers.find((one) => one.ms === ms);
    assert.ok(timer, `no timer of ${ms} ms among ${this.timers.map((one) => one.ms).join()}`);
    this.timers = this.timers.filter((one) => one !== timer);
    timer.what();
    await settle();
  }
}

const settle = () => new Promise<void>((done) => setImmediate(done));
const record = (partition: number, offset: number) => `event: record\nid: ${partition}:${offset}\ndata: {"partition":${partition},"offset":"${offset}"}\n\n`;
const offsets = (tail: Tail<TailRecord>) => tail.rows.newestFirst().map((row) => row.record?.offset ?? row.gap?.reason);

test("a stream that breaks is resumed behind its last event, without a repeated row", async () => {
  const world = new World();
  const tail = new Tail<TailRecord>(world.outside, 10);
  tail.start();
  await settle();
  await world.send(record(0, 1) + record(1, 1) + record(0, 2));
  await world.send('event: progress\ndata: {"received":"3","matched":"3","skipped":"1","lag":"0","per_second":3}\n\n');
  await world.send(null);
  assert.equal(tail.phase, "waiting");
  await world.fire(500);
  assert.deepEqual(world.opened, ["", "0:2"]);
  await world.send(record(0, 2) + record(0, 3));
  await world.send('event: progress\ndata: {"received":"2","matched":"2","skipped":"0","lag":null,"per_second":1}\n\n');
  assert.deepEqual(offsets(tail), ["3", "2", "1", "1"]);
  assert.deepEqual([tail.progress.received, tail.progress.skipped], [5, 1]);
  tail.stop();
});

test("gaps are rows, and a problem is shown until records or progress come again", async () => {
  const world = new World();
  const tail = new Tail<TailRecord>(world.outside, 10);
  tail.start();
  await settle();
  await world.send('event: gap\ndata: {"partition":0,"from":"5","to":"9","reason":"expired"}\n\nevent: problem\ndata: {"detail":"No broker answers"}\n\n');
  assert.deepEqual(offsets(tail), ["expired"]);
  assert.equal(tail.trouble?.detail, "No broker answers");
  await world.send(record(0, 9));
  assert.equal(tail.trouble, null);
  await world.send('event: problem\ndata: {"detail":"No broker answers"}\n\n');
  assert.notEqual(tail.trouble, null);
  await world.send('event: progress\ndata: {"received":"1","matched":"1","skipped":"0","lag":"0","per_second":0}\n\n');
  assert.equal(tail.trouble, null);
  tail.stop();
});

test("repeated failures wait longer, and only a stream that works resets the delay", async () => {
  const world = new World();
  const tail = new Tail<TailRecord>(world.outside, 10);
  tail.start();
  await settle();
  await world.send(null);
  await world.fire(500);
  await world.send(record(0, 1));
  await world.send(null);
  await world.fire(1000);
  await world.send('event: progress\ndata: {"received":"0","matched":"0","skipped":"0","lag":null,"per_second":0}\n\n');
  await world.send(null);
  await world.fire(500);
  tail.stop();
});

test("a refusal ends it, a lack of capacity does not", async () => {
  const world = new World();
  world.refuse = new Refused({ detail: "20 tails are open", status: 429 });
  const tail = new Tail<TailRecord>(world.outside, 10);
  tail.start();
  await settle();
  assert.equal(tail.phase, "waiting");
  world.refuse = new Refused({ detail: "unknown field", status: 400, column: 4 });
  await world.fire(500);
  assert.equal(tail.phase, "stopped");
  assert.equal(tail.trouble?.column, 4);
  assert.equal(world.timers.length, 0);
});

test("a hidden tab closes its stream after a minute and resumes when it is seen", async () => {
  const world = new World();
  const tail = new Tail<TailRecord>(world.outside, 10);
  tail.start();
  await settle();
  await world.send(record(3, 7));
  tail.hidden(true);
  tail.hidden(false);
  assert.equal(world.timers.some((timer) => timer.ms === HIDDEN_MS), false, "seen again within the minute");
  tail.hidden(true);
  await world.fire(HIDDEN_MS);
  assert.equal(tail.phase, "hidden");
  assert.equal(world.signal?.aborted, true);
  tail.hidden(false);
  await settle();
  assert.equal(tail.phase, "live");
  assert.deepEqual(world.opened, ["", "3:7"]);
  tail.stop();
});

test("a connection on which nothing arrives is opened again", async () => {
  const world = new World();
  const tail = new Tail<TailRecord>(world.outside, 10);
  tail.start();
  await settle();
  await world.fire(SILENCE_MS);
  assert.equal(tail.phase, "waiting");
  await world.fire(500);
  assert.equal(world.opened.length, 2);
  tail.stop();
});

test("stopping keeps the rows and ends every timer", async () => {
  const world = new World();
  const tail = new Tail<TailRecord>(world.outside, 10);
  tail.start();
  await settle();
  await world.send(record(0, 1));
  tail.hidden(true);
  tail.stop();
  await settle();
  assert.equal(tail.phase, "stopped");
  assert.deepEqual(offsets(tail), ["1"]);
  assert.equal(world.timers.length, 0);
  assert.equal(world.signal?.aborted, true);
  tail.start();
  await settle();
  assert.deepEqual(world.opened, ["", "0:1"]);
  tail.stop();
});

test("fifty thousand records leave only the ring's rows and one position for each partition", async () => {
  const world = new World();
  const tail = new Tail<TailRecord>(world.outside, 500);
  tail.start();
  await settle();
  for (let at = 0; at < 50; at++) await world.send(Array.from({ length: 1000 }, (_, one) => record(one % 4, at * 1000 + one)).join(""));
  assert.equal(tail.added, 50_000);
  assert.equal(tail.rows.size, 500);
  assert.equal(tail.rows.dropped, 49_500);
  tail.stop();
});
