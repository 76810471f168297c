import type { ComponentChildren, JSX } from "preact";

import { withBase } from "../lib/base";
import { carry } from "../lib/router";

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
