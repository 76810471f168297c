// Decisions about dead letters: what each is about, and how far it is.
import { useQuery } from "../api/query";
import type { Job } from "../api/types";
import { TargetText } from "../components/decide";
import { JobBar, JobStateBadge } from "../components/job";
import { Link } from "../components/link";
import { Empty, Panel } from "../components/panel";
import { Table, type Column } from "../components/table";
import { Time } from "../components/text";
import { duration, num } from "../lib/format";
import { now } from "../lib/clock";
import { t } from "../lib/i18n";
import { actionWord, partsOf } from "../lib/jobs";
import { at, param, setQuery, withQuery } from "../lib/router";

const STATES = ["open", "done", "cancelled", "failed"] as const;
type Filter = (typeof STATES)[number];

export default function JobsPage() {
  const state = STATES.find((each) => each === param("state")) ?? null;
  const cursor = param("cursor");
  const jobs = useQuery("/jobs", { query: { state, cursor } }, { keep: true });
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.jobs")}</h1>
      </div>
      <Panel>
        <Table
          caption={t("jobs.caption")}
          columns={columns()}
          rows={jobs.data?.items}
          rowKey={(job) => job.id}
          query={jobs}
          nextCursor={jobs.data?.next_cursor}
          what={t("jobs.failed")}
          tools={<States current={state} />}
          empty={
            state === null ? (
              <Empty kind="nothing" title={t("jobs.nothing")} text={t("jobs.nothing_text")} command="txstream dead-letters replay --error-class MSG_SIZE_TOO_LARGE --rate 200" />
            ) : (
              <Empty kind="no_match" title={t("jobs.no_match")} onClear={() => setQuery({ state: null, cursor: null })} />
            )
          }
        />
      </Panel>
    </>
  );
}

function States({ current }: { current: Filter | null }) {
  return (
    <div class="buttons">
      <nav class="segments" aria-label={t("jobs.filter")}>
        {[null, ...STATES].map((each) => (
          <Link key={each ?? ""} to={withQuery({ state: each, cursor: null })} current={each === current ? "true" : undefined}>
            {t(each === null ? "jobs.all" : `job_state.${each}`)}
          </Link>
        ))}
      </nav>
    </div>
  );
}

function Progress({ job }: { job: Job }) {
  const { events, carriedOut, again } = partsOf(job);
  return (
    <span class="job-lines mono">
      <span>
        {num(carriedOut + again)} / {num(events)}
        {again > 0 && <span class="bad-text"> · {t("jobs.again", { n: num(again) })}</span>}
      </span>
      <JobBar job={job} />
    </span>
  );
}

/** About what, and why. */
function What({ job }: { job: Job }) {
  return (
    <span class="job-lines">
      <span>
        {actionWord(job)} · <TargetText target={job.target} />
      </span>
      <span class="quiet" title={job.reason ?? undefined}>
        {job.reason ?? "–"}
      </span>
    </span>
  );
}

/** What it does, and what it may do. */
function Pace({ job }: { job: Job }) {
  return (
    <>
      {job.per_second === null ? <span class="quiet">–</span> : num(job.per_second, job.per_second < 10 ? 1 : 0)}
      {job.rate !== null && <span class="quiet"> / {num(job.rate)}</span>}
    </>
  );
}

function took(job: Job): string {
  const until = job.ended_at === null ? now.value : Date.parse(job.ended_at);
  return duration(until - Date.parse(job.created_at));
}

function columns(): Column<Job>[] {
  const dash = <span class="quiet">–</span>;
  return [
    { id: "id", title: t("jobs.id"), numeric: true, cell: (job) => <Link to={at("jobs", job.id)}>{job.id}</Link> },
    { id: "state", title: t("jobs.state"), cell: (job) => <JobStateBadge job={job} /> },
    { id: "progress", title: t("jobs.progress"), hint: t("jobs.progress_hint"), cell: (job) => <Progress job={job} /> },
    { id: "what", title: t("jobs.what"), stretch: true, cell: (job) => <What job={job} /> },
    { id: "rate", title: t("jobs.per_second"), hint: t("jobs.per_second_hint"), numeric: true, cell: (job) => <Pace job={job} /> },
    { id: "actor", title: t("audit.actor"), hint: t("audit.actor_hint"), cell: (job) => <span title={`${t("audit.login")}: ${job.login}`}>{job.actor}</span> },
    { id: "created", title: t("audit.at"), cell: (job) => <Time at={job.created_at} relative /> },
    { id: "took", title: t("jobs.took"), hint: t("jobs.took_hint"), numeric: true, cell: took },
    { id: "origin", title: t("audit.origin"), isOptional: true, cell: (job) => t(`audit_origin.${job.origin}`) },
    { id: "login", title: t("audit.login"), mono: true, isOptional: true, cell: (job) => job.login },
    { id: "ended", title: t("jobs.ended"), mono: true, isOptional: true, cell: (job) => (job.ended_at === null ? dash : <Time at={job.ended_at} />) },
    { id: "runner", title: t("jobs.runner"), mono: true, isOptional: true, cell: (job) => job.runner ?? dash },
  ];
}
