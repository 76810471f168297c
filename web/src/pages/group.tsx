import { useQuery } from "../api/query";
import type { Schemas } from "../api/types";
import { Chart } from "../components/chart";
import { Link } from "../components/link";
import { Empty, Loaded, Panel } from "../components/panel";
import { Status } from "../components/status";
import { type Column, Table } from "../components/table";
import { num } from "../lib/format";
import { sentence, t, tn } from "../lib/i18n";
import { at, param, withQuery } from "../lib/router";
import type { PageProps } from "../routes";
import { GroupState, NotOffered, PageHead } from "./topics_parts";

type Detail = Schemas["GroupDetail"];
type Offset = Schemas["GroupOffset"];
type Member = Detail["members"][number];

export default function Group({ parts }: PageProps) {
  const id = parts["group"] ?? "";
  const query = useQuery("/groups/{group}", { path: { group: id } });
  const data = query.data;
  const stale = data?.offsets.filter((offset) => offset.is_stale).length ?? 0;
  return (
    <>
      <PageHead
        crumbs={<Link to="/groups">{t("nav.groups")}</Link>}
        title={<code>{id}</code>}
        chips={
          data && (
            <>
              <GroupState state={data.group.state} />
              <span class="quiet">
                {data.group.members !== null && tn("group.members_count", data.group.members, { n: num(data.group.members) })}
                {data.group.assignor !== null && data.group.assignor !== "" && ` · ${data.group.assignor}`}
              </span>
              {data.group.coordinator !== null && (
                <span class="quiet">
                  {t("groups.coordinator")} <Link to={at("brokers", data.group.coordinator)}>{data.group.coordinator}</Link>
                </span>
              )}
            </>
          )
        }
      />
      {data && sentence("group_state_hint", data.group.state, {}) && <p class="lead-line quiet">{sentence("group_state_hint", data.group.state, {})}</p>}
      <Loaded query={query} what={t("group.failed")}>
        {(detail) => (
          <>
            <Panel title={t("group.lag_title", { lag: detail.group.lag === null ? "–" : num(detail.group.lag) })}>
              <LagHistory history={detail.lag_history} />
            </Panel>
            <Panel title={t("group.offsets")} actions={stale > 0 ? <Status tone="muted">{tn("group.stale_count", stale, { n: num(stale) })}</Status> : undefined}>
              <Offsets offsets={detail.offsets} query={query} />
            </Panel>
            <Panel title={t("group.members")}>
              <Table
                caption={t("group.members")}
                columns={memberColumns()}
                rows={detail.members}
                rowKey={(member) => member.id}
                query={query}
                isPart
                empty={<Empty kind="nothing" title={t("group.no_members")} text={t("group.no_members_text")} />}
              />
            </Panel>
          </>
        )}
      </Loaded>
      <NotOffered />
    </>
  );
}

/** Offsets by topic; one topic alone when the address says so. */
function Offsets({ offsets, query }: { offsets: Offset[]; query: ReturnType<typeof useQuery<"/groups/{group}">> }) {
  const topic = param("topic");
  const topics = [...new Set(offsets.map((offset) => offset.topic))];
  const shown = topic === null ? offsets : offsets.filter((offset) => offset.topic === topic);
  return (
    <>
      {topics.length > 1 && (
        <div class="list-tools">
          <div class="tools-line">
            <Link to={withQuery({ topic: null })} class="button" current={topic === null ? "true" : undefined}>
              {t("group.all_topics")}
            </Link>
            {topics.slice(0, 12).map((one) => (
              <Link key={one} to={withQuery({ topic: one })} class="button" current={topic === one ? "true" : undefined}>
                <code>{one}</code>
              </Link>
            ))}
          </div>
        </div>
      )}
      <Table
        caption={t("group.offsets")}
        columns={offsetColumns()}
        rows={shown}
        rowKey={(offset) => `${offset.topic}-${offset.partition}`}
        rowClass={(offset) => (offset.is_stale ? "is-dim" : undefined)}
        query={query}
        isPart
        empty={<Empty kind="nothing" title={t("group.no_offsets")} text={t("group.no_offsets_text")} />}
      />
    </>
  );
}

function offsetColumns(): Column<Offset>[] {
  const message = (offset: Offset, text: string) => <Link to={at("topics", offset.topic, "messages", offset.partition, text)}>{num(text)}</Link>;
  return [
    {
      id: "topic",
      title: t("messages.topic"),
      cell: (offset) => (
        <Link to={at("topics", offset.topic)}>
          <code>{offset.topic}</code>
        </Link>
      ),
    },
    { id: "partition", title: t("messages.partition"), numeric: true, cell: (offset) => offset.partition },
    {
      id: "committed",
      title: t("group.committed"),
      hint: t("group.committed_hint"),
      numeric: true,
      cell: (offset) => (offset.committed === null ? <span class="quiet">{t("group.nothing_committed")}</span> : message(offset, offset.committed)),
    },
    { id: "end", title: t("topic.end"), hint: t("topic.end_hint"), numeric: true, cell: (offset) => (offset.end === null ? "–" : num(offset.end)) },
    { id: "lag", title: t("groups.lag"), numeric: true, cell: (offset) => (offset.lag === null ? "–" : offset.lag === "0" ? <span class="quiet">0</span> : <strong>{num(offset.lag)}</strong>) },
    {
      id: "member",
      title: t("group.member"),
      stretch: true,
      cell: (offset) =>
        offset.error !== null ? (
          <Status tone="bad">{offset.error}</Status>
        ) : offset.is_stale ? (
          <span title={t("group.stale_hint")}>
            <Status tone="muted">{t("group.stale")}</Status>
          </span>
        ) : offset.member !== null ? (
          <code title={offset.member}>{offset.member}</code>
        ) : (
          <span class="quiet">{t("group.unassigned")}</span>
        ),
    },
  ];
}

function memberColumns(): Column<Member>[] {
  return [
    { id: "client", title: t("group.client"), cell: (member) => <code>{member.client_id}</code> },
    { id: "host", title: t("group.host"), mono: true, cell: (member) => member.host },
    { id: "count", title: t("topics.partitions"), numeric: true, cell: (member) => num(member.partitions.reduce((sum, { partitions }) => sum + partitions.length, 0)) },
    {
      id: "partitions",
      title: t("group.assigned"),
      stretch: true,
      mono: true,
      cell: (member) => member.partitions.map(({ topic, partitions }) => `${topic}[${partitions.join(",")}]`).join(" ") || <span class="quiet">{t("group.idle")}</span>,
    },
    { id: "id", title: t("group.member_id"), mono: true, cell: (member) => <span title={member.id}>{member.id}</span> },
  ];
}

function LagHistory({ history }: { history: Detail["lag_history"] }) {
  if (history.lag.filter((lag) => lag !== null).length < 2) return <p class="panel-body quiet">{t("group.measuring")}</p>;
  return (
    <div class="panel-body">
      <Chart title={t("group.lag_measured")} at={history.at} lines={[{ label: t("groups.lag"), values: history.lag, color: 1 }]} format={(value) => num(value)} />
    </div>
  );
}
