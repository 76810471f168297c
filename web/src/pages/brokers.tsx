import { useState } from "preact/hooks";

import { useQuery } from "../api/query";
import type { Schemas } from "../api/types";
import { Copyable } from "../components/copy";
import { Link } from "../components/link";
import { Empty, Loaded, PartialNote } from "../components/panel";
import { Status } from "../components/status";
import { type Column, Table } from "../components/table";
import { duration, num } from "../lib/format";
import { t } from "../lib/i18n";
import { at } from "../lib/router";
import type { PageProps } from "../routes";
import { ConfigTable, PageHead, Warnings } from "./topics_parts";

type Broker = Schemas["Brokers"]["items"][number];

/** All brokers; `/brokers/2` is the same list with one broker open. */
export default function Brokers({ parts }: PageProps) {
  const query = useQuery("/brokers");
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set(parts["id"] === undefined ? [] : [parts["id"]]));
  const data = query.data;
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  return (
    <>
      <PageHead
        title={t("nav.brokers")}
        chips={
          data?.cluster_id && (
            <span class="quiet">
              {t("brokers.cluster")} <Copyable text={data.cluster_id} />
            </span>
          )
        }
      />
      {data && <Warnings warnings={data.warnings} />}
      {data?.partial && <PartialNote text={data.partial.text} />}
      <section class="panel">
        <Table
          caption={t("nav.brokers")}
          columns={columns(data?.items ?? [])}
          rows={data?.items}
          rowKey={(broker) => String(broker.id)}
          query={query}
          isPart
          expected={3}
          what={t("brokers.failed")}
          openKeys={open}
          onToggle={toggle}
          detail={(broker) => <BrokerConfig id={broker.id} />}
          empty={<Empty kind="nothing" title={t("brokers.none")} />}
        />
      </section>
    </>
  );
}

function columns(brokers: readonly Broker[]): Column<Broker>[] {
  return [
    { id: "id", title: t("brokers.id"), numeric: true, cell: (broker) => <Link to={at("brokers", broker.id)}>{broker.id}</Link> },
    {
      id: "address",
      title: t("brokers.address"),
      hint: t("brokers.address_hint"),
      cell: (broker) => (
        <>
          <code>
            {broker.host}:{broker.port}
          </code>
          {broker.is_controller && <span class="tag after">★ {t("brokers.controller")}</span>}
        </>
      ),
    },
    {
      id: "state",
      title: t("brokers.state"),
      cell: (broker) =>
        broker.is_reachable === false ? (
          <span title={broker.error ?? undefined}>
            <Status tone="bad">{t("brokers.unreachable")}</Status>
          </span>
        ) : broker.is_reachable === null ? (
          <Status tone="muted" plain>
            {t("brokers.unknown")}
          </Status>
        ) : (
          <Status tone="ok" plain>
            {t("brokers.reachable")}
            {broker.took_ms !== null && <span class="quiet"> {duration(broker.took_ms)}</span>}
          </Status>
        ),
    },
    { id: "rack", title: t("brokers.rack"), cell: (broker) => broker.rack ?? <span class="quiet">–</span> },
    { id: "leaders", title: t("brokers.leaders"), numeric: true, cell: (broker) => num(broker.leaders) },
    { id: "replicas", title: t("topic.replicas"), numeric: true, cell: (broker) => num(broker.replicas) },
    {
      id: "under_replicated",
      title: t("topics.under_replicated_title"),
      numeric: true,
      cell: (broker) =>
        broker.under_replicated === 0 ? (
          num(0)
        ) : (
          <Status tone="warn" plain>
            {num(broker.under_replicated)}
          </Status>
        ),
    },
    ...(brokers.some((broker) => broker.error !== null)
      ? [{ id: "error", title: t("groups.error"), stretch: true, cell: (broker: Broker) => broker.error !== null && <span title={broker.error}>{broker.error}</span> }]
      : []),
  ];
}

function BrokerConfig({ id }: { id: number }) {
  const query = useQuery("/brokers/{id}/config", { path: { id } }, { live: false });
  return (
    <Loaded query={query} what={t("brokers.no_config")}>
      {(data) => <ConfigTable items={data.items} />}
    </Loaded>
  );
}
