import { signal } from "@preact/signals";

import type { Tone } from "./status";
import { Shape } from "./status";

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

const toasts = signal<Toast[]>([]);
const SHOWN_MS = 5000;
const SHOWN_MAX = 3;
let last = 0;

/** A short word about what just happened; what needs an answer is a dialog, what stays is a banner. */
export function say(text: string, tone: Tone = "ok"): void {
  const id = ++last;
  toasts.value = [...toasts.value, { id, tone, text }].slice(-SHOWN_MAX);
  setTimeout(() => (toasts.value = toasts.value.filter((toast) => toast.id !== id)), SHOWN_MS);
}

export function Toasts() {
  // Always there: a live region that appears together with its text is not read out.
  return (
    <div class="toasts" role="status">
      {toasts.value.map((toast) => (
        <p key={toast.id} class="toast">
          <Shape tone={toast.tone} /> {toast.text}
        </p>
      ))}
    </div>
  );
}
