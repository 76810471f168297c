import { useState } from "preact/hooks";

import { download } from "../api/client";
import { useQuery, type QueryState } from "../api/query";
import type { DeadLetter, DeadLetterGroup, Schemas, Selection } from "../api/types";
import { DecideButtons, whyNot } from "../components/decide";
import { Decisions } from "../components/job";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { Empty, Panel, PartialNote } from "../components/panel";
import { RemedyView } from "../components/remedy";
import { Table, type Column } from "../components/table";
import { EventStateBadge, Shape } from "../components/status";
import { Age, Rich, Time } from "../components/text";
import { say } from "../components/toasts";
import { count, num, size } from "../lib/format";
import { useHeld } from "../lib/held";
import { t, tn } from "../lib/i18n";
import { param, setQuery, withQuery } from "../lib/router";
import { told } from "../lib/sentences";
import { eventPath } from "./events_columns";

type Filter = Record<string, string | null>;
const OPEN_MAX = 2;
const FILTERS = ["error_class", "event_type", "topic", "state", "key"] as const;

export default function DeadLettersPage() {
  const groups = useQuery("/dead-letters/groups");
  const filter = Object.fromEntries(FILTERS.map((name) => [name, param(name)]));
  const cursor = param("cursor");
  const letters = useQuery("/dead-letters", { query: { ...filter, cursor } }, { keep: true });
  const isFiltered = FILTERS.some((name) => param(name) !== null);
  const clear = () => setQuery(Object.fromEntries([...FILTERS, "cursor"].map((name) => [name, null])));
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.dead_letters")}</h1>
      </div>
      <Decisions />
      <Panel title={t("dead.groups")}>
        <Groups groups={groups} />
      </Panel>
      {(groups.data === undefined || groups.data.items.length > 0 || isFiltered) && (
        <Panel>
          <Rows letters={letters} isFiltered={isFiltered} onClear={clear} list={JSON.stringify([filter, cursor])} filter={filter} />
        </Panel>
      )}
    </>
  );
}

const groupKey = (group: DeadLetterGroup) => [group.error_class, group.event_type, group.topic, group.state].join("\n");
const groupFilter = (group: DeadLetterGroup) =>
  withQuery({ error_class: group.error_class, event_type: group.event_type, topic: group.topic, state: group.state, key: null, cursor: null });

/** Causes before rows: who is on call repairs causes. */
function Groups({ groups }: { groups: QueryState<Schemas["DeadLetterGroups"]> }) {
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const columns: Column<DeadLetterGroup>[] = [
    { id: "class", title: t("dead.error_class"), mono: true, cell: (group) => <Link to={groupFilter(group)}>{group.error_class}</Link> },
    { id: "events", title: t("dead.events"), numeric: true, cell: (group) => count(group.events) },
    { id: "keys", title: t("dead.keys"), numeric: true, hint: t("dead.keys_hint"), cell: (group) => count(group.keys) },
    { id: "type", title: t("event.type"), cell: (group) => group.event_type },
    { id: "topic", title: t("event.topic"), mono: true, cell: (group) => group.topic },
    { id: "state", title: t("event.state"), cell: (group) => <EventStateBadge state={group.state} /> },
    { id: "last", title: t("dead.last"), stretch: true, cell: (group) => <Age at={group.last_at} /> },
    { id: "first", title: t("dead.first"), cell: (group) => <Age at={group.first_at} /> },
  ];
  const toggle = (key: string) => {
    const next = new Set(toggled);
    if (!next.delete(key)) next.add(key);
    setToggled(next);
  };
  const items = groups.data?.items;
  const reason = whyNot();
  // A few are open from the start: there is nothing to choose from.
  const isOpen = (key: string) => (items !== undefined && items.length <= OPEN_MAX) !== toggled.has(key);
  return (
    <>
      {items?.some((group) => group.state === "parked") && reason !== null && (
        <p class="note">
          <Shape tone="muted" /> <span>{reason}</span>
        </p>
      )}
      {groups.data && !groups.data.is_complete && <PartialNote text={t("dead.groups_partial")} />}
      <Table
        isPart
        caption={t("dead.groups")}
        columns={columns}
        rows={items}
        rowKey={groupKey}
        query={groups}
        openKeys={new Set(items?.map(groupKey).filter(isOpen))}
        onToggle={toggle}
        detail={(group) => <GroupDetail group={group} />}
        expected={3}
        what={t("dead.failed")}
        empty={<Empty kind="nothing" title={t("dead.nothing")} text={t("dead.nothing_text")} />}
      />
    </>
  );
}

function GroupDetail({ group }: { group: DeadLetterGroup }) {
  return (
    <div class="row-body stack">
      {group.explanation && (
        <p class="prose">
          <Rich text={told("explanation", { code: group.error_class, text: group.explanation })} />
        </p>
      )}
      <RemedyView remedy={group.remedy} />
      <pre class="error-text">{group.example.error}</pre>
      <GroupActions group={group} />
      <p>
        <Link to={eventPath(group.example.ref)}>{t("dead.example")}</Link> <span class="quiet mono">{group.example.key}</span> · <Link to={groupFilter(group)}>{t("dead.only_these")}</Link>
      </p>
    </div>
  );
}

/** What an operator can do about a cause; what needs no decision says so. */
function GroupActions({ group }: { group: DeadLetterGroup }) {
  const { error_class, event_type, topic, state } = group;
  const isHeld = error_class === "held";
  if (state === "replaying") return <p class="quiet">{t("dead.replaying_text")}</p>;
  if (state !== "parked") return null;
  return (
    <>
      {isHeld && <p class="quiet">{t("dead.held_text")}</p>}
      <DecideButtons selection={{ error_class, event_type, topic }} what={`${error_class}, ${event_type}`} isHeld={isHeld} />
    </>
  );
}

/** The filters as a decision takes them; null where there are none, or where they are about events that were decided. */
function listSelection(filter: Filter): Selection | null {
  const { state, ...conditions } = filter;
  if (state !== null && state !== "parked") return null;
  const given = Object.entries(conditions).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return given.length === 0 ? null : Object.fromEntries(given);
}

function Rows({ letters, isFiltered, onClear, list, filter }: { letters: QueryState<Schemas["DeadLetterPage"]>; isFiltered: boolean; onClear: () => void; list: string; filter: Filter }) {
  const held = useHeld(letters.isPrevious ? undefined : letters.data?.items, list, (letter) => letter.ref);
  const columns: Column<DeadLetter>[] = [
    { id: "type", title: t("event.type"), cell: (letter) => <Link to={eventPath(letter.ref)}>{letter.event_type}</Link> },
    { id: "state", title: t("event.state"), cell: (letter) => <EventStateBadge state={letter.state} /> },
    {
      id: "decide",
      title: t("dead.decision"),
      cell: (letter) =>
        letter.state !== "parked" ? (
          <span class="quiet">–</span>
        ) : letter.error_class === "held" ? (
          <span class="quiet">{t("dead.is_held")}</span>
        ) : (
          <DecideButtons small selection={{ id: letter.ref }} what={`${letter.event_type} ${letter.ref}`} />
        ),
    },
    { id: "class", title: t("dead.error_class"), mono: true, cell: (letter) => letter.error_class },
    { id: "error", title: t("event.error"), stretch: true, cell: (letter) => <span title={letter.error}>{letter.error}</span> },
    { id: "key", title: t("event.key"), mono: true, cell: (letter) => <Link to={withQuery({ key: letter.key, cursor: null })}>{letter.key}</Link> },
    { id: "attempts", title: t("event.attempts"), numeric: true, cell: (letter) => num(letter.attempts) },
    { id: "last", title: t("dead.last_attempt"), mono: true, cell: (letter) => <Time at={letter.last_attempt_at} /> },
    { id: "topic", title: t("event.topic"), mono: true, isOptional: true, cell: (letter) => letter.topic },
    { id: "size", title: t("event.size"), numeric: true, cell: (letter) => size(letter.size) },
    { id: "aggregate", title: t("event.aggregate"), isOptional: true, cell: (letter) => `${letter.aggregate_type} ${letter.aggregate_id}` },
    { id: "created", title: t("event.created"), mono: true, isOptional: true, cell: (letter) => <Time at={letter.created_at} /> },
    { id: "lane", title: t("event.lane"), numeric: true, isOptional: true, cell: (letter) => letter.lane },
    { id: "event_id", title: t("event.event_id"), mono: true, isOptional: true, cell: (letter) => letter.event_id },
  ];
  const selection = listSelection(filter);
  const hasParked = letters.data?.items.some((letter) => letter.state === "parked" && letter.error_class !== "held") ?? false;
  return (
    <Table
      caption={t("dead.rows")}
      columns={columns}
      rows={held.rows ?? letters.data?.items}
      rowKey={(letter) => letter.ref}
      query={letters}
      nextCursor={letters.data?.next_cursor}
      what={t("dead.failed")}
      title={t("dead.rows")}
      tools={
        <div class="chips">
          {FILTERS.filter((name) => param(name) !== null).map((name) => (
            <Link key={name} to={withQuery({ [name]: null, cursor: null })} class="chip" title={t("filter.remove")}>
              {t(`filter.${name}`)}: <b>{param(name) || "–"}</b> <Icon name="close" />
            </Link>
          ))}
          {held.waiting > 0 && (
            <button type="button" class="button small" onClick={held.show}>
              {tn("list.new", held.waiting, { n: num(held.waiting) })}
            </button>
          )}
          {selection && hasParked && <DecideButtons isList selection={selection} />}
          <Export filter={filter} />
        </div>
      }
      empty={isFiltered ? <Empty kind="no_match" title={t("dead.no_match")} onClear={onClear} /> : <p class="panel-body quiet">{t("dead.nothing")}</p>}
    />
  );
}

function Export({ filter }: { filter: Filter }) {
  const [isRunning, setRunning] = useState(false);
  const run = async () => {
    setRunning(true);
    try {
      await download("/dead-letters/export", { query: filter }, "dead-letters.ndjson");
    } catch (error) {
      say(t("dead.export_failed", { error: error instanceof Error ? error.message : String(error) }), "bad");
    }
    setRunning(false);
  };
  return (
    <button type="button" class="button push" disabled={isRunning} onClick={() => void run()}>
      <Icon name="save" /> {t("dead.export")}
    </button>
  );
}
