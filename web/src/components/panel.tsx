// The states of what was asked: loading, failed, stale, partial, forbidden, empty. Each panel has its own; one that failed leaves the
// others as they are.
import type { ComponentChildren } from "preact";

import type { ApiError } from "../api/client";
import type { QueryState } from "../api/query";
import { now, serverNow } from "../lib/clock";
import { shortDuration } from "../lib/format";
import { sentence, t } from "../lib/i18n";
import { Command, Copy } from "./copy";
import { RemedyView } from "./remedy";
import { Shape, Status } from "./status";
import { Rich } from "./text";

interface PanelProps {
  title?: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

export function Panel({ title, actions, children, class: extra = "" }: PanelProps) {
  return (
    <section class={`panel ${extra}`}>
      {(title ?? actions) && (
        <header>
          {title && <h2>{title}</h2>}
          {actions && <div class="actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

/** What went wrong, in the reader's language where the code is known; the server's own words otherwise. */
export function errorText(error: ApiError): string {
  return sentence("error", error.code, {}) ?? (error.problem.detail || error.problem.title || t("error.unknown"));
}

interface ErrorPanelProps {
  error: ApiError;
  onRetry: () => void;
  what?: string | undefined;
}

export function ErrorPanel({ error, onRetry, what }: ErrorPanelProps) {
  const isForbidden = error.status === 403;
  const detail = error.problem.detail;
  const text = errorText(error);
  return (
    <div class={`state ${isForbidden ? "forbidden" : "failed"}`} role="alert">
      <Status tone={isForbidden ? "muted" : "bad"}>{isForbidden ? t("state.forbidden") : (what ?? t("state.failed"))}</Status>
      <p class="lead">
        <Rich text={text} />
      </p>
      {detail !== "" && detail !== text && (
        <p class="quiet">
          <Rich text={detail} />
        </p>
      )}
      <RemedyView remedy={error.problem.remedy} />
      {error.requestId && (
        <p class="quiet">
          {t("error.request")} <code>{error.requestId}</code>
        </p>
      )}
      <div class="buttons">
        <button type="button" class="button" onClick={onRetry}>
          {t("action.retry")}
        </button>
        <Copy text={() => error.diagnostics()} label={t("action.copy_diagnostics")} />
      </div>
    </div>
  );
}

/** Above data that are older than they should be, because the last request failed. */
export function StaleNote({ error, at, onRetry }: { error: ApiError; at: number; onRetry: () => void }) {
  const age = Math.max(0, now.value - (at + serverNow() - Date.now()));
  return (
    <div class="note warn" role="status">
      <Shape tone="warn" />
      <span>
        {t("stale.note", { age: shortDuration(age) })} {errorText(error)}
      </span>
      <button type="button" class="button small" onClick={onRetry}>
        {t("action.retry")}
      </button>
      <Copy text={() => error.diagnostics()} title={t("action.copy_diagnostics")} />
      <RemedyView remedy={error.problem.remedy} />
    </div>
  );
}

export function PartialNote({ text }: { text: string }) {
  return (
    <div class="note warn" role="status">
      <Shape tone="warn" />
      <span>{text}</span>
    </div>
  );
}

export function Waiting({ query }: { query: QueryState<unknown> }) {
  if (query.loading?.stage !== "stalled") return null;
  // Not in a live region: a counter that is read out each second helps nobody.
  return (
    <p class="waiting">
      {t("state.waiting", { age: shortDuration(Math.max(0, now.value - (query.loading.since + serverNow() - Date.now()))) })}{" "}
      <button type="button" class="button small" onClick={query.cancel}>
        {t("action.cancel")}
      </button>
    </p>
  );
}

interface LoadedProps<T> {
  query: QueryState<T>;
  /** Shown when loading takes longer than a moment. */
  skeleton?: ComponentChildren;
  what?: string;
  children: (data: T) => ComponentChildren;
}

/** Shows what a query has: nothing for a moment, then a skeleton; data, greyed with their age when they are stale; or why there are none. */
export function Loaded<T>({ query, skeleton, what, children }: LoadedProps<T>) {
  const { data, error, loading } = query;
  if (data !== undefined) {
    return (
      <>
        {error && <StaleNote error={error} at={query.at} onRetry={query.retry} />}
        <div class={error ? "is-stale" : query.isPrevious ? "is-previous" : undefined} aria-busy={query.isPrevious}>
          {children(data)}
        </div>
        <Waiting query={query} />
      </>
    );
  }
  if (error && !loading) return <ErrorPanel error={error} onRetry={query.retry} what={what} />;
  return (
    <div class="loading" aria-busy="true">
      {loading && loading.stage !== "quick" && (skeleton ?? <Skeleton lines={4} />)}
      <Waiting query={query} />
      {!loading && query.at === 0 && !error && <Cancelled onRetry={query.retry} />}
    </div>
  );
}

/** After "Cancel"; for the first moment of a page, before it has asked, it is hidden by the style sheet's delay. */
function Cancelled({ onRetry }: { onRetry: () => void }) {
  return (
    <p class="waiting cancelled">
      {t("state.cancelled")}{" "}
      <button type="button" class="button small" onClick={onRetry}>
        {t("action.retry")}
      </button>
    </p>
  );
}

export function Skeleton({ lines }: { lines: number }) {
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} class={`bone w${(index * 7) % 4}`} />
      ))}
    </div>
  );
}

interface EmptyProps {
  /** nothing: there is none yet; no_match: filters hide all; hidden: the reader may not see it. */
  kind: "nothing" | "no_match" | "hidden";
  title: string;
  text?: string | undefined;
  command?: string | undefined;
  commandKind?: "command" | "sql";
  onClear?: (() => void) | undefined;
}

export function Empty({ kind, title, text, command, commandKind = "command", onClear }: EmptyProps) {
  return (
    <div class={`state empty ${kind}`}>
      <p class="lead">{title}</p>
      {text && (
        <p>
          <Rich text={text} />
        </p>
      )}
      {command && <Command text={command} kind={commandKind} />}
      {kind === "no_match" && onClear && (
        <button type="button" class="button" onClick={onClear}>
          {t("action.clear_filters")}
        </button>
      )}
    </div>
  );
}
