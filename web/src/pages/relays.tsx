import { NO_QUERY, useQuery } from "../api/query";
import type { Schemas } from "../api/types";
import { Link } from "../components/link";
import { Empty, Loaded, Panel } from "../components/panel";
import { Status, type Tone } from "../components/status";
import { Table, type Column } from "../components/table";
import { Age, Time } from "../components/text";
import { now } from "../lib/clock";
import { count, duration, num, rate, shortDuration } from "../lib/format";
import { sentence, t, tn } from "../lib/i18n";

type Relays = Schemas["Relays"];
type Member = Relays["members"][number];
type Lane = Relays["lanes"][number];

export default function RelaysPage() {
  const relays = useQuery("/relays");
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.relays")}</h1>
        {relays.data && <Summary data={relays.data} />}
      </div>
      <Panel title={t("relay.members")}>
        <Loaded query={relays} what={t("relay.failed")}>
          {(data) => (data.members.length === 0 ? <Empty kind="nothing" title={t("relay.nothing")} text={t("relay.nothing_text")} command="txstream relay" /> : <Members members={data.members} />)}
        </Loaded>
      </Panel>
      {relays.data && (
        <Panel>
          <Lanes lanes={relays.data.lanes} />
        </Panel>
      )}
    </>
  );
}

function Summary({ data }: { data: Relays }) {
  const alive = data.members.filter((member) => member.is_alive).length;
  const owned = data.lanes.filter((lane) => lane.owner !== null).length;
  const hasDifference = data.members.some((member) => member.is_alive && member.config_differs);
  return (
    <>
      <span class="quiet">{tn("relay.summary", alive, { n: num(alive), owned: num(owned), lanes: num(data.lanes.length) })}</span>
      {hasDifference && <Status tone="warn">{t("relay.config_differs")}</Status>}
    </>
  );
}

function breakerTone(state: string): Tone {
  return state === "closed" ? "ok" : state === "open" ? "bad" : "warn";
}

function Members({ members }: { members: Member[] }) {
  return (
    <ul class="members">
      {members.map((member) => (
        <li key={`${member.name} ${member.pid}`} class={member.is_alive ? "member" : "member is-gone"}>
          <div class="member-head">
            <h3 class="mono">{member.name}</h3>
            <Status tone={member.is_alive ? "ok" : "muted"} plain>
              {member.is_alive ? t("relay.alive") : t("relay.gone", { age: shortDuration(now.value - Date.parse(member.seen_at)) })}
            </Status>
            <span class="quiet">
              {member.host} · pid {member.pid} · {member.version} ({member.revision})
            </span>
            {member.config_differs && <Status tone="warn">{t("relay.config_differs")}</Status>}
          </div>
          <dl class="facts">
            <Fact term={t("relay.lanes_owned")} value={num(member.lanes)} />
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
          {member.blocked.length > 0 && (
            <ul class="blocked">
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

const laneTones: Record<Lane["state"], Tone> = { idle: "muted", delivering: "ok", catching_up: "info", waiting: "bad", unowned: "warn" };

function Lanes({ lanes }: { lanes: Lane[] }) {
  const columns: Column<Lane>[] = [
    { id: "lane", title: t("event.lane"), numeric: true, cell: (lane) => <Link to={`/outbox?q=lane:${lane.lane}`}>{lane.lane}</Link> },
    { id: "state", title: t("event.state"), cell: (lane) => <Status tone={laneTones[lane.state]} plain>{t(`lane.${lane.state}`)}</Status> },
    { id: "pending", title: t("overview.pending"), numeric: true, cell: (lane) => <Amount text={count(lane.pending)} /> },
    { id: "held", title: t("relay.held_keys"), numeric: true, hint: t("dead.keys_hint"), cell: (lane) => <Amount text={num(lane.held_keys)} /> },
    { id: "parked", title: t("relay.parked"), numeric: true, cell: (lane) => <Amount text={num(lane.parked)} /> },
    { id: "published", title: t("overview.published"), numeric: true, cell: (lane) => <Amount text={num(lane.published)} /> },
    { id: "advanced", title: t("relay.advanced"), cell: (lane) => (lane.advanced_at ? <Age at={lane.advanced_at} /> : <span class="quiet">–</span>) },
    { id: "owner", title: t("relay.owner"), mono: true, stretch: true, cell: (lane) => lane.owner ?? <span class="quiet">–</span> },
    { id: "lease", title: t("relay.lease"), mono: true, isOptional: true, cell: (lane) => lane.lease_ends_at && <Time at={lane.lease_ends_at} /> },
    { id: "epoch", title: t("relay.epoch"), numeric: true, isOptional: true, cell: (lane) => num(lane.epoch) },
  ];
  return <Table title={t("relay.lanes")} caption={t("relay.lanes")} columns={columns} rows={lanes} rowKey={(lane) => String(lane.lane)} query={NO_QUERY} empty={<p class="panel-body quiet">{t("relay.no_lanes")}</p>} />;
}
