// What operators did, in the console and on the command line.
import { useQuery } from "../api/query";
import type { AuditEntry } from "../api/types";
import { TargetText } from "../components/decide";
import { Link } from "../components/link";
import { Empty, Panel } from "../components/panel";
import { Table, type Column } from "../components/table";
import { Time } from "../components/text";
import { num } from "../lib/format";
import { sentence, t } from "../lib/i18n";
import { at, param, setQuery, withQuery } from "../lib/router";

const ACTIONS = ["dead-letters replay", "dead-letters discard", "jobs cancel", "relays pause", "relays resume", "relays drain", "relays drain --cancel", "outbox rebase"];

/** The page's words; what another version did keeps its own name. */
const actionWord = (action: string) => sentence("audit_action", action, {}) ?? action;

function resultWord(result: string): string {
  if (result === "done") return t("audit.done");
  const step = /^(\d+) to (\d+) of (\d+)$/.exec(result);
  return step ? t("audit.step", { from: num(step[1] ?? ""), to: num(step[2] ?? ""), of: num(step[3] ?? "") }) : result;
}

/** Of a decision it leads to what became of it. */
function Result({ entry }: { entry: AuditEntry }) {
  const word = resultWord(entry.result);
  if (entry.job === null) return <>{word}</>;
  return (
    <Link to={at("jobs", entry.job)} label={`${word}: ${t("audit.look_at", { id: entry.job })}`}>
      {word}
    </Link>
  );
}

export default function AuditPage() {
  const action = param("action");
  const cursor = param("cursor");
  const audit = useQuery("/audit", { query: { action, cursor } }, { keep: true });
  const columns: Column<AuditEntry>[] = [
    { id: "at", title: t("audit.at"), mono: true, cell: (entry) => <Time at={entry.at} /> },
    { id: "actor", title: t("audit.actor"), hint: t("audit.actor_hint"), cell: (entry) => <span title={`${t("audit.login")}: ${entry.login}`}>{entry.actor}</span> },
    { id: "origin", title: t("audit.origin"), cell: (entry) => t(`audit_origin.${entry.origin}`) },
    { id: "action", title: t("audit.action"), cell: (entry) => <Link to={withQuery({ action: entry.action, cursor: null })}>{actionWord(entry.action)}</Link> },
    { id: "affected", title: t("audit.affected"), numeric: true, cell: (entry) => num(entry.affected) },
    { id: "result", title: t("audit.result"), hint: t("audit.result_hint"), cell: (entry) => <Result entry={entry} /> },
    { id: "job", title: t("page.job"), numeric: true, isOptional: true, cell: (entry) => entry.job ?? <span class="quiet">–</span> },
    { id: "target", title: t("audit.target"), cell: (entry) => <TargetText target={entry.target} /> },
    { id: "reason", title: t("audit.reason"), stretch: true, cell: (entry) => <span title={entry.reason ?? undefined}>{entry.reason ?? <span class="quiet">–</span>}</span> },
    { id: "login", title: t("audit.login"), mono: true, isOptional: true, cell: (entry) => entry.login },
    { id: "id", title: t("audit.id"), numeric: true, isOptional: true, cell: (entry) => entry.id },
  ];
  const choices = [null, ...ACTIONS, ...(action !== null && !ACTIONS.includes(action) ? [action] : [])];
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.audit")}</h1>
      </div>
      <Panel>
        <Table
          caption={t("audit.caption")}
          columns={columns}
          rows={audit.data?.items}
          rowKey={(entry) => entry.id}
          query={audit}
          nextCursor={audit.data?.next_cursor}
          what={t("audit.failed")}
          tools={
            <div class="buttons">
              <nav class="segments" aria-label={t("audit.filter")}>
                {choices.map((each) => (
                  <Link key={each ?? ""} to={withQuery({ action: each, cursor: null })} current={each === action ? "true" : undefined}>
                    {each === null ? t("audit.all") : actionWord(each)}
                  </Link>
                ))}
              </nav>
            </div>
          }
          empty={action === null ? <Empty kind="nothing" title={t("audit.nothing")} text={t("audit.nothing_text")} /> : <Empty kind="no_match" title={t("audit.no_match")} onClear={() => setQuery({ action: null, cursor: null })} />}
        />
      </Panel>
    </>
  );
}
