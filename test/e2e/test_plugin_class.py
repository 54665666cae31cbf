# SPDX-License-Identifier: Apache-2.0
"""What compilers say of plugin classes with a callback that would never be called, and of an old language."""

import os
import pathlib
import shutil
import subprocess

import pytest

from waiting import SANITIZED

pytestmark = [pytest.mark.heavy, pytest.mark.skipif(SANITIZED, reason="compilers say the same with a sanitizer")]

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_COMPILERS = [name for name in dict.fromkeys((os.environ.get("CXX", "g++"), "clang++")) if shutil.which(name.split()[0])]
_START = "#include <websocket/plugin.hpp>\nusing namespace websocket;\n"
_MESSAGE = "void on_message(Connection, Message) {}"
_BEHIND = ", with a Client& behind if there is a struct Client"

# The members of a class, and what has to be said of it.
_WRONG = {
    # wrong parameters
    "CloseShort": (f"{_MESSAGE} void on_close(Connection) {{}}",
                   f"on_close has the wrong parameters: declare it as void on_close(Connection, const Close&){_BEHIND}"),
    "OpenClient": (f"struct Client {{}}; {_MESSAGE} void on_open(Client&, Connection) {{}}",
                   f"on_open has the wrong parameters: declare it as void on_open(Connection){_BEHIND}"),
    "MessageReference": ("void on_message(Connection, Message&) {}",
                         f"on_message has the wrong parameters: declare it as void on_message(Connection, Message){_BEHIND}"),
    "FragmentMessage": ("void on_fragment(Connection, Message) {}",
                        f"on_fragment has the wrong parameters: declare it as void on_fragment(Connection, Fragment){_BEHIND}"),
    "PongText": (f"{_MESSAGE} void on_pong(Connection, std::string) {{}}",
                 f"on_pong has the wrong parameters: declare it as void on_pong(Connection, Bytes){_BEHIND}"),
    "WritableNothing": (f"{_MESSAGE} void on_writable() {{}}",
                        f"on_writable has the wrong parameters: declare it as void on_writable(Connection){_BEHIND}"),
    "DrainNothing": (f"{_MESSAGE} void on_drain() {{}}",
                     "on_drain has the wrong parameters: declare it as void on_drain(std::chrono::milliseconds)"),
    "UpgradeRequest": (f"{_MESSAGE} void on_upgrade(Request*) {{}}",
                       f"on_upgrade has the wrong parameters: declare it as void on_upgrade(Upgrade&){_BEHIND}"),
    "UpgradeConstant": (f"{_MESSAGE} void on_upgrade(const Upgrade&) {{}}",
                        "on_upgrade takes a constant Upgrade or a copy, so that it could not refuse"),
    "UpgradeCopy": (f"{_MESSAGE} void on_upgrade(Upgrade) {{}}",
                    "on_upgrade takes a constant Upgrade or a copy, so that it could not refuse"),
    "UpgradeVerdict": (f"{_MESSAGE} bool on_upgrade(Upgrade&) {{ return false; }}",
                       "on_upgrade returns something that nobody would look at: declare it as void on_upgrade(Upgrade&)"),
    "CheckMember": (f"{_MESSAGE} void check(const Options&) {{}}", "check would never be called"),
    "BlocksVariable": (f"{_MESSAGE} bool never_blocks = true;", "never_blocks would not be read"),
    "ClientNumber": (f"struct Client {{ explicit Client(int) {{}} }}; {_MESSAGE}",
                     "struct Client needs a public constructor without arguments"),
    "OptionsOnly": (f"explicit OptionsOnly(const Options&) {{}} {_MESSAGE}",
                    "there is no public constructor that takes (const Server&, const Options&), (const Server&) or nothing"),
    "Nothing": ("", "there has to be either void on_message(Connection, Message) or void on_fragment(Connection, Fragment)"),
    "Both": (f"{_MESSAGE} void on_fragment(Connection, Fragment) {{}}", "there has to be either"),
    "HttpVoid": (f"{_MESSAGE} void on_http(const HttpRequest&) {{}}",
                 "on_http would never be called: declare it as public HttpResponse on_http(const HttpRequest&)"),
    "HttpUpgrade": (f"{_MESSAGE} HttpResponse on_http(Upgrade&) {{ return {{}}; }}", "on_http would never be called"),
    "HttpPrivate": (f"{_MESSAGE} private: HttpResponse on_http(const HttpRequest&) {{ return {{}}; }}",
                    "on_http would never be called"),
    "HttpCapital": (f"{_MESSAGE} HttpResponse on_HTTP(const HttpRequest&) {{ return {{}}; }}",
                    "on_HTTP would never be used: is it on_http?"),
    # not public
    "PrivateClose": (f"{_MESSAGE} private: void on_close(Connection, const Close&) {{}}",
                     "on_close is not public, or has overloads none of which is void on_close(Connection, const Close&)"),
    "PrivateMessage": (f"private: {_MESSAGE}", "on_message is not public"),
    "PrivateOpen": (f"{_MESSAGE} protected: void on_open(Connection) {{}}", "on_open is not public"),
    "PrivateBlocks": (f"{_MESSAGE} private: static constexpr bool never_blocks = true;", "never_blocks would not be read"),
    "PrivateClient": (f"{_MESSAGE} private: struct Client {{}};", "Client is not public, or is not a struct"),
    "InheritedClose": (_MESSAGE, "on_close has the wrong parameters"),
    # nearly the name
    "Opne": (f"{_MESSAGE} void on_opne(Connection) {{}}", "on_opne would never be used: is it on_open?"),
    "CamelCase": ("void onMessage(Connection, Message) {}", "onMessage would never be used: is it on_message?"),
    "Capital": ("void on_Message(Connection, Message) {}", "on_Message would never be used: is it on_message?"),
    "Version0": (f"{_MESSAGE} void on_connect(Upgrade&) {{}}", "on_connect would never be used: is it on_upgrade?"),
    "Disconnect": (f"{_MESSAGE} void on_disconnect(Connection) {{}}", "on_disconnect would never be used: is it on_close?"),
    "Writeable": (f"{_MESSAGE} private: void on_writeable(Connection) {{}}", "on_writeable would never be used: is it on_writable?"),
    "NeverBlock": (f"{_MESSAGE} static constexpr bool never_block = true;", "never_block would never be used: is it never_blocks?"),
}

# Each of these is right.
_RIGHT = {
    "Least": _MESSAGE,
    "Constant": "void on_message(const Connection&, const Message&) const noexcept {}",
    "Template": "void on_message(Connection c, auto message) { c.send(message); }",
    "All": """
        struct Client { int n = 0; };
        static constexpr bool never_blocks = true, keep_request = false;
        static constexpr const char* name = "all";
        explicit All(const Server&) {}
        static void check(const Options& options) { static_cast<void>(options.number<unsigned>("n", 1, 1, 10)); }
        void on_upgrade(Upgrade& upgrade, Client& client) { client.n = upgrade.client_port(); }
        void on_open(Connection, Client&) {}
        void on_message(Connection, Message, Client&) {}
        void on_message(int) {}
        void on_pong(Connection, Bytes, Client&) {}
        void on_writable(Connection) {}
        void on_close(Connection, const Close&) {}
        void on_drain(std::chrono::milliseconds) {}
        HttpResponse on_http(const HttpRequest& request) { return {.body = std::string(request.below_text())}; }
        virtual ~All() = default;
      private:
        void on_disconnect() {}
        std::string version;
    """,
    "Inherited": "",
    "Final": _MESSAGE,
    "Codes": """
        enum class Code { kicked = 4001 };
        void on_message(Connection c, Message message) {
            c.close();
            c.close(1000);
            c.close(CloseCode::too_big, "too long");
            c.close(Code::kicked);
            c.close(message.bytes.size());
        }
        void on_close(Connection, const Close& close) { static_cast<void>(close.is(CloseCode::normal)); }
    """,
    "Numbers": f"""
        Numbers(const Server&, const Options& options)
            : size(options.number<std::size_t>("size", 50, 0, 1000)), port(options.number<std::uint16_t>("port", 1, 0, 65535)),
              any(options.number("any", 0, -5, 5)) {{}}
        {_MESSAGE}
        const std::size_t size;
        const std::uint16_t port;
        const std::int64_t any;
    """,
}
_BASES = {"Inherited": " : Least", "InheritedClose": " : BaseClose", "Final": " final"}


def _source(classes):
    text = _START + "struct BaseClose { void on_close() {} };\n"
    for name, members in classes.items():
        text += f"struct {name}{_BASES.get(name, '')} {{ {members} }};\nWEBSOCKET_PLUGIN({name}_init, {name})\n"
    return text


def _compile(compiler, source, standard="c++20"):
    command = [*compiler.split(), f"-std={standard}", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
    command += ["-ferror-limit=0"] if "clang" in compiler else []
    command += ["-fsyntax-only", "-I", str(_TOP / "include"), "-x", "c++", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, timeout=300)


_compilers = pytest.mark.parametrize("compiler", _COMPILERS)


@_compilers
def test_the_compiler_tells_what_is_wrong(compiler):
    """All wrong classes, compiled at once."""
    done = _compile(compiler, _source({name: members for name, (members, _) in _WRONG.items()}))
    assert done.returncode != 0
    lines = done.stderr.splitlines()

    def is_told(name, sentence):
        # The class stands near the sentence, before it (g++) or behind (clang++).
        told = [i for i, line in enumerate(lines) if f"websocket plugin: {sentence}" in line]
        return any(name in "\n".join(lines[max(0, i - 8) : i + 8]) for i in told)

    missing = [f"of {name} is not said: {sentence}" for name, (_, sentence) in _WRONG.items() if not is_told(name, sentence)]
    assert not missing, "\n".join([*missing, done.stderr[:3000]])


@_compilers
def test_right_classes_compile_without_a_warning(compiler):
    done = _compile(compiler, _source(_RIGHT))
    assert done.returncode == 0 and not done.stderr, done.stderr


@_compilers
def test_an_older_language_is_told(compiler):
    for header in ("plugin", "testing"):
        done = _compile(compiler, f"#include <websocket/{header}.hpp>\n", "c++17")
        assert f"websocket/{header}.hpp needs C++20: compile with -std=c++20 or later" in done.stderr
        assert done.stderr.count("error:") == 1, done.stderr
