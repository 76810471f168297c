// A list that is searched by qualifiers: the field, how far the search looked, what arrived meanwhile, and the rows.
import type { ComponentChildren } from "preact";

import type { QueryState } from "../api/query";
import { num } from "../lib/format";
import { useHeld } from "../lib/held";
import { t, tn } from "../lib/i18n";
import type { Qualifier } from "../lib/qualifiers";
import { param, setQuery } from "../lib/router";
import { Panel } from "./panel";
import { isSearchError, Search } from "./search";
import { Table, type Column } from "./table";

interface Page<Row> {
  items: Row[];
  next_cursor: string | null;
}

interface SearchedListProps<Row, P extends Page<Row>> {
  query: QueryState<P>;
  columns: Column<Row>[];
  rowKey: (row: Row) => string;
  caption: string;
  /** What is said when it could not be loaded. */
  what: string;
  search: { label: string; placeholder: string; qualifiers: Qualifier[] };
  /** Below the field: how far the search looked. */
  line?: (page: P) => ComponentChildren;
  nothing: ComponentChildren;
  noMatch: (clear: () => void) => ComponentChildren;
}

export function SearchedList<Row, P extends Page<Row>>({ query, columns, rowKey, caption, what, search, line, nothing, noMatch }: SearchedListProps<Row, P>) {
  const q = param("q") ?? "";
  const held = useHeld(query.isPrevious ? undefined : query.data?.items, `${q} ${param("cursor") ?? ""}`, rowKey);
  // A search that was not understood leaves the rows before it; the field says where.
  const isWrong = isSearchError(query.error);
  const go = (text: string) => setQuery({ q: text, cursor: null });
  return (
    <Panel>
      <Table
        caption={caption}
        columns={columns}
        rows={isWrong ? (query.previous?.items ?? []) : (held.rows ?? query.data?.items)}
        rowKey={rowKey}
        query={isWrong ? { ...query, error: undefined, isPrevious: true } : query}
        nextCursor={query.data?.next_cursor}
        what={what}
        tools={
          <div class="search-tools">
            <Search {...search} value={q} onSearch={go} error={query.error} />
            {!isWrong && query.data && line?.(query.data)}
            {held.waiting > 0 && (
              <button type="button" class="button small" onClick={held.show}>
                {tn("list.new", held.waiting, { n: num(held.waiting) })}
              </button>
            )}
          </div>
        }
        empty={isWrong ? <p class="state quiet">{t("search.not_run")}</p> : q !== "" ? noMatch(() => go("")) : nothing}
      />
    </Panel>
  );
}
