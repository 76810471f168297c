// Completes what is typed into a search: names of qualifiers, and the values of those that have few.
export interface Qualifier {
  name: string;
  /** What it means, in the reader's language. */
  hint: string;
  values?: readonly string[];
}

export interface Completion {
  /** What is replaced: from here to the caret. */
  from: number;
  text: string;
  hint: string;
}

/** Where the word under the caret begins: blanks within double quotes are part of it. */
export function wordStart(text: string, caret: number): number {
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < caret; index += 1) {
    const character = text[index];
    if (character === '"') isQuoted = !isQuoted;
    else if (character === " " && !isQuoted) start = index + 1;
  }
  return start;
}

export function complete(text: string, caret: number, qualifiers: readonly Qualifier[]): Completion[] {
  const start = wordStart(text, caret);
  const word = text.slice(start, caret);
  const colon = word.indexOf(":");
  if (colon < 0) {
    return qualifiers.filter(({ name }) => name.startsWith(word.toLowerCase())).map(({ name, hint }) => ({ from: start, text: `${name}:`, hint }));
  }
  const qualifier = qualifiers.find(({ name }) => name === word.slice(0, colon).toLowerCase());
  if (!qualifier?.values) return [];
  // Several values are separated by commas; the last one is being typed.
  const valueStart = Math.max(colon, word.lastIndexOf(",")) + 1;
  const value = word.slice(valueStart).toLowerCase();
  return qualifier.values
    .filter((each) => each.startsWith(value) && each !== value)
    .map((each) => ({ from: start + valueStart, text: each, hint: "" }));
}

/** A value with blanks or commas stands in double quotes; the grammar has no way to write a quote. */
export function quoted(value: string): string {
  return /[\s,]/.test(value) || value === "" ? `"${value}"` : value;
}
