# SPDX-License-Identifier: Apache-2.0
"""What a shared object says about itself, by readelf and nm."""

import re
import subprocess


def _readelf(path, *options):
    return subprocess.run(
        ["readelf", "--wide", *options, path], capture_output=True, text=True, check=True
    ).stdout


def _symbols(path):
    """Bind, section index and name of each dynamic symbol."""
    pattern = r"^\s*\d+: [0-9a-f]+\s+\S+ \S+\s+(\S+)\s+\S+\s+(\S+) (\S+)"
    return re.findall(pattern, _readelf(path, "--dyn-syms"), re.MULTILINE)


def exports(path):
    """Names of the symbols that others may be bound to."""
    return {name for _, section, name in _symbols(path) if section != "UND"}


def imports(path):
    """Names of the symbols that it wants from others, without their versions."""
    return {name.partition("@")[0] for _, section, name in _symbols(path) if section == "UND"}


def unique_symbols(path):
    """Names of the symbols that pin it in a process."""
    return {name for bind, _, name in _symbols(path) if bind == "UNIQUE"}


def has_executable_stack(path):
    stack = re.search(r"^\s*GNU_STACK\s.*$", _readelf(path, "--program-headers"), re.MULTILINE)
    return stack is None or re.search(r" R?W?E ", stack[0]) is not None


def is_read_only_after_loading(path):
    """Whether all its symbols are resolved when it is loaded, and what holds them is protected then."""
    return "GNU_RELRO" in _readelf(path, "--program-headers") and "NOW" in _readelf(path, "--dynamic")


def notes(path):
    return _readelf(path, "--notes")
