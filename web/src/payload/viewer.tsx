// Shows a key, a value, a header or a payload as its bytes are: JSON, text, raw or hex. JSON that is faulty says where, and is text.
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";

import type { Bytes } from "../api/types";
import "../styles/payload.css";
import { Copy } from "../components/copy";
import { Icon } from "../components/icons";
import { Status } from "../components/status";
import { num, size as sizeText } from "../lib/format";
import { t, tn, type Key } from "../lib/i18n";
import { bindKeys } from "../lib/keyboard";
import { hexOf, HEX_WIDTH, hexRow, type Mode, modesOf, type Payload, payloadOf, payloadOfBytes } from "./bytes";
import { type Fault, JsonText } from "./json";
import { JsonView, type NodeAction } from "./json_view";
import { Lines } from "./lines";
import { Named } from "./named";
import { inSlices } from "./slices";
import { findAll, rowText, textRows } from "./text";

/** Longer ones are for a file, not for a page. */
export const SHOWN_MAX = 1 << 20;
const FOUND_MAX = 9999;
const STEP_TOKENS = 2000;

interface ViewerProps {
  bytes: Bytes | null;
  label: string;
  /** What null means here: a tombstone, or only null. */
  isTombstone?: boolean;
  /** All bytes, where `bytes` is only their beginning. */
  load?: (() => Promise<Uint8Array>) | undefined;
  onDownload?: (() => void) | undefined;
  actions?: readonly NodeAction[] | undefined;
}

export function Viewer({ bytes, isTombstone = false, ...rest }: ViewerProps) {
  if (bytes === null) {
    return (
      <p class="payload-none">
        <Status tone="muted">{t(isTombstone ? "payload.tombstone" : "payload.null")}</Status> <span class="quiet">{t(isTombstone ? "payload.tombstone_hint" : "payload.null_hint")}</span>
      </p>
    );
  }
  if (bytes.size === "0") {
    return (
      <p class="payload-none">
        <Status tone="muted">{t("payload.empty")}</Status> <span class="quiet">{t("payload.empty_hint")}</span>
      </p>
    );
  }
  return <Bytes_ bytes={bytes} {...rest} />;
}

/** Reads JSON in slices; null while it is being read. */
function useJson(payload: Payload, isWanted: boolean): JsonText | null {
  const [json, setJson] = useState<JsonText | null>(null);
  useEffect(() => {
    setJson(null);
    if (!isWanted || payload.text === null) return undefined;
    const reading = new JsonText(payload.text, payload.isCut);
    return inSlices(
      () => reading.step(STEP_TOKENS),
      () => setJson(reading),
    );
  }, [payload, isWanted]);
  return json;
}

function Bytes_({ bytes, label, load, onDownload, actions }: Omit<ViewerProps, "isTombstone"> & { bytes: Bytes }) {
  const [whole, setWhole] = useState<Payload | null>(null);
  const [loading, setLoading] = useState<"" | "loading" | "failed">("");
  const payload = useMemo(() => whole ?? payloadOf(bytes), [whole, bytes.data, bytes.encoding]);
  const modes = useMemo(() => modesOf(payload), [payload]);
  const [chosen, setChosen] = useState<Mode | null>(null);
  const mode = modes.find((one) => one === chosen) ?? modes[0] ?? "hex";
  const json = useJson(payload, mode === "json");
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const [folds, setFolds] = useState(0);
  const found = useMemo(() => (payload.text === null ? [] : findAll(payload.text, wanted, FOUND_MAX)), [payload, wanted]);

  useEffect(() => bindKeys({ v: () => setChosen(modes[(modes.indexOf(mode) + 1) % modes.length] ?? null) }), [modes, mode]);
  useEffect(() => setAt(0), [wanted, payload]);

  const loadAll = async () => {
    setLoading("loading");
    try {
      if (load) setWhole(payloadOfBytes(await load()));
      setLoading("");
    } catch {
      setLoading("failed");
    }
  };
  const turn = (step: number) => setAt((at + step + found.length) % Math.max(1, found.length));
  const fault = json?.fault ?? null;
  const isJson = mode === "json" && json !== null && fault === null;
  return (
    <div class="payload">
      <div class="payload-bar">
        <div class="modes" role="group" aria-label={t("payload.modes")}>
          {modes.map((one) => (
            <button key={one} type="button" class="mode" aria-pressed={one === mode} onClick={() => setChosen(one)} title={`${t("payload.modes")} (v)`}>
              {t(`payload.mode_${one}`)}
            </button>
          ))}
        </div>
        {payload.text === null && <Status tone="warn">{t("payload.not_utf8")}</Status>}
        {payload.isMasked && <Status tone="info">{t("payload.masked")}</Status>}
        {isJson && json.repeated > 0 && <Status tone="warn">{tn("payload.repeated_count", json.repeated, { n: num(json.repeated) })}</Status>}
        {payload.text !== null && mode !== "hex" && (
          <label class="payload-search">
            <Icon name="search" />
            <input
              type="search"
              value={wanted}
              placeholder={t("payload.search")}
              aria-label={t("payload.search_in", { what: label })}
              onInput={(event) => setWanted(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter") turn(event.shiftKey ? -1 : 1);
              }}
            />
            {wanted !== "" && (
              <span class="quiet" role="status">
                {found.length === 0 ? t("payload.not_found") : `${num(at + 1)}/${num(found.length)}${found.length === FOUND_MAX ? "+" : ""}`}
              </span>
            )}
          </label>
        )}
        {isJson && (
          <button type="button" class="button" onClick={() => setFolds(folds + 1)}>
            {t(folds % 2 === 1 ? "payload.unfold" : "payload.fold")}
          </button>
        )}
        <span class="payload-size quiet">{sizeText(payload.size)}</span>
        <Copy text={() => payload.text ?? hexOf(payload.bytes)} label={t(payload.isCut ? "payload.copy_shown" : payload.text === null ? "payload.copy_hex" : "payload.copy")} />
        {onDownload && (
          <button type="button" class="button" onClick={onDownload}>
            <Icon name="save" /> {t("payload.download")}
          </button>
        )}
      </div>
      {payload.isCut && (
        <p class="note info" role="note">
          <Status tone="info" plain>
            {t("payload.cut", { shown: sizeText(payload.bytes.length), size: sizeText(payload.size) })}
          </Status>
          {load && payload.size <= SHOWN_MAX ? (
            <button type="button" class="button" disabled={loading === "loading"} onClick={loadAll}>
              {t("payload.load_all", { size: sizeText(payload.size) })}
            </button>
          ) : (
            <span>{t("payload.download_only", { max: sizeText(SHOWN_MAX) })}</span>
          )}
          {loading === "failed" && <Status tone="bad">{t("payload.load_failed")}</Status>}
        </p>
      )}
      {fault && <FaultNote fault={fault} />}
      {isJson ? (
        <JsonView json={json} label={label} found={found} at={at} wanted={wanted} actions={actions} folds={folds} />
      ) : mode === "hex" ? (
        <HexView payload={payload} label={label} />
      ) : mode === "json" && json === null ? (
        <p class="quiet">{t("payload.reading")}</p>
      ) : (
        <TextView text={payload.text ?? ""} label={label} isRaw={mode === "raw"} wanted={wanted} place={wanted === "" && fault ? fault.at : found[at]} />
      )}
    </div>
  );
}

function FaultNote({ fault }: { fault: Fault }) {
  return (
    <p class="note warn" role="status">
      <Status tone="warn" plain>
        {t("payload.fault", { line: num(fault.line), column: num(fault.column), what: t(`payload.fault_${fault.code}` as Key) })}
      </Status>
    </p>
  );
}

function TextView({ text, label, isRaw, wanted, place }: { text: string; label: string; isRaw: boolean; wanted: string; place: number | undefined }) {
  const [columns, setColumns] = useState(120);
  const measure = useCallback((fit: number) => setColumns(fit), []);
  const rows = useMemo(() => textRows(text, columns), [text, columns]);
  const target = useMemo(() => (place === undefined ? null : { line: rowOf(rows, place) }), [rows, place]);
  return (
    <Lines
      count={Math.max(1, rows.length - 1)}
      label={label}
      target={target}
      onColumns={measure}
      line={(row) => (
        <div key={row} class={target?.line === row ? "line is-active" : "line"}>
          {isRaw ? rowText(text, rows, row) : <Named text={rowText(text, rows, row)} wanted={wanted} />}
        </div>
      )}
    />
  );
}

function rowOf(rows: Int32Array, place: number): number {
  let low = 0;
  let high = Math.max(0, rows.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((rows[middle] ?? 0) <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}

function HexView({ payload, label }: { payload: Payload; label: string }) {
  const [width, setWidth] = useState(HEX_WIDTH);
  // Offset, three gaps and four characters a byte; half as many bytes on a narrow screen.
  const measure = useCallback((columns: number) => setWidth(columns >= 14 + HEX_WIDTH * 4 ? HEX_WIDTH : HEX_WIDTH / 2), []);
  return (
    <Lines
      count={Math.ceil(payload.bytes.length / width)}
      label={label}
      onColumns={measure}
      line={(row) => {
        const { offset, hex, ascii, names } = hexRow(payload.bytes, row, width);
        return (
          <div key={row} class="line" title={names || undefined}>
            <span class="quiet">{offset}</span>
            {`  ${hex.padEnd(width * 3)}  `}
            <span class="h-ascii">{ascii}</span>
          </div>
        );
      }}
    />
  );
}
