import { useState } from "preact/hooks";

import { ApiError, apiUrl, download, send } from "../api/client";
import { NO_QUERY, useQuery } from "../api/query";
import { session } from "../api/session";
import type { EventDetail, EventRow } from "../api/types";
import { Command, Copy, Copyable } from "../components/copy";
import { DecideButtons } from "../components/decide";
import { Decisions } from "../components/job";
import { Link } from "../components/link";
import { errorText, Loaded, Panel } from "../components/panel";
import { Payload } from "../components/payload";
import { EventStateBadge, Shape } from "../components/status";
import { Table } from "../components/table";
import { Age, DefinitionList, Time } from "../components/text";
import { say } from "../components/toasts";
import { duration, num, size } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { at } from "../lib/router";
import { told } from "../lib/sentences";
import type { PageProps } from "../routes";
import { Headers } from "./message_detail";
import { eventColumns, eventPath, messagePath, outboxSearch } from "./events_columns";

export default function EventPage({ parts }: PageProps) {
  const ref = parts["ref"] ?? "";
  const event = useQuery("/events/{ref}", { path: { ref } });
  return (
    <>
      <div class="page-head">
        <nav class="crumbs" aria-label={t("nav.crumbs")}>
          <Link to="/outbox">{t("nav.outbox")}</Link> / <span class="mono">{ref}</span>
        </nav>
        <h1>{event.data ? event.data.event.event_type : t("page.event")}</h1>
        {event.data && <EventStateBadge state={event.data.event.state} />}
        {event.data && (
          <div class="actions">
            {session.value?.features.orders && event.data.event.aggregate_type === "Order" && (
              <Link to={at("orders", event.data.event.aggregate_id)} class="button">
                {t("event.open_order")}
              </Link>
            )}
            <TraceLink traceId={event.data.trace_id} />
            <Copy label={t("action.copy_link")} text={() => location.href} />
          </div>
        )}
      </div>
      <Decisions />
      <Loaded query={event} what={t("event.failed")}>
        {(data) => <Detail key={data.event.ref} data={data} />}
      </Loaded>
    </>
  );
}

export function TraceLink({ traceId }: { traceId: string | null }) {
  const template = session.value?.links.trace;
  if (!traceId) return null;
  if (!template) return <Copy label={t("event.copy_trace")} text={traceId} />;
  return (
    <a class="button" href={template.replace("{trace_id}", encodeURIComponent(traceId))} target="_blank" rel="noreferrer">
      {t("event.open_trace")}
    </a>
  );
}

function Detail({ data }: { data: EventDetail }) {
  const { event } = data;
  return (
    <>
      <Timeline data={data} />
      {data.dead_letter && <DeadLetterPanel dead={data.dead_letter} letter={data.event.ref} />}
      {data.held_behind && <Held behind={data.held_behind} />}
      <Panel>
        <DefinitionList
          items={[
            { term: t("event.aggregate"), value: <>{event.aggregate_type} <Link to={outboxSearch("aggregate", event.aggregate_id)} class="mono">{event.aggregate_id}</Link></> },
            { term: t("event.key"), value: <Link to={outboxSearch("key", event.key)} class="mono">{event.key}</Link> },
            { term: t("event.topic"), value: <Link to={at("topics", event.topic)} class="mono">{event.topic}</Link> },
            { term: t("event.record"), value: <RecordPlace data={data} /> },
            { term: t("event.event_id"), value: <Copyable text={event.event_id} /> },
            { term: t("event.ref"), value: <Copyable text={event.ref} /> },
            { term: t("event.created"), value: <Age at={event.created_at} /> },
            { term: t("event.size"), value: size(event.size) },
            { term: t("event.lane"), value: <Link to="/relays">{event.lane}</Link> },
            data.publication && { term: t("event.publication"), value: tn("event.publication_events", data.publication.events, { n: num(data.publication.events), id: data.publication.id }) },
          ]}
        />
      </Panel>
      <Bytes data={data} />
      <Neighbours rows={data.neighbours} current={event.ref} eventKey={event.key} />
      <Panel title={t("event.sql")}>
        <div class="panel-body">
          <Command text={data.sql} kind="sql" />
        </div>
      </Panel>
    </>
  );
}

/** What happened, in order, with the time since the step before. */
function Timeline({ data }: { data: EventDetail }) {
  const { state } = data.event;
  const params: Record<string, string> = data.dead_letter ? { attempts: String(data.dead_letter.attempts), error_class: data.dead_letter.error_class } : {};
  // What has not happened yet has its place, too.
  const isOpen = state === "pending" && !data.timeline.some((step) => step.step === "published");
  const steps: EventDetail["timeline"] = isOpen ? [...data.timeline, { step: "published", at: null, since_previous_ms: null, text: "" }] : data.timeline;
  return (
    <ol class="strip timeline">
      {steps.map((step, index) => {
        const isBad = step.step === "parked" || step.step === "discarded";
        const isOpen = step.at === null;
        return (
          <li key={`${step.step} ${index}`} class={isOpen ? "is-open" : isBad ? "is-bad" : "is-done"}>
            <span class="strip-mark">
              <Shape tone={isOpen ? "muted" : isBad && state === "parked" ? "bad" : "ok"} />
              {step.since_previous_ms !== null && <span class="strip-since">+{duration(step.since_previous_ms)}</span>}
            </span>
            <span class="strip-name">{t(`timeline.${step.step}`)}</span>
            <span class="strip-text">
              {step.at && <Time at={step.at} precise />}
              {step.text !== "" && <span class="quiet">{told("step", { code: step.step, text: step.text, params })}</span>}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

function DeadLetterPanel({ dead, letter }: { dead: NonNullable<EventDetail["dead_letter"]>; letter: string }) {
  const isHeld = dead.error_class === "held";
  return (
    <Panel title={t("event.dead_letter")} actions={dead.state === "parked" && <DecideButtons selection={{ id: letter }} isHeld={isHeld} />}>
      <div class="panel-body stack">
        <p>
          <code class="error-class">{dead.error_class}</code> {dead.explanation && told("explanation", { code: dead.error_class, text: dead.explanation })}
        </p>
        <pre class="error-text">{dead.error}</pre>
      </div>
      <DefinitionList
        items={[
          { term: t("event.attempts"), value: num(dead.attempts) },
          { term: t("dead.first_attempt"), value: <Age at={dead.first_attempt_at} /> },
          { term: t("dead.last_attempt"), value: <Age at={dead.last_attempt_at} /> },
          dead.resolved_by !== null && { term: t("dead.resolved_by"), value: dead.resolved_by },
          dead.resolved_reason !== null && { term: t("dead.resolved_reason"), value: dead.resolved_reason, wide: true },
        ]}
      />
    </Panel>
  );
}

function Held({ behind }: { behind: EventRow }) {
  return (
    <div class="note warn boxed">
      <Shape tone="warn" />
      <span>
        {t("event.held_behind")} <Link to={eventPath(behind.ref)}>{behind.event_type}</Link> <span class="mono">{behind.ref}</span>
        {behind.error_class && <> · <code>{behind.error_class}</code></>}
      </span>
    </div>
  );
}

/** Where in Kafka it is. Its publication knows a range; the record itself is looked for only now. */
function RecordPlace({ data }: { data: EventDetail }) {
  const hasRecord = data.publication !== null;
  const record = useQuery(hasRecord ? "/events/{ref}/record" : null, { path: { ref: data.event.ref } }, { live: false });
  if (!hasRecord) return <span class="quiet">{t("event.no_record")}</span>;
  const found = record.data;
  if (found && found.topic !== null && found.partition !== null && found.offset !== null) {
    return (
      <Link to={messagePath(found.topic, found.partition, found.offset)} class="mono">
        {found.topic}[{found.partition}]@{found.offset}
      </Link>
    );
  }
  if (found) return <span class="quiet">{t("event.record_missing")} {found.reason}</span>;
  if (record.error) {
    return (
      <>
        <span class="quiet">{t("event.record_failed")}</span>{" "}
        <button type="button" class="button small" onClick={record.retry}>{t("action.retry")}</button>
      </>
    );
  }
  return <span class="quiet">{t("event.record_searching")}</span>;
}

async function wholePayload(ref: string): Promise<Uint8Array> {
  const response = await send(apiUrl("/events/{ref}/payload", { path: { ref } }), { headers: { Accept: "*/*" } });
  return new Uint8Array(await response.arrayBuffer());
}

const TABS = ["payload", "value", "headers", "metadata"] as const;

function Bytes({ data }: { data: EventDetail }) {
  const [tab, setTab] = useState<(typeof TABS)[number]>("payload");
  const { ref } = data.event;
  const save = () => {
    download("/events/{ref}/payload", { path: { ref } }, `${ref}.${/json/.test(data.content_type) ? "json" : "bin"}`).catch((error: unknown) =>
      say(error instanceof ApiError ? errorText(error) : t("payload.load_failed"), "bad"),
    );
  };
  const words = { payload: t("event.payload"), value: t("event.value"), headers: `${t("event.headers")} ${data.headers.length}`, metadata: t("event.metadata") };
  return (
    <Panel
      title={t("event.bytes")}
      actions={
        <>
          <span class="quiet mono wide-only">{data.content_type}</span>
          <div class="segments" role="group" aria-label={t("event.bytes")}>
            {TABS.filter((each) => each !== "value" || data.value).map((each) => (
              <button key={each} type="button" aria-current={each === tab ? "true" : undefined} aria-pressed={each === tab} onClick={() => setTab(each)}>
                {words[each]}
              </button>
            ))}
          </div>
        </>
      }
    >
      {tab === "payload" && <Payload bytes={data.payload} label={t("event.payload")} onDownload={save} load={() => wholePayload(ref)} isTombstone />}
      {tab === "value" && <Payload bytes={data.value ?? null} label={t("event.value")} />}
      {tab === "metadata" && <Payload bytes={data.metadata} label={t("event.metadata")} />}
      {tab === "headers" && <Headers record={data} />}
    </Panel>
  );
}

/** Order is kept for a key: what came before it and what waits behind it. */
function Neighbours({ rows, current, eventKey }: { rows: EventRow[]; current: string; eventKey: string }) {
  const columns = eventColumns().filter((column) => ["type", "state", "created", "error", "id"].includes(column.id));
  return (
    <Panel title={t("event.neighbours")} actions={<Link to={outboxSearch("key", eventKey)}>{t("event.all_of_key")}</Link>}>
      <Table
        isPart
        caption={t("event.neighbours")}
        columns={columns}
        rows={rows}
        rowKey={(event) => event.ref}
        rowClass={(event) => (event.ref === current ? "is-current" : undefined)}
        query={NO_QUERY}
        empty={<p class="panel-body quiet">{t("event.no_neighbours")}</p>}
      />
    </Panel>
  );
}
