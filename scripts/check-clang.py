#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clang says: clang-tidy over the sources that are shipped, and clang's warnings over the rest.

    scripts/check-clang.py [FILE...]

Files of a folder are looked at together, as they are compiled, those that are shipped even in one part for each
processor, and written out as one file: clang says less of what a file includes, which is for the analyzer what its
functions call, and no further subject. So it looks at each function once, and follows calls less far than in a FILE that
is named: that takes a fifth of the time. What was good is not looked at again until it, or a header of ours that it
includes, or this script, .clang-tidy or a package has changed: see good_files.py.
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
    """What is looked at together, with the compiler and its flags, without what it reads and writes."""

    def __init__(self, entry):
        self.name = self.file = entry["file"]
        self.shipped = is_shipped(self.name)
        self.compiler, *words = shlex.split(entry["command"])
        output = words.index("-o")
        self.flags = [word for word in words[:output] + words[output + 2:] if word not in ("-c", self.name)]
        joined = _INCLUDED.findall(pathlib.Path(self.name).read_text())
        self.sources = joined or [self.name]

    def take(self, other):
        """Is looked at with another; False when that is compiled otherwise."""
        more = max(self.flags, other.flags, key=len)
        if not set(self.flags) | set(other.flags) <= set(more):
            return False
        self.flags = more
        self.sources += other.sources
        return True

    def write_out(self):
        """What is joined is one file: clang says less of what a file includes."""
        if self.sources != [self.name]:
            file = _COMMANDS / "units" / pathlib.Path(self.name).name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(pathlib.Path(source).read_text() for source in self.sources))
            self.file = str(file)
            # Where they find what is beside them.
            folders = sorted({os.path.dirname(source) for source in self.sources})
            self.flags = [*self.flags, *(f"-iquote{folder}" for folder in folders)]

    def weight(self):
        """What the time grows with, more or less."""
        return sum(pathlib.Path(source).stat().st_size for source in self.sources) * (10 if self.shipped else 1)

    def original(self, message):
        """The message, with a line of the source in place of one of the file that is looked at."""
        def source_and_line(match):
            line = int(match[1])
            for source in self.sources:
                lines = pathlib.Path(source).read_text().count("\n")
                if line <= lines:
                    return f"{source}:{line}:"
                line -= lines
            return match[0]
        return re.sub(rf"(?:/\S*/)?{re.escape(self.file)}:(\d+):", source_and_line, message) if self.file != self.name else message


def complaints(unit, depth):
    """What clang says about it; empty when it says nothing. `depth`: options of the analyzer."""
    command = (["clang-tidy", "--quiet", *_OF_SHIPPED, *depth, unit.file, "--", *unit.flags] if unit.shipped else
               [unit.compiler, "-fsyntax-only", *unit.flags, unit.file])
    note = good_files.Note(good_files.what_decides("clang-tidy", __file__, ".clang-tidy"), " ".join(command),
                           *good_files.texts(unit.sources))
    if note.is_there():
        return ""
    # clang-tidy says what is wrong on stdout, and "N warnings generated" about headers of the system on stderr.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"{unit.original(done.stdout if unit.shipped else done.stderr)}{command[0]}: {unit.file}"
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
    for unit in units:
        unit.write_out()
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
