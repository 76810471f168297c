import { refreshNow, isHidden, rate } from "../api/refresh";
import type { QueryState } from "../api/query";
import { isTokenDeclined, isTokenWanted } from "../api/client";
import { session } from "../api/session";
import type { Overview } from "../api/types";
import { now, serverNow } from "../lib/clock";
import { shortDuration } from "../lib/format";
import { t } from "../lib/i18n";
import { Shape, type Tone } from "./status";

/** Data older than this are announced, unless the refresh is off because the reader said so and just loaded the page. */
const OLD_MS = 30_000;

function Banner({ tone, text, action }: { tone: Tone; text: string; action?: { text: string; run: () => void } }) {
  return (
    <p class={`banner ${tone}`}>
      <Shape tone={tone} />
      <span>{text}</span>
      {action && (
        <button type="button" class="button small" onClick={action.run}>
          {action.text}
        </button>
      )}
    </p>
  );
}

/** What holds for every page, and stays until it no longer does. */
export function Banners({ overview }: { overview: QueryState<Overview> }) {
  const who = session.value;
  const age = overview.at === 0 ? 0 : now.value - (overview.at + serverNow() - Date.now());
  const isOld = age > OLD_MS + rate.value * 1000 && !isHidden.value;
  return (
    <div class="banners" role="status">
      {isTokenDeclined.value && (
        <Banner
          tone="warn"
          text={t("token.title")}
          action={{
            text: t("token.enter"),
            run: () => {
              isTokenDeclined.value = false;
              isTokenWanted.value = true;
            },
          }}
        />
      )}
      {who?.is_insecure && <Banner tone="bad" text={t("banner.insecure")} />}
      {who?.is_masked && <Banner tone="muted" text={t("banner.masked")} />}
      {isOld && (
        <Banner
          tone="warn"
          text={t(rate.value === 0 ? "banner.old_paused" : "banner.old", { age: shortDuration(age) })}
          action={{ text: t("refresh.now"), run: refreshNow }}
        />
      )}
    </div>
  );
}
