#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clang says: clang-tidy over the sources that are shipped, and clang's warnings over the rest.

    scripts/check-clang.py [FILE...]

Files of a folder are looked at together, as they are compiled. Those that are shipped are written out as one file for
each processor: what a file includes is for the analyzer what its functions call, and no further subject. So it looks at
each function once, and follows calls less far than in a FILE that is named: that takes a fifth of the time. What was
good is not looked at again until it, or a header that it includes, or this script or .clang-tidy has changed: see
good_files.py.
"""

import concurrent.futures
import functools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import good_files

_COMMANDS = pathlib.Path("build/clang")
_INCLUDED = re.compile(r'^#include "((?:src|test)/[^"]+\.cpp)"$', re.MULTILINE)
# clang's warnings alone are no check that it could run.
_OF_OTHERS = ["--checks=-*,clang-diagnostic-*,misc-static-assert"]
_OF_SHIPPED = [
    # Of one file that is several: each includes, and names, what it needs. And the analyzer follows a std::unique_ptr
    # so far that it takes one that was moved for lost: leaks are the sanitizers' task.
    "--checks=-readability-duplicate-include,-misc-unused-using-decls,-clang-analyzer-cplusplus.NewDeleteLeaks,"
    "clang-diagnostic-*",
    "--header-filter=src/",
    # Threads may use what exit() destroys.
    "--extra-arg=-Wexit-time-destructors",
]
_SHALLOW = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]


def is_shipped(file):
    return re.search(r"(^|/)src[/-]|^mod_websocket", file) is not None


class Unit:
    """What is looked at together, with the compiler's command."""

    def __init__(self, entry):
        self.name = entry["file"]
        self.shipped = is_shipped(self.name)
        self._words = shlex.split(entry["command"])
        joined = _INCLUDED.findall(pathlib.Path(self.name).read_text())
        self.sources = joined or [self.name]
        self._read = self.name
        self.file = self.name

    def take(self, other):
        """Is looked at with another; False when that is compiled otherwise."""
        more, less = sorted((self, other), key=lambda unit: -len(set(unit.flags())))
        if not set(less.flags()) <= set(more.flags()):
            return False
        self._words, self._read = more._words, more._read
        self.sources += other.sources
        return True

    def write_out(self, name):
        """What is joined is one file, of that name."""
        if self.sources != [self.name]:
            file = _COMMANDS / "units" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(pathlib.Path(source).read_text() for source in self.sources))
            self.file = str(file)

    def weight(self):
        """What the time grows with, more or less."""
        return sum(pathlib.Path(source).stat().st_size for source in self.sources) * (10 if self.shipped else 1)

    def flags(self):
        """Of the compiler, without what it reads and writes."""
        words = iter(self._words[1:])
        for word in words:
            if word == "-o":
                next(words)
            elif word not in ("-c", self._read):
                yield word

    def preprocessed(self):
        """With comments, as some tell clang-tidy what to overlook; None when clang cannot."""
        done = subprocess.run([self._words[0], *self.flags(), "-E", "-C", self.file], capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def original(self, message):
        """The same, with a line of the source in place of one of the file that is looked at."""
        def source_and_line(match):
            line = int(match[1])
            for source in self.sources:
                lines = pathlib.Path(source).read_text().count("\n")
                if line <= lines:
                    return f"{source}:{line}:"
                line -= lines
            return match[0]
        return re.sub(rf"(?:/\S*/)?{re.escape(self.file)}:(\d+):", source_and_line, message) if self.file != self.name else message


@functools.cache
def what_decides():
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    return version + pathlib.Path(".clang-tidy").read_bytes() + pathlib.Path(__file__).read_bytes()


def complaints(unit, depth):
    """What clang says about it; empty when it says nothing. `depth`: options of the analyzer."""
    options = [*_OF_SHIPPED, *depth] if unit.shipped else _OF_OTHERS
    text = unit.preprocessed()
    note = None
    if text is not None:
        note = good_files.Note(what_decides(), " ".join([*options, *unit.flags()]), text)
        if note.is_there():
            return ""
    # Says "N warnings generated" about system headers on stderr; errors go to stdout.
    done = subprocess.run(["clang-tidy", "--quiet", *options, unit.file, "--", *unit.flags()], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode != 0:
        return f"{unit.original(done.stdout)}clang-tidy: {unit.name}"
    if note is not None:
        note.write()
    return ""


def together(units, parts):
    """The units in so many parts, as far as they are compiled alike: half of what each takes is for the headers of the
    system, which the checks look through before they say nothing of them.
    """
    result = []
    for unit in sorted(units, key=lambda unit: (-unit.weight(), unit.name)):
        if len(result) < parts or not any(part.take(unit) for part in sorted(result, key=Unit.weight)):
            result.append(unit)
    for number, part in enumerate(result):
        part.write_out(f"part-{number + 1}.cpp")
    return result


def unused_names(source):
    """In place of misc-unused-using-decls, which takes the second `using` of two files for unused."""
    text = pathlib.Path(source).read_text()
    for line, name in re.findall(r"^(using (?:\w+::)+(\w+);)$", text, re.MULTILINE):
        if len(re.findall(rf"\b{name}\b", text)) == 1:
            yield f"{source}: unused: {line}"


def main():
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    good_files.forget_old()
    wanted = sys.argv[1:]
    subprocess.run(["scons", "-s", "compiler=clang", *(["unity=no"] if wanted else []), "commands"], check=True)
    entries = {entry["file"]: entry for entry in json.loads((_COMMANDS / "compile_commands.json").read_text())}
    unknown = [file for file in wanted if file not in entries]
    if unknown:
        sys.exit(f"check-clang.py: not compiled: {', '.join(unknown)}")
    units = [Unit(entries[file]) for file in wanted or entries]
    if not wanted:
        units = [*together([unit for unit in units if unit.shipped], os.cpu_count()),
                 *(unit for unit in units if not unit.shipped)]
    units.sort(key=lambda unit: (-unit.weight(), unit.name))
    unused = [complaint for unit in units for source in unit.sources for complaint in unused_names(source)]
    print("".join(complaint + "\n" for complaint in unused), end="")
    good = not unused
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        for complaint in threads.map(functools.partial(complaints, depth=[] if wanted else _SHALLOW), units):
            if complaint:
                good = False
                print(complaint, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
