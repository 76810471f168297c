// The refresh control: Off or every n seconds, from the URL; pauses while the page is hidden.
import { computed, effect, signal } from "@preact/signals";

import { place, setQuery } from "../lib/router";

export const RATES = [0, 1, 2, 5, 15, 30, 60] as const;
export const DEFAULT_RATE = 5;

/** The server may raise the floor (Session.refresh_floor_s). */
export const floor = signal(0);
const chosen = computed(() => {
  const text = place.value.query.get("refresh");
  const value = text === "off" ? 0 : Number(text ?? DEFAULT_RATE);
  return RATES.find((rate) => rate === value) ?? DEFAULT_RATE;
});
export const rate = computed(() => (chosen.value === 0 ? 0 : Math.max(chosen.value, floor.value)));
export const isHidden = signal(typeof document !== "undefined" && document.visibilityState === "hidden");

export function setRate(value: number): void {
  setQuery({ refresh: value === DEFAULT_RATE ? null : value === 0 ? "off" : value }, { replace: true });
}

export function cycleRate(): void {
  const index = RATES.findIndex((each) => each === chosen.peek());
  setRate(RATES[(index + 1) % RATES.length] ?? DEFAULT_RATE);
}

const listeners = new Set<() => void>();

/** Called at each refresh; returns what takes the listener away. */
export function onRefresh(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function refreshNow(): void {
  for (const listener of listeners) listener();
}

export function startRefresh(): void {
  document.addEventListener("visibilitychange", () => {
    isHidden.value = document.visibilityState === "hidden";
  });
  let wasHidden = false;
  effect(() => {
    const seconds = rate.value;
    if (isHidden.value) {
      wasHidden = true;
      return undefined;
    }
    if (wasHidden && seconds > 0) refreshNow();
    wasHidden = false;
    if (seconds === 0) return undefined;
    const timer = setInterval(refreshNow, seconds * 1000);
    return () => clearInterval(timer);
  });
}
