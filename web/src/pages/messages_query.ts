// What the address of a messages page says, and texts that are made of a record: pure, so that tests can read them.
import { parsePath } from "../payload/pick";

export type FromMode = "newest" | "oldest" | "offset" | "time" | "span";

export interface From {
  mode: FromMode;
  value: string;
}

export const FROM_MODES: readonly FromMode[] = ["newest", "oldest", "offset", "time", "span"];

/** null: not understood, which the page says instead of guessing. */
export function parseFrom(text: string | null): From | null {
  if (text === null || text === "" || text === "newest") return { mode: "newest", value: "" };
  if (text === "oldest") return { mode: "oldest", value: "" };
  const [, kind, value = ""] = /^(offset|time):(.+)$/.exec(text) ?? [];
  if (kind === "offset") return /^\d{1,19}$/.test(value) ? { mode: "offset", value } : null;
  if (kind === "time") return Number.isNaN(Date.parse(value)) ? null : { mode: "time", value };
  return /^-\d+[smhd]$/.test(text) ? { mode: "span", value: text.slice(1) } : null;
}

export function fromText({ mode, value }: From): string {
  if (mode === "span") return `-${value}`;
  return mode === "offset" || mode === "time" ? `${mode}:${value}` : mode;
}

/** "0,2,5-7" → [0, 2, 5, 6, 7]; null: not understood. Empty: all. */
export function parsePartitions(text: string): number[] | null {
  const found = new Set<number>();
  for (const part of text.split(",").map((one) => one.trim()).filter(Boolean)) {
    const [, first, last] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    if (first === undefined) return null;
    const end = Number(last ?? first);
    if (end - Number(first) > 9999) return null;
    for (let at = Number(first); at <= end; at++) found.add(at);
  }
  return [...found].sort((a, b) => a - b);
}

export const COLUMNS = ["time", "partition", "offset", "key", "type", "value", "size", "headers"] as const;
export const COLUMNS_DEFAULT = "time,partition,offset,key,type,value,size";
export type Fixed = (typeof COLUMNS)[number];
export type Column = { kind: "fixed"; name: Fixed } | { kind: "header"; name: string } | { kind: "json"; name: string };

/** "time,key,h.traceparent,j.items[0].sku"; commas in names as %2C. What is not understood is left out. */
export function parseColumns(text: string | null): Column[] {
  const columns: Column[] = [];
  for (const part of (text || COLUMNS_DEFAULT).split(",")) {
    const name = unescape_(part);
    const fixed = COLUMNS.find((one) => one === name);
    if (fixed) columns.push({ kind: "fixed", name: fixed });
    else if (/^h\../.test(name)) columns.push({ kind: "header", name: name.slice(2) });
    else if (/^j\../.test(name) && parsePath(name.slice(2))) columns.push({ kind: "json", name: name.slice(2) });
  }
  return columns.length > 0 ? columns : parseColumns(null);
}

/** null: the ones that a page has without being asked. */
export function columnsText(columns: readonly Column[]): string | null {
  const text = columns.map(columnId).join(",");
  return text === COLUMNS_DEFAULT || text === "" ? null : text;
}

/** As it stands in the address. */
export function columnId(column: Column): string {
  return column.kind === "fixed" ? column.name : `${column.kind === "header" ? "h" : "j"}.${column.name.replace(/[%,]/g, encodeURIComponent)}`;
}

function unescape_(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A value of a filter: in quotes unless it is plain. */
export function filterValue(text: string): string {
  return /^[\w.:+/@-]+$/.test(text) && !text.startsWith("-") ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** The filter with one more term, once. */
export function withTerm(filter: string, term: string): string {
  const before = filter.trim();
  if (before === "") return term;
  return ` ${before} `.includes(` ${term} `) ? before : `${before} ${term}`;
}

/** The trace that a W3C traceparent names; null if it is none. */
export function traceOf(traceparent: string | null): string | null {
  const found = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/.exec(traceparent ?? "");
  return found?.[1] ?? null;
}

function shell(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

/** kcat reads exactly this record; -e and -c end it. */
export function kcatCommand(topic: string, partition: number, offset: string): string {
  return `kcat -b "$KAFKA_BROKERS" -C -t ${shell(topic)} -p ${partition} -o ${offset} -c 1 -e -q`;
}

/** Which code unit of `text` is its character number `column`; servers count characters, the page code units. */
export function unitOf(text: string, column: number): number {
  let unit = 0;
  for (let left = column; left > 0 && unit < text.length; left--) unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
  return unit;
}
