#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: scripts/reuse-objects.py CMAKE_BUILD [SCONS_BUILD]

Puts the objects that SCons has compiled where CMake's makefiles look for theirs, so that they need not be compiled
again. Fails when they are not the same: when a file is compiled by one of the two only, or with other flags than what
the optimizer and debuggers get. The module's own file and the plugins in C are left for CMake to compile.
"""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

OTHERS = re.compile(r"-O[\dg]|-g\d?|-c|-Wno-maybe-uninitialized|--param=ggc\S+")  # SCons compiles tests in less time
PROGRAM = re.compile(r"tools/|src/bridge/main\.cpp|bench/|examples/jsonrpc-client/|test/(?!plugins/)")  # for which CMake takes what is enough for programs
cmake, scons = (pathlib.Path(word) for word in [*sys.argv[1:], "build/release"][:2])
top = pathlib.Path.cwd()


def commands(build):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        folder = pathlib.Path(entry["directory"])
        words = iter(shlex.split(entry["command"])[1:])
        flags, output = [], None
        for word in words:
            if word == "-o":
                output = folder / next(words)
            elif word == "-isystem":
                flags.append(f"-isystem {next(words)}")
            elif word.startswith("-I"):
                flags.append(f"-I{(folder / word[2:]).resolve()}")
            elif not OTHERS.fullmatch(word) and (folder / word).resolve() != (folder / entry["file"]).resolve():
                flags.append(word)
        # In the order of their names, but what is said of one macro as it is said.
        flags = sorted(dict.fromkeys(flags), key=lambda flag: re.sub(r"^-[DU](\w+).*", r"\1", flag))
        yield str((folder / entry["file"]).resolve().relative_to(top)), flags, output


def parts(file):
    """The files that are joined in this one."""
    if not file.startswith(str(scons)):
        return [file]
    return re.findall(r'^#include "([^"]+)"', pathlib.Path(file).read_text(), re.MULTILINE)


faults = []
wanted = {file: (flags, output) for file, flags, output in commands(cmake)}
nothing = cmake / "nothing.o"
subprocess.run(["gcc", "-c", "-x", "c", "/dev/null", "-o", nothing], check=True)
for unit, flags, made in commands(scons):
    files = parts(unit)
    flags = [flag for flag in flags if flag != f"-I{top}" or files == [unit]]  # which what is joined needs
    object_file = made
    for file in files:
        if file not in wanted:
            faults.append(f"{file}: compiled by SCons only")
            continue
        others, output = wanted.pop(file)
        if PROGRAM.match(file):
            others = ["-fPIC" if flag == "-fPIE" else flag for flag in others]
        if difference := sorted(set(flags) ^ set(others)) or (flags != others and ["the order of -D and -U"]):
            faults.append(f"{file}: SCons and CMake differ in {' '.join(difference)}")
        if file != "mod_websocket.cpp" and not file.endswith(".c"):
            output.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(object_file, output)
            object_file = nothing  # the others of a unit are in the object of its first file
faults += [f"{file}: compiled by CMake only" for file in wanted]
print("".join(f"{fault}\n" for fault in faults), end="")
sys.exit(1 if faults else 0)
