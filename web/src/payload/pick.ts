// One value of a JSON text, by path, as it was written, without reading the rest into anything: for columns of a table.

export type Step = string | number;

// "items[0].sku", with or without "$." in front; null for what is no path.
export function parsePath(text: string): Step[] | null {
  const steps: Step[] = [];
  const form = /\.?([A-Za-z_$@-][\w$@-]*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]/y;
  const path = text.replace(/^\$\.?/, "");
  while (form.lastIndex < path.length) {
    const found = form.exec(path);
    if (!found) return null;
    steps.push(found[2] !== undefined ? Number(found[2]) : (found[1] ?? found[3] ?? ""));
  }
  return steps.length > 0 ? steps : null;
}

function space(source: string, at: number): number {
  while (at < source.length && source.charCodeAt(at) <= 32) at++;
  return at;
}

function string(source: string, at: number): number {
  for (let end = source.indexOf('"', at + 1); end >= 0; end = source.indexOf('"', end + 1)) {
    let slashes = 0;
    while (source.charCodeAt(end - 1 - slashes) === 92) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  return -1;
}

// Behind the value that begins at `at`; -1 when the text ends first. Does not judge whether it is valid.
function behind(source: string, at: number): number {
  let depth = 0;
  for (let here = at; here < source.length; ) {
    const code = source.charCodeAt(here);
    if (code === 34) {
      here = string(source, here);
      if (here < 0) return -1;
    } else if (code === 123 || code === 91) {
      depth++;
      here++;
    } else if (code === 125 || code === 93) {
      if (depth === 0) return here;
      depth--;
      here++;
    } else if (depth === 0) {
      while (here < source.length && !",]} \n\r\t".includes(source.charAt(here))) here++;
      return here;
    } else {
      here++;
      continue;
    }
    if (depth === 0) return here;
  }
  return -1;
}

// The last of repeated names, as most readers take it.
export function pick(source: string, path: readonly Step[]): string | null {
  let at = space(source, 0);
  for (const step of path) {
    const isArray = typeof step === "number";
    if (source.charAt(at) !== (isArray ? "[" : "{")) return null;
    let found = -1;
    let here = space(source, at + 1);
    for (let index = 0; here < source.length && !"]}".includes(source.charAt(here)); index++) {
      let isWanted = index === step;
      if (!isArray) {
        const end = source.charAt(here) === '"' ? string(source, here) : -1;
        if (end < 0) return null;
        isWanted = source.slice(here + 1, end - 1) === step;
        here = space(source, space(source, end) + 1);
      }
      if (isWanted) found = here;
      if (isWanted && isArray) break;
      here = behind(source, here);
      if (here < 0) break;
      here = space(source, here);
      if (source.charAt(here) === ",") here = space(source, here + 1);
    }
    if (found < 0) return null;
    at = found;
  }
  const end = behind(source, at);
  return end <= at ? null : source.slice(at, end);
}
