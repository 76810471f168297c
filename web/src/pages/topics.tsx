import { get } from "../api/client";
import { useQuery } from "../api/query";
import { session } from "../api/session";
import type { Schemas } from "../api/types";
import { Link } from "../components/link";
import { Empty, PartialNote } from "../components/panel";
import { Status } from "../components/status";
import { type Column, Table } from "../components/table";
import { Time } from "../components/text";
import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { at, param, setQuery, withQuery } from "../lib/router";
import { LazyCell, LazyNote, useLazy } from "./topics_lazy";
import { NameSearch, NotOffered, PageHead, Toggle } from "./topics_parts";

type Topic = Schemas["TopicRow"];

async function measure(names: string[], signal: AbortSignal): Promise<[string, Schemas["TopicMeasure"]][]> {
  const answer = await get("/topics/offsets", { query: { names: names.join(",") } }, signal);
  return answer.items.map((item) => [item.name, item]);
}

interface Readers {
  groups: Schemas["TopicGroups"];
  isWhole: boolean;
}

async function readers(names: string[], signal: AbortSignal): Promise<[string, Readers][]> {
  const answer = await get("/topics/groups", { query: { names: names.join(",") } }, signal);
  return answer.items.map((groups) => [groups.name, { groups, isWhole: answer.groups_seen >= answer.groups_total }]);
}

export default function Topics() {
  const isInternal = param("internal") === "1";
  const q = param("q");
  const query = useQuery("/topics", { query: { internal: isInternal || null, q, sort: param("sort"), cursor: param("cursor") } }, { keep: true });
  const offsets = useLazy(measure, 50);
  const groups = useLazy(readers, 50);
  const columns: Column<Topic>[] = [
    {
      id: "name",
      title: t("topics.name"),
      sort: { up: "name", down: "-name" },
      cell: (topic) => (
        <>
          <Link to={at("topics", topic.name)}>
            <code>{topic.name}</code>
          </Link>
          {topic.is_ours && <span class="tag after">{t("topics.ours")}</span>}
          {topic.is_internal && <span class="tag after">{t("topics.internal")}</span>}
        </>
      ),
    },
    {
      id: "health",
      title: t("topics.health"),
      cell: (topic) =>
        topic.leaderless > 0 ? (
          <Status tone="bad" plain>
            {tn("topics.leaderless", topic.leaderless, { n: num(topic.leaderless) })}
          </Status>
        ) : topic.under_replicated > 0 ? (
          <Status tone="warn" plain>
            {tn("topics.under_replicated", topic.under_replicated, { n: num(topic.under_replicated) })}
          </Status>
        ) : topic.error === null ? (
          <Status tone="ok" plain>
            {t("topics.in_sync")}
          </Status>
        ) : (
          <span title={topic.error}>
            <Status tone="bad" plain>
              {topic.error}
            </Status>
          </span>
        ),
    },
    { id: "partitions", title: t("topics.partitions"), numeric: true, sort: { up: "partitions", down: "-partitions" }, cell: (topic) => num(topic.partitions) },
    { id: "replication", title: t("topics.replication"), numeric: true, cell: (topic) => num(topic.replication_factor) },
    {
      id: "offsets",
      title: t("topics.offsets"),
      hint: t("topics.offsets_hint"),
      numeric: true,
      cell: (topic) => (
        <LazyCell lazy={offsets} name={topic.name}>
          {(found) => (found.error !== null || found.offsets === null ? <span title={found.error ?? undefined}>–</span> : <>≈ {num(found.offsets)}</>)}
        </LazyCell>
      ),
    },
    {
      id: "newest",
      title: t("topics.newest"),
      isOptional: true, // librdkafka before 2.3 cannot ask for it
      cell: (topic) => (
        <LazyCell lazy={offsets} name={topic.name}>
          {(found) => (found.newest_at === null ? <span class="quiet">–</span> : <Time at={found.newest_at} relative />)}
        </LazyCell>
      ),
    },
    {
      id: "groups",
      title: t("topics.groups"),
      numeric: true,
      cell: (topic) => (
        <LazyCell lazy={groups} name={topic.name}>
          {({ groups: found, isWhole }) => (
            <Link to={`${at("topics", topic.name)}?tab=groups`} label={tn("topics.groups_of", found.groups, { topic: topic.name })}>
              {num(found.groups)}
              {isWhole ? "" : "+"}
            </Link>
          )}
        </LazyCell>
      ),
    },
    {
      id: "lag",
      title: t("topics.lag"),
      hint: t("topics.lag_hint"),
      numeric: true,
      cell: (topic) => (
        <LazyCell lazy={groups} name={topic.name}>
          {({ groups: found }) => (found.lag === null ? "–" : num(found.lag))}
        </LazyCell>
      ),
    },
    {
      id: "messages",
      title: t("nav.messages"),
      cell: (topic) => (
        <Link to={at("topics", topic.name, "messages")} label={t("topics.browse_topic", { topic: topic.name })}>
          {t("topics.browse")}
        </Link>
      ),
    },
  ];
  const topicOfOurs = session.value?.topic ?? "txstream.events";
  return (
    <>
      <PageHead title={t("nav.topics")} chips={query.data && <span class="quiet">{num(query.data.total)}</span>}>
        <Link to={at("topics", topicOfOurs, "messages")} class="button">
          {t("topics.ours_messages", { topic: topicOfOurs })}
        </Link>
      </PageHead>
      <section class="panel">
        <Table
          caption={t("nav.topics")}
          columns={columns}
          rows={query.data?.items}
          rowKey={(topic) => topic.name}
          query={query}
          nextCursor={query.data?.next_cursor}
          defaultSort="name"
          what={t("topics.failed")}
          tools={
            <div class="tools-line">
              <NameSearch label={t("topics.search")} />
              <Toggle to={withQuery({ internal: !isInternal, cursor: null })} isOn={isInternal}>
                {t("topics.show_internal")}
              </Toggle>
            </div>
          }
          empty={
            q ? (
              <Empty kind="no_match" title={t("topics.no_match", { q })} onClear={() => setQuery({ q: null, cursor: null })} />
            ) : (
              <Empty kind="nothing" title={t("topics.none")} text={t("topics.none_text", { topic: topicOfOurs })} command="txstream serve" />
            )
          }
        />
        {query.data?.partial && <PartialNote text={query.data.partial.text} />}
        <LazyNote lazy={offsets} what={t("topics.offsets_failed")} />
        <LazyNote lazy={groups} what={t("topics.groups_failed")} />
      </section>
      <NotOffered />
    </>
  );
}
