// The scripts lie in assets/, one level below the page's root, whatever prefix a proxy puts before it. A <base> would do the
// same and is refused by the Content-Security-Policy.
const root: string = import.meta.env?.DEV ? "/" : typeof document === "undefined" ? "/" : new URL("..", import.meta.url).pathname;

/** The path of the page's root as the browser sees it; ends with a slash. */
export const basePath = root;

/** An address of the page, or null if it lies outside of it. */
export function withoutBase(pathname: string): string | null {
  return pathname.startsWith(basePath) ? `/${pathname.slice(basePath.length)}` : null;
}

/** `path` begins with a slash and is one of the page's own. */
export function withBase(path: string): string {
  return basePath + path.replace(/^\/+/, "");
}

export const apiBase = `${basePath}api/console/v1`;
