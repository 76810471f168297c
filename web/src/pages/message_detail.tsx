// One record, opened: value, key, headers, metadata, and what can be done with each of them.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { apiUrl, ApiError, download, send } from "../api/client";
import { useQuery } from "../api/query";
import { session } from "../api/session";
import type { Bytes, Header, Record_ } from "../api/types";
import { Copy, Copyable } from "../components/copy";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { Menu } from "../components/menu";
import { errorText } from "../components/panel";
import { EventStateBadge, Status } from "../components/status";
import { DefinitionList, Time } from "../components/text";
import { say } from "../components/toasts";
import { withBase } from "../lib/base";
import { num, size } from "../lib/format";
import { t } from "../lib/i18n";
import { at, navigate, param, place, withQuery } from "../lib/router";
import type { NodeAction } from "../payload/json_view";
import { Named } from "../payload/named";
import { pick } from "../payload/pick";
import { Tabs } from "../payload/tabs";
import { preview } from "../payload/text";
import { Viewer } from "../payload/viewer";
import { columnId, columnsText, filterValue, kcatCommand, parseColumns, traceOf, withTerm } from "./messages_query";

export function messagePath(record: Record_): string {
  return at("topics", record.topic, "messages", record.partition, record.offset);
}

/** The records of a topic that a term describes, from the newest one back. */
export function searchPath(topic: string, term: string): string {
  return `${at("topics", topic, "messages")}?filter=${encodeURIComponent(term)}`;
}

export function headerText(record: Record_, name: string): string | null {
  const value = record.headers.find((header) => header.name === name)?.value;
  return value?.encoding === "utf8" ? value.data : null;
}

/** As text, for the clipboard: bytes that are no text as {"base64":"…"}, so that nothing is lost. */
export function headersText(headers: readonly Header[]): string {
  const shown = headers.map(({ name, value }) => [name, value === null ? null : value.encoding === "utf8" ? value.data : { base64: value.data }]);
  return `[${shown.map((pair) => `\n  ${JSON.stringify(pair)}`).join(",")}\n]`;
}

const PARTS = ["value", "key", "headers", "metadata"] as const;
type Part = (typeof PARTS)[number];

export function RecordDetail({ record }: { record: Record_ }) {
  const [part, setPart] = useState<Part>("value");
  const tools = (
    <>
      <Related record={record} />
      <CopyMenu record={record} />
    </>
  );
  return (
    <div class="record">
      <Tabs
        label={t("message.parts")}
        value={part}
        onChange={setPart}
        tabs={PARTS.map((id) => ({ id, text: t(`message.part_${id}`), count: id === "headers" ? num(record.headers.length) : undefined }))}
        tools={tools}
      >
        {part === "value" ? (
          <Content record={record} part="value" bytes={record.value} />
        ) : part === "key" ? (
          <Content record={record} part="key" bytes={record.key} />
        ) : part === "headers" ? (
          <Headers record={record} />
        ) : (
          <Metadata record={record} />
        )}
      </Tabs>
    </div>
  );
}

function partUrl(record: Record_, part: "value" | "key") {
  return { path: "/topics/{topic}/messages/{partition}/{offset}/{part}", args: { path: { topic: record.topic, partition: record.partition, offset: record.offset, part } } };
}

async function save(record: Record_, part: "value" | "key", bytes: Bytes): Promise<void> {
  const { path, args } = partUrl(record, part);
  const isJson = bytes.encoding === "utf8" && /^\s*[[{]/.test(bytes.data);
  try {
    await download(path, args, `${record.topic}-${record.partition}-${record.offset}-${part}.${isJson ? "json" : "bin"}`);
  } catch (error) {
    say(error instanceof ApiError ? errorText(error) : t("payload.load_failed"), "bad");
  }
}

async function loadAll(record: Record_, part: "value" | "key"): Promise<Uint8Array> {
  const { path, args } = partUrl(record, part);
  const response = await send(apiUrl(path, args), { headers: { Accept: "*/*" } });
  return new Uint8Array(await response.arrayBuffer());
}

function Content({ record, part, bytes }: { record: Record_; part: "value" | "key"; bytes: Bytes | null }) {
  return (
    <Viewer
      bytes={bytes}
      label={t(`message.part_${part}`)}
      isTombstone={part === "value"}
      load={() => loadAll(record, part)}
      onDownload={bytes ? () => void save(record, part, bytes) : undefined}
      actions={part === "value" ? nodeActions(record) : undefined}
    />
  );
}

/** What a filter can name: names that are plain, and places of arrays. */
const FILTER_PATH = /^\$\.(\w+(?:\.\w+|\[\d+\])*)$/;

function nodeActions(record: Record_): NodeAction[] {
  const messages = at("topics", record.topic, "messages");
  return [
    {
      label: t("message.filter_node"),
      run: (path, text) => {
        const name = FILTER_PATH.exec(path)?.[1];
        if (name === undefined) {
          say(t("message.no_filter"), "warn");
          return;
        }
        // A string's characters without its escapes, which are what the filter compares; numbers as they are written.
        const value = text.startsWith('"') ? (JSON.parse(text) as string) : text;
        const filter = withTerm(param("filter") ?? "", `json.${name}=${filterValue(value)}`);
        navigate(place.peek().path === messages ? withQuery({ filter, cursor: null }) : `${messages}?filter=${encodeURIComponent(filter)}`);
      },
    },
    {
      label: t("message.column_node"),
      run: (path) => {
        const columns = parseColumns(param("cols"));
        const added = { kind: "json" as const, name: path.replace(/^\$\.?/, "") };
        const cols = columns.some((column) => columnId(column) === columnId(added)) ? columnsText(columns) : columnsText([...columns, added]);
        navigate(place.peek().path === messages ? withQuery({ cols }) : `${messages}?cols=${encodeURIComponent(cols ?? "")}`, { replace: place.peek().path === messages });
      },
    },
  ];
}

function CopyMenu({ record }: { record: Record_ }) {
  const text = (bytes: Bytes | null) => bytes?.data ?? "";
  const name = (bytes: Bytes | null, what: string) => `${what}${bytes?.encoding === "base64" ? " (base64)" : ""}`;
  return (
    <Menu label={t("message.copy")} icon="copy" text={t("message.copy")} class="copy-menu">
      {record.value && !record.value.truncated && <Copy text={() => text(record.value)} label={name(record.value, t("message.part_value"))} />}
      {record.key && <Copy text={() => text(record.key)} label={name(record.key, t("message.part_key"))} />}
      {record.headers.length > 0 && <Copy text={() => headersText(record.headers)} label={t("message.part_headers")} />}
      <Copy text={() => kcatCommand(record.topic, record.partition, record.offset)} label={t("message.kcat")} />
      <Copy text={() => location.origin + withBase(messagePath(record))} label={t("message.permalink")} />
    </Menu>
  );
}

/** Other records, and the outbox: the way from a record to its event and order. */
function Related({ record }: { record: Record_ }) {
  const traceparent = headerText(record, "traceparent");
  const trace = traceOf(traceparent);
  const template = session.value?.links.trace;
  return (
    <>
      {record.event_id !== null && <EventLink record={record} />}
      {record.key?.encoding === "utf8" && !record.key.truncated && (
        <Link to={searchPath(record.topic, `key:${filterValue(record.key.data)}`)} class="button">
          <Icon name="search" /> {t("message.same_key")}
        </Link>
      )}
      {trace !== null && (
        <Link to={searchPath(record.topic, `header.traceparent~${trace}`)} class="button" title={trace}>
          <Icon name="search" /> {t("message.same_trace")}
        </Link>
      )}
      {trace !== null && template && /^https?:/.test(template) && (
        <a class="button" href={template.replaceAll("{trace_id}", trace)} target="_blank" rel="noreferrer noopener">
          <Icon name="link" /> {t("message.open_trace")}
        </a>
      )}
    </>
  );
}

function EventLink({ record }: { record: Record_ }) {
  const query = useQuery("/records/{topic}/{partition}/{offset}/event", { path: { topic: record.topic, partition: record.partition, offset: record.offset } }, { live: false });
  const event = query.data?.event;
  if (event) {
    return (
      <>
        <Link to={at("outbox", event.ref)} class="button">
          <Icon name="outbox" /> {t("message.event")} <EventStateBadge state={event.state} />
        </Link>
        {event.aggregate_type === "Order" && session.value?.features.orders !== false && (
          <Link to={at("orders", event.aggregate_id)} class="button">
            <Icon name="orders" /> {t("message.order")}
          </Link>
        )}
      </>
    );
  }
  if (query.loading || query.error) return query.error ? <Reason text={errorText(query.error)} /> : null;
  return query.data ? <Reason text={query.data.reason ?? t("message.no_event_hint")} /> : null;
}

function Reason({ text }: { text: string }) {
  return (
    <span title={text}>
      <Status tone="muted" plain>
        {t("message.no_event")}
      </Status>
    </span>
  );
}

export function Headers({ record }: { record: Pick<Record_, "headers"> }) {
  const [open, setOpen] = useState(-1);
  if (record.headers.length === 0) return <p class="payload-none quiet">{t("message.no_headers")}</p>;
  return (
    <div class="table-frame" role="region" aria-label={t("message.part_headers")} tabIndex={0}>
      <table class="header-table">
        <caption class="off-screen">{t("message.part_headers")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("message.header_name")}</th>
            <th scope="col">{t("message.header_value")}</th>
            <th scope="col">
              <span class="off-screen">{t("copy.copy")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {record.headers.map((header, index) => {
            const isRepeated = record.headers.some((other, place_) => place_ !== index && other.name === header.name);
            return (
              // Headers of one name are told apart by their order.
              <tr key={index}>
                <td class="mono">
                  <Named text={header.name} />
                  {isRepeated && <span class="tag">{t("message.repeated_header")}</span>}
                </td>
                <td class="mono wrap">
                  {open === index ? (
                    <Viewer bytes={header.value} label={header.name} />
                  ) : (
                    <button type="button" class="header-value" onClick={() => setOpen(index)} title={t("message.open_header")}>
                      <HeaderValue value={header.value} />
                    </button>
                  )}
                </td>
                <td class="numeric">{header.value && <Copy text={header.value.data} title={t("message.copy_header", { name: header.name })} />}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

export function HeaderValue({ value }: { value: Header["value"] }): ComponentChildren {
  if (value === null) return <span class="tag">null</span>;
  if (value.size === "0") return <span class="tag">{t("payload.empty")}</span>;
  if (value.encoding === "base64") return <span class="tag warn">{t("message.bytes", { size: size(value.size) })}</span>;
  return <Named text={preview_(value.data)} />;
}

const preview_ = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}…` : text);

function Metadata({ record }: { record: Record_ }) {
  return (
    <DefinitionList
      items={[
        { term: t("messages.topic"), value: <Copyable text={record.topic} /> },
        { term: t("messages.partition"), value: <code>{record.partition}</code> },
        { term: t("messages.offset"), value: <Copyable text={record.offset} /> },
        {
          term: t(`message.time_${record.timestamp_type}`),
          value: record.timestamp === null ? "–" : (
            <>
              <Time at={record.timestamp} precise /> <Copy text={record.timestamp} />
            </>
          ),
        },
        { term: t("messages.size"), value: `${size(record.size)} (${num(record.size)} B)` },
        { term: t("messages.key"), value: record.key ? size(record.key.size) : "null" },
        { term: t("message.part_value"), value: record.value ? size(record.value.size) : "null" },
        record.event_type !== null && { term: t("messages.type"), value: <code>{record.event_type}</code> },
        record.event_id !== null && { term: t("message.event_id"), value: <Copyable text={record.event_id} /> },
        { term: t("message.kcat"), value: <Copyable text={kcatCommand(record.topic, record.partition, record.offset)} />, wide: true },
      ]}
    />
  );
}

const previews = new WeakMap<Bytes, string>();
/** The envelope's own members are columns already; what differs from record to record is the event. */
const ENVELOPE = /^\{"event_id":/;

function shortText({ data }: Bytes, length: number): string {
  const event = ENVELOPE.test(data) ? pick(data, ["event_data"]) : null;
  return preview(event === null ? data : `…${event}`, length);
}

/** A key or value in a cell. */
export function Short({ bytes, length, isTombstone = false }: { bytes: Bytes | null; length: number; isTombstone?: boolean }) {
  if (bytes === null) return <span class="tag">{isTombstone ? t("payload.tombstone") : "null"}</span>;
  if (bytes.size === "0") return <span class="tag">{t("payload.empty")}</span>;
  if (bytes.encoding === "base64") return <span class="tag warn">{t("message.bytes", { size: size(bytes.size) })}</span>;
  let text = previews.get(bytes);
  if (text === undefined) previews.set(bytes, (text = shortText(bytes, length)));
  return <Named text={text} />;
}
