// The page's budget, gzip, over everything it could ever load: 60 kB of script, 15 kB of style.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const budgets = { js: 60_000, css: 15_000 };
if (!existsSync(dist)) throw new Error("web/dist is missing: tools/web.sh build");
const files = readdirSync(`${dist}assets`).map((name) => ({ name, size: gzipSync(readFileSync(`${dist}assets/${name}`), { level: 9 }).length }));
let failed = false;
for (const [suffix, budget] of Object.entries(budgets)) {
  const mine = files.filter(({ name }) => name.endsWith(`.${suffix}`)).sort((a, b) => b.size - a.size);
  const total = mine.reduce((sum, { size }) => sum + size, 0);
  for (const { name, size } of mine) console.log(`${String(size).padStart(7)}  ${name}`);
  console.log(`${String(total).padStart(7)}  ${suffix} in all, of ${budget}`);
  failed ||= total > budget || total === 0;
}
const html = readFileSync(`${dist}index.html`, "utf8");
// The Content-Security-Policy refuses inline code, and the server puts the way to the root before each "./".
for (const [what, pattern] of [["an inline script", /<script(?![^>]*\bsrc=)/], ["an inline style", /<style|\sstyle=/], ["a base", /<base/], ["an absolute address", /(src|href)="(?!\.\/)/]]) {
  if (pattern.test(html)) {
    console.error(`index.html has ${what}`);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
