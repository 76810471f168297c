// Where to begin, which partitions, which records: one line, and all of it in the address.
import { useEffect, useRef, useState } from "preact/hooks";

import { get } from "../api/client";
import type { Answer } from "../api/types";
import { Dialog } from "../components/dialog";
import { Icon } from "../components/icons";
import { Status } from "../components/status";
import { t, type Key } from "../lib/i18n";
import { param, setQuery } from "../lib/router";
import { timeZone } from "../lib/settings";
import { FROM_MODES, type FromMode, fromText, parseFrom, parsePartitions, unitOf } from "./messages_query";

type Check = Answer<"/filter">;
const CHECK_MS = 250;
export const LIMITS = [20, 50, 100, 200, 500] as const;
export const LIMIT_DEFAULT = 50;

export function limitOf(text: string | null): number {
  const limit = Number(text ?? LIMIT_DEFAULT);
  return Number.isInteger(limit) && limit >= 1 && limit <= 500 ? limit : LIMIT_DEFAULT;
}

const pad = (value: number) => String(value).padStart(2, "0");

/** What the browser's field for a time holds, in the zone that all times are shown in. */
function fieldOfTime(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  if (timeZone.value === "utc") return at.toISOString().slice(0, 19);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

function timeOfField(value: string): string {
  const at = new Date(timeZone.value === "utc" ? `${value}Z` : value);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString().replace(".000Z", "Z");
}

function firstValue(mode: FromMode): string {
  if (mode === "span") return "1h";
  if (mode === "offset") return "0";
  return mode === "time" ? new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z$/, "Z") : "";
}

export function Toolbar({ isLive }: { isLive: boolean }) {
  const [from, setFrom] = useState(() => parseFrom(param("from")) ?? { mode: "newest" as const, value: "" });
  const [partitions, setPartitions] = useState(param("p") ?? "");
  const [filter, setFilter] = useState(param("filter") ?? "");
  const [check, setCheck] = useState<Check | null>(null);
  const [isHelp, setHelp] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  // Links inside the page change the address, too.
  const address = `${param("from")} ${param("p")} ${param("filter")}`;
  useEffect(() => {
    setFrom(parseFrom(param("from")) ?? { mode: "newest", value: "" });
    setPartitions(param("p") ?? "");
    setFilter(param("filter") ?? "");
  }, [address]);

  useEffect(() => {
    if (filter.trim() === "") {
      setCheck(null);
      return undefined;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      get("/filter", { query: { text: filter } }, abort.signal).then(setCheck, () => setCheck(null));
    }, CHECK_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [filter]);

  const isPartitionsGood = parsePartitions(partitions) !== null;
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!isPartitionsGood) return;
    if (filter.trim() !== "") {
      // A filter that is not understood leaves the results as they are. When the check has no answer, the search says why.
      const answer = await get("/filter", { query: { text: filter } }).catch(() => null);
      setCheck(answer);
      if (answer && !answer.ok) {
        const at = unitOf(filter, answer.column ?? 0);
        input.current?.focus();
        input.current?.setSelectionRange(at, at);
        return;
      }
    }
    const start = fromText(from);
    setQuery({ from: start === "newest" ? null : start, p: partitions.trim(), filter: filter.trim(), cursor: null });
  };
  const mode = from.mode;
  return (
    <form class="toolbar" role="search" onSubmit={submit}>
      <label class="toolbar-from">
        <span class="label">{t("messages.from")}</span>
        <select
          value={mode}
          disabled={isLive}
          onChange={(event) => {
            const next = event.currentTarget.value as FromMode;
            setFrom({ mode: next, value: firstValue(next) });
          }}
        >
          {FROM_MODES.map((one) => (
            <option key={one} value={one}>
              {t(`messages.from_${one}`)}
            </option>
          ))}
        </select>
      </label>
      {!isLive && mode !== "newest" && mode !== "oldest" && (
        <label class={`toolbar-value ${mode}`}>
          <span class="label">{t(`messages.from_${mode}_value`)}</span>
          {mode === "time" ? (
            <input type="datetime-local" step="1" value={fieldOfTime(from.value)} onChange={(event) => setFrom({ mode, value: timeOfField(event.currentTarget.value) })} />
          ) : (
            <input
              type="text"
              inputMode={mode === "offset" ? "numeric" : "text"}
              pattern={mode === "offset" ? "[0-9]{1,19}" : "[0-9]+[smhd]"}
              title={t(`messages.from_${mode}_hint`)}
              required
              value={from.value}
              onInput={(event) => setFrom({ mode, value: event.currentTarget.value.trim() })}
            />
          )}
        </label>
      )}
      <label class="toolbar-partitions">
        <span class="label">{t("messages.partitions")}</span>
        <input type="text" value={partitions} placeholder={t("messages.all")} aria-invalid={!isPartitionsGood} title={t("messages.partitions_hint")} onInput={(event) => setPartitions(event.currentTarget.value)} />
      </label>
      <div class="toolbar-filter">
        <label class="label" for="filter">
          {t("messages.filter")}
        </label>
        <div class="filter-box">
          <input
            ref={input}
            id="filter"
            data-search
            type="text"
            spellcheck={false}
            autocomplete="off"
            value={filter}
            placeholder="type:OrderCreated json.total_amount>100.00 -null"
            aria-invalid={check?.ok === false}
            aria-describedby={check?.ok === false ? "filter-fault" : undefined}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
          <button type="button" class="button bare" onClick={() => setHelp(true)} title={t("grammar.help")} aria-label={t("grammar.help")}>
            ?
          </button>
        </div>
      </div>
      {!isLive && (
        <label class="toolbar-limit">
          <span class="label">{t("messages.limit")}</span>
          <select value={limitOf(param("limit"))} onChange={(event) => setQuery({ limit: event.currentTarget.value === String(LIMIT_DEFAULT) ? null : event.currentTarget.value, cursor: null })}>
            {[...new Set([...LIMITS, limitOf(param("limit"))])].map((limit) => (
              <option key={limit} value={limit}>
                {limit}
              </option>
            ))}
          </select>
        </label>
      )}
      <button type="submit" class="button primary">
        <Icon name="search" /> {t("messages.search")}
      </button>
      <button type="button" class="button live-button" aria-pressed={isLive} onClick={() => setQuery({ live: !isLive, cursor: null })} title={`${t("messages.live")} (l)`}>
        {isLive ? t("messages.live_end") : t("messages.live")}
      </button>
      {check?.ok === false && <FilterFault text={filter} check={check} />}
      {isHelp && <FilterHelp onClose={() => setHelp(false)} />}
    </form>
  );
}

/** The filter again, with a caret below the character that is wrong: the field itself may have scrolled it out of sight. */
function FilterFault({ text, check }: { text: string; check: Check }) {
  const at = unitOf(text, check.column ?? 0);
  const from = Math.max(0, at - 60);
  return (
    <div class="filter-fault" id="filter-fault" role="alert">
      <pre aria-hidden="true">
        {text.slice(from, from + 120)}
        {"\n"}
        {" ".repeat([...text.slice(from, at)].length)}
        <b>^</b>
      </pre>
      <Status tone="bad" plain>
        {t("grammar.fault", { column: (check.column ?? 0) + 1 })} {check.detail}
      </Status>
    </div>
  );
}

const EXAMPLES: [string, Key][] = [
  ["key:order-7", "grammar.key"],
  ['value~"São Paulo"', "grammar.value"],
  ["type:OrderCreated|OrderShipped", "grammar.type"],
  ["header.traceparent~4bf92", "grammar.header"],
  ["json.total_amount>100.00", "grammar.json"],
  ["json.items[*].sku=A-1", "grammar.array"],
  ["size>10KB", "grammar.size"],
  ["p:0,2", "grammar.partition"],
  ["offset>=1000", "grammar.offset"],
  ["time>-15m", "grammar.time"],
  ["null", "grammar.null"],
  ["-type:OrderCreated", "grammar.not"],
];

function FilterHelp({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={t("grammar.help")} onClose={onClose} class="sheet">
      <div class="sheet-text">
        <p>{t("grammar.intro")}</p>
        <dl class="grammar">
          {EXAMPLES.map(([example, key]) => (
            <div key={example}>
              <dt>
                <code>{example}</code>
              </dt>
              <dd>{t(key)}</dd>
            </div>
          ))}
        </dl>
        <p>{t("grammar.operators")}</p>
        <p>{t("grammar.numbers")}</p>
        <p class="quiet">{t("grammar.limits")}</p>
      </div>
    </Dialog>
  );
}
