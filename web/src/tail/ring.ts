// The last rows of a stream, and no more of them than its capacity.

export const ROWS_MIN = 100;
export const ROWS_MAX = 5000;
export const ROWS_DEFAULT = 500;

export function rowsOf(text: string | null): number {
  const rows = Number(text);
  return Number.isInteger(rows) && rows >= ROWS_MIN ? Math.min(rows, ROWS_MAX) : ROWS_DEFAULT;
}

export class Ring<T> {
  private items: (T | undefined)[];
  private next = 0; // where the next one is written
  size = 0;
  dropped = 0;

  constructor(capacity: number) {
    this.items = new Array<T | undefined>(capacity);
  }

  get capacity(): number {
    return this.items.length;
  }

  push(item: T): void {
    if (this.size === this.items.length) this.dropped++;
    else this.size++;
    this.items[this.next] = item;
    this.next = (this.next + 1) % this.items.length;
  }

  newestFirst(limit = this.size): T[] {
    const list: T[] = [];
    for (let back = 1; back <= Math.min(limit, this.size); back++) {
      const item = this.items[(this.next - back + this.items.length) % this.items.length];
      if (item !== undefined) list.push(item);
    }
    return list;
  }

  // Keeps the newest that fit.
  resize(capacity: number): void {
    const kept = this.newestFirst(capacity).reverse();
    this.dropped += this.size - kept.length;
    this.items = new Array<T | undefined>(capacity);
    kept.forEach((item, at) => (this.items[at] = item));
    this.size = kept.length;
    this.next = this.size % capacity;
  }

  clear(): void {
    this.items = new Array<T | undefined>(this.items.length);
    this.next = this.size = this.dropped = 0;
  }
}

// What a screen reader hears of a stream: at most one sentence in five seconds, with how many rows are new.
export const SPEAK_MS = 5000;

export class Speaker {
  private count = 0;
  private spokenAt = Number.NEGATIVE_INFINITY;

  add(rows: number): void {
    this.count += rows;
  }

  // How many to announce; 0: nothing to say, or not yet.
  take(now: number): number {
    if (this.count === 0 || now - this.spokenAt < SPEAK_MS) return 0;
    const count = this.count;
    this.count = 0;
    this.spokenAt = now;
    return count;
  }
}
