// Only in development: what has no page yet. Operations will use these dialogs.
import { useState } from "preact/hooks";

import { Confirm, JobProgress, levelOf, type Action } from "../components/confirm";
import { Panel } from "../components/panel";
import { Status } from "../components/status";
import { say } from "../components/toasts";

const actions: Action[] = [
  { kind: "retry", count: 41 },
  { kind: "retry", count: 12_431 },
  { kind: "discard", count: 12 },
  { kind: "discard", count: 12_431 },
  { kind: "pause", count: 0 },
];

export default function ComponentsPage() {
  const [open, setOpen] = useState<Action | null>(null);
  const [reason, setReason] = useState("");
  return (
    <>
      <h1>Components</h1>
      <Panel title="Confirmations">
        <div class="panel-body buttons">
          {actions.map((action) => (
            <button key={`${action.kind} ${action.count}`} type="button" class="button" onClick={() => (levelOf(action) === "none" ? say("Done") : setOpen(action))}>
              {action.kind} {action.count}: {levelOf(action)}
            </button>
          ))}
          {reason !== "" && <span>reason: {reason}</span>}
        </div>
      </Panel>
      <Panel title="Jobs">
        <div class="panel-body stack">
          <JobProgress job={{ id: "1", state: "running", done: 5210, failed: 3, total: 12_431, perSecond: 200 }} onCancel={() => say("Cancelled", "muted")} />
          <JobProgress job={{ id: "2", state: "done", done: 12_431, failed: 0, total: 12_431, perSecond: 0 }} />
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
      {open && (
        <Confirm
          action={open}
          title={`${open.kind} ${open.count}`}
          scope="state:parked error:MSG_SIZE_TOO_LARGE"
          sample={["9007199254740987.48209", "9007199254740974.48205", "9007199254740961.48200"]}
          {...(open.kind === "pause" ? { word: "production" } : {})}
          confirmText={open.kind}
          onConfirm={(text) => {
            setReason(text);
            setOpen(null);
          }}
          onClose={() => setOpen(null)}
        />
      )}
    </>
  );
}
