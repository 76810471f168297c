// A list: a real table with a caption, sort by links, columns to choose, pages by cursor, and all of it in the URL.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { QueryState } from "../api/query";
import { withBase } from "../lib/base";
import { num } from "../lib/format";
import { t } from "../lib/i18n";
import { bindKeys } from "../lib/keyboard";
import { param, place, setQuery, withQuery } from "../lib/router";
import { Icon } from "./icons";
import { Link } from "./link";
import { Menu } from "./menu";
import { ErrorPanel, StaleNote, Waiting } from "./panel";

export interface Column<Row> {
  id: string;
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** Right-aligned, in figures of equal width. */
  numeric?: boolean;
  mono?: boolean;
  /** Takes what the other columns leave, and is cut with an ellipsis. */
  stretch?: boolean;
  /** Shown only when chosen. */
  isOptional?: boolean;
  /** The names by which the server sorts up and down. */
  sort?: { up?: string; down?: string };
  /** A longer word for it, on hover. */
  hint?: string;
}

interface TableProps<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[] | undefined;
  rowKey: (row: Row) => string;
  /** What is wrong with a row as a whole. */
  rowClass?: (row: Row) => string | undefined;
  query: QueryState<unknown>;
  empty: ComponentChildren;
  nextCursor?: string | null | undefined;
  /** What stands below a row that was opened; its button is in the first column. */
  detail?: (row: Row) => ComponentChildren;
  openKeys?: ReadonlySet<string>;
  onToggle?: (key: string) => void;
  /** The value of `sort` that holds when the URL says none. */
  defaultSort?: string;
  what?: string;
  /** For a second table on a page: no keys, no pages, no choice of columns. */
  isPart?: boolean;
  /** false: the page has its own way to more rows. */
  hasPager?: boolean;
  tools?: ComponentChildren;
  /** A heading in the line of the tools. */
  title?: string;
  /** Rows to expect, for the skeleton. */
  expected?: number;
}

/** Which columns are shown: `cols` of the URL, or those that are not optional. */
export function useColumns<Row>(columns: Column<Row>[]): Column<Row>[] {
  const wanted = param("cols")?.split(",");
  const shown = columns.filter((column) => (wanted ? wanted.includes(column.id) : !column.isOptional));
  return shown.length > 0 ? shown : columns.filter((column) => !column.isOptional);
}

function ColumnChooser<Row>({ columns }: { columns: Column<Row>[] }) {
  const shown = useColumns(columns).map((column) => column.id);
  const change = (id: string) => {
    const next = columns.map((column) => column.id).filter((each) => (each === id ? !shown.includes(each) : shown.includes(each)));
    const isDefault = columns.every((column) => next.includes(column.id) === !column.isOptional);
    setQuery({ cols: isDefault ? null : next.join(",") }, { replace: true });
  };
  return (
    <Menu label={t("table.columns")} icon="columns">
      {columns.map((column) => (
        <label key={column.id} class="menu-item">
          <input
            type="checkbox"
            checked={shown.includes(column.id)}
            disabled={shown.length === 1 && shown.includes(column.id)}
            onChange={() => change(column.id)}
          />
          {column.title}
        </label>
      ))}
    </Menu>
  );
}

function HeaderCell<Row>({ column, defaultSort }: { column: Column<Row>; defaultSort: string | undefined }) {
  const names = [column.numeric && "numeric", column.stretch && "stretch"].filter(Boolean).join(" ");
  const sort = column.sort;
  if (!sort) {
    return (
      <th scope="col" class={names} title={column.hint}>
        {column.title}
      </th>
    );
  }
  const current = param("sort") ?? defaultSort;
  const state = current !== undefined && current === sort.up ? "ascending" : current !== undefined && current === sort.down ? "descending" : "none";
  const next = state === "ascending" ? (sort.down ?? sort.up) : (sort.up ?? sort.down);
  return (
    <th scope="col" class={names} aria-sort={state} title={column.hint}>
      <Link to={withQuery({ sort: next === defaultSort ? null : next, cursor: null })}>
        {column.title}
        {state !== "none" && <Icon name={state === "ascending" ? "up" : "down"} />}
      </Link>
    </th>
  );
}

function SkeletonRows({ columns, rows }: { columns: number; rows: number }) {
  return (
    <>
      {Array.from({ length: rows }, (_, row) => (
        <tr key={row} class="skeleton-row" aria-hidden="true">
          {Array.from({ length: columns }, (_unused, column) => (
            <td key={column}>
              <span class={`bone w${(row * 3 + column * 5) % 4}`} />
            </td>
          ))}
        </tr>
      ))}
    </>
  );
}

/** Moves the focus over the rows of the page's list. */
function moveFocus(table: HTMLElement | null, step: number): void {
  const rows = [...(table?.querySelectorAll<HTMLElement>("tbody > tr[data-row]") ?? [])];
  const current = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[current < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, current + step))];
  next?.querySelector<HTMLElement>("a[href], button")?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

export function Table<Row>(props: TableProps<Row>) {
  const { caption, columns, rows, rowKey, query, nextCursor, isPart = false, hasPager = !isPart } = props;
  const frame = useRef<HTMLDivElement>(null);
  const chosen = useColumns(columns);
  const shown = isPart ? columns.filter((column) => !column.isOptional) : chosen;
  useEffect(() => {
    if (isPart) return undefined;
    return bindKeys({
      j: () => moveFocus(frame.current, 1),
      k: () => moveFocus(frame.current, -1),
      o: () => document.activeElement instanceof HTMLElement && frame.current?.contains(document.activeElement) && document.activeElement.click(),
      "[": () => document.querySelector<HTMLElement>("[data-previous]")?.click(),
      "]": () => document.querySelector<HTMLElement>("[data-next]")?.click(),
    });
  }, [isPart]);
  const isSlow = rows === undefined && query.loading !== undefined && query.loading.stage !== "quick";
  const failed = rows === undefined && query.error !== undefined && !query.loading;
  const extra = props.detail ? 1 : 0;
  return (
    <div class="list">
      {(!isPart || props.tools) && (
        <div class="list-tools">
          {props.title && <h2>{props.title}</h2>}
          {props.tools}
          {!isPart && <ColumnChooser columns={columns} />}
        </div>
      )}
      {rows !== undefined && query.error && <StaleNote error={query.error} at={query.at} onRetry={query.retry} />}
      {failed && query.error ? (
        <ErrorPanel error={query.error} onRetry={query.retry} what={props.what} />
      ) : rows?.length === 0 ? (
        <div class={query.error ? "is-stale" : undefined}>{props.empty}</div>
      ) : (
        <div ref={frame} class={`table-frame${query.error ? " is-stale" : query.isPrevious ? " is-previous" : ""}`} role="region" aria-label={caption} tabIndex={0}>
          <table aria-busy={query.isPrevious || rows === undefined}>
            <caption class="off-screen">{caption}</caption>
            <thead>
              <tr>
                {extra === 1 && (
                  <th scope="col" class="opener">
                    <span class="off-screen">{t("table.details")}</span>
                  </th>
                )}
                {shown.map((column) => (
                  <HeaderCell key={column.id} column={column} defaultSort={props.defaultSort} />
                ))}
              </tr>
            </thead>
            <tbody>
              {isSlow && <SkeletonRows columns={shown.length + extra} rows={props.expected ?? 8} />}
              {rows?.map((row) => <TableRow key={rowKey(row)} row={row} shown={shown} table={props} />)}
            </tbody>
          </table>
        </div>
      )}
      <Waiting query={query} />
      {hasPager && rows !== undefined && (rows.length > 0 || param("cursor") !== null) && <Pager nextCursor={nextCursor ?? null} rows={rows.length} />}
    </div>
  );
}

function TableRow<Row>({ row, shown, table }: { row: Row; shown: Column<Row>[]; table: TableProps<Row> }) {
  const key = table.rowKey(row);
  const isOpen = table.openKeys?.has(key) ?? false;
  return (
    <>
      <tr data-row class={[isOpen ? "is-open" : "", table.rowClass?.(row) ?? ""].join(" ").trim() || undefined}>
        {table.detail && (
          <td class="opener">
            <button
              type="button"
              class="button bare"
              aria-expanded={isOpen}
              aria-label={isOpen ? t("table.close_row") : t("table.open_row")}
              onClick={() => table.onToggle?.(key)}
            >
              <Icon name={isOpen ? "down" : "right"} />
            </button>
          </td>
        )}
        {shown.map((column) => (
          <td key={column.id} class={[column.numeric && "numeric", column.mono && "mono", column.stretch && "stretch"].filter(Boolean).join(" ") || undefined}>
            {column.cell(row)}
          </td>
        ))}
      </tr>
      {isOpen && table.detail && (
        <tr class="row-detail">
          <td colSpan={shown.length + 1}>{table.detail(row)}</td>
        </tr>
      )}
    </>
  );
}

/** Forward by cursor; back as the browser goes back, since a cursor knows only what follows it. */
export function Pager({ nextCursor, rows }: { nextCursor: string | null; rows: number }) {
  const { turned } = place.value;
  const isFirst = param("cursor") === null;
  if (isFirst && nextCursor === null) return <p class="pager quiet">{t("pager.all", { n: num(rows) })}</p>;
  return (
    <nav class="pager" aria-label={t("pager.label")}>
      {!isFirst && turned > 0 && (
        <button type="button" class="button" data-previous onClick={() => history.back()}>
          <Icon name="left" /> {t("pager.previous")}
        </button>
      )}
      {!isFirst && turned === 0 && (
        <Link to={withQuery({ cursor: null })} class="button">
          <Icon name="left" /> {t("pager.first")}
        </Link>
      )}
      {nextCursor !== null ? (
        <a class="button" data-next data-turns="1" href={withBase(withQuery({ cursor: nextCursor }))}>
          {t("pager.next")} <Icon name="right" />
        </a>
      ) : (
        <span class="quiet">{t("pager.end")}</span>
      )}
    </nav>
  );
}

