// Every page of a running console, in both themes and two widths: tour.mjs PLAN.json
//
// PLAN: {"base", "world", "token", "shots": directory or null, "pages": [{"name", "path", "says": text or null}], "full": bool}
// Prints one JSON object: {"faults": [...], "axe": {impact: count}, "pages": n, "first_paint_ms": [...], "blank_paint_ms": [...]}
import { mkdirSync, readFileSync } from "node:fs";

import { audit, launch, openTab, overflow, resize, setTheme, visit } from "./browser.mjs";

const plans = JSON.parse(readFileSync(process.argv[2], "utf8"));
const LOOKS = { full: [["light", 1280], ["dark", 1280], ["dark", 390], ["light", 390]], short: [["light", 1280], ["dark", 390]] };
const TABS = 2;
const found = { faults: [], axe: {}, looks: 0, first_paint_ms: [], blank_paint_ms: [], visited: [], notes: new Set() };

/** One visit; the looks change without a reload, so each costs a redraw and an audit. */
async function look(tab, plan, page) {
  const where = `${plan.world} ${page.path}`;
  await setThemeBefore(tab);
  const isSettled = await visit(tab, page.path);
  if (!isSettled) found.faults.push(`${where}: still asking after 10 s`);
  const text = await tab.page.evaluate(() => document.querySelector("main")?.innerText ?? "");
  if (page.says && !page.says.some((one) => text.includes(one))) found.faults.push(`${where}: says none of ${JSON.stringify(page.says)} but: ${text.slice(0, 300)}`);
  if (text.trim().length < 10) found.faults.push(`${where}: the page is blank`);
  for (const [index, [theme, width]] of LOOKS[plan.full ? "full" : "short"].entries()) {
    await resize(tab, width);
    await setTheme(tab, theme);
    const name = `${where} ${theme} ${width}`;
    const excess = await overflow(tab);
    if (excess) found.faults.push(`${name}: ${excess}`);
    // Structure does not depend on the look; colours, sizes and what is scrollable do.
    const violations = await audit(tab, index === 0 ? null : ["color-contrast", "target-size", "scrollable-region-focusable"]);
    for (const one of violations) {
      found.axe[one.impact] = (found.axe[one.impact] ?? 0) + one.nodes.length;
      if (!["serious", "critical"].includes(one.impact)) found.notes.add(`${plan.world} ${page.name}: ${one.impact} ${one.id}: ${one.nodes[0]}`);
      else found.faults.push(`${name}: axe ${one.impact} ${one.id} (${one.help}): ${one.nodes.slice(0, 3).join(" | ")}`);
    }
    if (plan.shots) await tab.page.screenshot({ path: `${plan.shots}/${plan.world}-${page.name}-${width}-${theme}.png`, fullPage: true });
    found.looks += 1;
  }
  found.faults.push(...tab.faults.splice(0).map((one) => `${where}: ${one}`));
  found.visited.push(where);
}

const setThemeBefore = (tab) => resize(tab, 1280);

async function runPlan(browser, plan) {
  if (plan.shots) mkdirSync(plan.shots, { recursive: true });
  const waiting = [...plan.pages];
  await Promise.all(
    Array.from({ length: TABS }, async () => {
      const tab = await openTab(browser, plan.base, { token: plan.token });
      for (let page = waiting.shift(); page; page = waiting.shift()) {
        try {
          await look(tab, plan, page);
        } catch (error) {
          found.faults.push(`${plan.world} ${page.path}: ${error.message}`);
        }
      }
      await tab.context.close();
    }),
  );
}

/** A new profile each time: nothing is cached. */
async function firstPaint(browser, plan) {
  const tab = await openTab(browser, plan.base, { token: plan.token });
  await visit(tab, "/");
  const ms = await tab.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null);
  await tab.context.close();
  return ms;
}

/** What a page without anything takes at the same moment: the browser's share, and what else the machine does. */
async function blankPaint(browser) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.goto("data:text/html,<p>nothing</p>");
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const ms = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  await context.close();
  return ms;
}

const browser = await launch();
try {
  for (const plan of plans) {
    for (let round = 0; round < (plan.first_paints ?? 0); round += 1) {
      found.blank_paint_ms.push(await blankPaint(browser));
      found.first_paint_ms.push(await firstPaint(browser, plan));
    }
    await runPlan(browser, plan);
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ ...found, notes: [...found.notes] }));
