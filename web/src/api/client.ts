// Requests to the console's API. The token is in sessionStorage: no cookie, so no other site can use it.
import { signal } from "@preact/signals";

import { apiBase } from "../lib/base";
import type { Answer, DeleteAnswer, DeleteBody, DeletePath, GetPath, PostAnswer, PostBody, PostPath, Problem } from "./types";

export type QueryValue = string | number | boolean | null | undefined;
export interface Args {
  path?: Record<string, string | number>;
  query?: Record<string, QueryValue>;
}

const TOKEN = "txs.token";

function readToken(): string | null {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

export const token = signal<string | null>(typeof sessionStorage === "undefined" ? null : readToken());
/** A request was answered with 401: the frame asks for a token and leaves the page as it is. */
export const isTokenWanted = signal(false);
/** The reader closed the question: a banner asks on, the next refresh does not. */
export const isTokenDeclined = signal(false);

export function setToken(value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, value);
  } catch {
    // Without storage it lives as long as the page.
  }
  token.value = value;
  isTokenWanted.value = false;
  isTokenDeclined.value = false;
}

/** What went wrong with a request, in a form that a panel can show and a colleague can use. */
export class ApiError extends Error {
  constructor(
    readonly url: string,
    readonly status: number,
    readonly problem: Problem,
    readonly requestId: string | null,
  ) {
    super(problem.detail);
  }
  readonly at = new Date().toISOString();

  /** A server that is away is named by what was asked where the answer does not name it. */
  get code(): string {
    const code = this.problem.code ?? "";
    if (code !== "unavailable") return code;
    return /\/v1\/(topics|brokers|groups|records)\b|\/record\b/.test(this.url) ? "kafka_unavailable" : "database_unavailable";
  }

  diagnostics(): string {
    return [
      `GET ${location.origin}${this.url}`,
      `status ${this.status || "none"} ${this.problem.title}`,
      `detail ${this.problem.detail}`,
      `code ${this.code || "none"}`,
      `request ${this.requestId ?? "none"}`,
      `time ${this.at}`,
      `page ${location.href.replace(/#.*/, "")}`,
    ].join("\n");
  }
}

/** "/events/{ref}" with its parts filled in, below the API's root. */
export function apiUrl(path: string, { path: parts = {}, query = {} }: Args = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(parts[name] ?? "")));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `${apiBase}${filled}${text === "" ? "" : `?${text}`}`;
}

export function authorization(): Record<string, string> {
  return token.peek() === null ? {} : { Authorization: `Bearer ${token.peek()}` };
}

// The exchange of a start link's token comes before every other request.
let ready: Promise<void> = Promise.resolve();
export function holdRequests(until: Promise<void>): void {
  ready = until;
}

/** A response with status 2xx; else throws ApiError. An abort is thrown as it is. */
export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  await ready;
  let response: Response;
  try {
    response = await fetch(url, {
      credentials: "omit",
      ...init,
      headers: { Accept: "application/json, application/problem+json", ...authorization(), ...(init.headers as Record<string, string> | undefined) },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(url, 0, { type: "about:blank", title: "no answer", status: 0, detail: "", code: "console_unreachable" }, null);
  }
  if (response.ok) return response;
  // A start link that does not work is no reason to ask: on loopback a viewer may need no token.
  if (response.status === 401 && !(init.method === "POST" && url.endsWith("/session")) && !isTokenDeclined.peek()) isTokenWanted.value = true;
  throw new ApiError(url, response.status, await readProblem(response), response.headers.get("X-Request-Id"));
}

async function readProblem(response: Response): Promise<Problem> {
  const fallback: Problem = { type: "about:blank", title: response.statusText, status: response.status, detail: "" };
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? { ...fallback, ...body } : fallback;
  } catch {
    return fallback; // A proxy may answer with a page of its own.
  }
}

export async function get<P extends GetPath>(path: P, args: Args = {}, signal?: AbortSignal): Promise<Answer<P>> {
  const response = await send(apiUrl(path, args), signal ? { signal } : {});
  return (await response.json()) as Answer<P>;
}

export async function post<P extends PostPath>(path: P, body: PostBody<P>, args: Args = {}): Promise<PostAnswer<P>> {
  const response = await send(apiUrl(path, args), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return (await response.json()) as PostAnswer<P>;
}

export async function remove<P extends DeletePath>(path: P, body: DeleteBody<P>, args: Args = {}): Promise<DeleteAnswer<P>> {
  const response = await send(apiUrl(path, args), { method: "DELETE", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return (await response.json()) as DeleteAnswer<P>;
}

/** Saves what an address of the API answers: a plain link cannot carry the token. */
export async function download(path: string, args: Args, name: string): Promise<void> {
  const response = await send(apiUrl(path, args), { headers: { Accept: "*/*" } });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
