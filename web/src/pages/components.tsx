// Only in development: what other pages show seldom.
import { Planned } from "../components/decide";
import { Told } from "../components/job";
import { Panel } from "../components/panel";
import { Status } from "../components/status";
import { say } from "../components/toasts";
import type { DecisionPlan, Job } from "../api/types";

const plan = (action: "replay" | "discard", events: string): DecisionPlan => ({ action, events, keys: "3", held_behind: "17", keys_passed: "3", left_out: "2", sample: [] });
const AT = new Date().toISOString();
const job = (part: Partial<Job>): Job => ({
  id: "12", action: "replay", state: "running", target: { error_class: "MSG_SIZE_TOO_LARGE" }, actor: "ana", login: "txstream", origin: "console", reason: "the topic takes 4 MiB now", rate: null, events: "20000", decided: "20000", waiting: "0", carried_out: "20000", parked_again: "0",
  per_second: 188, created_at: AT, started_at: AT, decided_at: AT, ended_at: AT, is_ended: true, cancelled_at: null, cancelled_by: null, cancel_reason: null, is_cancellable: false, runner: null, error: null, ...part,
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
          <Told job={job({ decided: "12000", carried_out: "11000", waiting: "1000", decided_at: null, is_ended: false, is_cancellable: true })} />
          <Told job={job({ carried_out: "12000", waiting: "7800", parked_again: "200", is_ended: false })} />
          <Told job={job({ state: "done", carried_out: "19800", parked_again: "200" })} />
          <Told job={job({ state: "failed", decided: "12000", carried_out: "12000", error: "ERROR: canceling statement due to statement timeout" })} />
          <Told job={job({ state: "done" })} />
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
