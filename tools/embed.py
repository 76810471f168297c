#!/usr/bin/env python3
"""Writes a C++ source with the given files as string literals.

usage: embed.py NAMESPACE SYMBOL OUT FILE...
       embed.py NAMESPACE SYMBOL OUT --tree DIRECTORY
The generated function is `std::span<const txstream::base::EmbeddedFile> NAMESPACE::SYMBOL()`. Files are named by their base names, those of a
tree by their paths in it; hidden files are left out, and a directory that is missing has none. A source that would not change is not
written: nothing is compiled again then.
"""
import pathlib
import sys


def literal(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), 64):
        lines.append('"' + "".join(f"\\{byte:03o}" for byte in data[start:start + 64]) + '"')
    return "\n    ".join(lines) or '""'


def named(files: list[str]) -> list[tuple[str, pathlib.Path]]:
    if files[:1] != ["--tree"]:
        return [(pathlib.Path(name).name, pathlib.Path(name)) for name in sorted(files)]
    root = pathlib.Path(files[1])
    paths = [path for path in root.rglob("*") if path.is_file()] if root.is_dir() else []
    names = sorted((path.relative_to(root).as_posix(), path) for path in paths)
    return [(name, path) for name, path in names if not any(part.startswith(".") for part in name.split("/"))]


def main() -> None:
    namespace, symbol, out, *files = sys.argv[1:]
    entries = []
    for name, path in named(files):
        data = path.read_bytes()
        entries.append(f'{{"{name}", std::string_view(\n    {literal(data)}, {len(data)})}}')
    body = ",\n  ".join(entries)
    text = (
        '#include <array>\n#include <span>\n\n#include "base/embedded_file.hpp"\n\n'
        f"namespace {namespace} {{\n"
        f"std::span<const txstream::base::EmbeddedFile> {symbol}();\n"
        f"std::span<const txstream::base::EmbeddedFile> {symbol}() {{\n"
        f"  static constexpr std::array<txstream::base::EmbeddedFile, {len(entries)}> files = {{{{\n  {body}}}}};\n"
        "  return files;\n}\n"
        f"}}  // namespace {namespace}\n")
    target = pathlib.Path(out)
    if not target.exists() or target.read_text() != text:
        target.write_text(text)


main()
