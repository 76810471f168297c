import { useQuery } from "../api/query";
import type { Schemas } from "../api/types";
import { Link } from "../components/link";
import { Empty } from "../components/panel";
import { SearchedList } from "../components/searched_list";
import { Time } from "../components/text";
import { num } from "../lib/format";
import { t } from "../lib/i18n";
import type { Qualifier } from "../lib/qualifiers";
import { param, withQuery } from "../lib/router";
import { eventColumns } from "./events_columns";

const STATES = ["pending", "published", "parked", "replaying", "replayed", "discarded"];

export function eventQualifiers(): Qualifier[] {
  return [
    { name: "state", hint: t("qualifier.state"), values: STATES },
    { name: "type", hint: t("qualifier.type") },
    { name: "aggregate", hint: t("qualifier.aggregate") },
    { name: "aggregate_type", hint: t("qualifier.aggregate_type") },
    { name: "key", hint: t("qualifier.key") },
    { name: "order", hint: t("qualifier.order") },
    { name: "topic", hint: t("qualifier.topic") },
    { name: "error", hint: t("qualifier.error") },
    { name: "lane", hint: t("qualifier.lane") },
    { name: "trace", hint: t("qualifier.trace") },
    { name: "created", hint: t("qualifier.created"), values: [">-1h", ">-5m", ">-1d", "<-1h"] },
    { name: "id", hint: t("qualifier.id") },
  ];
}

const filters = [
  { q: "", word: "outbox.all" },
  { q: "state:pending", word: "state.pending" },
  { q: "state:parked", word: "state.parked" },
  { q: "state:published", word: "state.published" },
] as const;

export default function OutboxPage() {
  const q = param("q") ?? "";
  const events = useQuery("/events", { query: { q, cursor: param("cursor") } }, { keep: true });
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.outbox")}</h1>
        <nav class="segments" aria-label={t("outbox.filters")}>
          {filters.map((filter) => (
            <Link key={filter.q} to={withQuery({ q: filter.q, cursor: null })} current={q === filter.q ? "true" : undefined}>
              {t(filter.word)}
            </Link>
          ))}
        </nav>
      </div>
      <SearchedList
        query={events}
        columns={eventColumns()}
        rowKey={(event) => event.ref}
        caption={t("outbox.caption")}
        what={t("outbox.failed")}
        search={{ label: t("outbox.search"), placeholder: t("outbox.placeholder"), qualifiers: eventQualifiers() }}
        line={(page) => <SearchLine search={page.search} rows={page.items.length} hasMore={page.next_cursor !== null} isFiltered={q !== ""} />}
        nothing={<Empty kind="nothing" title={t("outbox.nothing")} text={t("outbox.nothing_text")} command={`SELECT txstream.publish('Order', 'A-1', 'OrderCreated', '{"total": 10}');`} commandKind="sql" />}
        noMatch={(clear) => <Empty kind="no_match" title={t("outbox.no_match")} text={events.data && !events.data.search.is_exact ? t("outbox.no_match_text") : undefined} onClear={clear} />}
      />
    </>
  );
}

interface SearchLineProps {
  search: Schemas["Search"];
  rows: number;
  hasMore: boolean;
  isFiltered: boolean;
}

/** What the search looked at: a list that is not exact says how far it came. */
export function SearchLine({ search, rows, hasMore, isFiltered }: SearchLineProps) {
  if (!isFiltered || search.is_exact) return null;
  return (
    <p class="search-line quiet">
      {t("search.searched", { n: num(search.searched), found: num(rows) })}
      {search.back_to && (
        <>
          {" "}
          {t("search.back_to")} <Time at={search.back_to} />
        </>
      )}
      {search.is_complete ? ` · ${t("search.complete")}` : hasMore ? ` · ${t("search.go_on")}` : ""}
    </p>
  );
}
