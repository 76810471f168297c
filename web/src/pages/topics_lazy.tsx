// Columns that cost the cluster something: asked for the rows in sight only, some dozens in one request, and no longer when the page
// is left.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { ApiError } from "../api/client";
import { onRefresh } from "../api/refresh";
import { errorText } from "../components/panel";
import { Shape } from "../components/status";

const GATHER_MS = 60;
/** A measurement is good for this long, however often the page is refreshed. */
const FRESH_MS = 10_000;

export class Lazy<T> {
  /** null: asked for and not answered. */
  readonly found = signal<ReadonlyMap<string, T | null>>(new Map());
  readonly error = signal<ApiError | null>(null);
  private readonly seen = new Map<string, number>();
  private readonly askedAt = new Map<string, number>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private abort = new AbortController();

  constructor(
    private readonly ask: (names: string[], signal: AbortSignal) => Promise<[string, T][]>,
    private readonly most: number,
  ) {}

  see(name: string): void {
    this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
    this.timer ??= setTimeout(() => void this.run(), GATHER_MS);
  }

  leave(name: string): void {
    const count = (this.seen.get(name) ?? 1) - 1;
    if (count > 0) this.seen.set(name, count);
    else this.seen.delete(name);
  }

  refresh(): void {
    this.timer ??= setTimeout(() => void this.run(), GATHER_MS);
  }

  close(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.abort.abort();
    this.abort = new AbortController();
    this.askedAt.clear();
  }

  private async run(): Promise<void> {
    this.timer = undefined;
    const now = Date.now();
    const names = [...this.seen.keys()].filter((name) => now - (this.askedAt.get(name) ?? 0) > FRESH_MS);
    for (const name of names) this.askedAt.set(name, now);
    for (let from = 0; from < names.length; from += this.most) await this.batch(names.slice(from, from + this.most));
  }

  private async batch(names: string[]): Promise<void> {
    const { signal: stop } = this.abort;
    if (stop.aborted) return;
    let answer: [string, T][] = [];
    let error: ApiError | null = null;
    try {
      answer = await this.ask(names, stop);
    } catch (failure) {
      if (!(failure instanceof ApiError)) return; // aborted
      error = failure;
    }
    if (stop.aborted) return;
    const next = new Map(this.found.peek());
    for (const name of names) if (!next.get(name)) next.set(name, null);
    for (const [name, value] of answer) next.set(name, value);
    this.found.value = next;
    this.error.value = error;
  }
}

export function useLazy<T>(ask: (names: string[], signal: AbortSignal) => Promise<[string, T][]>, most: number): Lazy<T> {
  const lazy = useMemo(() => new Lazy(ask, most), []);
  useEffect(() => {
    const stop = onRefresh(() => lazy.refresh());
    return () => {
      stop();
      lazy.close();
    };
  }, [lazy]);
  return lazy;
}

const entered = new WeakMap<Element, (isInSight: boolean) => void>();
let observer: IntersectionObserver | null = null;

function observe(element: Element, change: (isInSight: boolean) => void): () => void {
  observer ??= new IntersectionObserver((entries) => entries.forEach((entry) => entered.get(entry.target)?.(entry.isIntersecting)));
  entered.set(element, change);
  observer.observe(element);
  return () => {
    observer?.unobserve(element);
    entered.delete(element);
  };
}

interface LazyCellProps<T> {
  lazy: Lazy<T>;
  name: string;
  children: (value: T) => ComponentChildren;
}

export function LazyCell<T>({ lazy, name, children }: LazyCellProps<T>) {
  const ref = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    let isSeen = false;
    const change = (isInSight: boolean) => {
      if (isInSight === isSeen) return;
      isSeen = isInSight;
      if (isInSight) lazy.see(name);
      else lazy.leave(name);
    };
    const stop = observe(element, change);
    return () => {
      stop();
      change(false);
    };
  }, [lazy, name]);
  const value = lazy.found.value.get(name);
  return (
    <span ref={ref} class="lazy">
      {value === undefined ? <span class="bone w3" aria-hidden="true" /> : value === null ? <span class="quiet">–</span> : children(value)}
    </span>
  );
}

/** Why columns of a list are empty. */
export function LazyNote({ lazy, what }: { lazy: Lazy<unknown>; what: string }) {
  const error = lazy.error.value;
  if (!error) return null;
  return (
    <div class="note warn" role="status">
      <Shape tone="warn" />
      <span>
        {what} {errorText(error)}
      </span>
    </div>
  );
}
