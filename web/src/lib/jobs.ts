// A job in words and figures: what became of a decision about dead letters.
import type { Job } from "../api/types";
import type { Tone } from "../components/status";
import { num } from "./format";
import { t, tn } from "./i18n";

/** Of the events that it is about. They add up to `events`. */
export interface Parts {
  events: number;
  carriedOut: number;
  again: number;
  /** Decided; a relay has yet to carry them out. */
  waiting: number;
  /** Not decided: to come, or left as they are when it has ended. */
  rest: number;
}

export function partsOf(job: Job): Parts {
  const events = Number(job.events);
  return { events, carriedOut: Number(job.carried_out), again: Number(job.parked_again), waiting: Number(job.waiting), rest: Math.max(0, events - Number(job.decided)) };
}

/** "Replay", "Discard". */
export const actionWord = (job: Job) => t(`audit_action.dead-letters ${job.action}`);

export const hasEnded = (job: Job | undefined) => job?.is_ended === true;

const TONES: Record<Job["state"], Tone> = { waiting: "info", running: "info", done: "ok", cancelled: "muted", failed: "bad" };

export function toneOf(job: Job): Tone {
  return job.state === "done" && job.parked_again !== "0" ? "warn" : TONES[job.state];
}

/** In a sentence: what was decided, and how far it is. */
export function jobText(job: Job): string {
  const { events, carriedOut, again, waiting } = partsOf(job);
  const n = num(job.carried_out);
  const words = { n, decided: num(job.decided), events: num(events), waiting: num(waiting), again: num(again), of: num(job.decided) };
  if (job.state === "waiting") return tn("job.waits", events, { n: num(events) });
  if (job.state === "running") {
    if (job.decided_at === null) return t(`job.deciding_${job.action}`, { ...words, done: num(carriedOut + again) });
    return t(`job.running_${job.action}`, { ...words, done: num(carriedOut + again) });
  }
  if (job.state === "failed") return t("job.failed_after", words);
  if (job.state === "cancelled") return hasEnded(job) ? t(`job.cancelled_${job.action}`, words) : t("job.cancelling", words);
  if (again > 0) return t("job.parked_again", words);
  return tn(`job.done_${job.action}`, carriedOut, { n });
}

/** How long it will take as it goes on, in ms; null where that cannot be said. */
export function remainingMs(job: Job): number | null {
  if (hasEnded(job) || job.per_second === null || job.per_second <= 0) return null;
  const { waiting, rest } = partsOf(job);
  const due = waiting + (job.is_cancellable ? rest : 0);
  return due === 0 ? null : (due / job.per_second) * 1000;
}

/** The list of dead letters with what a decision was about; null where it was one event. */
export function lettersPath(job: Job): string | null {
  const filter = new URLSearchParams();
  for (const name of ["error_class", "event_type", "topic", "key"]) {
    const value = job.target[name];
    if (typeof value === "string") filter.set(name, value);
  }
  if (filter.size === 0) return job.target["all"] === true ? "/dead-letters" : null;
  return `/dead-letters?${filter.toString()}`;
}
