// Takes pictures: shots.mjs OUT [--paths /,/outbox] [--scenarios full,empty] [--widths 1280,390] [--themes light,dark] [--base URL] [--lang en]
// The page must be served by dev/server.mjs. What the browser complains about is printed, and makes it fail.
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";

import puppeteer from "puppeteer-core";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    base: { type: "string", default: "http://127.0.0.1:5174" },
    paths: { type: "string", default: "/" },
    scenarios: { type: "string", default: "full" },
    widths: { type: "string", default: "1280,390" },
    themes: { type: "string", default: "light,dark" },
    lang: { type: "string", default: "en" },
    wait: { type: "string", default: "200" },
    full: { type: "boolean", default: true },
  },
});
const out = positionals[0] ?? "var/shots";
mkdirSync(out, { recursive: true });
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"] });
let complaints = 0;
for (const scenario of values.scenarios.split(",")) {
  await fetch(`${new URL(values.base).origin}/_mock?scenario=${scenario}`);
  for (const theme of values.themes.split(",")) {
    for (const width of values.widths.split(",").map(Number)) {
      const page = await browser.newPage();
      page.on("console", (message) => {
        if (!/error|warn/.test(message.type()) || /status of (503|403|404|401)/.test(message.text())) return;
        complaints += 1;
        console.log(`${scenario} ${message.type()}: ${message.text()}`);
      });
      page.on("pageerror", (error) => {
        complaints += 1;
        console.log(`${scenario} ${error.stack}`);
      });
      await page.setViewport({ width, height: width < 700 ? 844 : 800 });
      await page.evaluateOnNewDocument(
        (theme_, language) => {
          localStorage.setItem("txs.theme", theme_);
          localStorage.setItem("txs.language", language);
          document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
        },
        theme,
        values.lang,
      );
      for (const path of values.paths.split(",")) {
        await page.goto(values.base + path, { waitUntil: "networkidle0", timeout: 60000 });
        await new Promise((resolve) => setTimeout(resolve, Number(values.wait)));
        const name = `${path.replace(/^\//, "").replace(/[^\w-]+/g, "_") || "overview"}-${scenario}-${width}-${theme}${values.lang === "en" ? "" : `-${values.lang}`}.png`;
        await page.screenshot({ path: `${out}/${name}`, fullPage: values.full });
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (overflow > 0) console.log(`${name}: the page is ${overflow} px too wide`);
      }
      await page.close();
    }
  }
}
await browser.close();
process.exit(complaints === 0 ? 0 : 1);
