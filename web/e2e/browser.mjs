// A real browser before a running console, and everything it complains about.
//
// Debian's chromium, driven by puppeteer-core; nothing is downloaded, and nothing but the console is reached.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import puppeteer from "puppeteer-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** The API refuses on purpose in some worlds, and the browser reports each such answer; a missing script is a fault. */
const REFUSED = /Failed to load resource: .*(status of (4\d\d|50[0-9])|ERR_CONNECTION|ERR_ABORTED|net::)/;

/** `hosts`: names that lead to this machine. */
export async function launch({ hosts = [] } = {}) {
  const rules = [...hosts.map((name) => `MAP ${name} 127.0.0.1`), "EXCLUDE localhost", "EXCLUDE 127.0.0.1"].join(", ");
  return puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-default-apps",
      `--host-resolver-rules=${rules}`,
    ],
  });
}

/** A tab whose complaints are collected in `faults`. `inFlight` counts requests of the page, streams aside. */
export async function openTab(browser, base, { theme = "light", width = 1280, language = "en", token = null, zone = "utc" } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const origin = new URL(base).origin;
  const tab = { page, context, base, faults: [], inFlight: new Set(), requests: [] };
  page.on("console", (message) => {
    if (!["error", "warning", "warn"].includes(message.type())) return;
    const at = message.location()?.url ?? "";
    // On http with a name the browser keeps no such promise, and says so.
    if (/Cross-Origin-Opener-Policy header has been ignored/.test(message.text())) return;
    if (REFUSED.test(message.text()) && at.includes("/api/console/")) return;
    tab.faults.push(`console ${message.type()}: ${message.text()} ${at}`);
  });
  page.on("pageerror", (error) => tab.faults.push(`script error: ${error.message} ${(error.stack ?? "").split("\n")[1] ?? ""}`));
  page.on("request", (request) => {
    const url = request.url();
    tab.requests.push(url);
    if (!url.startsWith(`${origin}/`) && !/^(data|blob|about):/.test(url)) tab.faults.push(`a request leaves the console: ${url}`);
    if (!url.includes("/messages/stream")) tab.inFlight.add(request);
  });
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (request) => tab.inFlight.delete(request));
  page.on("response", (response) => {
    const url = response.url();
    if (response.status() >= 400 && !url.includes("/api/console/")) tab.faults.push(`${response.status()} ${url}`);
  });
  await page.exposeFunction("reportViolation", (text) => tab.faults.push(`CSP: ${text}`));
  await page.evaluateOnNewDocument(
    (settings, secret) => {
      addEventListener("securitypolicyviolation", (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
      if (location.protocol === "about:") return;
      for (const [name, value] of Object.entries(settings)) localStorage.setItem(`txs.${name}`, value);
      if (secret) sessionStorage.setItem("txs.token", secret);
    },
    { theme, language, time_zone: zone },
    token,
  );
  await resize(tab, width);
  return tab;
}

export async function resize(tab, width) {
  await tab.page.setViewport({ width, height: width < 700 ? 844 : 800 });
}

/** Waits until the page is drawn and asks nothing. */
export async function settle(tab, patience = 10000) {
  const deadline = Date.now() + patience;
  let quietSince = null;
  while (Date.now() < deadline) {
    const isDrawn = await tab.page.evaluate(() => document.querySelector("#app")?.childElementCount > 0 && document.querySelector("main") !== null);
    const isQuiet = isDrawn && tab.inFlight.size === 0;
    quietSince = isQuiet ? (quietSince ?? Date.now()) : null;
    if (quietSince !== null && Date.now() - quietSince >= 150) return true;
    await pause(25);
  }
  return false;
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function visit(tab, path) {
  // What the page before was asking ends with it, and the browser does not always say so.
  tab.inFlight.clear();
  await tab.page.goto(tab.base + path, { waitUntil: "load", timeout: 20000 });
  return settle(tab);
}

/** Themes are two sets of the same names: changing one needs no reload. */
export async function setTheme(tab, theme) {
  await tab.page.evaluate((value) => {
    localStorage.setItem("txs.theme", value);
    dispatchEvent(new Event("txs-theme"));
  }, theme);
  await tab.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** What axe calls serious or critical, and every lack of contrast. `only`: the rules to run. */
export async function audit(tab, only = null) {
  if (!(await tab.page.evaluate(() => "axe" in window))) await tab.page.evaluate(AXE);
  const found = await tab.page.evaluate(
    async (tags, rules) => {
      const options = { resultTypes: ["violations"], runOnly: rules ? { type: "rule", values: rules } : { type: "tag", values: tags } };
      const result = await window.axe.run(document, options);
      return result.violations.map((one) => ({
        id: one.id, impact: one.impact, help: one.help,
        nodes: one.nodes.map((node) => `${node.target.join(" ")} ${node.html.slice(0, 160)} ${node.any[0]?.message?.slice(0, 160) ?? ""}`),
      }));
    },
    WCAG,
    only,
  );
  return found;
}

/** How much wider the page is than its window, and the first elements that make it so. */
export async function overflow(tab) {
  return tab.page.evaluate(() => {
    const page = document.documentElement;
    const excess = page.scrollWidth - page.clientWidth;
    if (excess <= 0) return null;
    const wide = [...document.querySelectorAll("body *")]
      .filter((one) => one.getBoundingClientRect().right > page.clientWidth + 1 && !one.closest(".table-frame"))
      .slice(0, 4)
      .map((one) => `${one.tagName.toLowerCase()}.${one.className}`);
    return `${excess} px too wide: ${wide.join(", ")}`;
  });
}
