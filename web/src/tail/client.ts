// A live tail: one connection at a time, which is opened again behind the last event whenever it fails. What is kept is bounded: the
// ring's rows, one position for each partition, and one identifier.

import type { Remedy } from "../api/types";
import { Ring } from "./ring";
import { EventParser, type ServerEvent } from "./sse";

export const SILENCE_MS = 40_000; // the server says something every second, and comments every 15 s
export const HIDDEN_MS = 60_000;
const DELAY_MIN_MS = 500;
const DELAY_MAX_MS = 30_000;

export interface TailRecord {
  partition: number;
  offset: string;
}

export interface Gap {
  partition: number;
  from: string;
  to: string;
  reason: "skipped" | "expired" | "not_kept";
}

export interface Trouble {
  title?: string;
  detail: string;
  status?: number;
  code?: string;
  column?: number;
  remedy?: Remedy;
}

// `number` counts rows from the first one of the tail: an identity for what shows them.
export type Row<R> = { number: number } & ({ record: R; gap: null } | { record: null; gap: Gap });

export type Phase = "connecting" | "live" | "waiting" | "hidden" | "stopped";

export interface Progress {
  received: number;
  matched: number;
  skipped: number;
  lag: string | null;
  perSecond: number;
}

// A refusal that another try cannot change; 401 too, since asking for a token is the page's business.
export class Refused extends Error {
  readonly trouble: Trouble;
  readonly isFinal: boolean;
  constructor(trouble: Trouble) {
    super(trouble.detail);
    this.trouble = trouble;
    const status = trouble.status ?? 0;
    this.isFinal = status >= 400 && status < 500 && status !== 408 && status !== 429;
  }
}

export interface Outside {
  // Opens the stream behind `lastId`; throws Refused for an answer that is no stream.
  open(lastId: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  after(ms: number, what: () => void): () => void;
  random(): number;
  changed(): void;
}

export function delayAfter(failures: number, random: number): number {
  const delay = Math.min(DELAY_MAX_MS, DELAY_MIN_MS * 2 ** Math.min(failures - 1, 16));
  return Math.round(delay * (0.5 + random / 2));
}

export class Tail<R extends TailRecord> {
  readonly rows: Ring<Row<R>>;
  phase: Phase = "stopped";
  trouble: Trouble | null = null;
  retryMs = 0; // how long it waits, in the phase "waiting"
  progress: Progress = { received: 0, matched: 0, skipped: 0, lag: null, perSecond: 0 };
  added = 0;

  private readonly outside: Outside;
  private lastId = "";
  private failures = 0;
  private before = { received: 0, matched: 0, skipped: 0 }; // of earlier connections
  private positions = new Map<number, bigint>();
  private connection: AbortController | null = null;
  private cancelWait: (() => void) | null = null;
  private cancelHide: (() => void) | null = null;
  private cancelSilence: (() => void) | null = null;

  constructor(outside: Outside, capacity: number) {
    this.outside = outside;
    this.rows = new Ring(capacity);
  }

  start(): void {
    if (this.phase !== "stopped") return;
    this.failures = 0;
    void this.connect();
  }

  // Rows stay, and so does the place at which start() resumes.
  stop(): void {
    this.cancelHide?.();
    this.close("stopped");
  }

  hidden(isHidden: boolean): void {
    this.cancelHide?.();
    this.cancelHide = null;
    if (isHidden && this.phase !== "stopped" && this.phase !== "hidden") {
      this.cancelHide = this.outside.after(HIDDEN_MS, () => this.close("hidden"));
    } else if (!isHidden && this.phase === "hidden") {
      this.failures = 0;
      void this.connect();
    }
  }

  private close(phase: Phase): void {
    this.cancelWait?.();
    this.cancelSilence?.();
    this.cancelWait = this.cancelSilence = null;
    this.connection?.abort();
    this.connection = null;
    this.phase = phase;
    this.outside.changed();
  }

  private async connect(): Promise<void> {
    this.close("connecting");
    const { received, matched, skipped } = this.progress;
    this.before = { received, matched, skipped };
    const connection = new AbortController();
    this.connection = connection;
    const isCurrent = () => this.connection === connection;
    let trouble: Trouble | null = null;
    let isFinal = false;
    try {
      this.watch(connection);
      const chunks = await this.outside.open(this.lastId, connection.signal);
      if (!isCurrent()) return;
      this.phase = "live";
      this.outside.changed();
      const parser = new EventParser((event) => {
        if (isCurrent()) this.take(event);
      });
      for await (const chunk of chunks) {
        if (!isCurrent()) return;
        this.watch(connection);
        parser.push(chunk);
      }
    } catch (error) {
      if (error instanceof Refused) ({ trouble, isFinal } = error);
      else trouble = { detail: error instanceof Error ? error.message : String(error) };
    }
    if (!isCurrent()) return;
    if (trouble !== null) this.trouble = trouble;
    if (isFinal) {
      this.close("stopped");
      return;
    }
    this.retryMs = delayAfter(++this.failures, this.outside.random());
    this.close("waiting");
    this.cancelWait = this.outside.after(this.retryMs, () => void this.connect());
  }

  // A connection on which nothing arrives is a dead one: a proxy or a sleeping computer may never say so.
  private watch(connection: AbortController): void {
    this.cancelSilence?.();
    this.cancelSilence = this.outside.after(SILENCE_MS, () => connection.abort());
  }

  private take(event: ServerEvent): void {
    if (event.id) this.lastId = event.id;
    switch (event.type) {
      case "record":
        this.record(JSON.parse(event.data) as R);
        break;
      case "progress":
        this.measure(JSON.parse(event.data) as Record<string, string | number | null>);
        break;
      case "gap":
        this.gap(JSON.parse(event.data) as Gap);
        break;
      case "problem":
        this.trouble = JSON.parse(event.data) as Trouble;
        break;
    }
    this.outside.changed();
  }

  private record(record: R): void {
    const offset = BigInt(record.offset);
    const before = this.positions.get(record.partition);
    if (before !== undefined && offset <= before) return;
    this.positions.set(record.partition, offset);
    this.trouble = null;
    this.rows.push({ number: this.added++, record, gap: null });
  }

  private gap(gap: Gap): void {
    this.rows.push({ number: this.added++, record: null, gap });
  }

  private measure(data: Record<string, string | number | null>): void {
    this.failures = 0; // only a stream that works resets the delay, not one that merely opens
    this.trouble = null; // a server in trouble sends none
    const count = (name: "received" | "matched" | "skipped") => this.before[name] + Number(data[name] ?? 0);
    this.progress = {
      received: count("received"),
      matched: count("matched"),
      skipped: count("skipped"),
      lag: data["lag"] === null || data["lag"] === undefined ? null : String(data["lag"]),
      perSecond: Number(data["per_second"] ?? 0),
    };
  }
}
