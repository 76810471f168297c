// A list that is renewed while somebody reads it: rows change in place and never move under the cursor; what is new waits until it is asked for.
import { useRef, useState } from "preact/hooks";

export interface Held<Row> {
  rows: Row[] | undefined;
  /** How many are new and not shown. */
  waiting: number;
  show: () => void;
}

/** What to show of `fresh` when `shown` was there before, and how many at its top are new. Pure, for its test. */
export function hold<Row>(shown: readonly Row[], fresh: readonly Row[], keyOf: (row: Row) => string): { rows: Row[]; waiting: number } {
  const known = new Set(shown.map(keyOf));
  const first = fresh.findIndex((row) => known.has(keyOf(row)));
  // Nothing in common: another list, or so many are new that the old ones say little.
  if (first < 0) return { rows: [...fresh], waiting: 0 };
  const current = new Map(fresh.map((row) => [keyOf(row), row]));
  const below = fresh.slice(first).filter((row) => !known.has(keyOf(row)));
  return { rows: [...shown.map((row) => current.get(keyOf(row)) ?? row), ...below], waiting: first };
}

/** `list` names what is listed; another one starts afresh. */
export function useHeld<Row>(fresh: Row[] | undefined, list: string, keyOf: (row: Row) => string): Held<Row> {
  const kept = useRef<{ list: string; rows: Row[] } | null>(null);
  const [, render] = useState(0);
  if (fresh === undefined) return { rows: undefined, waiting: 0, show: () => undefined };
  const before = kept.current?.list === list ? kept.current.rows : [];
  const { rows, waiting } = before.length > 0 ? hold(before, fresh, keyOf) : { rows: fresh, waiting: 0 };
  kept.current = { list, rows };
  const show = () => {
    kept.current = { list, rows: fresh };
    render((count) => count + 1);
  };
  return { rows, waiting, show };
}
