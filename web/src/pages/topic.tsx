import { useQuery } from "../api/query";
import type { Schemas } from "../api/types";
import { Link } from "../components/link";
import { Empty, Loaded } from "../components/panel";
import { Status } from "../components/status";
import { type Column, Table } from "../components/table";
import { Age } from "../components/text";
import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { at, param, withQuery } from "../lib/router";
import type { PageProps } from "../routes";
import { ConfigTable, GroupState, NotOffered, PageHead, Warnings } from "./topics_parts";

type Detail = Schemas["TopicDetail"];
type Partition = Detail["partitions"][number];
const TABS = ["partitions", "config", "groups"] as const;

export default function Topic({ parts }: PageProps) {
  const name = parts["topic"] ?? "";
  const query = useQuery("/topics/{topic}", { path: { topic: name } });
  const tab = TABS.find((one) => one === param("tab")) ?? "partitions";
  const detail = query.data;
  return (
    <>
      <PageHead
        crumbs={<Link to="/topics">{t("nav.topics")}</Link>}
        title={<code>{name}</code>}
        chips={
          detail && (
            <>
              {detail.topic.is_ours && <span class="tag">{t("topics.ours")}</span>}
              {detail.topic.is_internal && <span class="tag">{t("topics.internal")}</span>}
              <span class="quiet">
                {tn("messages.partitions_count", detail.topic.partitions, { n: num(detail.topic.partitions) })} × {tn("topic.replicas_count", detail.topic.replication_factor, { n: num(detail.topic.replication_factor) })}
                {detail.newest_at !== null && (
                  <>
                    {" · "}
                    {t("topic.newest")} <Age at={detail.newest_at} />
                  </>
                )}
              </span>
            </>
          )
        }
      >
        {query.error?.status !== 404 && (
          <Link to={`${at("topics", name, "messages")}?live=1`} class="button">
            {t("messages.live")}
          </Link>
        )}
      </PageHead>
      {detail && <Warnings warnings={detail.warnings} />}
      <section class="panel" aria-label={name}>
        <nav class="tabs" aria-label={t("topic.tabs")}>
          <Link to={at("topics", name, "messages")} class="tab">
            {t("nav.messages")}
          </Link>
          {TABS.map((one) => (
            <Link key={one} to={withQuery({ tab: one === "partitions" ? null : one, cols: null })} class="tab" current={one === tab ? "page" : undefined}>
              {t(`topic.tab_${one}`)}
              {detail && one === "partitions" && <span class="quiet"> {num(detail.partitions.length)}</span>}
            </Link>
          ))}
        </nav>
        {tab === "groups" ? (
          <Groups name={name} />
        ) : (
          <Loaded query={query} what={t("topic.failed")}>
            {(data) =>
              tab === "partitions" ? (
                <Table caption={t("topic.tab_partitions")} columns={partitionColumns(data)} rows={data.partitions} rowKey={(row) => String(row.partition)} query={query} empty={null} isPart />
              ) : data.config_error !== null ? (
                <p class="panel-body">
                  <Status tone="warn">{t("topic.no_config")}</Status> <span class="quiet">{data.config_error}</span>
                </p>
              ) : (
                <ConfigTable items={data.config} />
              )
            }
          </Loaded>
        )}
      </section>
      <NotOffered />
    </>
  );
}

function partitionColumns(detail: Detail): Column<Partition>[] {
  const messages = (partition: Partition, from: string) => `${at("topics", detail.topic.name, "messages")}?p=${partition.partition}&from=${from}`;
  return [
    { id: "partition", title: t("messages.partition"), numeric: true, cell: (row) => <Link to={messages(row, "newest")}>{row.partition}</Link> },
    {
      id: "leader",
      title: t("topic.leader"),
      numeric: true,
      cell: (row) => (row.leader === null ? <Status tone="bad">{t("topic.no_leader")}</Status> : <Link to={at("brokers", row.leader)}>{row.leader}</Link>),
    },
    { id: "replicas", title: t("topic.replicas"), mono: true, cell: (row) => row.replicas.join(", ") },
    {
      id: "in_sync",
      title: t("topic.in_sync"),
      mono: true,
      stretch: true,
      cell: (row) => {
        const missing = row.replicas.filter((replica) => !row.in_sync.includes(replica));
        return missing.length === 0 ? (
          row.in_sync.join(", ")
        ) : (
          <Status tone="warn" plain>
            {t("topic.missing", { in_sync: row.in_sync.join(", ") || "–", missing: missing.join(", ") })}
          </Status>
        );
      },
    },
    { id: "low", title: t("topic.low"), hint: t("topic.low_hint"), numeric: true, cell: (row) => (row.low === null ? "–" : <Link to={messages(row, "oldest")}>{num(row.low)}</Link>) },
    { id: "end", title: t("topic.end"), hint: t("topic.end_hint"), numeric: true, cell: (row) => (row.end === null ? "–" : num(row.end)) },
    {
      id: "high",
      title: t("topic.high"),
      hint: t("topic.high_hint"),
      numeric: true,
      cell: (row) =>
        row.high === null ? (
          "–"
        ) : row.end !== null && row.high !== row.end ? (
          <Status tone="info" plain>
            {num(row.high)}
          </Status>
        ) : (
          num(row.high)
        ),
    },
    {
      id: "offsets",
      title: t("topics.offsets"),
      hint: t("topics.offsets_hint"),
      numeric: true,
      cell: (row) => (row.low === null || row.end === null ? "–" : num((BigInt(row.end) - BigInt(row.low)).toString())),
    },
    ...(detail.partitions.some((row) => row.error !== null)
      ? [{ id: "error", title: t("groups.error"), stretch: true, cell: (row: Partition) => row.error !== null && <Status tone="bad">{row.error}</Status> }]
      : []),
  ];
}

type GroupOfTopic = Schemas["TopicGroupPage"]["items"][number];

function Groups({ name }: { name: string }) {
  const query = useQuery("/topics/{topic}/groups", { path: { topic: name } });
  const columns: Column<GroupOfTopic>[] = [
    {
      id: "group",
      title: t("groups.id"),
      cell: (row) => (
        <Link to={at("groups", row.group)}>
          <code>{row.group}</code>
        </Link>
      ),
    },
    {
      id: "state",
      title: t("groups.state"),
      cell: (row) => (
        <>
          <GroupState state={row.state} /> {row.offsets.some((offset) => offset.is_stale) && <span class="tag">{t("group.stale")}</span>}
        </>
      ),
    },
    { id: "members", title: t("groups.members"), numeric: true, cell: (row) => num(row.members) },
    { id: "lag", title: t("groups.lag"), numeric: true, cell: (row) => (row.lag === null ? "–" : num(row.lag)) },
  ];
  const seen = query.data;
  return (
    <>
      <Table
        caption={t("topic.tab_groups")}
        columns={columns}
        rows={seen?.items}
        rowKey={(row) => row.group}
        query={query}
        isPart
        what={t("topics.groups_failed")}
        empty={<Empty kind="nothing" title={t("topic.no_groups")} text={t("topic.no_groups_text")} />}
      />
      {seen && seen.groups_seen < seen.groups_total && (
        <p class="note info">{t("topic.groups_seen", { seen: num(seen.groups_seen), total: num(seen.groups_total) })}</p>
      )}
    </>
  );
}
