// The page before made-up data: server.mjs [--port N] [--scenario NAME] [--dist] [--prefix /ops/txstream]
//
// Without --dist Vite serves the sources; with it, web/dist is served as the binary serves it, with its headers. GET /_mock?scenario=NAME
// changes the scenario: full, empty, broken (every answer a 503), no_kafka, no_database, slow, forbidden, viewer, odd (texts that break layouts),
// idle, first_use, healthy, locked_table. The token "secret" is wanted in the scenario locked; a start link's is "once".
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "5174" },
    scenario: { type: "string", default: "full" },
    dist: { type: "boolean", default: false },
    prefix: { type: "string", default: "" },
  },
});
const here = fileURLToPath(new URL(".", import.meta.url));
const dist = process.env.WEB_DIST ?? `${here}../dist/`;
let scenario = options.scenario;

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { js: "text/javascript", css: "text/css", json: "application/json", svg: "image/svg+xml", html: "text/html; charset=utf-8" };

const modules = ["common", "events", "decisions", "orders", "relays", "kafka"].filter((name) => existsSync(`${here}fixtures/${name}.mjs`));
const routes = (
  await Promise.all(modules.map(async (name) => Object.entries((await import(pathToFileURL(`${here}fixtures/${name}.mjs`).href)).routes)))
).flat();

function matches(pattern, path) {
  const wanted = pattern.split("/");
  const found = path.split("/");
  if (wanted.length !== found.length) return null;
  const parts = {};
  for (const [index, segment] of wanted.entries()) {
    if (segment.startsWith("{")) parts[segment.slice(1, -1)] = decodeURIComponent(found[index]);
    else if (segment !== found[index]) return null;
  }
  return parts;
}

const problem = (status, code, detail, extra = {}) => ({ problem: { type: `/problems/${code}`, title: code.replaceAll("_", " "), status, detail, code, ...extra } });

async function answerApi(request, path, query) {
  if (scenario === "locked" && request.headers.authorization !== "Bearer secret" && !(request.method === "POST" && path === "/session")) {
    return problem(401, "unauthorized", "A token is needed.");
  }
  if (request.method === "POST" && path === "/session") {
    let body = "";
    for await (const chunk of request) body += chunk;
    return JSON.parse(body).one_time_token === "once"
      ? { token: "secret", role: "viewer", expires_at: new Date(Date.now() + 86400e3).toISOString() }
      : problem(401, "unauthorized", "This link was used before.");
  }
  const found = routes.map(([pattern, make]) => [matches(pattern, path), make]).find(([parts]) => parts);
  if (!found) return problem(404, "not_found", `There is nothing at ${path}.`);
  if (path !== "/session") {
    if (scenario === "broken") return problem(503, "database_unavailable", "connection to 127.0.0.1:5432 refused");
    if (scenario === "forbidden") return problem(403, "forbidden", "The role none may not read this.");
    if (scenario === "slow") await new Promise((resolve) => setTimeout(resolve, 9000));
    const isKafka = /^\/(topics|brokers|groups)|\/record$/.test(path);
    if (scenario === "no_kafka" && isKafka) return problem(503, "kafka_unavailable", "No broker of 127.0.0.1:9092 answered in 5 s.");
    if (scenario === "no_database" && !isKafka && path !== "/overview") return problem(503, "database_unavailable", "connection to 127.0.0.1:5432 refused");
  }
  let body = "";
  if (request.method === "POST" || request.method === "DELETE") for await (const chunk of request) body += chunk;
  return found[1]({ scenario, parts: found[0], query, problem, request, body: body === "" ? null : JSON.parse(body) });
}

function sendJson(response, body) {
  const status = body?.problem ? body.problem.status : 200;
  const text = JSON.stringify(body?.problem ?? body);
  response.writeHead(status, {
    "Content-Type": body?.problem ? "application/problem+json" : "application/json",
    "Cache-Control": "no-store",
    "X-Request-Id": `mock-${Math.random().toString(36).slice(2, 10)}`,
  });
  response.end(text);
}

function serveDist(response, path) {
  const file = path.replace(/^\//, "");
  if (file.startsWith("assets/") && existsSync(dist + file)) {
    response.writeHead(200, { "Content-Type": TYPES[file.split(".").pop()] ?? "application/octet-stream", "Cache-Control": "public, max-age=31536000, immutable" });
    createReadStream(dist + file).pipe(response);
    return;
  }
  // The way to the root, for this depth: the page knows no prefix.
  const up = "../".repeat(Math.max(0, path.split("/").length - 2)) || "./";
  response.writeHead(200, { "Content-Type": TYPES.html, "Cache-Control": "no-store", "Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer" });
  response.end(readFileSync(`${dist}index.html`, "utf8").replaceAll('="./', `="${up}`));
}

const vite = options.dist ? null : await (await import("vite")).createServer({ root: `${here}..`, server: { middlewareMode: true, hmr: { port: Number(options.port) + 1000 } } });

const server = createServer(async (request, response) => {
  let url = new URL(request.url, "http://mock");
  if (options.prefix !== "") {
    if (!url.pathname.startsWith(`${options.prefix}/`)) {
      response.writeHead(404).end();
      return;
    }
    url = new URL(url.pathname.slice(options.prefix.length) + url.search, "http://mock");
  }
  const path = url.pathname;
  if (path === "/_mock") {
    scenario = url.searchParams.get("scenario") ?? scenario;
    response.end(`${scenario}\n`);
  } else if (path.startsWith("/api/console/v1/")) {
    const body = await answerApi(request, path.slice("/api/console/v1".length), url.searchParams);
    if (typeof body === "function") body(response);
    else sendJson(response, body);
  } else if (vite) {
    vite.middlewares(request, response);
  } else {
    serveDist(response, path);
  }
});
server.listen(Number(options.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}${options.prefix}/ (${scenario})`));
// What started it may be killed.
if (process.env.WEB_MOCK_CHILD) process.stdin.resume().on("end", () => process.exit());
