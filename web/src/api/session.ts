// Who asks. A start link carries `#token=`: exchanged once, and removed from the URL before anything else is asked.
import { computed, signal } from "@preact/signals";

import { noteServerTime } from "../lib/clock";
import { apiUrl, get, holdRequests, send, setToken, token } from "./client";
import { floor } from "./refresh";
import type { Session } from "./types";

export const session = signal<Session | null>(null);
/** The start link was used before or is too old: shown with the question for a token. */
export const linkFailed = signal(false);
export const mayOperate = computed(() => session.value?.role === "operator" && session.value.features.operations);

async function exchange(oneTimeToken: string): Promise<void> {
  try {
    const response = await send(apiUrl("/session"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ one_time_token: oneTimeToken }),
    });
    const answer = (await response.json()) as { token: string };
    setToken(answer.token);
  } catch {
    linkFailed.value = true;
  }
}

async function load(): Promise<void> {
  try {
    const answer = await get("/session");
    session.value = answer;
    floor.value = answer.refresh_floor_s;
    noteServerTime(answer.server_time);
  } catch {
    // The panels say what is wrong; without a session the frame shows nothing that needs a role.
  }
}

export function startSession(): void {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (found?.[1] !== undefined) {
    history.replaceState(history.state, "", location.pathname + location.search);
    let release: () => void = () => undefined;
    // The exchange itself must not wait for the hold that it ends.
    const done = exchange(decodeURIComponent(found[1])).finally(() => release());
    holdRequests(new Promise((resolve) => (release = resolve)));
    void done;
  }
  token.subscribe(() => void load());
}
