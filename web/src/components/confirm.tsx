// The dialogs of operations. How much is asked depends on what can be lost: nothing for a few retries, a reason for many or for what
// cannot be undone, the number typed for what is large. What was done is in the audit; its place is in the same dialog.
import { useState } from "preact/hooks";

import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { Dialog } from "./dialog";
import { Link } from "./link";
import { Status } from "./status";

export type Level = "none" | "reason" | "typed";

export interface Action {
  kind: "retry" | "discard" | "pause";
  count: number;
}

/** Retries up to 100 ask nothing; more, and any discard, want a reason; discards over 1 000 and pauses want the word typed. */
export function levelOf({ kind, count }: Action): Level {
  if (kind === "pause") return "typed";
  if (kind === "discard") return count > 1000 ? "typed" : "reason";
  return count > 100 ? "reason" : "none";
}

interface ConfirmProps {
  action: Action;
  title: string;
  /** The filter in words: what will be touched. */
  scope: string;
  sample: string[];
  /** What to type for level "typed"; the count when absent. */
  word?: string;
  confirmText: string;
  onConfirm: (reason: string) => void;
  onClose: () => void;
}

export function Confirm({ action, title, scope, sample, word, confirmText, onConfirm, onClose }: ConfirmProps) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const level = levelOf(action);
  const wanted = word ?? String(action.count);
  const isReady = reason.trim() !== "" && (level !== "typed" || typed.trim() === wanted);
  return (
    <Dialog title={title} onClose={onClose} class="confirm">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) onConfirm(reason.trim());
        }}
      >
        <p>
          <strong>{tn("confirm.events", action.count, { n: num(action.count) })}</strong> · <code>{scope}</code>
        </p>
        {sample.length > 0 && (
          <ul class="sample">
            {sample.slice(0, 3).map((each) => (
              <li key={each}>
                <code>{each}</code>
              </li>
            ))}
            {action.count > 3 && <li class="quiet">{t("confirm.more", { n: num(action.count - Math.min(3, sample.length)) })}</li>}
          </ul>
        )}
        <label class="field">
          {t("confirm.reason")}
          <input type="text" value={reason} required maxLength={200} onInput={(event) => setReason(event.currentTarget.value)} />
          <span class="quiet">{t("confirm.reason_hint")}</span>
        </label>
        {level === "typed" && (
          <label class="field">
            {t("confirm.type", { word: wanted })}
            <input type="text" value={typed} required autocomplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />
          </label>
        )}
        <div class="buttons">
          <button type="button" class="button" onClick={onClose}>
            {t("action.cancel")}
          </button>
          <button type="submit" class="button danger" disabled={!isReady}>
            {confirmText}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export interface Job {
  id: string;
  state: "running" | "done" | "failed" | "cancelled";
  done: number;
  failed: number;
  total: number;
  perSecond: number;
}

const tones = { running: "info", done: "ok", failed: "bad", cancelled: "muted" } as const;

/** An operation under way: it runs in the server and survives this page. */
export function JobProgress({ job, onCancel }: { job: Job; onCancel?: () => void }) {
  return (
    <div class="job">
      <p>
        <Status tone={tones[job.state]}>{t(`job.${job.state}`)}</Status> {t("job.progress", { done: num(job.done), total: num(job.total) })}
        {job.failed > 0 && <> · {t("job.failed_count", { n: num(job.failed) })}</>}
        {job.state === "running" && <> · {num(job.perSecond)}/s</>}
      </p>
      <progress value={job.done + job.failed} max={job.total} aria-label={t("job.label")} />
      <div class="buttons">
        {job.state === "running" && onCancel && (
          <button type="button" class="button" onClick={onCancel}>
            {t("action.cancel")}
          </button>
        )}
        <Link to={`/audit?job=${encodeURIComponent(job.id)}`}>{t("job.audit")}</Link>
      </div>
    </div>
  );
}
