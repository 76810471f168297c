import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

import type { ApiError } from "../api/client";
import { useQuery } from "../api/query";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { Loaded } from "../components/panel";
import { Status } from "../components/status";
import { Time } from "../components/text";
import { num, size } from "../lib/format";
import { t } from "../lib/i18n";
import { bindKeys } from "../lib/keyboard";
import { at, navigate } from "../lib/router";
import type { PageProps } from "../routes";
import { RecordDetail } from "./message_detail";
import { PageHead } from "./topics_parts";

export default function Message({ parts }: PageProps) {
  const { topic = "", partition = "", offset = "" } = parts;
  const query = useQuery("/topics/{topic}/messages/{partition}/{offset}", { path: { topic, partition, offset } }, { live: false });
  const to = (wanted: string) => at("topics", topic, "messages", partition, wanted);
  const here = /^\d{1,19}$/.test(offset) ? BigInt(offset) : null;
  const before = here !== null && here > 0n ? to((here - 1n).toString()) : null;
  const after = here !== null ? to((here + 1n).toString()) : null;
  useEffect(() => bindKeys({ "[": () => before !== null && navigate(before), "]": () => after !== null && navigate(after) }), [before, after]);
  const record = query.data;
  const reason = query.error?.status === 404 ? query.error.problem.reason : undefined;
  return (
    <>
      <PageHead
        crumbs={
          <>
            <Link to="/topics">{t("nav.topics")}</Link> / <Link to={at("topics", topic)}>{topic}</Link> / <Link to={at("topics", topic, "messages")}>{t("nav.messages")}</Link>
          </>
        }
        title={
          <code>
            {topic}[{partition}]@{offset}
          </code>
        }
        chips={
          record && (
            <span class="quiet">
              {record.timestamp !== null && <Time at={record.timestamp} precise />} · {size(record.size)}
              {record.event_type !== null && ` · ${record.event_type}`}
            </span>
          )
        }
      >
        {before !== null && (
          <Link to={before} class="button" title="[">
            <Icon name="left" /> {t("message.before")}
          </Link>
        )}
        {after !== null && (
          <Link to={after} class="button" title="]">
            {t("message.after")} <Icon name="right" />
          </Link>
        )}
        <Link to={`${at("topics", topic, "messages")}?p=${partition}&from=offset:${offset}`} class="button">
          {t("message.from_here")}
        </Link>
      </PageHead>
      <section class="panel" aria-label={t("page.message")}>
        {query.error && reason !== undefined && !record ? (
          <Missing error={query.error} topic={topic} to={to} />
        ) : (
          <Loaded query={query} what={t("message.failed")}>
            {(data) => <RecordDetail record={data} />}
          </Loaded>
        )}
      </section>
    </>
  );
}

/** Why there is no record at this offset: each of the three has another next step. */
function Missing({ error, topic, to }: { error: ApiError; topic: string; to: (offset: string) => string }) {
  const { reason = "", low, end, next } = error.problem;
  let what: ComponentChildren = error.problem.detail;
  let step: ComponentChildren = null;
  if (reason === "expired" && low !== undefined) {
    what = t("message.expired", { low: num(low) });
    step = <Link to={to(low)}>{t("message.first", { offset: num(low) })}</Link>;
  } else if (reason === "not_yet" && end !== undefined) {
    what = t("message.not_yet", { end: num(end) });
    step = <Link to={`${at("topics", topic, "messages")}?live=1`}>{t("message.wait_for_it")}</Link>;
  } else if (reason === "not_a_record") {
    what = t("message.not_a_record");
    step = next !== undefined && next !== "" && <Link to={to(next)}>{t("message.next", { offset: num(next) })}</Link>;
  }
  return (
    <div class="state empty" role="status">
      <Status tone="muted">{t(reason === "expired" ? "message.expired_title" : reason === "not_yet" ? "message.not_yet_title" : "message.not_a_record_title")}</Status>
      <p class="lead">{what}</p>
      {step && <p>{step}</p>}
    </div>
  );
}
