import assert from "node:assert/strict";
import { test } from "node:test";

import { render } from "preact-render-to-string";

import en from "../i18n/en.json";
import { ApiError } from "../api/client";
import { NO_QUERY, type QueryState } from "../api/query";
import { setMessages } from "../lib/i18n";
import { place } from "../lib/router";
import type { DecisionPlan, DecisionProgress, Pauses as PausesAnswer, Session } from "../api/types";
import { session } from "../api/session";
import { DecideButtons, Planned } from "./decide";
import { progressText } from "./decision_progress";
import { DrainPlanned } from "./drain";
import { Loaded } from "./panel";
import { Pauses } from "./pauses";
import { SearchedList } from "./searched_list";
import { Table, type Column } from "./table";
import { Rich, Time } from "./text";

setMessages(en);
// Components that look at the page's address need one.
Object.assign(globalThis, { location: new URL("http://127.0.0.1:8082/outbox") });

const failure = (status: number) => new ApiError("/api/x", status, { type: "", title: "unavailable", status, detail: "connection refused", code: status === 403 ? "forbidden" : "database_unavailable" }, "req-1");
const query = (part: Partial<QueryState<string>>): QueryState<string> => ({ ...(NO_QUERY as QueryState<string>), ...part });
const loaded = (part: Partial<QueryState<string>>) => render(<Loaded query={query(part)}>{(data) => <b>{data}</b>}</Loaded>);

const plan = (part: Partial<DecisionPlan>): DecisionPlan => ({ action: "replay", events: "1", keys: "1", held_behind: "0", keys_passed: "0", left_out: "0", sample: [], ...part });
const planned = (part: Partial<DecisionPlan>) => render(<Planned plan={plan(part)} onDecide={() => undefined} onClose={() => undefined} />);

test("how much a decision asks depends on what can be lost", () => {
  const asks = (part: Partial<DecisionPlan>) => [/Reason \(optional\)/, /<input[^>]*required[^>]*maxLength|<input[^>]*maxlength[^>]*required/i, /to confirm/, /<button[^>]*disabled/].map((each) => each.test(planned(part)));
  assert.deepEqual(asks({ events: "12431" }), [true, false, false, false]);
  assert.deepEqual(asks({ action: "discard" }), [false, true, false, true]);
  assert.deepEqual(asks({ action: "discard", events: "2" }), [false, true, true, true]);
});

test("a plan says what it touches, what follows, and what is left out", () => {
  const html = planned({ action: "discard", events: "1204", keys: "3", held_behind: "17", left_out: "1" });
  for (const part of [/1\u2009204 events of 3 keys are never sent/, /17 held events behind follow/, /1 more matches and is left out/, /Type 1204 to confirm/, /Discard 1\u2009204 events/]) assert.match(html, part);
  // Enter in a field must not decide.
  assert.doesNotMatch(html, /type="submit"/);
  assert.match(planned({ events: "0" }), /No parked event matches/);
  assert.match(planned({ keys_passed: "3" }), /3 keys have newer published events/);
  assert.doesNotMatch(planned({}), /newer published events/);
});

test("a decision is told from its first step to its end", () => {
  const entry = { id: "7", at: "2026-01-02T03:04:05Z", actor: "ana", login: "x", origin: "console" as const, action: "dead-letters replay", target: {}, reason: null, affected: "10", result: "done" };
  const waits = (value: string, exact = true) => ({ value, exact });
  const told = (part: Partial<DecisionProgress>) => progressText({ entry, events: "12", decided: "12", is_deciding: false, waiting: waits("0"), carried_out: "12", ...part });
  assert.match(told({ is_deciding: true, decided: "10", waiting: waits("10"), carried_out: null }).text, /10 of 12 events are written down/);
  assert.match(told({ waiting: waits("7"), carried_out: null }).text, /5 of 12 carried out/);
  assert.deepEqual(told({ carried_out: "10" }), { tone: "warn", text: "10 of 12 replayed; 2 refused again and parked: the new errors say why." });
  assert.deepEqual(told({}), { tone: "ok", text: "12 events replayed: Kafka has them." });
  assert.match(told({ events: "300000", decided: "300000", waiting: waits("100000", false), carried_out: null }).text, /More than 100\u2009000 of 300\u2009000 wait/);
  assert.match(told({ carried_out: null }).text, /nothing of it waits/);
});

test("who may not decide sees the buttons, and why they do nothing", () => {
  session.value = { role: "viewer", features: { orders: true, operations: true } } as Session;
  const html = render(<DecideButtons selection={{ key: "a" }} what="of a" />);
  assert.match(html, /aria-disabled="true" aria-label="Replay of a" title="Only a token with the role operator/);
  session.value = { role: "operator", features: { orders: true, operations: true } } as Session;
  assert.doesNotMatch(render(<DecideButtons selection={{ key: "a" }} isHeld />), /Replay|aria-disabled="true"/);
  session.value = null;
});

test("a drain says what moves and who takes it, and where nobody would the name is typed", () => {
  const planned = (others: number, isCancel = false) => render(<DrainPlanned plan={{ relay: "a:1", workers: 1, lanes: 12, others, drains: isCancel }} isCancel={isCancel} onDo={() => undefined} onClose={() => undefined} />);
  const usual = planned(2);
  for (const part of [/It hands 12 lanes over/, /2 workers of other relays take them/]) assert.match(usual, part);
  assert.doesNotMatch(usual, /to confirm|<button[^>]*disabled|type="submit"/);
  const alone = planned(0);
  for (const part of [/No other relay would take its lanes/, /Type a:1 to confirm/, /<button[^>]*disabled/]) assert.match(alone, part);
  assert.doesNotMatch(planned(0, true), /No other relay|to confirm|<button[^>]*disabled/);
});

test("what is paused is listed with who paused it and why, and a viewer is told why nothing can be resumed", () => {
  session.value = { role: "viewer", features: { orders: true, operations: true } } as Session;
  const items = [{ what: "everything" as const, name: null, at: "2026-01-02T03:04:05Z", by: "ana", reason: "an upgrade" }, { what: "key" as const, name: "k-7", at: "2026-01-02T03:04:05Z", by: "bob", reason: "asked" }];
  const html = render(<Pauses query={{ ...(NO_QUERY as QueryState<PausesAnswer>), data: { items } }} />);
  for (const part of [/everything/, /ana · an upgrade/, /<code>k-7<\/code>/, /aria-disabled="true" aria-label="Resume key k-7" title="Only a token/]) assert.match(html, part);
  session.value = null;
});

test("a failed refresh leaves the data, greyed, with their age", () => {
  const html = loaded({ data: "41", error: failure(503), at: Date.now() - 34_000 });
  assert.match(html, /<b>41<\/b>/);
  assert.match(html, /is-stale/);
  assert.match(html, /data from 3\d\u00a0s ago/);
});

test("a failure without data says what, why and which request, and offers both ways on", () => {
  const html = loaded({ error: failure(503) });
  for (const part of [/PostgreSQL does not answer/, /connection refused/, /req-1/, /Retry/, /Copy diagnostics/]) assert.match(html, part);
});

test("what a reader may not see is no failure", () => {
  assert.match(loaded({ error: failure(403) }), /Not visible for you/);
});

test("nothing is shown for the first moment, then a skeleton", () => {
  assert.doesNotMatch(loaded({ loading: { since: Date.now(), stage: "quick" } }), /skeleton/);
  assert.match(loaded({ loading: { since: Date.now(), stage: "slow" } }), /skeleton/);
  assert.match(loaded({ loading: { since: Date.now() - 6000, stage: "stalled" } }), /Still waiting for the server \(6/);
});

test("a problem's remedy is shown with a button that copies it, before there are data and above old ones", () => {
  const error = new ApiError("/api/x", 404, { type: "", title: "Not Found", status: 404, detail: "There is no topic payments.", code: "not_found", remedy: { kind: "command", text: "kafka-topics.sh --create --topic payments" } }, "req-1");
  for (const html of [loaded({ error }), loaded({ error, data: "old", at: Date.now() })]) {
    assert.match(html, /There is no topic payments\./);
    assert.match(html, /kafka-topics\.sh --create --topic payments<\/pre><button[^>]*aria-label="Copy the command"/);
  }
});

test("a server that is away is named by what was asked", () => {
  const away = (path: string) => new ApiError(`/ops/api/console/v1${path}`, 503, { type: "", title: "", status: 503, detail: "refused", code: "unavailable" }, null).code;
  assert.equal(away("/events?q=topic:topics"), "database_unavailable");
  assert.equal(away("/topics/a/messages"), "kafka_unavailable");
  assert.equal(away("/events/1.2/record"), "kafka_unavailable");
});

interface Row {
  id: string;
}
const columns: Column<Row>[] = [
  { id: "name", title: "Name", sort: { up: "name", down: "-name" }, cell: (row) => row.id },
  { id: "size", title: "Size", numeric: true, isOptional: true, cell: () => "1" },
];
const table = (search: string, rows: Row[] = [{ id: "a" }], next: string | null = null) => {
  place.value = { path: "/topics", query: new URLSearchParams(search), turned: 0 };
  return render(<Table caption="Topics" columns={columns} rows={rows} rowKey={(row) => row.id} query={NO_QUERY} empty={<i>none</i>} nextCursor={next} defaultSort="name" />);
};

test("the table says how it is sorted, and its links say how else it can be", () => {
  assert.match(table(""), /<th scope="col"[^>]*aria-sort="ascending"><a href="\/topics\?sort=-name"/);
  assert.match(table("sort=-name"), /aria-sort="descending"/);
});

test("columns of the URL are shown, and none that it does not know", () => {
  assert.doesNotMatch(table(""), />Size</);
  assert.match(table("cols=name,size"), />Size</);
  assert.match(table("cols=strange"), />Name/);
});

test("pages go on by cursor, and a link into the middle leads back to the first", () => {
  assert.match(table("", undefined, "c2"), /href="\/topics\?cursor=c2"/);
  assert.match(table("cursor=c2"), /First page/);
  assert.match(table("", []), /<i>none<\/i>/);
});

test("a search that was not understood leaves the rows before it, and says why", () => {
  place.value = { path: "/outbox", query: new URLSearchParams("q=stat:x"), turned: 0 };
  const error = new ApiError("/api/x", 400, { type: "", title: "", status: 400, detail: "no such qualifier", code: "invalid", field: "q", column: 0 }, null);
  const list = (part: object) =>
    render(
      <SearchedList
        query={{ ...(NO_QUERY as QueryState<{ items: Row[]; next_cursor: string | null }>), ...part }}
        columns={columns}
        rowKey={(row) => row.id}
        caption="Events"
        what="failed"
        search={{ label: "Search", placeholder: "", qualifiers: [] }}
        nothing={<i>nothing</i>}
        noMatch={() => <i>no match</i>}
      />,
    );
  assert.match(list({ error, previous: { items: [{ id: "row-1" }], next_cursor: null } }), /no such qualifier.*row-1/s);
  assert.match(list({ data: { items: [], next_cursor: null } }), /no match/);
  place.value = { path: "/outbox", query: new URLSearchParams(), turned: 0 };
  assert.match(list({ data: { items: [], next_cursor: null } }), /<i>nothing/);
});

test("text with code spans, and markup that stays text", () => {
  assert.equal(render(<Rich text="a `b<i>` c" />), "a <code>b&lt;i></code> c");
});

test("a time has its whole value for programs", () => {
  assert.match(render(<Time at="2026-01-02T03:04:05.000006Z" />), /datetime="2026-01-02T03:04:05.000006Z"/i);
});
