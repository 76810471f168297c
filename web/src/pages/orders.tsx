import { useQuery } from "../api/query";
import { session } from "../api/session";
import type { OrderRow } from "../api/types";
import { Link } from "../components/link";
import { Empty, Panel } from "../components/panel";
import { SearchedList } from "../components/searched_list";
import { EventStateBadge } from "../components/status";
import type { Column } from "../components/table";
import { Time } from "../components/text";
import { money, num } from "../lib/format";
import { t } from "../lib/i18n";
import { at, param } from "../lib/router";

const CREATE = `curl -sS -X POST http://127.0.0.1:8080/api/v1/orders -H 'Content-Type: application/json' -d '{"customer_id":"c-1","order_number":"ORD-1","currency":"BRL","items":[{"product_id":"p-1","product_name":"Book","quantity":1,"unit_price":"39.90"}]}'`;

export default function OrdersPage() {
  const hasOrders = session.value?.features.orders !== false;
  const orders = useQuery(hasOrders ? "/orders" : null, { query: { q: param("q"), cursor: param("cursor") } }, { keep: true });
  const columns: Column<OrderRow>[] = [
    { id: "number", title: t("order.number"), mono: true, cell: (order) => <Link to={at("orders", order.id)}>{order.order_number}</Link> },
    { id: "event", title: t("order.event"), cell: (order) => (order.event_state ? <EventStateBadge state={order.event_state} /> : <span class="quiet">{t("order.no_event")}</span>) },
    { id: "customer", title: t("order.customer"), mono: true, stretch: true, cell: (order) => order.customer_id },
    { id: "status", title: t("order.status"), cell: (order) => order.status },
    { id: "items", title: t("order.items"), numeric: true, cell: (order) => num(order.items) },
    { id: "total", title: t("order.total"), numeric: true, cell: (order) => money(order.total_amount, order.currency) },
    { id: "created", title: t("event.created"), mono: true, cell: (order) => <Time at={order.created_at} /> },
    { id: "id", title: t("order.id"), mono: true, isOptional: true, cell: (order) => order.id },
  ];
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.orders")}</h1>
      </div>
      {hasOrders ? (
        <SearchedList
          query={orders}
          columns={columns}
          rowKey={(order) => order.id}
          caption={t("order.caption")}
          what={t("order.list_failed")}
          search={{
            label: t("order.search"),
            placeholder: t("order.placeholder"),
            qualifiers: [
              { name: "number", hint: t("qualifier.number") },
              { name: "customer", hint: t("qualifier.customer") },
              { name: "id", hint: t("qualifier.order_id") },
            ],
          }}
          nothing={<Empty kind="nothing" title={t("order.nothing")} text={t("order.nothing_text")} command={CREATE} />}
          noMatch={(clear) => <Empty kind="no_match" title={t("order.no_match")} onClear={clear} />}
        />
      ) : (
        <Panel>
          <Empty kind="nothing" title={t("order.none_here")} text={t("order.none_here_text")} command="txstream migrate up" />
        </Panel>
      )}
    </>
  );
}
