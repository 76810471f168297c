import assert from "node:assert/strict";
import { test } from "node:test";

import { render } from "preact-render-to-string";

import en from "../i18n/en.json";
import { ApiError } from "../api/client";
import { NO_QUERY, type QueryState } from "../api/query";
import { setMessages } from "../lib/i18n";
import { jobText, lettersPath, remainingMs, toneOf } from "../lib/jobs";
import { place } from "../lib/router";
import type { DecisionPlan, Job, Pauses as PausesAnswer, Session } from "../api/types";
import { session } from "../api/session";
import { DecideButtons, Planned } from "./decide";
import { DrainPlanned } from "./drain";
import { CancelButton, CancelForm, JobBar, Told } from "./job";
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

const job = (part: Partial<Job>): Job => ({
  id: "12", action: "replay", state: "running", target: {}, actor: "ana", login: "x", origin: "console", reason: null, rate: null, events: "12", decided: "12", waiting: "0", carried_out: "12", parked_again: "0", per_second: null,
  created_at: "2026-01-02T03:04:05Z", started_at: null, decided_at: null, ended_at: null, is_ended: false, cancelled_at: null, cancelled_by: null, cancel_reason: null, is_cancellable: false, runner: null, error: null, ...part,
});
const AT = "2026-01-02T03:05:05Z";

test("a job is told from its first step to its end", () => {
  const said = (part: Partial<Job>) => [toneOf(job(part)), jobText(job(part))];
  assert.deepEqual(said({ state: "waiting", events: "20000", decided: "0", carried_out: "0" }), ["info", "20\u2009000 events wait for a relay to begin."]);
  assert.deepEqual(said({ events: "20000", decided: "12000", carried_out: "11000", parked_again: "20", waiting: "980" }), ["info", "Replay: 11\u2009020 of 20\u2009000 events carried out, 12\u2009000 decided so far."]);
  assert.deepEqual(said({ decided_at: AT, carried_out: "5", waiting: "7" }), ["info", "Replay: 5 of 12 carried out."]);
  const ended = { state: "done" as const, decided_at: AT, ended_at: AT, is_ended: true };
  assert.deepEqual(said(ended), ["ok", "12 events replayed: Kafka has them."]);
  assert.deepEqual(said({ ...ended, action: "discard" }), ["ok", "12 events discarded; what they held goes on."]);
  assert.deepEqual(said({ ...ended, carried_out: "10", parked_again: "2" }), ["warn", "10 of 12 replayed; 2 refused again and parked: the new errors say why."]);
  const cut = { events: "20", decided_at: AT, cancelled_at: AT, state: "cancelled" as const };
  assert.deepEqual(said({ ...cut, carried_out: "5", waiting: "7" }), ["muted", "Cancelled: no more are decided; 7 of the 12 decided ones are still to be carried out."]);
  assert.deepEqual(said({ ...cut, is_ended: true }), ["muted", "Cancelled: 12 of 20 replayed."]);
  assert.deepEqual(said({ ...cut, state: "failed", is_ended: true }), ["bad", "Failed: 12 of 20 events were decided, and no more are."]);
});

test("what is left of a job takes as long as what was carried out lets expect", () => {
  const open = { events: "300", decided: "120", carried_out: "100", waiting: "20", per_second: 10 };
  assert.equal(remainingMs(job({ ...open, is_cancellable: true })), 20_000);
  assert.equal(remainingMs(job(open)), 2000, "of a cancelled one only what is decided");
  assert.equal(remainingMs(job({ ...open, per_second: 0 })), null);
  assert.equal(remainingMs(job({ ...open, is_ended: true })), null);
});

test("the bar of a job has the shares of what is carried out, refused and decided", () => {
  const html = render(<JobBar job={job({ events: "200", decided: "120", carried_out: "100", parked_again: "10", waiting: "10" })} />);
  assert.deepEqual([...html.matchAll(/class="(\w+)" x="(\d+)"[^>]*width="(\d+)"/g)].map((found) => found.slice(1)), [["done", "0", "500"], ["again", "500", "50"], ["due", "550", "50"]]);
  assert.match(html, /role="progressbar"[^>]*aria-valuemax="200" aria-valuenow="110"/);
});

test("a job that is cut off says what became of the rest, and why", () => {
  const html = render(<Told job={job({ state: "failed", events: "20", is_ended: true, decided_at: AT, error: "it took too long" })} />);
  assert.match(html, /it took too long.*The other 8 stay as they are/s);
  assert.doesNotMatch(html, /progressbar|Cancel/);
});

test("a cancellation asks why, and is offered while events are to be decided", () => {
  const html = render(<CancelForm job={job({ events: "20" })} onCancel={() => undefined} onClose={() => undefined} />);
  for (const part of [/12 of 20 events are decided/, /The other 8 stay as they are/, /<input[^>]*required/, /<button[^>]*disabled[^>]*>Cancel the job/]) assert.match(html, part);
  assert.doesNotMatch(html, /type="submit"/);
  session.value = { role: "operator", features: { orders: true, operations: true } } as Session;
  assert.match(render(<CancelButton small job={job({ is_cancellable: true })} />), /aria-label="Cancel 12"/);
  assert.equal(render(<CancelButton job={job({})} />), "");
  session.value = { role: "viewer", features: { orders: true, operations: true } } as Session;
  assert.match(render(<CancelButton job={job({ is_cancellable: true })} />), /aria-disabled="true"/);
  session.value = null;
});

test("the dead letters of a job are found by what it was about", () => {
  assert.equal(lettersPath(job({ target: { error_class: "A B", topic: "t" } })), "/dead-letters?error_class=A+B&topic=t");
  assert.equal(lettersPath(job({ target: { all: true } })), "/dead-letters");
  assert.equal(lettersPath(job({ target: { id: "7" } })), null);
});

test("a rate is offered where there is more than one event", () => {
  assert.match(planned({ events: "2" }), /Events a second, at most/);
  assert.doesNotMatch(planned({ events: "1" }), /Events a second/);
  assert.match(planned({ events: "10001" }), /The relays decide step by step, and you can cancel/);
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
