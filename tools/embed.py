#!/usr/bin/env python3
"""Writes a C++ source with the given files as string literals.

usage: embed.py NAMESPACE SYMBOL OUT FILE...
The generated function is `std::span<const txstream::base::EmbeddedFile> NAMESPACE::SYMBOL()`.
"""
import pathlib
import sys


def literal(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), 64):
        lines.append('"' + "".join(f"\\{byte:03o}" for byte in data[start:start + 64]) + '"')
    return "\n    ".join(lines) or '""'


def main() -> None:
    namespace, symbol, out, *files = sys.argv[1:]
    entries = []
    for name in sorted(files):
        data = pathlib.Path(name).read_bytes()
        entries.append(f'{{"{pathlib.Path(name).name}", std::string_view(\n    {literal(data)}, {len(data)})}}')
    body = ",\n  ".join(entries)
    pathlib.Path(out).write_text(
        '#include <array>\n#include <span>\n\n#include "base/embedded_file.hpp"\n\n'
        f"namespace {namespace} {{\n"
        f"std::span<const txstream::base::EmbeddedFile> {symbol}();\n"
        f"std::span<const txstream::base::EmbeddedFile> {symbol}() {{\n"
        f"  static constexpr std::array<txstream::base::EmbeddedFile, {len(files)}> files = {{{{\n  {body}}}}};\n"
        "  return files;\n}\n"
        f"}}  // namespace {namespace}\n")


main()
