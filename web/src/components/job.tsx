// What became of a decision. A job belongs to no process and no page: what is told is the tables', so a reload changes nothing, and a
// colleague sees the same.
import { signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { post } from "../api/client";
import { refreshAll, useQuery, type QueryState } from "../api/query";
import { isHidden } from "../api/refresh";
import type { Job } from "../api/types";
import { duration, num, rate } from "../lib/format";
import { sentence, t } from "../lib/i18n";
import { actionWord, hasEnded, jobText, partsOf, remainingMs, toneOf } from "../lib/jobs";
import { at, param, setQuery } from "../lib/router";
import { DecisionDialog, Failed, failure, justMade, REASON_MAX, TargetText, whyNot } from "./decide";
import { Dialog } from "./dialog";
import { Icon } from "./icons";
import { Link } from "./link";
import { ErrorPanel } from "./panel";
import { Shape, Status } from "./status";
import { Age } from "./text";
import { say } from "./toasts";
import type { ApiError } from "../api/client";

const LOOK_MS = 1500;
/** Of the bar; it is stretched to the width that there is. */
const BAR_UNITS = 1000;

/** For a page with decisions: the dialogs, and the progress of the job that its address names. */
export function Decisions() {
  const id = param("watch");
  return (
    <>
      <DecisionDialog />
      <CancelDialog />
      {id !== null && /^\d+$/.test(id) && <Watched key={id} id={id} />}
    </>
  );
}

/** A job, looked at often until it has ended; then all of the page is asked again. */
export function useJob(id: string): QueryState<Job> {
  const query = useQuery("/jobs/{id}", { path: { id } });
  const retry = useRef(query.retry);
  retry.current = query.retry;
  const isEnded = hasEnded(query.data);
  const wasOpen = useRef(false);
  useEffect(() => {
    if (isEnded) {
      if (wasOpen.current) refreshAll();
      return undefined;
    }
    wasOpen.current = true;
    const timer = setInterval(() => !isHidden.peek() && retry.current(), LOOK_MS);
    return () => clearInterval(timer);
  }, [isEnded]);
  return query;
}

function Watched({ id }: { id: string }) {
  const query = useJob(id);
  const frame = useRef<HTMLElement>(null);
  useEffect(() => {
    if (justMade.peek() !== id) return;
    justMade.value = null;
    frame.current?.focus();
  }, [id]);
  return (
    <section ref={frame} class="panel watched" tabIndex={-1} aria-label={t("job.label")}>
      {query.data ? <Told job={query.data} /> : query.error ? <ErrorPanel error={query.error} onRetry={query.retry} what={t("job.failed")} /> : <p class="quiet">{t("job.looking")}</p>}
      <button type="button" class="button bare" onClick={() => setQuery({ watch: null }, { replace: true })} aria-label={t("job.dismiss")} title={t("job.dismiss")}>
        <Icon name="close" />
      </button>
    </section>
  );
}

export function JobStateBadge({ job }: { job: Job }) {
  const isStopping = job.state === "cancelled" && !hasEnded(job);
  return (
    <Status tone={isStopping ? "info" : toneOf(job)} plain>
      {isStopping ? t("job.stopping") : (sentence("job_state", job.state, {}) ?? job.state)}
    </Status>
  );
}

/** What of a job is carried out, was refused, waits, in this order; the figures stand beside it. */
export function JobBar({ job }: { job: Job }) {
  const { events, carriedOut, again, waiting } = partsOf(job);
  const units = (count: number) => (events === 0 ? 0 : (count / events) * BAR_UNITS);
  let from = 0;
  const segment = (name: string, count: number) => {
    const x = from;
    from += units(count);
    return count > 0 && <rect class={name} x={x} y="0" width={units(count)} height="8" />;
  };
  return (
    <svg class="job-bar" viewBox={`0 0 ${BAR_UNITS} 8`} preserveAspectRatio="none" role="progressbar" aria-label={t("job.label")} aria-valuemin={0} aria-valuemax={events} aria-valuenow={carriedOut + again} aria-valuetext={jobText(job)}>
      {segment("done", carriedOut)}
      {segment("again", again)}
      {segment("due", waiting)}
    </svg>
  );
}

/** "188/s on average · at most 200/s · about 45 s left". */
export function Pace({ job }: { job: Job }) {
  const left = remainingMs(job);
  const parts = [
    job.per_second !== null && t("job.average", { rate: rate(job.per_second) }),
    job.rate !== null && t("job.at_most", { rate: rate(job.rate) }),
    left !== null && t("job.left", { duration: duration(Math.max(1000, Math.round(left / 1000) * 1000)) }),
  ].filter((part) => part !== false);
  return parts.length > 0 ? <span>{parts.join(" · ")}</span> : null;
}

/** The sentence, the bar while it moves, and what a reader may want to know or do next. */
export function Told({ job }: { job: Job }) {
  const { waiting, rest } = partsOf(job);
  const isOpen = !hasEnded(job);
  return (
    <div class="stack">
      <p class="with-shape lead" role="status">
        <Shape tone={toneOf(job)} />
        <span>{jobText(job)}</span>
      </p>
      {isOpen && <JobBar job={job} />}
      {isOpen && (
        <p class="quiet">
          <Pace job={job} />
        </p>
      )}
      <JobTrouble job={job} />
      {isOpen && (waiting > 0 || rest > 0) && (
        <p class="quiet">
          {t("job.next")} <Link to="/relays">{t("nav.relays")}</Link>
        </p>
      )}
      <p class="quiet">
        <TargetText target={job.target} /> · {job.actor} · <Age at={job.created_at} />
        {job.reason !== null && <> · {job.reason}</>}
      </p>
      <div class="buttons">
        <Link to={at("jobs", job.id)}>{t("job.title", { id: job.id })}</Link>
        <CancelButton job={job} small />
      </div>
    </div>
  );
}

/** What did not go as it was planned. */
export function JobTrouble({ job }: { job: Job }) {
  const { rest } = partsOf(job);
  return (
    <>
      {job.error !== null && <pre class="error-text">{job.error}</pre>}
      {rest > 0 && job.state === "failed" && <p class="quiet">{t("job.rest_stays", { rest: num(rest) })}</p>}
      {rest > 0 && job.state === "done" && <p class="quiet">{t("job.fewer", { rest: num(rest) })}</p>}
    </>
  );
}

/** The job that somebody wants to cancel. Of the page and not of a row, as the dialog of a decision. */
const cancelling = signal<Job | null>(null);

export function CancelButton({ job, small = false }: { job: Job; small?: boolean }) {
  if (!job.is_cancellable) return null;
  const reason = whyNot();
  return (
    <button
      type="button"
      class={small ? "button small" : "button"}
      aria-disabled={reason !== null}
      aria-label={small ? `${t("job.cancel")} ${job.id}` : undefined}
      title={reason ?? undefined}
      onClick={() => {
        if (reason === null) cancelling.value = job;
        else say(reason, "muted");
      }}
    >
      {t(small ? "job.cancel" : "job.cancel_do")}
    </button>
  );
}

/** Once on each page that has the button. */
export function CancelDialog() {
  useEffect(
    () => () => {
      cancelling.value = null;
    },
    [],
  );
  const job = cancelling.value;
  if (!job) return null;
  const close = () => {
    if (cancelling.peek() === job) cancelling.value = null;
  };
  return <Cancelling key={job.id} job={job} onClose={close} />;
}

function Cancelling({ job: asked, onClose }: { job: Job; onClose: () => void }) {
  // It goes on while somebody thinks of a reason.
  const job = useJob(asked.id).data ?? asked;
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const isOpen = useRef(true);
  useEffect(
    () => () => {
      isOpen.current = false;
    },
    [],
  );
  const cancel = (reason: string) => {
    setBusy(true);
    post("/jobs/{id}/cancel", { reason }, { path: { id: job.id } }).then(
      () => {
        say(t("job.is_cancelled", { id: job.id }), "ok");
        onClose();
        refreshAll();
      },
      (reason_: unknown) => {
        if (!isOpen.current) return;
        setBusy(false);
        setError(failure(reason_));
      },
    );
  };
  return (
    <Dialog title={t("job.cancel_title", { id: job.id })} onClose={onClose} class="decide">
      <div class="dialog-body">
        <p class="scope">
          {actionWord(job)} · <TargetText target={job.target} />
        </p>
        {error ? <Failed error={error} onRetry={() => setError(undefined)} onClose={onClose} /> : <CancelForm job={job} isBusy={isBusy} onCancel={cancel} onClose={onClose} />}
      </div>
    </Dialog>
  );
}

/** What a cancellation does and does not, and why it is wanted. */
export function CancelForm({ job, isBusy = false, onCancel, onClose }: { job: Job; isBusy?: boolean; onCancel: (reason: string) => void; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const hint = useId();
  useEffect(() => field.current?.focus(), []);
  const { rest } = partsOf(job);
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <p class="lead">{t("job.cancel_lead", { decided: num(job.decided), events: num(job.events) })}</p>
      <ul class="consequences">
        <li>{t("job.cancel_decided")}</li>
        <li>{t("job.cancel_rest", { rest: num(rest) })}</li>
      </ul>
      <label class="field">
        {t("decide.reason")}
        <input ref={field} type="text" value={reason} required maxLength={REASON_MAX} aria-describedby={hint} onInput={(event) => setReason(event.currentTarget.value)} />
        <span class="quiet" id={hint}>
          {t("decide.reason_hint")}
        </span>
      </label>
      <div class="buttons end">
        <button type="button" class="button" onClick={onClose}>
          {t("job.go_on")}
        </button>
        <button type="button" class="button danger" disabled={isBusy || reason.trim() === ""} onClick={() => onCancel(reason.trim())}>
          {t("job.cancel_do")}
        </button>
      </div>
    </form>
  );
}
