// What a person does: flows.mjs PLAN.json
//
// PLAN: {"base", "named_base", "token", "order", "record": "PARTITION:OFFSET", "topic", "parked_type", "operator": {"base", "token", "key", "paused", "shots"}}
// Prints one JSON object: {"faults": [...], "presses": {...}, "clicks": {...}, "announced": text}
// A line "produce" on stdout asks the caller for more records; it answers with a line on stdin.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { audit, launch, openTab, overflow, pause, resize, setTheme, settle, visit } from "./browser.mjs";

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

/** What axe finds, and what does not fit, in each look; with a picture. */
async function lookAt(tab, name) {
  for (const [theme, width] of [["light", 1280], ["dark", 1280], ["dark", 360], ["light", 360]]) {
    await resize(tab, width);
    await setTheme(tab, theme);
    const excess = await overflow(tab);
    if (excess) found.faults.push(`${name} ${theme} ${width}: ${excess}`);
    for (const one of await audit(tab)) {
      if (["serious", "critical"].includes(one.impact)) found.faults.push(`${name} ${theme} ${width}: axe ${one.id}: ${one.nodes.slice(0, 2).join(" | ")}`);
    }
    await tab.page.screenshot({ path: `${plan.operator.shots}/flow-${name}-${width}-${theme}.png` });
  }
  await resize(tab, 1280);
}

/** From the list of dead letters to an event that Kafka has, without a mouse; Escape and Enter in a field change nothing. */
async function replayByKeyboard(browser) {
  const { base, token, key } = plan.operator;
  const tab = await openTab(browser, base, { token });
  const keys = new Keys(tab);
  await visit(tab, `/dead-letters?key=${encodeURIComponent(key)}`);
  await keys.press("j");
  const isReplay = (one) => one.tag === "BUTTON" && one.text.startsWith("Replay");
  await keys.tabTo(isReplay, "the button of the event");
  await keys.press("Enter");
  const isOpen = () => tab.page.evaluate(() => document.querySelector("dialog[open] form") !== null);
  await until(isOpen, "the plan is shown");
  await keys.press("Escape");
  await until(async () => !(await isOpen()), "Escape closes the dialog");
  await until(async () => isReplay((await keys.focused()) ?? { tag: "", text: "" }), "the focus comes back to the button");
  await keys.press("Enter");
  await until(isOpen, "the plan is shown again");
  const said = await tab.page.evaluate(() => document.querySelector("dialog[open]").innerText);
  if (!/1 event of 1 key is sent again/.test(said)) found.faults.push(`replay: the plan says ${JSON.stringify(said)}`);
  await keys.type("the cause is repaired");
  await keys.press("Enter");
  await pause(300);
  if (!(await isOpen())) found.faults.push("replay: Enter in the reason decides");
  await lookAt(tab, "replay-dialog");
  await tab.page.evaluate(() => document.querySelector("dialog[open] input").focus());
  await keys.tabTo((one) => one.text === "Replay 1 event", "the button that decides");
  await keys.press("Enter");
  await until(async () => /watch=\d+/.test(await path(tab)), "the decision has its progress");
  await until(async () => /1 event replayed: Kafka has it/.test(await text(tab)), "the relay has carried it out", 60000);
  found.presses["dead letter → replayed"] = keys.count;
  await tab.page.reload({ waitUntil: "load" });
  await until(async () => /1 event replayed: Kafka has it/.test(await text(tab)), "a reload shows the same");
  await lookAt(tab, "replayed");
  await tab.context.close();
  return tab.faults;
}

/** A paused topic is resumed without a mouse; Escape and Enter in a field change nothing. */
async function resumeByKeyboard(browser) {
  const { base, token, paused } = plan.operator;
  const tab = await openTab(browser, base, { token });
  const keys = new Keys(tab);
  await visit(tab, "/relays");
  await until(async () => (await text(tab)).includes(paused), "the pause is listed");
  const isResume = (one) => one.tag === "BUTTON" && one.text === "Resume";
  await keys.tabTo((one) => isResume(one) && (one.label ?? "").includes(paused), "the button of the pause");
  await keys.press("Enter");
  const isOpen = () => tab.page.evaluate(() => document.querySelector("dialog[open] form") !== null);
  await until(isOpen, "the question is asked");
  await keys.press("Escape");
  await until(async () => !(await isOpen()), "Escape closes the dialog");
  if (!isResume((await keys.focused()) ?? { tag: "", text: "" })) found.faults.push("resume: the focus does not come back to the button");
  await keys.press("Enter");
  await until(isOpen, "the question is asked again");
  await keys.type("its consumer has moved");
  await keys.press("Enter");
  await pause(300);
  if (!(await isOpen())) found.faults.push("resume: Enter in the reason decides");
  await lookAt(tab, "resume-dialog");
  await tab.page.evaluate(() => document.querySelector("dialog[open] input").focus());
  await keys.tabTo(isResume, "the button that decides");
  await keys.press("Enter");
  await until(async () => !(await isOpen()) && !(await text(tab)).includes(paused), "it is paused no longer");
  found.presses["relays → topic resumed"] = keys.count;
  await lookAt(tab, "resumed");
  await tab.context.close();
  return tab.faults;
}

/** A discard asks for a reason and its number; a viewer has the buttons, and the reason why they do nothing. */
async function discardAsksAndViewersCannot(browser) {
  const { base, token } = plan.operator;
  const tab = await openTab(browser, base, { token });
  await visit(tab, "/dead-letters?error_class=MSG_SIZE_TOO_LARGE");
  const button = (label) => tab.page.evaluateHandle((wanted) => [...document.querySelectorAll("main button")].find((one) => one.innerText.startsWith(wanted)), label);
  await (await button("Discard")).asElement().click();
  await until(() => tab.page.evaluate(() => document.querySelector("dialog[open] form") !== null), "the plan is shown");
  const isReady = () => tab.page.evaluate(() => !document.querySelector("dialog[open] button.danger").disabled);
  if (await isReady()) found.faults.push("discard: no reason is asked for");
  await tab.page.type("dialog[open] input", "test data");
  await until(isReady, "one event can be discarded with a reason");
  await lookAt(tab, "discard-dialog");
  await tab.page.keyboard.press("Escape");
  await tab.context.close();
  const viewer = await openTab(browser, plan.base, { token: plan.token });
  await visit(viewer, "/dead-letters");
  const closed = await viewer.page.evaluate(() => [...document.querySelectorAll("main button")].filter((one) => /^(Replay|Discard)/.test(one.innerText)).map((one) => one.getAttribute("aria-disabled")));
  if (closed.length === 0 || closed.some((one) => one !== "true")) found.faults.push(`viewer: the buttons are ${JSON.stringify(closed)}`);
  if (!/role operator/.test(await text(viewer))) found.faults.push("viewer: nothing says why the buttons do nothing");
  await viewer.context.close();
  return [...tab.faults, ...viewer.faults];
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
  for (const flow of [orderByKeyboard, causeByKeyboard, replayByKeyboard, resumeByKeyboard, discardAsksAndViewersCannot, clicks, listenToTail, copyWithoutClipboard]) {
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
