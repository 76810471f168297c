// What pages ask the server: one request for an address however many parts of a page use it, old data until the new is
// there, an abort when the last of them has left.
import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { ApiError, apiUrl, send, token, type Args } from "./client";
import { onRefresh } from "./refresh";
import type { Answer, GetPath } from "./types";

/** Loading is not shown before this: most answers are there by then. */
const SLOW_MS = 150;
/** After this the reader is offered to cancel. */
const STALLED_MS = 5000;
/** Kept for "back"; the oldest unused ones go first. */
const KEPT_MAX = 40;

export interface Loading {
  since: number;
  stage: "quick" | "slow" | "stalled";
}

class Query<T> {
  readonly data: Signal<T | undefined> = signal(undefined);
  readonly error: Signal<ApiError | undefined> = signal(undefined);
  readonly loading: Signal<Loading | undefined> = signal(undefined);
  /** When the data arrived, by our clock. */
  readonly at = signal(0);
  users = 0;
  isLive = true;
  private abort: AbortController | undefined;
  private timers: ReturnType<typeof setTimeout>[] = [];

  constructor(readonly url: string) {}

  run(): void {
    if (this.abort) return;
    const abort = new AbortController();
    this.abort = abort;
    const since = Date.now();
    this.loading.value = { since, stage: "quick" };
    this.timers = [
      setTimeout(() => (this.loading.value = { since, stage: "slow" }), SLOW_MS),
      setTimeout(() => (this.loading.value = { since, stage: "stalled" }), STALLED_MS),
    ];
    send(this.url, { signal: abort.signal })
      .then((response) => response.json())
      .then(
        (data: unknown) => {
          if (this.abort !== abort) return;
          this.data.value = data as T;
          this.error.value = undefined;
          this.at.value = Date.now();
          this.settle();
        },
        (error: unknown) => {
          if (this.abort !== abort) return;
          this.error.value =
            error instanceof ApiError ? error : new ApiError(this.url, 0, { type: "about:blank", title: "unreadable answer", status: 0, detail: String(error) }, null);
          this.settle();
        },
      );
  }

  cancel(): void {
    this.abort?.abort();
    this.settle();
  }

  /** Asks again although an answer is under way: that one is for another token. */
  restart(): void {
    this.cancel();
    this.run();
  }

  private settle(): void {
    this.abort = undefined;
    this.timers.forEach(clearTimeout);
    this.timers = [];
    this.loading.value = undefined;
  }
}

const queries = new Map<string, Query<unknown>>();

function acquire(url: string): Query<unknown> {
  const known = queries.get(url);
  if (known) {
    queries.delete(url);
    queries.set(url, known);
    return known;
  }
  const fresh = new Query<unknown>(url);
  queries.set(url, fresh);
  for (const [key, each] of queries) {
    if (queries.size <= KEPT_MAX) break;
    if (each.users === 0 && each !== fresh) queries.delete(key);
  }
  return fresh;
}

onRefresh(() => {
  for (const query of queries.values()) {
    if (query.users > 0 && query.isLive) query.run();
  }
});

token.subscribe(() => {
  for (const [key, query] of queries) {
    if (query.users > 0) query.restart();
    else queries.delete(key);
  }
});

/** All that is on the page is asked again. */
export function refreshAll(): void {
  for (const query of queries.values()) if (query.users > 0) query.run();
}

export interface QueryState<T> {
  data: T | undefined;
  /** The data are of the address before this one, shown until this one answers. */
  isPrevious: boolean;
  /** What was shown last, of this or another address: for when this one was refused. */
  previous: T | undefined;
  error: ApiError | undefined;
  loading: Loading | undefined;
  /** ms since 1970 by our clock; 0 before the first answer. */
  at: number;
  retry: () => void;
  cancel: () => void;
}

export interface QueryOptions {
  /** Asked again by the refresh control; for what does not change or is expensive say false. */
  live?: boolean;
  /** Show the data of the address before until this one answers: pages of a list. */
  keep?: boolean;
}

/** null asks nothing: for what depends on another answer, or is loaded lazily. */
export function useQuery<P extends GetPath>(path: P | null, args: Args = {}, { live = true, keep = false }: QueryOptions = {}): QueryState<Answer<P>> {
  const url = path === null ? null : apiUrl(path, args);
  const query = useMemo(() => (url === null ? null : acquire(url)), [url]);
  useEffect(() => {
    if (!query) return;
    query.users += 1;
    query.isLive = live;
    // An error is kept until somebody retries or the refresh comes round: a remount must not hammer.
    if (query.data.peek() === undefined || (live && Date.now() - query.at.peek() > 1000)) query.run();
    return () => {
      query.users -= 1;
      if (query.users === 0) query.cancel();
    };
  }, [query, live]);
  const before = useRef<unknown>(undefined);
  const own = query?.data.value;
  if (own !== undefined) before.current = own;
  const isPrevious = own === undefined && keep && before.current !== undefined && query?.error.value === undefined;
  return {
    data: (isPrevious ? before.current : own) as Answer<P> | undefined,
    isPrevious,
    previous: before.current as Answer<P> | undefined,
    error: query?.error.value,
    loading: query?.loading.value,
    at: query?.at.value ?? 0,
    retry: () => query?.run(),
    cancel: () => query?.cancel(),
  };
}

/** For a table of rows that came with something else. */
export const NO_QUERY: QueryState<unknown> = { data: undefined, isPrevious: false, previous: undefined, error: undefined, loading: undefined, at: 0, retry: () => undefined, cancel: () => undefined };
