import type { ComponentChildren } from "preact";

import { get } from "../api/client";
import { useQuery } from "../api/query";
import type { Schemas } from "../api/types";
import { Link } from "../components/link";
import { Empty, PartialNote } from "../components/panel";
import { Status } from "../components/status";
import { type Column, Table } from "../components/table";
import { num } from "../lib/format";
import { sentence, t } from "../lib/i18n";
import { at, param, setQuery } from "../lib/router";
import { LazyCell, LazyNote, useLazy } from "./topics_lazy";
import { GroupState, NameSearch, NotOffered, PageHead } from "./topics_parts";

type Group = Schemas["GroupRow"];
type Measure = Schemas["GroupMeasure"];
const STATES = ["Stable", "PreparingRebalance", "CompletingRebalance", "Empty", "Dead"] as const;
const TOPICS_SHOWN = 2;

async function describe(ids: string[], signal: AbortSignal): Promise<[string, Measure][]> {
  const answer = await get("/groups/describe", { query: { ids: ids.map(encodeURIComponent).join(",") } }, signal);
  return answer.items.map((item) => [item.id, item]);
}

export default function Groups() {
  const q = param("q");
  const state = param("state");
  const query = useQuery("/groups", { query: { q, state, sort: param("sort"), cursor: param("cursor") } }, { keep: true });
  const lazy = useLazy(describe, 100);
  const cell = (group: Group, show: (found: Measure) => ComponentChildren) => (
    <LazyCell lazy={lazy} name={group.id}>
      {(found) => (found.error !== null ? <span title={found.error}>–</span> : show(found))}
    </LazyCell>
  );
  const columns: Column<Group>[] = [
    {
      id: "id",
      title: t("groups.id"),
      sort: { up: "id", down: "-id" },
      cell: (group) => (
        <>
          <Link to={at("groups", group.id)}>
            <code>{group.id === "" ? t("groups.empty_id") : group.id}</code>
          </Link>
          {group.is_simple && (
            <span class="tag after" title={t("groups.simple_hint")}>
              {t("groups.simple")}
            </span>
          )}
        </>
      ),
    },
    { id: "state", title: t("groups.state"), cell: (group) => <GroupState state={lazy.found.value.get(group.id)?.state ?? group.state} /> },
    { id: "members", title: t("groups.members"), numeric: true, cell: (group) => cell(group, (found) => (found.members === null ? "–" : num(found.members))) },
    { id: "lag", title: t("groups.lag"), hint: t("groups.lag_hint"), numeric: true, cell: (group) => cell(group, (found) => (found.lag === null ? "–" : num(found.lag))) },
    {
      id: "topics",
      title: t("nav.topics"),
      stretch: true,
      cell: (group) =>
        cell(group, (found) => (
          <>
            {found.topics.slice(0, TOPICS_SHOWN).map((topic, index) => (
              <>
                {index > 0 && ", "}
                <Link to={at("topics", topic)}>
                  <code>{topic}</code>
                </Link>
              </>
            ))}
            {found.topics.length > TOPICS_SHOWN && (
              <span class="quiet" title={found.topics.slice(TOPICS_SHOWN, 40).join("\n")}>
                {" "}
                +{num(found.topics.length - TOPICS_SHOWN)}
              </span>
            )}
          </>
        )),
    },
    {
      id: "coordinator",
      title: t("groups.coordinator"),
      numeric: true,
      cell: (group) => cell(group, (found) => (found.coordinator === null ? "–" : <Link to={at("brokers", found.coordinator)}>{found.coordinator}</Link>)),
    },
    { id: "assignor", title: t("groups.assignor"), isOptional: true, cell: (group) => cell(group, (found) => found.assignor ?? "–") },
    {
      id: "error",
      title: t("groups.error"),
      isOptional: true,
      cell: (group) => {
        const error = lazy.found.value.get(group.id)?.error;
        return error ? <Status tone="warn">{error}</Status> : "";
      },
    },
  ];
  return (
    <>
      <PageHead title={t("nav.groups")} chips={query.data && <span class="quiet">{num(query.data.total)}</span>} />
      <section class="panel">
        <Table
          caption={t("nav.groups")}
          columns={columns}
          rows={query.data?.items}
          rowKey={(group) => group.id}
          query={query}
          nextCursor={query.data?.next_cursor}
          defaultSort="id"
          what={t("groups.failed")}
          tools={
            <div class="tools-line">
              <NameSearch label={t("groups.search")} />
              <select class="fit" value={state ?? ""} aria-label={t("groups.state")} onChange={(event) => setQuery({ state: event.currentTarget.value, cursor: null })}>
                <option value="">{t("groups.any_state")}</option>
                {STATES.map((one) => (
                  <option key={one} value={one}>
                    {sentence("group_state", one, {}) ?? one}
                  </option>
                ))}
              </select>
            </div>
          }
          empty={
            q || state ? (
              <Empty kind="no_match" title={t("groups.no_match")} onClear={() => setQuery({ q: null, state: null, cursor: null })} />
            ) : (
              <Empty kind="nothing" title={t("groups.none")} text={t("groups.none_text")} />
            )
          }
        />
        {query.data?.partial && <PartialNote text={query.data.partial.text} />}
        <LazyNote lazy={lazy} what={t("groups.describe_failed")} />
      </section>
      <NotOffered />
    </>
  );
}
