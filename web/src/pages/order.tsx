import type { ApiError } from "../api/client";
import { NO_QUERY, useQuery } from "../api/query";
import type { OrderDetail, Station } from "../api/types";
import { Copy, Copyable } from "../components/copy";
import { Link } from "../components/link";
import { errorText, Loaded, Panel } from "../components/panel";
import { Payload } from "../components/payload";
import { Shape, Status, type Tone } from "../components/status";
import { Table } from "../components/table";
import { Age, DefinitionList, Rich, Time } from "../components/text";
import { duration, money, num } from "../lib/format";
import { sentence, t, tn } from "../lib/i18n";
import { at } from "../lib/router";
import { groupsAt, groupsState, recordState, type GroupAtRecord } from "../lib/way";
import type { PageProps } from "../routes";
import { eventColumns, messagePath } from "./events_columns";

export default function OrderPage({ parts }: PageProps) {
  const id = parts["id"] ?? "";
  const order = useQuery("/orders/{id}", { path: { id } });
  return (
    <>
      <div class="page-head">
        <nav class="crumbs" aria-label={t("nav.crumbs")}>
          <Link to="/orders">{t("nav.orders")}</Link> / <span class="mono">{id}</span>
        </nav>
        <h1>{order.data ? order.data.order.order_number : t("page.order")}</h1>
        {order.data && <span class="quiet">{order.data.order.status}</span>}
        <div class="actions">
          <Copy label={t("action.copy_link")} text={() => location.href} />
        </div>
      </div>
      <Loaded query={order} what={t("order.failed")}>
        {(data) => <Detail data={data} />}
      </Loaded>
    </>
  );
}

const tones: Record<Station["state"], Tone> = { done: "ok", waiting: "info", failed: "bad", unknown: "muted" };

interface Place {
  topic: string;
  partition: number;
  offset: string;
}

function Detail({ data }: { data: OrderDetail }) {
  const event = data.events[0];
  const isInKafka = event !== undefined && (event.state === "published" || event.state === "replayed");
  const record = useQuery(isInKafka ? "/events/{ref}/record" : null, { path: { ref: event?.ref ?? "" } }, { live: false });
  const found = record.data;
  const place: Place | null =
    found && found.topic !== null && found.partition !== null && found.offset !== null ? { topic: found.topic, partition: found.partition, offset: found.offset } : null;
  const groups = useQuery(place ? "/topics/{topic}/groups" : null, { path: { topic: place?.topic ?? "" } });
  const readers = groups.data && place ? groupsAt(groups.data, place.partition, place.offset) : undefined;
  const isPartial = groups.data !== undefined && groups.data.groups_seen < groups.data.groups_total;
  const { order } = data;
  return (
    <>
      <ol class="strip way" aria-label={t("order.way")}>
        {data.stations.map((station) => {
          if (station.name === "record" && isInKafka) {
            const text = place ? `${place.topic}[${place.partition}]@${place.offset}` : found ? `${t("event.record_missing")} ${found.reason ?? ""}` : record.error ? t("event.record_failed") : t("event.record_searching");
            return <StationView key={station.name} station={{ ...station, state: recordState(station, found) }} text={text} link={place ? messagePath(place.topic, place.partition, place.offset) : null} isMono={place !== null} />;
          }
          if (station.name === "groups" && place) {
            return <StationView key={station.name} station={{ ...station, state: groupsState(readers) }} text={readersText(readers, groups.error)} link={null} />;
          }
          return <StationView key={station.name} station={station} text={sentence("station", `${station.name}.${station.state}`, station.params ?? {}) ?? station.text} link={station.name === "order" ? null : station.link} />;
        })}
      </ol>
      {readers && readers.length > 0 && <Readers readers={readers} topic={place?.topic ?? ""} isPartial={isPartial} />}
      <Panel>
        <DefinitionList
          items={[
            { term: t("order.customer"), value: <span class="mono">{order.customer_id}</span> },
            { term: t("order.total"), value: money(order.total_amount, order.currency) },
            { term: t("event.created"), value: <Age at={order.created_at} /> },
            { term: t("order.id"), value: <Copyable text={order.id} /> },
            data.shipping_address.length > 0 && { term: t("order.shipping"), value: <Lines lines={data.shipping_address} /> },
            data.billing_address.length > 0 && { term: t("order.billing"), value: <Lines lines={data.billing_address} /> },
          ]}
        />
      </Panel>
      <Panel title={t("order.items")}>
        <Table
          isPart
          caption={t("order.items")}
          columns={[
            { id: "product", title: t("order.product"), mono: true, cell: (item) => item.product_id },
            { id: "name", title: t("order.name"), stretch: true, cell: (item) => item.product_name },
            { id: "quantity", title: t("order.quantity"), numeric: true, cell: (item) => num(item.quantity) },
            { id: "price", title: t("order.unit_price"), numeric: true, cell: (item) => money(item.unit_price, order.currency) },
            { id: "sum", title: t("order.total"), numeric: true, cell: (item) => money(item.total_price, order.currency) },
          ]}
          rows={data.items}
          rowKey={(item) => `${item.product_id} ${item.quantity}`}
          query={NO_QUERY}
          empty={<p class="panel-body quiet">{t("order.no_items")}</p>}
        />
      </Panel>
      <Panel title={t("order.events")}>
        <Table
          isPart
          caption={t("order.events")}
          columns={eventColumns().filter((column) => ["type", "state", "created", "error", "id"].includes(column.id))}
          rows={data.events}
          rowKey={(each) => each.ref}
          query={NO_QUERY}
          empty={<p class="panel-body quiet">{t("order.no_events")}</p>}
        />
      </Panel>
      <Panel title="JSON">
        <Payload bytes={data.json} label="JSON" />
      </Panel>
    </>
  );
}

function Lines({ lines }: { lines: string[] }) {
  return (
    <>
      {lines.map((line, index) => (
        <div key={index}>{line}</div>
      ))}
    </>
  );
}

interface StationViewProps {
  station: Station;
  text: string;
  link: string | null;
  isMono?: boolean;
}

function StationView({ station, text, link, isMono = false }: StationViewProps) {
  const { state } = station;
  const name = t(`way.${station.name}`);
  return (
    <li class={state === "done" ? "is-done" : state === "failed" ? "is-bad" : "is-open"}>
      <span class="strip-mark">
        <Shape tone={state === "waiting" ? "muted" : tones[state]} />
        {station.since_previous_ms !== null && <span class="strip-since">+{duration(station.since_previous_ms)}</span>}
      </span>
      <span class="strip-name">
        {link && !isMono ? <Link to={link}>{name}</Link> : name} <span class="off-screen">{t(`way_state.${state}`)}</span>
      </span>
      <span class="strip-text">
        {station.at && <Time at={station.at} precise />}
        {isMono && link ? (
          <Link to={link} class="mono">
            {text}
          </Link>
        ) : (
          text !== "" && (
            <span class={state === "failed" ? "bad-text" : "quiet"}>
              <Rich text={text} />
            </span>
          )
        )}
      </span>
    </li>
  );
}

function readersText(readers: GroupAtRecord[] | undefined, error: ApiError | undefined): string {
  if (!readers) return error ? errorText(error) : t("way.groups_searching");
  if (readers.length === 0) return t("way.groups_none");
  const read = readers.filter((reader) => reader.hasRead).length;
  return tn("way.groups_read", readers.length, { read: num(read), n: num(readers.length) });
}

function Readers({ readers, topic, isPartial }: { readers: GroupAtRecord[]; topic: string; isPartial: boolean }) {
  return (
    <Panel title={t("nav.groups")} actions={<Link to={`${at("topics", topic)}?tab=groups`}>{t("way.all_groups")}</Link>}>
      <ul class="readers">
        {readers.map((reader) => (
          <li key={reader.group}>
            <Link to={at("groups", reader.group)} class="mono">
              {reader.group}
            </Link>
            <Status tone={reader.hasRead ? "ok" : "info"} plain>
              {reader.hasRead ? t("way.read") : reader.behind === null ? t("way.no_offset") : tn("way.behind", Number(reader.behind), { n: num(String(reader.behind)) })}
            </Status>
          </li>
        ))}
      </ul>
      {isPartial && <p class="panel-body quiet">{t("way.groups_partial")}</p>}
    </Panel>
  );
}
