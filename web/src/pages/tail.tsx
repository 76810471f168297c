// The live tail of a topic: newest on top, what was skipped is shown, and what is kept is bounded.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { ApiError, apiUrl, send } from "../api/client";
import { NO_QUERY } from "../api/query";
import type { Record_ } from "../api/types";
import { Icon } from "../components/icons";
import { RemedyView } from "../components/remedy";
import { Status, type Tone } from "../components/status";
import { type Column, Table } from "../components/table";
import { duration, num, rate } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { bindKeys } from "../lib/keyboard";
import { at, navigate } from "../lib/router";
import { remembered, write } from "../lib/settings";
import type { PageProps } from "../routes";
import { type Gap, type Outside, type Phase as TailPhase, Refused, type Row, Tail, type Trouble } from "../tail/client";
import { rowsOf, Speaker } from "../tail/ring";
import { RecordDetail } from "./message_detail";
import { AddColumn, recordColumns } from "./messages_columns";

/** The document changes this often at most, whatever arrives; and drawing has a fourth of the time at most, so that keys are heard. */
const PAINT_MS = 250;
const PAINT_SHARE = 4;
/** Rows in the document; of more that are kept the older ones come when they are asked for. */
const DRAWN_STEP = 200;
const ROWS_KEY = "tail.rows";
const ROW_CHOICES = [100, 500, 1000, 2000, 5000] as const;

/** `/topics/{topic}/tail` is the messages' page with the tail on. */
export default function TailPage({ parts }: PageProps) {
  const topic = parts["topic"] ?? "";
  useEffect(() => navigate(`${at("topics", topic, "messages")}?live=1`, { replace: true }), [topic]);
  return null;
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function outside(topic: string, partitions: string | null, filter: string | null, changed: () => void): Outside {
  return {
    async open(lastId, signal) {
      const url = apiUrl("/topics/{topic}/messages/stream", { path: { topic }, query: { p: partitions, filter, last_event_id: lastId } });
      try {
        const response = await send(url, { signal, headers: { Accept: "text/event-stream, application/problem+json" } });
        if (!response.body) throw new Refused({ detail: t("tail.no_stream"), status: 400 });
        return chunksOf(response.body);
      } catch (error) {
        if (error instanceof ApiError) throw new Refused({ ...error.problem, status: error.status, detail: error.problem.detail || t("error.console_unreachable") });
        throw error;
      }
    },
    after(ms, what) {
      const timer = setTimeout(what, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    changed,
  };
}

/** Calls `paint` some time after it is asked to, and not again before it was drawn: a hidden tab draws nothing. */
function paced(paint: () => void): () => void {
  let isBusy = false;
  let isDue = false;
  let delay = PAINT_MS;
  const ask = () => {
    isDue = isBusy;
    if (isBusy) return;
    isBusy = true;
    setTimeout(() => {
      const began = performance.now();
      paint();
      requestAnimationFrame(() =>
        setTimeout(() => {
          delay = Math.max(PAINT_MS, (performance.now() - began) * PAINT_SHARE);
          isBusy = false;
          if (isDue) ask();
        }),
      );
    }, delay);
  };
  return ask;
}

interface Picture {
  rows: Row<Record_>[];
  dropped: number;
  added: number;
}

interface LiveTailProps {
  topic: string;
  partitions: string | null;
  filter: string | null;
}

export function LiveTail({ topic, partitions, filter }: LiveTailProps) {
  const [, repaint] = useState(0);
  const [capacity, setCapacity] = useState(() => rowsOf(remembered(ROWS_KEY)));
  const [isPaused, setPaused] = useState(false);
  const [isAway, setAway] = useState(false);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [drawn, setDrawn] = useState(DRAWN_STEP);
  const frozen = useRef<Picture | null>(null);
  const top = useRef<HTMLDivElement>(null);
  const speaker = useMemo(() => new Speaker(), []);
  const [spoken, setSpoken] = useState<{ id: number; text: string }[]>([]);

  const tail = useMemo(() => {
    let counted = 0;
    const paint = paced(() => {
      speaker.add(made.added - counted);
      counted = made.added;
      repaint((count) => count + 1);
    });
    const made: Tail<Record_> = new Tail(outside(topic, partitions, filter, paint), capacity);
    return made;
    // The capacity is changed in place, below.
  }, [topic, partitions, filter]);

  useEffect(() => {
    tail.start();
    const hide = () => tail.hidden(document.visibilityState === "hidden");
    document.addEventListener("visibilitychange", hide);
    return () => {
      document.removeEventListener("visibilitychange", hide);
      tail.stop();
    };
  }, [tail]);

  // One sentence in five seconds, for those who listen; the counters beside it are for those who look.
  useEffect(() => {
    const timer = setInterval(() => {
      const count = speaker.take(performance.now());
      if (count > 0) setSpoken((before) => [...before.slice(-2), { id: Date.now(), text: tn("tail.spoken", count, { n: num(count) }) }]);
    }, 1000);
    return () => clearInterval(timer);
  }, [speaker]);

  // Rows move under the reader only while the top of the list is in sight, and no row is open.
  useEffect(() => {
    const mark = top.current;
    if (!mark) return undefined;
    const observer = new IntersectionObserver((entries) => setAway(entries.some((entry) => !entry.isIntersecting)));
    observer.observe(mark);
    return () => observer.disconnect();
  }, []);

  const isRunning = tail.phase !== "stopped";
  const isHeld = isRunning && (isPaused || isAway || open.size > 0);
  const now: Picture = { rows: tail.rows.newestFirst(), dropped: tail.rows.dropped, added: tail.added };
  if (!isHeld) frozen.current = null;
  else frozen.current ??= now;
  const shown = frozen.current ?? now;
  const waiting = now.added - shown.added;

  const resume = () => {
    setPaused(false);
    setOpen(new Set());
    top.current?.scrollIntoView({ block: "nearest" });
    setAway(false);
  };
  const pause = () => (isHeld ? resume() : setPaused(true));
  useEffect(() => bindKeys({ l: () => (tail.phase === "stopped" ? tail.start() : pause()) }));

  const keep = (rows: number) => {
    setCapacity(rows);
    write(ROWS_KEY, String(rows));
    tail.rows.resize(rows);
    repaint((count) => count + 1);
  };
  const toggle = (key: string) => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  const { progress } = tail;
  return (
    <>
      <div role="log" class="off-screen" aria-label={t("page.tail")}>
        {spoken.map((one) => (
          <p key={one.id}>{one.text}</p>
        ))}
      </div>
      {tail.trouble && <TroubleNote trouble={tail.trouble} isStopped={tail.phase === "stopped"} />}
      {isHeld && waiting > 0 && (
        <button type="button" class="button primary tail-new" onClick={resume}>
          <Icon name="up" /> {tn("tail.new", waiting, { n: num(waiting) })}
        </button>
      )}
      <Table
        caption={t("tail.caption", { topic })}
        columns={tailColumns()}
        rows={shown.rows.slice(0, drawn)}
        rowKey={(row) => String(row.number)}
        rowClass={(row) => (row.gap ? "is-gap" : undefined)}
        query={NO_QUERY}
        hasPager={false}
        openKeys={open}
        onToggle={toggle}
        detail={(row) => (row.record ? <RecordDetail record={row.record} /> : <p class="payload-none">{gapText(row.gap)}</p>)}
        tools={
          <>
            <div class="scan tail-bar" ref={top}>
              <Phase phase={tail.phase} retryMs={tail.retryMs} isPaused={isPaused} />
              <span class="tail-counts">
                {t("tail.received", { n: num(progress.received) })}
                {filter !== null && ` · ${t("tail.matched", { n: num(progress.matched) })}`} · {rate(progress.perSecond)}
                {progress.lag !== null && ` · ${t("tail.lag", { n: num(progress.lag) })}`}
              </span>
              {progress.skipped > 0 && <Status tone="warn">{tn("tail.skipped", progress.skipped, { n: num(progress.skipped) })}</Status>}
              <span class="tail-actions">
                {isRunning && (
                  <button type="button" class="button" onClick={pause} aria-pressed={isPaused} title="l">
                    {t(isHeld ? "tail.resume" : "tail.pause")}
                  </button>
                )}
                <button type="button" class="button" onClick={() => (isRunning ? tail.stop() : tail.start())}>
                  {t(isRunning ? "tail.stop" : "tail.start")}
                </button>
              </span>
            </div>
            <div class="tools-line end">
              <label class="menu-item">
                {t("tail.keep")}
                <select class="fit" value={capacity} onChange={(event) => keep(rowsOf(event.currentTarget.value))}>
                  {[...new Set([...ROW_CHOICES, capacity])].map((rows) => (
                    <option key={rows} value={rows}>
                      {num(rows)}
                    </option>
                  ))}
                </select>
              </label>
              <AddColumn />
            </div>
          </>
        }
        empty={
          <p class="state empty quiet">{t(tail.phase === "stopped" ? "tail.empty_stopped" : filter === null ? "tail.empty" : "tail.empty_filter")}</p>
        }
      />
      {shown.rows.length > drawn && (
        <div class="go-on">
          <button type="button" class="button" onClick={() => setDrawn(drawn + DRAWN_STEP)}>
            {tn("tail.older", shown.rows.length - drawn, { n: num(shown.rows.length - drawn) })}
          </button>
        </div>
      )}
      {shown.dropped > 0 && shown.rows.length <= drawn && <p class="note info">{tn("tail.dropped", shown.dropped, { n: num(shown.dropped), rows: num(capacity) })}</p>}
    </>
  );
}

// Values, not the tail: a component that reads a signal (the language) is drawn again only when a property differs.
function Phase({ phase, retryMs, isPaused }: { phase: TailPhase; retryMs: number; isPaused: boolean }) {
  const tones: Record<TailPhase, Tone> = { live: "ok", connecting: "info", waiting: "warn", hidden: "muted", stopped: "muted" };
  return (
    <span role="status">
      {isPaused && phase !== "stopped" ? (
        <Status tone="info">{t("tail.paused")}</Status>
      ) : (
        <Status tone={tones[phase]}>{phase === "waiting" ? t("tail.phase_waiting", { delay: duration(retryMs) }) : t(`tail.phase_${phase}`)}</Status>
      )}
    </span>
  );
}

function TroubleNote({ trouble, isStopped }: { trouble: Trouble; isStopped: boolean }) {
  return (
    <div class="note warn" role="alert">
      <Status tone={isStopped ? "bad" : "warn"} plain>
        {trouble.detail || trouble.title}
      </Status>
      {!isStopped && <span>{t("tail.resumes")}</span>}
      <RemedyView remedy={trouble.remedy} />
    </div>
  );
}

function gapText(gap: Gap): string {
  return t(`tail.gap_${gap.reason}`, { partition: gap.partition, from: num(gap.from), to: num(gap.to), count: num((BigInt(gap.to) - BigInt(gap.from)).toString()) });
}

/** The columns of records; a gap is a row whose text stands where the value would. */
function tailColumns(): Column<Row<Record_>>[] {
  return recordColumns().map((column) => ({
    ...column,
    cell: (row) => {
      if (row.record) return column.cell(row.record);
      switch (column.id) {
        case "time":
          return <Status tone="warn">{t("tail.gap")}</Status>;
        case "partition":
          return row.gap.partition;
        case "offset":
          return num(row.gap.from);
        case "value":
          return <span class="gap-text">{gapText(row.gap)}</span>;
        default:
          return "";
      }
    },
  }));
}
