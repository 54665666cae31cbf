# SPDX-License-Identifier: Apache-2.0
"""Compiles what documentation shows, with the headers of this tree."""

import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
COMPILERS = {"c": os.environ.get("CC", "gcc").split(), "cpp": os.environ.get("CXX", "g++").split()}
_STANDARDS = {"c": "-std=c11", "cpp": "-std=c++20"}
_WARNINGS = ["-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]


def compile_text(text, language, folder, name, *flags):
    """The object of a source file that is written for it, for any kind of target.

    It is compiled by itself, with relative names: so a compiler cache, if there is one, knows it again.
    """
    (folder / f"{name}.{language}").write_text(text)
    # Tests that the documentation shows assert, whatever else the compiler is told.
    flags = [_STANDARDS[language], *_WARNINGS, "-UNDEBUG", "-fPIC", "-pthread", *flags, "-I", TOP / "include"]
    command = [*COMPILERS[language], *flags, "-c", "-o", f"{name}.o", f"{name}.{language}"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / f"{name}.o"


def link(target, language, *words):
    """Objects, libraries and options to a program, or to what else the options say."""
    subprocess.run([*COMPILERS[language], "-pthread", "-o", target, *words], check=True)
    return target


def build_plugin(text, language, folder, name, *words):
    """NAME.so in a folder, which every user may read from then on, as httpd's children are another; words: see link()."""
    for readable in (folder, folder.parent):
        readable.chmod(0o755)
    return link(folder / f"{name}.so", language, "-shared", compile_text(text, language, folder, name), *words)


def build_program(text, folder, name, *words):
    """A program in C++; words: see link()."""
    return link(folder / name, "cpp", compile_text(text, "cpp", folder, name), *words)
