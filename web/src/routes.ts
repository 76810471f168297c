// Every page: its path, its words, and the script that is loaded when it is first opened.
import type { ComponentType } from "preact";

import type { Key } from "./lib/i18n";

export interface PageProps {
  /** The parts of the path, decoded. */
  parts: Record<string, string>;
}

export interface Route {
  pattern: string;
  title: Key;
  /** The entry of the navigation that is marked. */
  nav: Key;
  load: () => Promise<{ default: ComponentType<PageProps> }>;
}

const developer: Route[] = import.meta.env?.DEV ? [{ pattern: "/_components", title: "nav.overview", nav: "nav.overview", load: () => import("./pages/components") }] : [];

export const routes: Route[] = [
  { pattern: "/", title: "nav.overview", nav: "nav.overview", load: () => import("./pages/overview") },
  { pattern: "/outbox", title: "nav.outbox", nav: "nav.outbox", load: () => import("./pages/outbox") },
  { pattern: "/outbox/:ref", title: "page.event", nav: "nav.outbox", load: () => import("./pages/event") },
  { pattern: "/dead-letters", title: "nav.dead_letters", nav: "nav.dead_letters", load: () => import("./pages/dead_letters") },
  { pattern: "/jobs", title: "nav.jobs", nav: "nav.jobs", load: () => import("./pages/jobs") },
  { pattern: "/jobs/:id", title: "page.job", nav: "nav.jobs", load: () => import("./pages/job") },
  { pattern: "/orders", title: "nav.orders", nav: "nav.orders", load: () => import("./pages/orders") },
  { pattern: "/orders/:id", title: "page.order", nav: "nav.orders", load: () => import("./pages/order") },
  { pattern: "/orders/number/:id", title: "page.order", nav: "nav.orders", load: () => import("./pages/order") },
  { pattern: "/topics", title: "nav.topics", nav: "nav.topics", load: () => import("./pages/topics") },
  { pattern: "/topics/:topic", title: "page.topic", nav: "nav.topics", load: () => import("./pages/topic") },
  { pattern: "/topics/:topic/messages", title: "nav.messages", nav: "nav.messages", load: () => import("./pages/messages") },
  { pattern: "/topics/:topic/messages/:partition/:offset", title: "page.message", nav: "nav.messages", load: () => import("./pages/message") },
  { pattern: "/topics/:topic/tail", title: "page.tail", nav: "nav.messages", load: () => import("./pages/tail") },
  { pattern: "/messages", title: "nav.messages", nav: "nav.messages", load: () => import("./pages/messages") },
  { pattern: "/brokers", title: "nav.brokers", nav: "nav.brokers", load: () => import("./pages/brokers") },
  { pattern: "/brokers/:id", title: "page.broker", nav: "nav.brokers", load: () => import("./pages/brokers") },
  { pattern: "/groups", title: "nav.groups", nav: "nav.groups", load: () => import("./pages/groups") },
  { pattern: "/groups/:group", title: "page.group", nav: "nav.groups", load: () => import("./pages/group") },
  { pattern: "/relays", title: "nav.relays", nav: "nav.relays", load: () => import("./pages/relays") },
  { pattern: "/audit", title: "nav.audit", nav: "nav.audit", load: () => import("./pages/audit") },
  ...developer,
];
