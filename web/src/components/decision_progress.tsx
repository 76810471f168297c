// What became of a decision. Its number is in the address, and what is told is the tables': it survives a reload, and a colleague sees the same.
import { useEffect, useRef } from "preact/hooks";

import { refreshAll, useQuery } from "../api/query";
import { isHidden } from "../api/refresh";
import type { DecisionProgress } from "../api/types";
import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { param, setQuery } from "../lib/router";
import { DecisionDialog, justMade, TargetText } from "./decide";
import { Icon } from "./icons";
import { Link } from "./link";
import { ErrorPanel } from "./panel";
import { Shape, type Tone } from "./status";
import { Age } from "./text";

const LOOK_MS = 1500;

/** For a page with decisions: the dialog, and the progress of the one that its address names. */
export function Decisions() {
  const id = param("watch");
  return (
    <>
      <DecisionDialog />
      {id !== null && /^\d+$/.test(id) && <Watched key={id} id={id} />}
    </>
  );
}

const isOver = (progress: DecisionProgress | undefined) => progress !== undefined && progress.waiting.value === "0" && !progress.is_deciding;

function Watched({ id }: { id: string }) {
  const query = useQuery("/dead-letters/progress", { query: { audit_id: id } });
  const frame = useRef<HTMLElement>(null);
  const retry = useRef(query.retry);
  retry.current = query.retry;
  const isEnded = isOver(query.data);
  useEffect(() => {
    if (justMade.peek() !== id) return;
    justMade.value = null;
    frame.current?.focus();
  }, [id]);
  useEffect(() => {
    if (isEnded) {
      refreshAll();
      return undefined;
    }
    const timer = setInterval(() => !isHidden.peek() && retry.current(), LOOK_MS);
    return () => clearInterval(timer);
  }, [isEnded]);
  return (
    <section ref={frame} class="panel watched" tabIndex={-1} aria-label={t("progress.label")}>
      {query.data ? <Told progress={query.data} /> : query.error ? <ErrorPanel error={query.error} onRetry={query.retry} what={t("progress.failed")} /> : <p class="quiet">{t("progress.looking")}</p>}
      <button type="button" class="button bare" onClick={() => setQuery({ watch: null }, { replace: true })} aria-label={t("progress.dismiss")} title={t("progress.dismiss")}>
        <Icon name="close" />
      </button>
    </section>
  );
}

/** In a sentence: what was decided, and how far it is. */
export function progressText(progress: DecisionProgress): { tone: Tone; text: string } {
  const decided = Number(progress.decided);
  const words = { decided: num(progress.decided), events: num(progress.events) };
  const isReplay = progress.entry.action === "dead-letters replay";
  if (progress.is_deciding) return { tone: "info", text: t("progress.deciding", words) };
  if (!progress.waiting.exact) return { tone: "info", text: t("progress.many", { n: num(progress.waiting.value), of: words.decided }) };
  if (progress.waiting.value !== "0") {
    const done = num(decided - Number(progress.waiting.value));
    return { tone: "info", text: t(isReplay ? "progress.replaying" : "progress.discarding", { done, of: words.decided }) };
  }
  if (progress.carried_out === null) return { tone: "ok", text: t("progress.nothing_waits") };
  const again = decided - Number(progress.carried_out);
  const n = num(progress.carried_out);
  if (isReplay && again > 0) return { tone: "warn", text: t("progress.parked_again", { n, of: words.decided, again: num(again) }) };
  return { tone: "ok", text: tn(isReplay ? "progress.replayed" : "progress.discarded", Number(progress.carried_out), { n }) };
}

export function Told({ progress }: { progress: DecisionProgress }) {
  const { entry } = progress;
  const { tone, text } = progressText(progress);
  const isCut = !progress.is_deciding && progress.decided !== progress.events;
  const isWaiting = progress.waiting.value !== "0";
  const decided = Number(progress.decided);
  // Without a value where it is not known: the bar says that it moves.
  const bar = progress.is_deciding ? { value: decided, max: Number(progress.events) } : progress.waiting.exact ? { value: decided - Number(progress.waiting.value), max: decided } : {};
  return (
    <div class="stack">
      <p class="with-shape lead" role="status">
        <Shape tone={tone} />
        <span>{text}</span>
      </p>
      {(isWaiting || progress.is_deciding) && (
        <progress {...bar} aria-label={t("progress.label")} />
      )}
      {isCut && (
        <p class="with-shape">
          <Shape tone="warn" />
          <span>{t("progress.cut", { decided: num(progress.decided), events: num(progress.events) })}</span>
        </p>
      )}
      {isWaiting && !progress.is_deciding && (
        <p class="quiet">
          {t("progress.next")} <Link to="/relays">{t("nav.relays")}</Link>
        </p>
      )}
      <p class="quiet">
        <TargetText target={entry.target} /> · {entry.actor} · <Age at={entry.at} />
        {entry.reason !== null && <> · {entry.reason}</>} · <Link to="/audit">{t("nav.audit")}</Link>
      </p>
    </div>
  );
}
