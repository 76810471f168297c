// The columns of events, as the outbox, an event's neighbours and an order show them.
import type { EventRow } from "../api/types";
import { Link } from "../components/link";
import type { Column } from "../components/table";
import { EventStateBadge } from "../components/status";
import { Age, Time } from "../components/text";
import { num, size } from "../lib/format";
import { t } from "../lib/i18n";
import { quoted } from "../lib/qualifiers";
import { at } from "../lib/router";

export const eventPath = (ref: string) => at("outbox", ref);
export const outboxSearch = (name: string, value: string) => `/outbox?q=${encodeURIComponent(`${name}:${quoted(value)}`)}`;

export const messagePath = (topic: string, partition: number | string, offset: string) => at("topics", topic, "messages", partition, offset);

export function eventColumns(): Column<EventRow>[] {
  return [
    { id: "type", title: t("event.type"), cell: (event) => <Link to={eventPath(event.ref)}>{event.event_type}</Link> },
    { id: "state", title: t("event.state"), cell: (event) => <EventStateBadge state={event.state} /> },
    { id: "created", title: t("event.created"), mono: true, cell: (event) => <Time at={event.created_at} precise /> },
    {
      id: "aggregate",
      title: t("event.aggregate"),
      stretch: true,
      cell: (event) => (
        <span title={`${event.aggregate_type} ${event.aggregate_id}`}>
          {event.aggregate_type} <Link to={outboxSearch("aggregate", event.aggregate_id)} class="mono">{event.aggregate_id}</Link>
        </span>
      ),
    },
    { id: "error", title: t("event.error"), mono: true, cell: (event) => <span title={event.error ?? undefined}>{event.error_class}</span> },
    { id: "attempts", title: t("event.attempts"), numeric: true, isOptional: true, cell: (event) => (event.attempts > 0 ? num(event.attempts) : "") },
    { id: "topic", title: t("event.topic"), mono: true, cell: (event) => event.topic },
    { id: "lane", title: t("event.lane"), numeric: true, isOptional: true, cell: (event) => event.lane },
    { id: "size", title: t("event.size"), numeric: true, isOptional: true, cell: (event) => size(event.size) },
    { id: "id", title: t("event.id"), numeric: true, cell: (event) => event.id },
    { id: "age", title: t("event.age"), isOptional: true, cell: (event) => <Age at={event.created_at} /> },
    { id: "published", title: t("event.published"), isOptional: true, mono: true, cell: (event) => event.published_at && <Time at={event.published_at} precise /> },
    { id: "key", title: t("event.key"), isOptional: true, mono: true, cell: (event) => event.key },
    { id: "event_id", title: t("event.event_id"), isOptional: true, mono: true, cell: (event) => event.event_id },
  ];
}
