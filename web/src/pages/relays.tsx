import { NO_QUERY, useQuery } from "../api/query";
import type { Schemas } from "../api/types";
import { DrainButton, DrainDialog } from "../components/drain";
import { Link } from "../components/link";
import { Empty, Loaded, Panel } from "../components/panel";
import { PausesPanel } from "../components/pauses";
import { Shape, Status, type Tone } from "../components/status";
import { Table, type Column } from "../components/table";
import { Age, Rich, Time } from "../components/text";
import { now } from "../lib/clock";
import { count, duration, num, rate, shortDuration } from "../lib/format";
import { sentence, t, tn } from "../lib/i18n";

type Relays = Schemas["Relays"];
type Member = Relays["members"][number];
type Lane = Relays["lanes"][number];
type SlowTopic = Relays["topics"][number];

/** A loss is news for a quarter of an hour; then it is a figure. */
const NEWS_MS = 15 * 60_000;

export default function RelaysPage() {
  const relays = useQuery("/relays");
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.relays")}</h1>
        {relays.data && <Summary data={relays.data} />}
      </div>
      <PausesPanel />
      <Panel title={t("relay.members")}>
        <Loaded query={relays} what={t("relay.failed")}>
          {(data) => (data.members.length === 0 ? <Empty kind="nothing" title={t("relay.nothing")} text={t("relay.nothing_text")} command="txstream relay" /> : <Members members={data.members} />)}
        </Loaded>
      </Panel>
      {relays.data && relays.data.topics.length > 0 && (
        <Panel title={t("slow_topic.title")}>
          <Topics topics={relays.data.topics} />
        </Panel>
      )}
      {relays.data?.is_locked && (
        <Panel title={t("relay.lanes")}>
          <Locked locks={relays.data.locks} />
        </Panel>
      )}
      {relays.data && !relays.data.is_locked && (
        <Panel>
          <Lanes lanes={relays.data.lanes} />
        </Panel>
      )}
      <DrainDialog />
    </>
  );
}

function Summary({ data }: { data: Relays }) {
  const alive = data.members.filter((member) => member.is_alive).length;
  const owned = data.lanes.filter((lane) => lane.owner !== null).length;
  const hasDifference = data.members.some((member) => member.is_alive && member.config_differs);
  return (
    <>
      <span class="quiet">
        {data.is_locked ? tn("relay.running", alive, { n: num(alive) }) : tn("relay.summary", alive, { n: num(alive), owned: num(owned), lanes: num(data.lanes.length) })}
      </span>
      {hasDifference && <Status tone="warn">{t("relay.config_differs")}</Status>}
    </>
  );
}

function breakerTone(state: string): Tone {
  return state === "closed" ? "ok" : state === "open" ? "bad" : "warn";
}

const memberTones: Record<Member["state"], Tone> = {
  gone: "muted",
  draining: "info",
  drained: "muted",
  paused: "warn",
  waits_for_kafka: "bad",
  waits_for_topic: "warn",
  cannot_deliver: "bad",
  standby: "muted",
  active: "ok",
};

/** "waits for topic payments, retry in 12 s" */
function stateText(member: Member): string {
  if (member.state === "gone") return t("relay.gone", { age: shortDuration(now.value - Date.parse(member.seen_at)) });
  const words = member.state === "waits_for_topic" ? t("relay.waits_for_topic", { topic: member.state_topic ?? "" }) : t(`relay_state.${member.state}`);
  if (!member.retry_at) return words;
  const left = Date.parse(member.retry_at) - now.value;
  return `${words}, ${left > 0 ? t("relay.retry_in", { in: duration(Math.ceil(left / 1000) * 1000) }) : t("relay.retry_now")}`;
}

function Members({ members }: { members: Member[] }) {
  return (
    <ul class="members">
      {members.map((member) => (
        <li key={`${member.name} ${member.pid}`} class={member.is_alive ? "member" : "member is-gone"}>
          <div class="member-head">
            <h3 class="mono">{member.name}</h3>
            <Status tone={memberTones[member.state]} plain>
              {stateText(member)}
            </Status>
            <span class="quiet">
              {member.host} · pid {member.pid} · {member.version} ({member.revision})
            </span>
            {member.config_differs && <Status tone="warn">{t("relay.config_differs")}</Status>}
            {member.is_alive && (
              <span class="member-actions">
                <DrainButton relay={member.name} drains={member.drains} />
              </span>
            )}
          </div>
          <dl class="facts">
            <div>
              <dt>{t("relay.lanes_owned")}</dt>
              <dd title={member.owned_since ? t("relay.owned_since", { age: shortDuration(now.value - Date.parse(member.owned_since)) }) : undefined}>{num(member.lanes)}</dd>
            </div>
            <div>
              <dt>{t("overview.pending")}</dt>
              <dd>
                {member.pending ? count(member.pending) : "–"}
                {member.oldest_at && <span class="quiet"> · {t("relay.oldest", { age: shortDuration(now.value - Date.parse(member.oldest_at)) })}</span>}
              </dd>
            </div>
            <Lease member={member} />
            <Fact term={t("relay.rate")} value={member.published_per_s === null ? "–" : rate(member.published_per_s)} />
            <Fact term={t("relay.workers")} value={`${num(member.workers_alive)}/${num(member.workers)}`} tone={member.workers_alive < member.workers ? "warn" : undefined} />
            <div>
              <dt>{t("relay.breaker")}</dt>
              <dd>
                <Status tone={breakerTone(member.breaker.state)} plain>
                  {t(`breaker.${member.breaker.state}`)}
                </Status>
                <span class="quiet">
                  {" "}
                  {t("relay.failures", { n: num(member.breaker.failures), max: num(member.breaker.failures_max) })}
                  {member.breaker.state !== "closed" && member.breaker.since && <> · {t("relay.since", { age: shortDuration(now.value - Date.parse(member.breaker.since)) })}</>}
                  {member.breaker.next_probe_at && <> · {t("relay.next_probe", { in: duration(Math.ceil((Date.parse(member.breaker.next_probe_at) - now.value) / 1000) * 1000) })}</>}
                </span>
              </dd>
            </div>
            <div>
              <dt>{t("relay.started")}</dt>
              <dd>
                <Age at={member.started_at} />
              </dd>
            </div>
            <Fact term={t("relay.config")} value={member.config_digest.slice(0, 12)} isMono />
          </dl>
          {(member.blocked.length > 0 || member.lease_lost_at) && (
            <ul class="blocked">
              {member.lease_lost_at && <LostLease member={member} at={member.lease_lost_at} />}
              {member.blocked.map((block) => (
                <li key={block.code}>
                  <Status tone="bad" plain>
                    {t("relay.blocked", { age: shortDuration(now.value - Date.parse(block.since)) })}
                  </Status>{" "}
                  {sentence("blocked", block.code, {}) ?? block.code}
                  {block.text !== "" && <span class="quiet"> · {block.text}</span>}
                </li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ul>
  );
}

/** How long it may publish if it cannot prolong its lease: where this nears zero, others are about to take its lanes. */
function Lease({ member }: { member: Member }) {
  if (!member.is_alive || !member.lease_ends_at) return <Fact term={t("relay.lease_left")} value="–" />;
  const left = Date.parse(member.lease_ends_at) - now.value;
  return <Fact term={t("relay.lease_left")} value={left > 0 ? duration(Math.round(left / 1000) * 1000) : t("relay.lease_over")} tone={left > 0 ? undefined : "bad"} />;
}

function LostLease({ member, at }: { member: Member; at: string }) {
  const age = now.value - Date.parse(at);
  const how = sentence("lease_lost", member.lease_lost_how ?? "", {}) ?? member.lease_lost_how;
  return (
    <li class={age < NEWS_MS ? undefined : "quiet"}>
      <Status tone={age < NEWS_MS ? "warn" : "muted"} plain>
        {t("relay.lost", { age: shortDuration(age) })}
      </Status>{" "}
      {how}
      {member.leases_lost !== "1" && <span class="quiet"> · {t("relay.lost_times", { n: num(member.leases_lost) })}</span>}
    </li>
  );
}

function Fact({ term, value, tone, isMono = false }: { term: string; value: string; tone?: Tone | undefined; isMono?: boolean }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd class={isMono ? "mono" : undefined}>{tone ? <Status tone={tone} plain>{value}</Status> : value}</dd>
    </div>
  );
}

/** What is not zero is what is looked for. */
function Amount({ text }: { text: string }) {
  return <span class={text === "0" ? "quiet" : undefined}>{text}</span>;
}

function Locked({ locks }: { locks: Relays["locks"] }) {
  const tables = [...new Set(locks.map((lock) => lock.table))].join(", ");
  const first = locks[0];
  const who = first && [String(first.pid), first.application && `(${first.application})`].filter(Boolean).join(" ");
  return (
    <div class="note warn" role="status">
      <Shape tone="warn" />
      <span>
        <Rich text={first ? t("relay.locked", { tables, who: who ?? "" }) : t("relay.locked_before")} />
        {first?.since && <> {t("relay.since", { age: shortDuration(now.value - Date.parse(first.since)) })}.</>}
      </span>
    </div>
  );
}

function Topics({ topics }: { topics: SlowTopic[] }) {
  const columns: Column<SlowTopic>[] = [
    { id: "topic", title: t("messages.topic"), cell: (topic) => <Link to={`/topics/${encodeURIComponent(topic.name)}`}>{topic.name}</Link> },
    { id: "state", title: t("event.state"), hint: t("slow_topic.state_hint"), cell: (topic) => <Status tone={topic.state === "closed" ? "bad" : "warn"} plain>{t(`slow_topic.${topic.state}`)}</Status> },
    { id: "events", title: t("slow_topic.events"), numeric: true, hint: t("slow_topic.events_hint"), cell: (topic) => <Amount text={num(topic.events)} /> },
    { id: "keys", title: t("slow_topic.keys"), numeric: true, cell: (topic) => <Amount text={num(topic.keys)} /> },
    { id: "since", title: t("slow_topic.since"), cell: (topic) => (topic.since ? <Time at={topic.since} relative /> : <span class="quiet">–</span>) },
    { id: "until", title: t("slow_topic.until"), cell: (topic) => <Until topic={topic} /> },
    { id: "error", title: t("slow_topic.error"), mono: true, stretch: true, cell: (topic) => topic.error },
    { id: "relays", title: t("relay.members"), numeric: true, cell: (topic) => <span title={topic.relays.join("\n")}>{num(topic.relays.length)}</span> },
  ];
  return <Table caption={t("slow_topic.title")} columns={columns} rows={topics} rowKey={(topic) => topic.name} query={NO_QUERY} empty={null} isPart />;
}

function Until({ topic }: { topic: SlowTopic }) {
  if (!topic.until) return <span class="quiet">{t("slow_topic.endless")}</span>;
  const left = Date.parse(topic.until) - now.value;
  if (left <= 0) return <>{t(topic.state === "closed" ? "slow_topic.parking" : "slow_topic.soon")}</>;
  return <>{t(topic.state === "closed" ? "slow_topic.parked_in" : "slow_topic.fast_in", { in: shortDuration(left) })}</>;
}

/** Snapshots are long and seldom read: the transaction up to which all is published, or the event in a window that is worked off. */
function Position({ position }: { position: Lane["position"] }) {
  const upTo = position.cursor.split(":")[1] ?? position.cursor;
  const whole = position.target === null ? position.cursor : `${position.cursor}\n→ ${position.target}`;
  return <span title={whole}>{position.target === null ? num(upTo) : t("relay.at_event", { id: num(position.last_id) })}</span>;
}

const laneTones: Record<Lane["state"], Tone> = { idle: "muted", delivering: "ok", catching_up: "info", waiting: "bad", unowned: "warn" };

function Lanes({ lanes }: { lanes: Lane[] }) {
  const columns: Column<Lane>[] = [
    { id: "lane", title: t("event.lane"), numeric: true, cell: (lane) => <Link to={`/outbox?q=lane:${lane.lane}`}>{lane.lane}</Link> },
    { id: "state", title: t("event.state"), cell: (lane) => <Status tone={laneTones[lane.state]} plain><span title={lane.state_text}>{t(`lane.${lane.state}`)}</span></Status> },
    { id: "pending", title: t("overview.pending"), numeric: true, cell: (lane) => <Amount text={count(lane.pending)} /> },
    { id: "held", title: t("relay.held_keys"), numeric: true, hint: t("dead.keys_hint"), cell: (lane) => <Amount text={num(lane.held_keys)} /> },
    { id: "parked", title: t("relay.parked"), numeric: true, cell: (lane) => <Amount text={num(lane.parked)} /> },
    { id: "published", title: t("overview.published"), numeric: true, cell: (lane) => <Amount text={num(lane.published)} /> },
    { id: "position", title: t("relay.position"), numeric: true, hint: t("relay.position_hint"), cell: (lane) => <Position position={lane.position} /> },
    { id: "advanced", title: t("relay.advanced"), cell: (lane) => (lane.advanced_at ? <Age at={lane.advanced_at} /> : <span class="quiet">–</span>) },
    { id: "owner", title: t("relay.owner"), mono: true, stretch: true, cell: (lane) => lane.owner ?? <span class="quiet">–</span> },
    { id: "owned", title: t("relay.owned"), isOptional: true, cell: (lane) => (lane.owned_since ? <Age at={lane.owned_since} /> : <span class="quiet">–</span>) },
    { id: "oldest", title: t("relay.oldest_event"), isOptional: true, cell: (lane) => lane.oldest_at && <Age at={lane.oldest_at} /> },
    { id: "lease", title: t("relay.lease"), mono: true, isOptional: true, cell: (lane) => lane.lease_ends_at && <Time at={lane.lease_ends_at} /> },
    { id: "epoch", title: t("relay.epoch"), numeric: true, isOptional: true, cell: (lane) => num(lane.epoch) },
  ];
  return <Table title={t("relay.lanes")} caption={t("relay.lanes")} columns={columns} rows={lanes} rowKey={(lane) => String(lane.lane)} query={NO_QUERY} empty={<p class="panel-body quiet">{t("relay.no_lanes")}</p>} />;
}
