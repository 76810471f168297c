// What a person does: flows.mjs PLAN.json
//
// PLAN: {"base", "named_base", "token", "order", "record": "PARTITION:OFFSET", "topic", "parked_type", "parked_key"}
// Prints one JSON object: {"faults": [...], "presses": {...}, "clicks": {...}, "announced": text}
// A line "produce" on stdout asks the caller for more records; it answers with a line on stdin.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { launch, openTab, pause, settle, visit } from "./browser.mjs";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const found = { faults: [], presses: {}, clicks: {}, announced: null };
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const PRESSES_MAX = 60;

const path = (tab) => tab.page.evaluate(() => location.pathname + location.search);
const text = (tab) => tab.page.evaluate(() => document.querySelector("main")?.innerText ?? "");

async function until(condition, what, patience = 10000) {
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    const value = await condition();
    if (value) return value;
    await pause(30);
  }
  throw new Error(`${what} did not come true`);
}

/** Counts what is pressed; never touches a mouse. */
class Keys {
  constructor(tab) {
    this.tab = tab;
    this.count = 0;
  }
  async press(...keys) {
    for (const key of keys) {
      await this.tab.page.keyboard.press(key);
      this.count += 1;
    }
  }
  async type(word) {
    await this.tab.page.keyboard.type(word);
    this.count += word.length;
  }
  focused() {
    return this.tab.page.evaluate(() => {
      const one = document.activeElement;
      if (!one || one === document.body) return null;
      const box = one.getBoundingClientRect();
      const style = getComputedStyle(one);
      return {
        href: one.getAttribute("href"), text: one.innerText ?? "", tag: one.tagName, label: one.getAttribute("aria-label"),
        isSeen: box.width > 0 && box.bottom > 0 && box.top < innerHeight, hasRing: style.outlineStyle !== "none" || style.boxShadow !== "none" || ["INPUT", "SELECT"].includes(one.tagName),
      };
    });
  }
  /** Tab until the focused element is wanted. Each stop must be visible and have a ring. */
  async tabTo(isWanted, what) {
    for (let step = 0; step < PRESSES_MAX; step += 1) {
      const one = await this.focused();
      if (one && isWanted(one)) return one;
      await this.press("Tab");
      const next = await this.focused();
      if (next && !next.isSeen) found.faults.push(`keyboard: the focus is where nothing is seen: ${JSON.stringify(next)}`);
      if (next && !next.hasRing) found.faults.push(`keyboard: no focus ring on ${JSON.stringify(next)}`);
    }
    throw new Error(`the keyboard does not reach ${what} at ${await path(this.tab)}`);
  }
}

async function arrives(tab, pattern, what) {
  await until(async () => pattern.test(decodeURIComponent(await path(tab))), `${what} (${pattern}), at ${await path(tab)},`);
  if (!(await settle(tab))) throw new Error(`${what} does not settle`);
}

async function orderByKeyboard(browser) {
  const tab = await openTab(browser, plan.base, { token: plan.token });
  const keys = new Keys(tab);
  await visit(tab, "/");
  await keys.press("g", "r");
  await arrives(tab, /^\/orders/, "the list of orders");
  await keys.press("/");
  await keys.type(plan.order.number);
  await keys.press("Enter");
  await settle(tab);
  if (!/^\/orders\/[^?]/.test(await path(tab))) {
    await keys.press("Escape", "j");
    await keys.tabTo((one) => /\/orders\//.test(one.href ?? ""), "the order in the list");
    await keys.press("Enter");
  }
  await arrives(tab, /^\/orders\/[^?]/, "the order");
  await keys.tabTo((one) => /\/outbox\/\d/.test(one.href ?? ""), "the order's event");
  await keys.press("Enter");
  await arrives(tab, /^\/outbox\/\d/, "the event");
  await keys.tabTo((one) => new RegExp(`/topics/.*/messages/${plan.record.replace(":", "/")}`).test(decodeURIComponent(one.href ?? "")), "the event's record");
  await keys.press("Enter");
  await arrives(tab, new RegExp(`^/topics/.*/messages/${plan.record.replace(":", "/")}`), "the record");
  found.presses["overview → order → event → record"] = keys.count;
  keys.count = 0;
  await keys.tabTo((one) => /\/outbox\/\d/.test(one.href ?? ""), "the record's event");
  await keys.press("Enter");
  await arrives(tab, /^\/outbox\/\d/, "the event again");
  await keys.tabTo((one) => /\/orders\/[^?]/.test(one.href ?? ""), "the event's order");
  await keys.press("Enter");
  await arrives(tab, /^\/orders\/[^?]/, "the order again");
  found.presses["record → event → order"] = keys.count;
  await tab.context.close();
  return tab.faults;
}

async function causeByKeyboard(browser) {
  const tab = await openTab(browser, plan.base, { token: plan.token });
  const keys = new Keys(tab);
  await visit(tab, "/");
  await keys.press("g", "d");
  await arrives(tab, /^\/dead-letters/, "the dead letters");
  const page = await text(tab);
  if (!page.includes(plan.parked_type)) throw new Error(`the dead letters do not name ${plan.parked_type}: ${page.slice(0, 400)}`);
  if (!/max\.message\.bytes/.test(page)) {
    await keys.tabTo((one) => /dead-letters|outbox\/\d/.test(one.href ?? "") || one.tag === "SUMMARY" || /open|details/i.test(one.label ?? ""), "the group's details");
    await keys.press("Enter");
    await until(async () => /max\.message\.bytes/.test(await text(tab)), "the cause is named");
  }
  found.presses["overview → cause of a parked event"] = keys.count;
  await tab.context.close();
  return tab.faults;
}

/** The way by mouse: each step is one link that is seen on the page. */
async function clicks(browser) {
  const tab = await openTab(browser, plan.base, { token: plan.token });
  const step = async (selector, pattern, what) => {
    const link = await until(() => tab.page.$(selector), `${what}: a link ${selector}`);
    await link.evaluate((one) => one.scrollIntoView({ block: "center" }));
    await link.click();
    await arrives(tab, pattern, what);
  };
  await visit(tab, `/orders/${plan.order.id}`);
  await step('main a[href*="/outbox/"]', /^\/outbox\/\d/, "order → event");
  await step(`main a[href*="/messages/${plan.record.replace(":", "/")}"]`, /\/messages\/\d+\/\d+/, "event → record");
  found.clicks["order → record"] = 2;
  await step('main a[href*="/outbox/"]', /^\/outbox\/\d/, "record → event");
  await step('main a[href*="/orders/"]', /^\/orders\/[^?]/, "event → order");
  found.clicks["record → order"] = 2;
  await tab.context.close();
  return tab.faults;
}

async function axTree(tab) {
  const session = await tab.page.createCDPSession();
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  const words = (node) => (node.childIds ?? []).map((id) => byId.get(id)).filter(Boolean).map((child) => (child.role?.value === "StaticText" ? child.name?.value : words(child))).join(" ");
  return nodes.filter((node) => !node.ignored).map((node) => ({ role: node.role?.value, name: node.name?.value ?? "", text: words(node), parentId: node.parentId, nodeId: node.nodeId, childIds: node.childIds ?? [] }));
}

async function ask(request) {
  console.log(request);
  await answers.next();
}

/** What a screen reader gets of the live tail: a log of summaries, and a table that is still one. */
async function listenToTail(browser) {
  const tab = await openTab(browser, plan.base, { token: plan.token });
  await visit(tab, `/topics/${encodeURIComponent(plan.topic)}/tail`);
  const logs = async () => (await axTree(tab)).filter((node) => node.role === "log");
  await until(async () => (await logs()).length > 0, "the tail has a log");
  await until(async () => !/connecting/i.test(await text(tab)), "the tail is connected");
  const before = (await logs()).map((node) => node.text).join();
  await ask("produce");
  await until(async () => {
    const now = (await logs()).map((node) => node.text).join();
    return now !== before && /\d/.test(now) && (found.announced = now.trim());
  }, `the log announces the new records (it says: ${before})`, 20000);
  const nodes = await axTree(tab);
  const log = nodes.find((node) => node.role === "log");
  const inside = new Set();
  const walk = (id) => {
    const node = nodes.find((one) => one.nodeId === id);
    inside.add(id);
    for (const child of node?.childIds ?? []) walk(child);
  };
  walk(log.nodeId);
  const tables = nodes.filter((node) => ["table", "grid"].includes(node.role));
  if (tables.length === 0) found.faults.push("tail: no table in the accessibility tree");
  if (tables.some((node) => inside.has(node.nodeId))) found.faults.push("tail: the table is inside the log, which reads every row aloud");
  const rows = nodes.filter((node) => node.role === "row").length;
  const headers = nodes.filter((node) => node.role === "columnheader").length;
  if (rows < 2 || headers < 3) found.faults.push(`tail: the table has ${rows} rows and ${headers} column headers`);
  await tab.context.close();
  return tab.faults;
}

/** http with another name than localhost: the browser has no clipboard interface there. */
async function copyWithoutClipboard(browser) {
  const tab = await openTab(browser, plan.named_base, { token: plan.token });
  await visit(tab, `/orders/${plan.order.id}`);
  if (await tab.page.evaluate(() => window.isSecureContext || Boolean(navigator.clipboard))) throw new Error("the place is trusted; nothing is proven");
  const button = await until(() => tab.page.$('main button[title*="opy"], main button[aria-label*="opy"]'), "a button that copies");
  await button.evaluate((one) => one.scrollIntoView({ block: "center" }));
  await button.click();
  await pause(200);
  const pasted = await tab.page.evaluate(() => {
    const area = document.createElement("textarea");
    area.id = "pasted";
    document.body.append(area);
    area.focus();
  });
  void pasted;
  await tab.page.keyboard.press("KeyV", { commands: ["Paste"] });
  const got = await tab.page.evaluate(() => document.querySelector("#pasted").value);
  if (got.replace(/^v$/, "").trim().length < 3) found.faults.push(`copying on http://NAME copied ${JSON.stringify(got)}`);
  found.copied = got.slice(0, 60);
  await tab.context.close();
  return tab.faults;
}

const browser = await launch({ hosts: [new URL(plan.named_base).hostname] });
try {
  for (const flow of [orderByKeyboard, causeByKeyboard, clicks, listenToTail, copyWithoutClipboard]) {
    if (plan.only && !plan.only.includes(flow.name)) continue;
    try {
      found.faults.push(...(await flow(browser)).map((one) => `${flow.name}: ${one}`));
    } catch (error) {
      found.faults.push(`${flow.name}: ${error.message}`);
    }
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(found));
process.exit(0);
