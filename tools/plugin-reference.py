#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints docs/plugin-reference.md, made of the headers in include/websocket."""

import pathlib
import re

_TOP = pathlib.Path(__file__).resolve().parent.parent
_COMMENT = re.compile(r"^( *)/\*\n((?:\1 \*(?: .*)?\n)+)\1 \*/\n", re.MULTILINE)
_SECTION = re.compile(r"^/\* ---- (.*?) -+ \*/$", re.MULTILINE)


def _declaration(text):
    """What stands behind a comment, up to the semicolon that ends it or the brace that opens it."""
    lines = []
    for line in text.split("\n"):
        if not line.strip() and lines:
            break
        lines.append(line)
        if line.endswith(("{", ";")) and not line.lstrip().startswith("#define"):
            break
    return "\n".join(lines).rstrip(" {")


def _prose(body, indent):
    lines = [line[len(indent) + 3 :] for line in body.rstrip("\n").split("\n")]
    return "\n".join(re.sub(r"(?<=\S) {2,}\[", " [", line).rstrip() for line in lines)


def _member(declaration):
    found = re.search(r"\(\*(\w+)\)|(\w+)(?:\[\w*\])?;?$", declaration.strip())
    return (found[1] or found[2]) if found else declaration


def _page(header):
    text = re.sub(r"/\* ---- The layout.*", "", header.read_text(), flags=re.DOTALL)
    parts = [f"## {header.relative_to(_TOP / 'include')}\n"]
    marks = [(m.start(), "section", m) for m in _SECTION.finditer(text)]
    marks += [(m.start(), "comment", m) for m in _COMMENT.finditer(text)]
    for number, (_, kind, match) in enumerate(sorted(marks, key=lambda mark: mark[0])):
        if kind == "section":
            parts.append(f"### {match[1]}\n")
            continue
        prose = _prose(match[2], match[1])
        if number == 0:
            prose = prose.partition("\n\n")[2]  # without the license
            parts.append(f"```text\n{prose}\n```\n")
            continue
        declaration = _declaration(text[match.end() :])
        name = _member(declaration) if match[1] else declaration.split()[-1].rstrip(";")
        if declaration.startswith("typedef void (*"):
            name = re.search(r"\(\*(\w+)\)", declaration)[1]
        level = "#####" if match[1] else "####"
        shown = "\n".join(line[len(match[1]) :] for line in declaration.split("\n"))
        parts.append(f"{level} {name}\n\n```c\n{shown}\n```\n\n```text\n{prose}\n```\n")
    return "\n".join(parts)


def main():
    headers = [_TOP / "include/websocket" / name for name in ("plugin.h", "extensions.h")]
    headers += sorted((_TOP / "include/websocket/ext").glob("**/*.h"))
    print("# Plugin interface, version 1\n")
    print("Made by `tools/plugin-reference.py` from the headers, which are what counts. How to use it:")
    print("[plugins.md](plugins.md).\n")
    print("\n".join(_page(header) for header in headers), end="")


main()
