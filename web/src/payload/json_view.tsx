// A JSON text as a tree of lines: fold, search, copy. All that is shown are slices of the text.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useMemo, useState } from "preact/hooks";

import { Copy } from "../components/copy";
import { copyText } from "../lib/clipboard";
import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { CLOSE, EMPTY, foldedFrom, type JsonText, NUMBER, OPEN, reveal, seenLines, STRING } from "./json";
import { Lines } from "./lines";
import { Named } from "./named";

/** Longer values end here; a copy has all of it. */
const VALUE_MAX = 600;
/** Deeper containers of a long text are folded at first. */
const LINES_OPEN_MAX = 5000;

export interface NodeAction {
  label: string;
  run: (path: string, text: string) => void;
}

interface JsonViewProps {
  json: JsonText;
  label: string;
  /** Positions that a search found. */
  found: readonly number[];
  /** Which of them is looked at. */
  at: number;
  wanted: string;
  actions?: readonly NodeAction[] | undefined;
  /** Counts how often all was folded (odd) or opened (even). */
  folds: number;
}

export function JsonView({ json, label, found, at, wanted, actions, folds }: JsonViewProps) {
  const id = useId();
  const [folded, setFolded] = useState<ReadonlySet<number>>(() => new Set());
  const [active, setActive] = useState(-1);
  const [target, setTarget] = useState<{ line: number } | null>(null);
  const seen = useMemo(() => seenLines(json, folded), [json, folded]);

  useEffect(() => {
    setFolded(folds > 0 ? (folds % 2 === 1 ? foldedFrom(json, 1) : new Set()) : json.lines > LINES_OPEN_MAX ? foldedFrom(json, 2) : new Set());
    setActive(-1);
  }, [json, folds]);

  const place = found[at];
  useEffect(() => {
    if (place === undefined) return;
    const line = json.lineAt(place);
    const open = reveal(json, folded, line);
    setFolded(open);
    setActive(line);
    setTarget({ line: seenLines(json, open).indexOf(line) });
    // Only when another place is looked at: folding by hand must stay.
  }, [json, place]);

  const toggle = (line: number, isOpen?: boolean) => {
    const next = new Set(folded);
    if (isOpen ?? folded.has(line)) next.delete(line);
    else next.add(line);
    setFolded(next);
  };
  const go = (row: number) => {
    const line = seen[Math.max(0, Math.min(seen.length - 1, row))];
    if (line === undefined) return;
    setActive(line);
    setTarget({ line: seen.indexOf(line) });
  };
  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = Math.max(0, seen.indexOf(active));
    const isOpener = active >= 0 && json.kind(active) === OPEN;
    const act: Record<string, () => void> = {
      ArrowDown: () => go(active < 0 ? 0 : row + 1),
      ArrowUp: () => go(row - 1),
      PageDown: () => go(row + 20),
      PageUp: () => go(row - 20),
      Home: () => go(0),
      End: () => go(seen.length - 1),
      ArrowRight: () => (isOpener && folded.has(active) ? toggle(active, true) : go(row + 1)),
      ArrowLeft: () => (isOpener && !folded.has(active) ? toggle(active, false) : active >= 0 && go(seen.indexOf(Math.max(0, json.parent(active))))),
      Enter: () => isOpener && toggle(active),
      c: () => active >= 0 && void copyText(json.text(active)),
      p: () => active >= 0 && void copyText(json.path(active)),
    };
    const action = act[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  return (
    <>
      <Lines
        count={seen.length + (json.isCut ? 1 : 0)}
        label={label}
        role="tree"
        target={target}
        active={active >= 0 ? `${id}-${active}` : undefined}
        onKeyDown={keys}
        onPress={(row, event) => {
          const line = seen[row];
          if (line === undefined) return;
          setActive(line);
          if (event.target instanceof Element && event.target.closest(".fold") && json.kind(line) === OPEN) toggle(line);
        }}
        line={(row) => {
          const line = seen[row];
          if (line === undefined) {
            return (
              <div key="cut" class="line cut" role="treeitem" aria-selected={false}>
                {t("payload.cut_here")}
              </div>
            );
          }
          return <JsonLine key={line} json={json} line={line} row={row} id={`${id}-${line}`} isFolded={folded.has(line)} isActive={line === active} wanted={wanted} />;
        }}
      />
      {active >= 0 && (
        <div class="node-bar">
          <code class="node-path" title={json.path(active)}>
            {json.path(active)}
          </code>
          <Copy text={() => json.text(active)} label={t("payload.copy_node")} />
          <Copy text={() => json.path(active)} label={t("payload.copy_path")} />
          {json.kind(active) > EMPTY &&
            actions?.map((action) => (
              <button key={action.label} type="button" class="button" onClick={() => action.run(json.path(active), json.text(active))}>
                {action.label}
              </button>
            ))}
        </div>
      )}
    </>
  );
}

interface JsonLineProps {
  json: JsonText;
  line: number;
  row: number;
  id: string;
  isFolded: boolean;
  isActive: boolean;
  wanted: string;
}

function JsonLine({ json, line, row, id, isFolded, isActive, wanted }: JsonLineProps) {
  const kind = json.kind(line);
  const name = json.nameText(line);
  const isRepeated = json.isRepeatedName(line);
  const comma = json.hasComma(isFolded && json.peer(line) >= 0 ? json.peer(line) : line) ? "," : "";
  return (
    <div
      id={id}
      role="treeitem"
      aria-level={json.depth(line) + 1}
      aria-expanded={kind === OPEN ? !isFolded : undefined}
      aria-selected={isActive}
      data-line={row}
      class={isActive ? "line is-active" : "line"}
    >
      <span class={kind === OPEN ? "fold" : "no-fold"} aria-hidden="true">
        {kind === OPEN ? (isFolded ? "▸" : "▾") : " "}
      </span>
      {"  ".repeat(Math.min(json.depth(line), 60))}
      {name !== null && (
        <>
          <span class={isRepeated ? "j-name is-repeated" : "j-name"} title={isRepeated ? t("payload.repeated") : undefined}>
            <Named text={name.slice(0, VALUE_MAX)} wanted={wanted} />
          </span>
          {isRepeated && <span class="tag warn">{t("payload.repeated_chip")}</span>}:{" "}
        </>
      )}
      {value(json, line, isFolded, wanted)}
      {comma}
    </div>
  );
}

function value(json: JsonText, line: number, isFolded: boolean, wanted: string): ComponentChildren {
  const kind = json.kind(line);
  const [open, close] = json.isArray(line) ? ["[", "]"] : ["{", "}"];
  if (kind === CLOSE) return close;
  if (kind === EMPTY) return `${open}${close}`;
  if (kind === OPEN) {
    if (!isFolded) return open;
    const size = json.size(line);
    return (
      <>
        {open} <span class="quiet">{tn(json.isArray(line) ? "payload.elements" : "payload.members", size, { n: num(size) })}</span> {close}
      </>
    );
  }
  const start = json.start(line);
  const more = json.end(line) - start - VALUE_MAX;
  const text = json.source.slice(start, more > 0 ? start + VALUE_MAX : json.end(line));
  return (
    <span class={kind === STRING ? "j-string" : kind === NUMBER ? "j-number" : "j-word"}>
      <Named text={text} wanted={wanted} />
      {more > 0 && <span class="tag">{tn("payload.more_characters", more, { n: num(more) })}</span>}
    </span>
  );
}
