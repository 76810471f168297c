// One clock for the page: ages move together, and follow the server's clock.
import { signal } from "@preact/signals";

/** The server's clock less ours, in ms. */
export const clockOffset = signal(0);
/** The server's time, renewed each second while the page is visible. */
export const now = signal(Date.now());

export function serverNow(): number {
  return Date.now() + clockOffset.peek();
}

export function startClock(): void {
  const tick = () => {
    if (document.visibilityState === "visible") now.value = serverNow();
  };
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}

/** Below two seconds it may as well be the network: not worth correcting. */
export function noteServerTime(iso: string): void {
  const offset = Date.parse(iso) - Date.now();
  if (Number.isFinite(offset)) clockOffset.value = Math.abs(offset) < 2000 ? 0 : offset;
}
