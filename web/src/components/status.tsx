import type { ComponentChildren } from "preact";

import { sentence, t, type Key } from "../lib/i18n";

/** How a thing is. Never by colour alone: each has a shape of its own and a word beside it. */
export type Tone = "ok" | "warn" | "bad" | "info" | "muted";

const shapes: Record<Tone, string> = {
  ok: "M5 1a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  warn: "M5 .8 9.6 9H.4z",
  bad: "M1.2 1.2h7.6v7.6H1.2z",
  info: "M5 .4 9.6 5 5 9.6.4 5z",
  muted: "M5 2a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
};

export function Shape({ tone }: { tone: Tone }) {
  return (
    <svg class={`shape ${tone}`} viewBox="0 0 10 10" width="10" height="10" aria-hidden="true" focusable="false">
      <path d={shapes[tone]} />
    </svg>
  );
}

export function Status({ tone, children, plain = false }: { tone: Tone; children: ComponentChildren; plain?: boolean }) {
  return (
    <span class={`status ${tone}${plain ? " plain" : ""}`}>
      <Shape tone={tone} />
      {children}
    </span>
  );
}

const eventTones: Record<string, Tone> = { pending: "info", published: "ok", parked: "bad", replaying: "info", replayed: "ok", discarded: "muted" };

/** The state of an event in the reader's language. */
export function EventStateBadge({ state }: { state: string }) {
  return (
    <Status tone={eventTones[state] ?? "muted"} plain>
      {sentence("state", state, {}) ?? state}
    </Status>
  );
}

export function severityTone(severity: string): Tone {
  return severity === "ok" || severity === "warn" || severity === "bad" ? severity : "info";
}

export function severityWord(severity: string): string {
  return t(`severity.${severityTone(severity)}` as Key);
}
