// Only in development: what other pages show seldom.
import { Planned } from "../components/decide";
import { Told } from "../components/decision_progress";
import { Panel } from "../components/panel";
import { Status } from "../components/status";
import { say } from "../components/toasts";
import type { DecisionPlan, DecisionProgress } from "../api/types";

const plan = (action: "replay" | "discard", events: string): DecisionPlan => ({ action, events, keys: "3", held_behind: "17", keys_passed: "3", left_out: "2", sample: [] });
const progress = (part: Partial<DecisionProgress>): DecisionProgress => ({
  entry: { id: "7", at: new Date().toISOString(), actor: "ana", login: "txstream", origin: "console", action: "dead-letters replay", target: { error_class: "MSG_SIZE_TOO_LARGE" }, reason: "the topic takes 4 MiB now", affected: "12", result: "done" },
  events: "12431",
  decided: "12431",
  is_deciding: false,
  waiting: { value: "0", exact: true },
  carried_out: "12431",
  ...part,
});

export default function ComponentsPage() {
  return (
    <>
      <h1>Components</h1>
      {[plan("replay", "41"), plan("discard", "12431")].map((each) => (
        <Panel key={each.action} title={each.action}>
          <div class="panel-body">
            <Planned plan={each} onDecide={() => say("Decided")} onClose={() => say("Closed", "muted")} />
          </div>
        </Panel>
      ))}
      <Panel title="Progress">
        <div class="panel-body stack">
          <Told progress={progress({ decided: "10000", is_deciding: true, waiting: { value: "10000", exact: true }, carried_out: null })} />
          <Told progress={progress({ waiting: { value: "7221", exact: true }, carried_out: null })} />
          <Told progress={progress({ carried_out: "12400" })} />
          <Told progress={progress({ decided: "10000", carried_out: "10000" })} />
          <Told progress={progress({})} />
        </div>
      </Panel>
      <Panel title="Status">
        <div class="panel-body buttons">
          {(["ok", "info", "warn", "bad", "muted"] as const).map((tone) => (
            <Status key={tone} tone={tone}>
              {tone}
            </Status>
          ))}
        </div>
      </Panel>
    </>
  );
}
