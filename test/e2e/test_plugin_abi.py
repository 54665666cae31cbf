# SPDX-License-Identifier: Apache-2.0
"""Each published version of the plugin interface still holds: what it has stays, and its plugins run."""

import collections
import itertools
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import frames

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_TODAY = _TOP / "include"
_PUBLISHED = sorted((_TOP / "test/abi").glob("v*"))
_CC = os.environ.get("CC", "gcc").split()
_CXX = os.environ.get("CXX", "g++").split()
_HEADERS = ("websocket_plugin.h", "websocket/plugin.h", "websocket/extensions.h")
_STRUCT = re.compile(r"^(?:typedef )?struct (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_DEFINE = re.compile(r"^#\s*define (\w+)(?:\([^)]*\))?(.*)$", re.MULTILINE)
_OTHER = re.compile(r"^(?:typedef (?!struct \w+ \{)|EXPORT )[^;{]*;", re.MULTILINE)


# Of what a header consists; plugin.h and websocket_plugin.h are looked at by themselves.
_PART = re.compile(r'^#include "(ext/[\w/]+\.h|(?:\.\./)*layout\.h)"$', re.MULTILINE)


def _whole(file):
    return _PART.sub(lambda part: _whole(file.parent / part[1]), file.read_text())


def _code(file):
    text = re.sub(r"/\*.*?\*/", "", _whole(file), flags=re.DOTALL)
    return re.sub(r"\\\n", " ", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


def _words(text):
    return " ".join(text.split())


def _structs(file):
    """Name: members in their order, as declared."""
    found = {name: [_words(one) for one in body.split(";")] for name, body in _STRUCT.findall(_code(file))}
    assert found, file
    return {name: [member for member in members if member] for name, members in found.items()}


def _others(file):
    """Constants but the minor version, types and functions."""
    defines = {name: _words(value) for name, value in _DEFINE.findall(_code(file)) if name != "WS_ABI_MINOR"}
    return defines | {_words(one): "" for one in _OTHER.findall(_code(file))}


@pytest.mark.parametrize("header", _HEADERS)
@pytest.mark.parametrize("version", _PUBLISHED, ids=lambda folder: folder.name)
def test_what_was_published_stays(version, header):
    now = _structs(_TODAY / header)
    for name, members in _structs(version / header).items():
        assert now.get(name, [])[: len(members)] == members, f"struct {name} has changed, not only grown"
    others = _others(_TODAY / header)
    for name, value in _others(version / header).items():
        assert others.get(name) == value, f"{name} has changed"


def _minor():
    return int(re.search(r"#define WS_ABI_MINOR (\d+)", (_TODAY / "websocket/plugin.h").read_text())[1])


def test_each_minor_version_is_kept():
    assert [folder.name for folder in _PUBLISHED] == [f"v1.{n}" for n in range(_minor() + 1)]


_LANGUAGES = {"c": [*_CC, "-x", "c", "-std=c99"], "c++": [*_CXX, "-x", "c++", "-std=c++20"]}


def _preprocessed(folder, language, *flags):
    """What a plugin sees that includes all of the C interface from this folder."""
    command = [*_LANGUAGES[language], "-E", *flags, "-I", folder, "-"]
    source = "#include <websocket_plugin.h>\n#include <websocket/plugin.h>\n#include <websocket/extensions.h>\n"
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


def _declarations(folder, language):
    """The declarations of these headers outside of braces, and how often each is there."""
    text = ""
    # A line marker: # NUMBER "FILE", and lines of that file.
    for file, lines in re.findall(r'^# \d+ "([^"]*)".*\n((?:(?!# ).*\n)*)', _preprocessed(folder, language), re.MULTILINE):
        text += lines if file.startswith(str(folder)) else ""
    # No declaration, and in C++ around all of them.
    text = re.sub(r'extern "C" \{|^\}$', "", text, flags=re.MULTILINE)
    found, begin, depth = collections.Counter(), 0, 0
    for at, char in enumerate(text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == ";" and depth == 0:
            found[_words(text[begin : at + 1])] += 1
            begin = at + 1
    assert depth == 0
    return found


@pytest.mark.parametrize("language", _LANGUAGES)
def test_all_headers_together_declare_what_was_published(language):
    """Whichever header it is in: nothing is missing, twice, or more than this minor version has."""
    before, now = _PUBLISHED[_minor()], _TODAY
    assert len(_declarations(now, language)) > 30
    assert _declarations(now, language) == _declarations(before, language)
    defines = [set(_preprocessed(folder, language, "-dM").splitlines()) for folder in (before, now)]
    assert {one for one in defines[0] ^ defines[1] if "WEBSOCKET_EXT_" not in one} == set()


@pytest.mark.parametrize("language", _LANGUAGES)
@pytest.mark.parametrize("header", sorted(_TODAY.glob("**/*.h")), ids=lambda file: str(file.relative_to(_TODAY)))
def test_each_header_compiles_alone_and_twice(header, language):
    source = f"#include <{header.relative_to(_TODAY)}>\n" * 2 + "extern int more;\n"
    flags = ["-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", _TODAY, "-"]
    done = subprocess.run([*_LANGUAGES[language], *flags], input=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_comparison_sees_a_change(tmp_path):
    """A member that is renamed, swapped or of another type, and a constant."""
    original = _PUBLISHED[0] / "websocket/plugin.h"
    changed = tmp_path / "plugin.h"
    for old, new in (
        ("uint32_t code; ", "uint16_t code; "),
        ("void (*stop)(void* self);", "void (*halt)(void* self);"),
        ("#define WS_GONE (-2)", "#define WS_GONE (-3)"),
        ("typedef int32_t ws_result;", "typedef int64_t ws_result;"),
    ):
        text = original.read_text()
        assert text.count(old) == 1
        changed.write_text(text.replace(old, new))
        same = _structs(changed) == _structs(original) and _others(original).items() <= _others(changed).items()
        assert not same, old


def _library(folder, headers):
    """A shared object whose debug information has all structs of these headers."""
    names = [name for header in _HEADERS for name in _STRUCT.findall(_code(headers / header))]
    source = "#include <websocket/extensions.h>\n#include <websocket/plugin.h>\n"
    for name, _ in names:
        source += f"void use_{name}(const struct {name}* it);\nvoid use_{name}(const struct {name}* it) {{ (void)it; }}\n"
    (folder / "use.c").write_text(source)
    file = folder / f"{headers.name}.so"
    command = [*_CC, "-std=c11", "-g", "-shared", "-fPIC", "-I", headers, "-o", file, folder / "use.c"]
    subprocess.run(command, check=True)
    return file


# All that abidiff may say: members behind the old end of a struct.
_GROWTH = re.compile(
    r"(Functions|Variables) changes summary: 0 Removed|\d+ functions? with some indirect sub-type change|"
    r"\[C\] 'function void use_\w+\(.*' at .* has some indirect sub-type changes:|"
    r"(parameter 1 of|in pointed to|in unqualified underlying) type .*:|type size changed from \d+ to \d+ \(in bits\)|"
    r"\d+ data member insertions?:|'.*', at offset \d+ \(in bits\) at .*|$"
)


def _beyond_growth(before, after):
    """The lines of abidiff that tell of more than growth."""
    done = subprocess.run(["abidiff", "--no-added-syms", before, after], capture_output=True, text=True)
    assert done.returncode in (0, 4, 12), done.stderr
    wrong, old_size = [], 0
    for line in map(str.strip, done.stdout.splitlines()):
        size, offset = re.match(r"type size changed from (\d+)", line), re.search(r"at offset (\d+) \(in bits\)", line)
        old_size = int(size[1]) if size else old_size
        if not _GROWTH.match(line) or (offset and int(offset[1]) < old_size):
            wrong.append(line)
    return wrong


@pytest.mark.full
@pytest.mark.parametrize("version", _PUBLISHED, ids=lambda folder: folder.name)
def test_abidiff_sees_nothing_but_growth(tmp_path, version):
    assert not _beyond_growth(_library(tmp_path, version), _library(tmp_path, _TODAY))


@pytest.mark.full
def test_abidiff_sees_a_change(tmp_path):
    changes = [
        ("uint32_t code; ", "uint16_t code; "),
        ("void (*stop)(void* self);", "void (*stop)(void* self, int how);"),
        ("typedef int32_t ws_result;", "typedef int64_t ws_result;"),
    ]
    for n, (old, new) in enumerate(changes):
        headers = tmp_path / f"changed{n}"
        shutil.copytree(_PUBLISHED[0], headers)
        text = (headers / "websocket/plugin.h").read_text()
        assert text.count(old) == 1
        (headers / "websocket/plugin.h").write_text(text.replace(old, new))
        assert _beyond_growth(_library(tmp_path, _PUBLISHED[0]), _library(tmp_path, headers)), old


_PLUGIN = """
#include <stdio.h>
#include <websocket/extensions.h>
#include <websocket/plugin.h>

static const ws_host* host;
static const ws_timer_1* timers;

static ws_result start(const ws_host* server, const ws_option* options, uint64_t n, void** self) {
    (void)options, (void)n, (void)self;
    host = server;
    timers = server->extension(server, WS_TIMER_1);
    return timers != NULL && timers->size >= sizeof *timers ? WS_OK : WS_BAD_ARG;
}
static void on_message(void* self, void* state, ws_conn conn, uint32_t type, uint8_t* bytes, uint64_t n) {
    (void)self, (void)state;
    host->send(host, conn, type, bytes, n, 0);
}
static void on_close(void* self, void* state, ws_conn conn, const ws_close_info* info) {
    char line[64];
    (void)self, (void)state, (void)conn;
    const int n = snprintf(line, sizeof line, "published %u %u %s", info->code, info->clean, info->reason);
    host->log(host, WS_LOG_ERROR, line, (uint64_t)n);
}
static ws_plugin plugin = {
    .base = {.size = sizeof(plugin), .version = WEBSOCKET_PLUGIN_VERSION_1},
    .flags = FLAGS,
    .minor = WS_ABI_MINOR,
    .name = "published",
    .start = start,
    .on_message = on_message,
    .on_close = on_close,
};
EXPORT WebSocketPlugin* CALLBACK published_init(void);
EXPORT WebSocketPlugin* CALLBACK published_init(void) { return &plugin.base; }
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Plugins that were built with the published headers, each with its path."""
    folder = tmp_path_factory.mktemp("published")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    source = folder / "published.c"
    source.write_text(_PLUGIN)
    built = {}
    for version, flags in itertools.product(_PUBLISHED, ("WS_NEVER_BLOCKS", "WS_POOL")):
        file = folder / f"{version.name}-{flags}.so"
        command = [*_CC, "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([*command, f"-DFLAGS={flags}", "-I", version, "-o", file, source], check=True)
        built[f"/{file.stem}"] = file
    return built


def test_plugins_that_were_built_with_published_headers_run(start_httpd, published):
    server = start_httpd(
        "".join(
            f'<Location "{path}">\nSetHandler websocket-handler\nWebSocketHandler "{file}" published_init\n</Location>\n'
            for path, file in published.items()
        )
    )
    assert len(published) >= 2
    for path in published:
        start = server.log_size()
        with server.websocket(path) as client:
            client.send(frames.binary(b"\x00\xff"))
            client.expect(frames.BINARY, b"\x00\xff")
            client.send(frames.close(4002, b"done"))
            client.expect_close(4002, then_end=False)
        server.expect_log(r"WS0414: \[published\] published 4002 1 done", start)
