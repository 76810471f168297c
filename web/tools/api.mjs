// Writes src/api/schema.ts from the server's contract. Only when it changed, so that watchers and caches stay calm.
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import openapiTS, { astToString } from "openapi-typescript";

const source = new URL("../../src/console/openapi.yaml", import.meta.url);
const target = new URL("../src/api/schema.ts", import.meta.url);
const text = `// Generated from src/console/openapi.yaml by tools/api.mjs.\n${astToString(await openapiTS(source))}`;
if (!existsSync(target) || readFileSync(target, "utf8") !== text) writeFileSync(target, text);
