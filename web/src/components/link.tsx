import type { ComponentChildren, JSX } from "preact";

import { withBase } from "../lib/base";
import { place } from "../lib/router";

export interface LinkProps {
  /** A path of the page, with its query. The refresh rate goes along. */
  to: string;
  children: ComponentChildren;
  class?: string | undefined;
  title?: string | undefined;
  turns?: boolean;
  current?: "page" | "true" | undefined;
  label?: string | undefined;
}

/** A real link, so that a middle click works; lib/router takes plain clicks over. */
export function Link({ to, children, turns = false, current, label, ...rest }: LinkProps): JSX.Element {
  return (
    <a href={withBase(carry(to))} data-turns={turns ? "1" : undefined} aria-current={current} aria-label={label} {...rest}>
      {children}
    </a>
  );
}

/** What holds for the session and not for a page stays in the URL from page to page. */
function carry(to: string): string {
  const refresh = place.value.query.get("refresh");
  if (refresh === null || /[?&]refresh=/.test(to)) return to;
  return `${to}${to.includes("?") ? "&" : "?"}refresh=${encodeURIComponent(refresh)}`;
}
