// The bytes of a key, a value or a header: a text where they are UTF-8, else bytes.

import { JsonText } from "./json";
import { nameOf } from "./text";

export interface ApiBytes {
  encoding: "utf8" | "base64";
  data: string;
  size: string;
  truncated: boolean;
  is_masked?: boolean;
}

export interface Payload {
  text: string | null; // null: not UTF-8
  bytes: Uint8Array;
  size: number; // of the whole, which may be longer than what is here
  isCut: boolean;
  isMasked: boolean;
}

export function payloadOf(api: ApiBytes): Payload {
  const isText = api.encoding === "utf8";
  const bytes = isText ? new TextEncoder().encode(api.data) : fromBase64(api.data);
  return { text: isText ? api.data : null, bytes, size: Number(api.size), isCut: api.truncated, isMasked: api.is_masked === true };
}

export function payloadOfBytes(bytes: Uint8Array): Payload {
  return { text: decode(bytes), bytes, size: bytes.length, isCut: false, isMasked: false };
}

// fatal: invalid bytes must not become U+FFFD. ignoreBOM: a byte order mark is part of the text and stays.
export function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function fromBase64(data: string): Uint8Array {
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

export function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export const HEX_WIDTH = 16;

export interface HexRow {
  offset: string;
  hex: string;
  ascii: string;
  names: string; // of its control characters, by place
}

export function hexRow(bytes: Uint8Array, row: number, width = HEX_WIDTH): HexRow {
  const from = row * width;
  let hex = "";
  let ascii = "";
  const names: string[] = [];
  for (let at = from; at < from + width; at++) {
    if (at > from && (at - from) % 8 === 0) hex += " ";
    const byte = bytes[at];
    hex += byte === undefined ? "   " : byte.toString(16).padStart(2, "0") + " ";
    if (byte === undefined) continue;
    ascii += byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "\u00b7";
    if (byte < 32 || byte === 127) names.push(`${at.toString(16)} ${nameOf(byte)}`);
  }
  return { offset: from.toString(16).padStart(8, "0"), hex: hex.trimEnd(), ascii, names: names.join(", ") };
}

export type Mode = "json" | "text" | "raw" | "hex";

// Which ways to show it there are, the best one first. A text that begins as an object or array is meant to be JSON, and the reader
// wants to see where it is none; a bare scalar is JSON only if all of it is one.
export function modesOf(payload: Payload): Mode[] {
  const text = payload.text;
  if (text === null) return ["hex"];
  const isJson = /^[ \t\r\n]*[[{]/.test(text) || (/^[ \t\r\n]*["\-\dtfn]/.test(text) && text.length <= 65536 && isScalar(text));
  return isJson ? ["json", "text", "raw", "hex"] : ["text", "raw", "hex"];
}

function isScalar(text: string): boolean {
  const json = new JsonText(text);
  json.step(2);
  return json.fault === null && json.lines === 1;
}
