import type { Job } from "../api/types";
import { TargetText } from "../components/decide";
import { CancelButton, CancelDialog, JobBar, JobStateBadge, JobTrouble, Pace, useJob } from "../components/job";
import { Copy } from "../components/copy";
import { Link } from "../components/link";
import { Loaded, Panel } from "../components/panel";
import { Shape } from "../components/status";
import { Age, DefinitionList, Time } from "../components/text";
import { duration, num, rate } from "../lib/format";
import { t } from "../lib/i18n";
import { actionWord, hasEnded, jobText, lettersPath, partsOf, toneOf } from "../lib/jobs";
import type { PageProps } from "../routes";

export default function JobPage({ parts }: PageProps) {
  const id = parts["id"] ?? "";
  const query = useJob(id);
  const job = query.data;
  return (
    <>
      <div class="page-head">
        <nav class="crumbs" aria-label={t("nav.crumbs")}>
          <Link to="/jobs">{t("nav.jobs")}</Link> / <span class="mono">{id}</span>
        </nav>
        <h1>{job ? t("job.heading", { action: actionWord(job), id }) : t("page.job")}</h1>
        {job && <JobStateBadge job={job} />}
        {job && (
          <div class="actions">
            <CancelButton job={job} />
            <Copy label={t("action.copy_link")} text={() => location.href} />
          </div>
        )}
      </div>
      <CancelDialog />
      <Loaded query={query} what={t("job.failed")}>
        {(data) => <Detail job={data} />}
      </Loaded>
    </>
  );
}

function Detail({ job }: { job: Job }) {
  const letters = lettersPath(job);
  return (
    <>
      <Panel>
        <div class="panel-body stack job-detail">
          <p class="with-shape lead" role="status">
            <Shape tone={toneOf(job)} />
            <span>{jobText(job)}</span>
          </p>
          <JobBar job={job} />
          <Figures job={job} />
          {!hasEnded(job) && (
            <p class="quiet">
              <Pace job={job} />
            </p>
          )}
          <JobTrouble job={job} />
          {!hasEnded(job) && (
            <p class="quiet">
              {t("job.next")} <Link to="/relays">{t("nav.relays")}</Link>
            </p>
          )}
          {hasEnded(job) && job.parked_again !== "0" && letters !== null && (
            <p>
              <Link to={letters}>{t("job.letters")}</Link>
            </p>
          )}
        </div>
      </Panel>
      <Facts job={job} />
    </>
  );
}

/** The bar's legend: what it is made of, in figures. */
function Figures({ job }: { job: Job }) {
  const { carriedOut, again, waiting, rest } = partsOf(job);
  const figures = [
    { name: "done", word: t(`job.part_done_${job.action}`), count: carriedOut },
    ...(job.action === "replay" ? [{ name: "again", word: t("job.part_again"), count: again }] : []),
    { name: "due", word: t("job.part_waiting"), count: waiting },
    { name: "rest", word: t(job.is_cancellable ? "job.part_rest" : "job.part_left"), count: rest },
  ];
  return (
    <dl class="job-figures">
      {figures.map(({ name, word, count }) => (
        <div key={name} class={count === 0 ? "is-zero" : undefined}>
          <dt>
            <span class={`swatch ${name}`} aria-hidden="true" />
            {word}
          </dt>
          <dd>{num(count)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Facts({ job }: { job: Job }) {
  const took = job.ended_at !== null && job.started_at !== null ? Date.parse(job.ended_at) - Date.parse(job.started_at) : null;
  return (
    <Panel>
      <DefinitionList
        items={[
          { term: t("audit.target"), value: <TargetText target={job.target} /> },
          { term: t("audit.reason"), value: job.reason ?? <span class="quiet">–</span> },
          { term: t("audit.actor"), value: job.actor },
          { term: t("audit.origin"), value: t(`audit_origin.${job.origin}`) },
          { term: t("audit.login"), value: <span class="mono">{job.login}</span> },
          { term: t("jobs.limit"), value: job.rate === null ? t("job.no_limit") : rate(job.rate) },
          job.per_second !== null && { term: t("jobs.per_second"), value: rate(job.per_second) },
          job.runner !== null && { term: t("jobs.runner"), value: <span class="mono">{job.runner}</span> },
          { term: t("audit.at"), value: <Age at={job.created_at} /> },
          job.started_at !== null && { term: t("job.started"), value: <Time at={job.started_at} precise /> },
          job.decided_at !== null && { term: t("job.decided"), value: <Time at={job.decided_at} precise /> },
          job.ended_at !== null && {
            term: t("jobs.ended"),
            value: (
              <>
                <Time at={job.ended_at} precise />
                {took !== null && <span class="quiet"> · {duration(took)}</span>}
              </>
            ),
          },
          job.cancelled_at !== null && {
            term: t("job.cancelled"),
            value: (
              <>
                <Time at={job.cancelled_at} precise /> · {job.cancelled_by}
              </>
            ),
          },
          job.cancel_reason !== null && { term: t("job.cancel_reason"), value: job.cancel_reason },
        ]}
      />
    </Panel>
  );
}
