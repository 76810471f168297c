import { useEffect, useState } from "preact/hooks";

import { ApiError, download, get } from "../api/client";
import { useQuery } from "../api/query";
import { session } from "../api/session";
import type { Record_, Schemas } from "../api/types";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { Menu } from "../components/menu";
import { Empty, errorText, Loaded, PartialNote } from "../components/panel";
import { Status } from "../components/status";
import { Table } from "../components/table";
import { Rich, Time } from "../components/text";
import { say } from "../components/toasts";
import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { bindKeys } from "../lib/keyboard";
import { at, navigate, param, setQuery } from "../lib/router";
import { remembered, write } from "../lib/settings";
import type { PageProps } from "../routes";
import { AddColumn, recordColumns } from "./messages_columns";
import { parseFrom, parsePartitions } from "./messages_query";
import { limitOf, Toolbar } from "./messages_toolbar";
import { RecordDetail } from "./message_detail";
import { LiveTail } from "./tail";
import { NameSearch, NotOffered, PageHead, Toggle } from "./topics_parts";
import { withQuery } from "../lib/router";

type Page = Schemas["MessagePage"];
const REMEMBERED = "messages.topic";
const ROWS_MAX = 2000;
const EXPORT_LIMIT = 10_000;

/** `/messages` opens the topic that was read last; `?pick=1` asks for one. */
export default function Messages({ parts }: PageProps) {
  const topic = parts["topic"];
  const last = remembered(REMEMBERED);
  const isRedirected = topic === undefined && last !== null && last !== "" && param("pick") === null;
  useEffect(() => {
    if (isRedirected && last !== null) navigate(at("topics", last, "messages"), { replace: true });
    if (topic !== undefined) write(REMEMBERED, topic);
  }, [topic, last, isRedirected]);
  if (topic === undefined) return isRedirected ? null : <Picker />;
  return <TopicMessages key={topic} topic={topic} />;
}

function Picker() {
  const isInternal = param("internal") === "1";
  const query = useQuery("/topics", { query: { q: param("q"), internal: isInternal || null, size: 100 } }, { keep: true });
  const ours = session.value?.topic;
  return (
    <>
      <PageHead title={t("nav.messages")} />
      <section class="panel" aria-label={t("messages.pick")}>
        <div class="list-tools">
          <div class="tools-line">
            <NameSearch label={t("topics.search")} />
            <Toggle to={withQuery({ internal: !isInternal })} isOn={isInternal}>
              {t("topics.show_internal")}
            </Toggle>
          </div>
        </div>
        <Loaded query={query} what={t("topics.failed")}>
          {(data) =>
            data.items.length === 0 ? (
              <Empty kind="no_match" title={t("topics.no_match", { q: param("q") ?? "" })} onClear={() => setQuery({ q: null, internal: null })} />
            ) : (
              <ul class="picker">
                {[...data.items].sort((a, b) => Number(b.name === ours) - Number(a.name === ours)).map((topic) => (
                  <li key={topic.name}>
                    <Link to={at("topics", topic.name, "messages")}>
                      <code>{topic.name}</code>
                      {topic.is_ours && <span class="tag">{t("topics.ours")}</span>}
                      <span class="quiet">{tn("messages.partitions_count", topic.partitions, { n: num(topic.partitions) })}</span>
                    </Link>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
        {query.data && query.data.next_cursor !== null && <PartialNote text={t("messages.pick_more", { shown: num(query.data.items.length), total: num(query.data.total) })} />}
      </section>
    </>
  );
}

/** What is asked; parts of the address that are not understood are left out, and said. */
function useSearch() {
  const ignored: string[] = [];
  const from = param("from");
  const p = param("p");
  if (parseFrom(from) === null) ignored.push(`from=${from}`);
  const partitions = parsePartitions(p ?? "");
  if (partitions === null) ignored.push(`p=${p}`);
  const query = {
    from: parseFrom(from) === null ? null : from,
    p: partitions === null ? null : partitions.join(","),
    filter: param("filter"),
  };
  return { query, ignored };
}

function TopicMessages({ topic }: { topic: string }) {
  const isLive = param("live") === "1";
  const { query, ignored } = useSearch();
  useEffect(() => bindKeys(isLive ? {} : { l: () => setQuery({ live: true, cursor: null }) }), [isLive]);
  return (
    <>
      <PageHead
        crumbs={
          <>
            <Link to="/topics">{t("nav.topics")}</Link> / <Link to={at("topics", topic)}>{topic}</Link>
          </>
        }
        title={
          <>
            {t("nav.messages")} <code class="title-topic">{topic}</code>
          </>
        }
      >
        <Link to="/messages?pick=1" class="button">
          {t("messages.other_topic")}
        </Link>
      </PageHead>
      <section class="panel" aria-label={t("nav.messages")}>
        <Toolbar isLive={isLive} />
        {ignored.map((text) => (
          <p key={text} class="note warn" role="status">
            <Status tone="warn" plain>
              <span>
                <Rich text={t("messages.ignored", { what: text })} />
              </span>
            </Status>
          </p>
        ))}
        {isLive ? <LiveTail key={`${query.p} ${query.filter}`} topic={topic} partitions={query.p} filter={query.filter} /> : <Results topic={topic} search={query} />}
      </section>
      <NotOffered />
    </>
  );
}

interface Search {
  from: string | null;
  p: string | null;
  filter: string | null;
}

function Results({ topic, search }: { topic: string; search: Search }) {
  const limit = limitOf(param("limit"));
  const path = { topic };
  const first = useQuery("/topics/{topic}/messages", { path, query: { ...search, limit, cursor: param("cursor") } }, { live: false, keep: true });
  const [more, setMore] = useState<{ of: Page; pages: Page[] } | null>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => bindKeys({ r: first.retry }), [first.retry]);
  useEffect(() => () => running?.abort(), [running]);
  useEffect(() => {
    setRunning(null);
    setFailure(null);
  }, [first.data]);

  // What was found further on belongs to these results only.
  const pages = first.data ? [first.data, ...(more?.of === first.data ? more.pages : [])] : [];
  const last = pages.at(-1);
  const rows = first.data && pages.flatMap((page) => page.items);

  const goOn = async () => {
    const of = first.data;
    if (!of || !last) return;
    const abort = new AbortController();
    setRunning(abort);
    setFailure(null);
    const found = pages.slice(1);
    let page = last;
    try {
      // On until something is found: one press is one search, however many answers it takes.
      do {
        page = await get("/topics/{topic}/messages", { path, query: { ...search, limit, cursor: page.next_cursor } }, abort.signal);
        found.push(page);
        setMore({ of, pages: [...found] });
      } while (page.items.length === 0 && page.next_cursor !== null && page.scan.stopped !== "error");
    } catch (error) {
      if (error instanceof ApiError) setFailure(error);
    }
    if (!abort.signal.aborted) setRunning(null);
  };

  const toggle = (key: string) => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  const isFull = (rows?.length ?? 0) >= ROWS_MAX;
  // The toolbar says where the filter is wrong.
  const isWrong = first.error?.status === 400 && first.error.problem.field === "filter";
  return (
    <>
      <Table
        caption={t("messages.caption", { topic })}
        columns={recordColumns()}
        rows={isWrong ? [] : rows}
        rowKey={keyOf}
        query={isWrong ? { ...first, error: undefined } : first}
        what={t("messages.failed")}
        openKeys={open}
        onToggle={toggle}
        detail={(record) => <RecordDetail record={record} />}
        hasPager={false}
        tools={
          <>
            {last && !isWrong && (
              <ScanLine
                scan={last.scan}
                search={search}
                found={rows?.length ?? 0}
                isPrevious={first.isPrevious}
                onGoOn={search.filter && !running && !isFull && last.next_cursor !== null ? () => void goOn() : undefined}
              />
            )}
            <div class="tools-line end">
              <AddColumn />
              <Export topic={topic} search={search} />
            </div>
          </>
        }
        empty={isWrong ? <p class="state quiet">{t("search.not_run")}</p> : last && <NothingFound topic={topic} search={search} scan={last.scan} />}
      />
      {last && last.next_cursor !== null && (
        <div class="go-on">
          {isFull ? (
            <Status tone="info" plain>
              {t("messages.full", { n: num(ROWS_MAX) })}
            </Status>
          ) : running ? (
            <button type="button" class="button" onClick={() => (running.abort(), setRunning(null))}>
              {t("messages.stop")}
            </button>
          ) : (
            <button type="button" class="button" data-next onClick={() => void goOn()}>
              {t(search.filter ? "messages.go_on" : "messages.more")} <Icon name="right" />
            </button>
          )}
          {running && <span role="status">{t("messages.searching")}</span>}
          {failure && (
            <Status tone="bad" plain>
              {errorText(failure)}
            </Status>
          )}
        </div>
      )}
    </>
  );
}

export function keyOf(record: Record_): string {
  return `${record.partition}-${record.offset}`;
}

/** What was read to find this, how far it went and why it ended. */
function ScanLine({ scan, search, found, isPrevious, onGoOn }: { scan: Schemas["Scan"]; search: Search; found: number; isPrevious: boolean; onGoOn: (() => void) | undefined }) {
  const [isOpen, setOpen] = useState(false);
  const mode = parseFrom(search.from)?.mode ?? "newest";
  const isBack = mode === "newest";
  const edge = isBack ? scan.oldest_at : scan.newest_at;
  const failed = scan.partitions.filter((partition) => partition.error !== null);
  const gaps = scan.partitions.reduce((sum, partition) => sum + BigInt(partition.gaps), 0n);
  return (
    <div class={`scan${isPrevious ? " is-previous" : ""}`}>
      <p role="status">
        {t("scan.searched", { scanned: num(scan.scanned), total: num(scan.total) })}
        {edge !== null && (
          <>
            {", "}
            {t(isBack ? "scan.back_to" : "scan.up_to")} <Time at={edge} />
          </>
        )}
        {"; "}
        <strong>{tn("scan.found", found, { n: num(found) })}</strong>
        {" · "}
        {scan.stopped === "error" ? <Status tone="bad">{t("scan.stopped_error")}</Status> : t(`scan.stopped_${scan.stopped}`)}
      </p>
      {onGoOn && (
        <button type="button" class="link" onClick={onGoOn}>
          {t("messages.go_on")}
        </button>
      )}
      {failed.length > 0 && (
        <Status tone="bad" plain>
          {tn("scan.partitions_failed", failed.length, { n: num(failed.length) })}
        </Status>
      )}
      <button type="button" class="link" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {t("scan.details")}
      </button>
      {isOpen && (
        <div class="scan-details">
          {gaps > 0n && <p class="quiet">{tn("scan.gaps", Number(gaps), { n: num(gaps.toString()) })}</p>}
          <div class="table-frame" role="region" aria-label={t("scan.details")} tabIndex={0}>
            <table>
              <caption class="off-screen">{t("scan.details")}</caption>
              <thead>
                <tr>
                  {(["partition", "read", "low", "end", "gaps", "error"] as const).map((name) => (
                    <th key={name} scope="col" class={name === "error" ? undefined : "numeric"}>
                      {t(`scan.column_${name}`)}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {scan.partitions.map((partition) => (
                  <tr key={partition.partition} data-row>
                    <td class="numeric">{partition.partition}</td>
                    <td class="numeric">
                      {num(partition.from)} – {num(partition.to)}
                    </td>
                    <td class="numeric">{num(partition.low)}</td>
                    <td class="numeric">{num(partition.end)}</td>
                    <td class="numeric">{num(partition.gaps)}</td>
                    <td>{partition.error !== null && <Status tone="bad">{partition.error}</Status>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </div>
      )}
    </div>
  );
}

function NothingFound({ topic, search, scan }: { topic: string; search: Search; scan: Schemas["Scan"] }) {
  const isOurs = session.value?.topic === topic;
  if (search.filter) {
    return (
      <Empty
        kind="no_match"
        title={t(scan.stopped === "end" ? "messages.no_match" : "messages.no_match_yet")}
        text={t("messages.no_match_text", { filter: search.filter })}
        onClear={() => setQuery({ filter: null, cursor: null })}
      />
    );
  }
  if (scan.total !== "0" || search.p !== null || (search.from !== null && search.from !== "newest" && search.from !== "oldest")) {
    return <Empty kind="no_match" title={t("messages.none_here")} text={t("messages.none_here_text")} onClear={() => setQuery({ from: null, p: null, cursor: null })} />;
  }
  return (
    <Empty
      kind="nothing"
      title={t("messages.none")}
      text={t(isOurs ? "messages.none_ours" : "messages.none_text")}
      command={isOurs ? `SELECT txstream.publish('Order', '7', 'OrderShipped', '{"carrier": "Correios"}');` : undefined}
      commandKind="sql"
    />
  );
}

function Export({ topic, search }: { topic: string; search: Search }) {
  const [isBusy, setBusy] = useState(false);
  const run = async (format: "ndjson" | "csv") => {
    setBusy(true);
    try {
      await download("/topics/{topic}/messages/export", { path: { topic }, query: { ...search, format, limit: EXPORT_LIMIT } }, `${topic}.${format}`);
    } catch (error) {
      say(error instanceof ApiError ? errorText(error) : t("export.failed"), "bad");
    }
    setBusy(false);
  };
  return (
    <Menu label={t("export.label")} icon="save" text={t(isBusy ? "export.busy" : "export.label")}>
      {(["ndjson", "csv"] as const).map((format) => (
        <button key={format} type="button" class="button" disabled={isBusy} onClick={() => void run(format)}>
          {t(`export.${format}`)}
        </button>
      ))}
      <p class="label">{t("export.limit", { n: num(EXPORT_LIMIT) })}</p>
    </Menu>
  );
}
