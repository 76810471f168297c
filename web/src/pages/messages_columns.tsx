// The columns of records, in the messages' and the tail's table.
import { useState } from "preact/hooks";

import type { Record_ } from "../api/types";
import { Link } from "../components/link";
import { Menu } from "../components/menu";
import type { Column as TableColumn } from "../components/table";
import { Time } from "../components/text";
import { num, size } from "../lib/format";
import { t } from "../lib/i18n";
import { param, setQuery } from "../lib/router";
import { parsePath, pick } from "../payload/pick";
import { preview } from "../payload/text";
import { HeaderValue, messagePath, Short } from "./message_detail";
import { type Column, columnId, COLUMNS, columnsText, type Fixed, parseColumns } from "./messages_query";

const KEY_LENGTH = 40;
const VALUE_LENGTH = 300;

/** All columns, chosen or not; those of headers and paths are there because the address names them. */
export function recordColumns(): TableColumn<Record_>[] {
  const chosen = parseColumns(param("cols"));
  const fixed: Column[] = COLUMNS.map((name) => ({ kind: "fixed", name }));
  const added = chosen.filter((column) => column.kind !== "fixed");
  // Before the value, which takes what the others leave.
  const at = fixed.findIndex((column) => column.name === "value");
  return [...fixed.slice(0, at), ...added, ...fixed.slice(at)].map((column) => ({
    id: columnId(column),
    isOptional: column.kind !== "fixed" || column.name === "headers",
    ...(column.kind === "fixed" ? fixedColumn(column.name) : { title: column.name, mono: true, cell: (record: Record_) => addedCell(record, column) }),
  }));
}

function fixedColumn(name: Fixed): Omit<TableColumn<Record_>, "id"> {
  switch (name) {
    case "time":
      return { title: t("messages.time"), cell: (record) => (record.timestamp === null ? "–" : <Time at={record.timestamp} precise />) };
    case "partition":
      return { title: t("messages.partition_short"), hint: t("messages.partition"), numeric: true, cell: (record) => record.partition };
    case "offset":
      return { title: t("messages.offset"), numeric: true, cell: (record) => <Link to={messagePath(record)}>{num(record.offset)}</Link> };
    case "key":
      return { title: t("messages.key"), mono: true, cell: (record) => <Short bytes={record.key} length={KEY_LENGTH} /> };
    case "type":
      return { title: t("messages.type"), cell: (record) => record.event_type ?? <span class="quiet">–</span> };
    case "value":
      return { title: t("messages.value"), mono: true, stretch: true, cell: (record) => <Short bytes={record.value} length={VALUE_LENGTH} isTombstone /> };
    case "size":
      return { title: t("messages.size"), numeric: true, cell: (record) => size(record.size) };
    case "headers":
      return { title: t("messages.headers"), numeric: true, cell: (record) => num(record.headers.length) };
  }
}

function addedCell(record: Record_, column: Column) {
  if (column.kind === "header") {
    const values = record.headers.filter((header) => header.name === column.name);
    return values.length === 0 ? <span class="quiet">–</span> : values.map((header, index) => <span key={index}>{index > 0 && ", "}<HeaderValue value={header.value} /></span>);
  }
  const path = parsePath(column.name);
  const text = path && record.value?.encoding === "utf8" ? pick(record.value.data, path) : null;
  return text === null ? <span class="quiet">–</span> : preview(text, KEY_LENGTH * 2);
}

/** Adds a column for a header or for a place in the value. */
export function AddColumn() {
  const [kind, setKind] = useState<"header" | "json">("json");
  const [name, setName] = useState("");
  const isGood = kind === "header" ? name !== "" : parsePath(name) !== null;
  const add = (event: Event) => {
    event.preventDefault();
    if (!isGood) return;
    const columns = parseColumns(param("cols"));
    const column: Column = { kind, name: kind === "json" ? name.replace(/^\$\.?/, "") : name };
    if (!columns.some((one) => columnId(one) === columnId(column))) setQuery({ cols: columnsText([...columns, column]) }, { replace: true });
    setName("");
  };
  return (
    <Menu label={t("messages.add_column")} text={`+ ${t("messages.add_column")}`}>
      <form class="add-column" onSubmit={add}>
        <label class="menu-item">
          <input type="radio" name="kind" checked={kind === "json"} onChange={() => setKind("json")} /> {t("messages.column_json")}
        </label>
        <label class="menu-item">
          <input type="radio" name="kind" checked={kind === "header"} onChange={() => setKind("header")} /> {t("messages.column_header")}
        </label>
        <input
          type="text"
          value={name}
          aria-label={t("messages.column_name")}
          placeholder={kind === "json" ? "items[0].sku" : "traceparent"}
          aria-invalid={name !== "" && !isGood}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <button type="submit" class="button" disabled={!isGood}>
          {t("messages.add")}
        </button>
      </form>
    </Menu>
  );
}
