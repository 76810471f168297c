import { useQuery, type QueryState } from "../api/query";
import { session } from "../api/session";
import type { Cause, History, Overview } from "../api/types";
import { Chart } from "../components/chart";
import { Link } from "../components/link";
import { Loaded, Panel, Skeleton } from "../components/panel";
import { RemedyView } from "../components/remedy";
import { Sparkline } from "../components/sparkline";
import { Shape, severityTone, severityWord, type Tone } from "../components/status";
import { Rich, Time } from "../components/text";
import { now } from "../lib/clock";
import { count, duration, num, rate, shortDuration } from "../lib/format";
import { t } from "../lib/i18n";
import { param, withQuery } from "../lib/router";
import { causeText, halves, told } from "../lib/sentences";

const HOURS = [1, 6, 24] as const;

export default function OverviewPage() {
  const overview = useQuery("/overview");
  const wanted = Number(param("hours") ?? 1);
  const hours = HOURS.find((each) => each === wanted) ?? 1;
  const history = useQuery("/overview/history", { query: { hours } }, { keep: true });
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.overview")}</h1>
        {session.value?.links.grafana && (
          <div class="actions">
            <a href={session.value.links.grafana} target="_blank" rel="noreferrer">
              {t("overview.grafana")}
            </a>
          </div>
        )}
      </div>
      <Loaded query={overview} skeleton={<OverviewSkeleton />} what={t("overview.failed")}>
        {(data) => (
          <>
            <Causes causes={data.causes} />
            <Checklist items={data.checklist} />
            <Tiles data={data} history={history.data && padded(history.data, hours)} />
          </>
        )}
      </Loaded>
      <Series history={history} hours={hours} />
      {overview.data && <Incidents incidents={overview.data.incidents} isKnown={overview.data.numbers.lanes !== null} />}
    </>
  );
}

function OverviewSkeleton() {
  return (
    <>
      <div class="hero panel">
        <Skeleton lines={2} />
      </div>
      <div class="tiles">
        {Array.from({ length: 5 }, (_, index) => (
          <div key={index} class="tile">
            <Skeleton lines={3} />
          </div>
        ))}
      </div>
    </>
  );
}

/** One sentence first: what is wrong and what is safe. What else there is stands below it, smaller. */
function Causes({ causes }: { causes: Cause[] }) {
  const [first, ...others] = causes;
  if (!first) return null;
  const tone = severityTone(first.severity);
  const [what, rest] = halves(causeText(first));
  return (
    <section class={`hero panel ${tone}`} aria-label={t("overview.state")}>
      <div class="hero-lead" role="status">
        <Shape tone={tone} />
        <div>
          <p class="hero-what">
            <span class="off-screen">{severityWord(first.severity)}: </span>
            <Rich text={what} />
          </p>
          {rest !== "" && (
            <p class="hero-rest">
              <Rich text={rest} />
            </p>
          )}
          {first.detail && <pre class="error-text">{first.detail}</pre>}
        </div>
      </div>
      <RemedyView remedy={first.remedy}>{first.link && <ShowLink cause={first} />}</RemedyView>
      {others.length > 0 && (
        <ul class="other-causes">
          {others.map((cause) => (
            <OtherCause key={cause.code} cause={cause} />
          ))}
        </ul>
      )}
    </section>
  );
}

function OtherCause({ cause }: { cause: Cause }) {
  const tone = severityTone(cause.severity);
  return (
    <li>
      <Shape tone={tone} />
      <div>
        <p>
          <span class="off-screen">{severityWord(cause.severity)}: </span>
          <Rich text={causeText(cause)} />
        </p>
        {isDecided(cause) && (
          <p class="cause-action">
            <ShowLink cause={cause} />
          </p>
        )}
        {(cause.remedy ?? cause.link ?? cause.detail) && (
          <details>
            <summary>{t("overview.what_to_do")}</summary>
            {cause.detail && <pre class="error-text">{cause.detail}</pre>}
            <RemedyView remedy={cause.remedy}>{cause.link && !isDecided(cause) && <ShowLink cause={cause} />}</RemedyView>
          </details>
        )}
      </div>
    </li>
  );
}

/** What an operator decides here, in the console. */
const isLetters = (cause: Cause) => cause.code === "dead_letters" || cause.code === "dead_letters_growing";
const isDecided = (cause: Cause) => isLetters(cause) || cause.code === "paused";

/** To the page where something can be done: dead letters by the cause that the sentence names. */
function ShowLink({ cause }: { cause: Cause }) {
  const name = cause.params["error_class"];
  const to = isLetters(cause) && name ? `/dead-letters?state=parked&error_class=${encodeURIComponent(name)}` : (cause.link ?? "/");
  return (
    <Link to={to} class="button">
      {t(isLetters(cause) ? "overview.decide" : isDecided(cause) ? "overview.resume" : "overview.show")}
    </Link>
  );
}

function Checklist({ items }: { items: Overview["checklist"] }) {
  if (items.length === 0) return null;
  const first = items.findIndex((item) => !item.is_done);
  return (
    <Panel title={t("overview.checklist")}>
      <ol class="checklist">
        {items.map((item, index) => (
          <li key={item.code} class={item.is_done ? "is-done" : undefined}>
            <Shape tone={item.is_done ? "ok" : "muted"} />
            <div>
              <p>
                <span class="off-screen">{t(item.is_done ? "overview.done" : "overview.to_do")}: </span>
                <Rich text={told("check", { code: `${item.code}.${item.is_done ? "done" : "to_do"}`, text: item.text })} />
              </p>
              {!item.is_done && index === first && <RemedyView remedy={item.remedy} />}
            </div>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

/** Small lines have no axis: what was not measured yet is a hole before them, or a minute would look like an hour. */
function padded(history: History, hours: number): History {
  const missing = Math.max(0, Math.floor((hours * 3600) / history.step_s) - history.at.length);
  const hole = Array.from({ length: missing }, () => null);
  const series = Object.fromEntries(SPARKED.map((name) => [name, [...hole, ...history[name]]]));
  return { ...history, ...series };
}
const SPARKED = ["pending", "oldest_s", "published_per_s", "parked", "p99_ms"] as const;

const none = "–";

interface TileProps {
  label: string;
  value: string;
  note?: string | undefined;
  values?: (number | null)[] | undefined;
  tone?: Tone | undefined;
  to?: string;
}

function Tile({ label, value, note, values, tone, to }: TileProps) {
  const body = (
    <>
      <span class="tile-label">{label}</span>
      <span class="tile-value">
        {value}
        {tone && (tone === "warn" || tone === "bad") && <Shape tone={tone} />}
      </span>
      <Sparkline values={values} tone={tone ?? ""} />
      <span class="tile-note">{note ?? "\u00a0"}</span>
    </>
  );
  return to ? (
    <Link to={to} class="tile">
      {body}
    </Link>
  ) : (
    <div class="tile">{body}</div>
  );
}

/** Beyond these an age is worth a look; the server's sentence says whether it is a fault. */
const OLD_WARN_S = 15;
const OLD_BAD_S = 120;

function Tiles({ data, history }: { data: Overview; history: History | undefined }) {
  const { numbers } = data;
  const oldest = numbers.oldest_s;
  const oldestTone: Tone | undefined = oldest === null ? undefined : oldest >= OLD_BAD_S ? "bad" : oldest >= OLD_WARN_S ? "warn" : undefined;
  const latency = numbers.commit_to_ack_ms;
  const hasParked = numbers.parked !== null && numbers.parked.value !== "0";
  return (
    <div class="tiles">
      <Tile label={t("overview.pending")} value={count(numbers.pending)} values={history?.pending} tone={oldestTone} to="/outbox?q=state:pending" note={t("overview.pending_note")} />
      <Tile
        label={t("overview.oldest")}
        value={oldest === null ? none : duration(oldest * 1000)}
        values={history?.oldest_s}
        tone={oldestTone}
        note={t("overview.oldest_note")}
      />
      <Tile
        label={t("overview.published")}
        value={numbers.published_per_s === null ? none : rate(numbers.published_per_s)}
        values={history?.published_per_s}
        note={numbers.appended_per_s === null ? undefined : t("overview.appended_note", { rate: rate(numbers.appended_per_s) })}
      />
      <Tile
        label={t("overview.latency")}
        value={latency === null ? none : duration(latency.p50)}
        values={history?.p99_ms}
        note={latency === null ? t("overview.latency_note") : t("overview.latency_more", { p95: duration(latency.p95), p99: duration(latency.p99) })}
      />
      <Tile
        label={t("nav.dead_letters")}
        value={count(numbers.parked)}
        values={history?.parked}
        tone={hasParked ? "warn" : undefined}
        to="/dead-letters"
        note={t("overview.parked_note")}
      />
      <Tile
        label={t("overview.lanes")}
        value={numbers.lanes_owned === null || numbers.lanes === null ? t("overview.unknown") : `${num(numbers.lanes_owned)}/${num(numbers.lanes)}`}
        tone={(numbers.lanes_owned ?? 0) < (numbers.lanes ?? 0) ? "warn" : undefined}
        to="/relays"
        note={t("overview.lanes_note")}
      />
    </div>
  );
}

function Series({ history, hours }: { history: QueryState<History>; hours: number }) {
  const choices = (
    <nav class="segments" aria-label={t("overview.span")}>
      {HOURS.map((each) => (
        <Link key={each} to={withQuery({ hours: each === 1 ? null : each })} current={each === hours ? "true" : undefined}>
          {each} h
        </Link>
      ))}
    </nav>
  );
  return (
    <Panel title={t("overview.series")} actions={choices}>
      <Loaded query={history} what={t("overview.series_failed")}>
        {(data) => (data.at.length === 0 || data.appended_per_s.every((value) => value === null) ? <p class="panel-body quiet">{t("overview.no_series")}</p> : <Charts data={data} hours={hours} />)}
      </Loaded>
    </Panel>
  );
}

function Charts({ data, hours }: { data: History; hours: number }) {
  const marks = data.marks.map((mark) => ({ at: mark.at, text: mark.code }));
  const common = { at: data.at, marks, span: hours * 3600 };
  return (
    <div class="charts">
      <Chart
        {...common}
        title={t("chart.rates")}
        format={rate}
        lines={[
          { label: t("chart.written"), values: data.appended_per_s, color: 2 },
          { label: t("chart.published"), values: data.published_per_s, color: 1 },
        ]}
      />
      <Chart
        {...common}
        title={t("chart.waiting")}
        format={(value) => num(value)}
        lines={[
          { label: t("chart.pending"), values: data.pending, color: 1 },
          { label: t("chart.parked"), values: data.parked, color: 2 },
        ]}
      />
      <Chart {...common} title={t("chart.oldest")} format={(value) => shortDuration(value * 1000)} lines={[{ label: t("chart.oldest_line"), values: data.oldest_s, color: 1 }]} />
      <Chart
        {...common}
        title={t("chart.latency")}
        format={duration}
        lines={[
          { label: "p50", values: data.p50_ms, color: 1 },
          { label: "p95", values: data.p95_ms, color: 3 },
          { label: "p99", values: data.p99_ms, color: 2 },
        ]}
      />
    </div>
  );
}

function Incidents({ incidents, isKnown }: { incidents: Overview["incidents"]; isKnown: boolean }) {
  return (
    <Panel title={t("overview.incidents")}>
      {incidents.length === 0 ? (
        <p class="panel-body quiet">{t(isKnown ? "overview.no_incidents" : "overview.incidents_unknown")}</p>
      ) : (
        <div class="table-frame wraps" role="region" aria-label={t("overview.incidents")} tabIndex={0}>
          <table>
            <caption class="off-screen">{t("overview.incidents")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("overview.began")}</th>
                <th scope="col" class="stretch">{t("overview.what")}</th>
                <th scope="col" class="numeric">{t("overview.lasted")}</th>
              </tr>
            </thead>
            <tbody>
              {incidents.map((incident) => {
                const text = told("incident", { ...incident, since: incident.began_at });
                const isOpen = incident.ended_at === null;
                return (
                  <tr key={`${incident.code} ${incident.began_at}`}>
                    <td class="mono"><Time at={incident.began_at} /></td>
                    <td class="stretch" title={text}>
                      <span class="with-shape">
                        <Shape tone={isOpen ? severityTone(incident.severity) : "muted"} />
                        <span class="cut"><Rich text={text} /></span>
                      </span>
                    </td>
                    <td class="numeric">
                      {isOpen
                        ? t("overview.open", { duration: duration(Math.floor((now.value - Date.parse(incident.began_at)) / 1000) * 1000) })
                        : incident.ended_at === incident.began_at
                          ? none
                          : duration(Date.parse(incident.ended_at ?? "") - Date.parse(incident.began_at))}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
