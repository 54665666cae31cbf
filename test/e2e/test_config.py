# SPDX-License-Identifier: Apache-2.0
"""Configuration: wrong values are named by `httpd -t`, right ones merge from section to section."""

import re
import signal

import pytest

import frames
import handshake
from httpd import BUILD, Httpd, location
from waiting import wait_until

_ECHO = f'"{BUILD}/plugins/mod_websocket_echo.so" echo_init'


def in_location(*lines):
    return '<Location "/x">\n' + "\n".join(lines) + "\n</Location>\n"


def plugin(name, init=None):
    return in_location(f'WebSocketHandler "{BUILD}/test/plugins/{name}.so" {init or name + "_init"}')


# ---- values ----------------------------------------------------------------------------------------

_SERVER_WIDE = {
    "WebSocketThreads": (["1", "4", "64"], ["0", "65", "-1", "two", "1.5", "1K"]),
    "WebSocketMaxConnections": (["0", "1", "1000000"], ["-1", "many", "1.5", "99999999999999999999"]),
    "WebSocketPoolMinThreads": (["0", "4"], ["-1", "x", "1.5"]),
    "WebSocketPoolMaxThreads": (["1", "64"], ["-1", "x", "1.5"]),
    "WebSocketDrainTimeout": (["0", "30", "30s", "500ms", "2m"], ["-1", "x", "30x", "s", "99999999999999999999h"]),
}

_PER_SECTION = {
    "WebSocketKeyCheck": (["Strict", "Lenient", "lenient"], ["On", "Loose"]),
    "WebSocketMaxFragments": (["1", "131072"], ["-1", "0", "x", "1.5", "99999999999999999999"]),
    "WebSocketMaxEmptyFragments": (["0", "100"], ["-1", "x", "1.5"]),
    "WebSocketDispatch": (["Pool", "Inline", "pool"], ["Thread", "On"]),
    "WebSocketSendBuffer": (
        ["65536", "64K", "1M", "64k"],
        ["-1", "x", "64Q", "1.5M", "K", "99999999999999999999G"],
    ),
    "WebSocketSlowConsumer": (["Block", "Drop", "Close", "close"], ["Wait"]),
    "WebSocketReceiveBuffer": (["65536", "64K", "1M"], ["-1", "x", "64Q", "K", "99999999999999999999G"]),
    "WebSocketPingInterval": (
        ["0", "30", "30s", "500ms", "2m", "1h"],
        ["-1", "x", "30x", "s", "1.5s", "99999999999999999999h"],
    ),
    "WebSocketPongTimeout": (["30", "30s", "500ms", "2m"], ["-1", "x", "30x", "s", "99999999999999999999h"]),
    "WebSocketCloseTimeout": (["5", "5s", "500ms"], ["-1", "x", "30x", "s", "99999999999999999999h"]),
}

# What may stand in sections, but not in .htaccess: a folder below the name, and a value.
_GUARDED_VALUES = {
    "WebSocketMaxMessageSize": "1G",
    "MaxMessageSize": "1G",
    "WebSocketOriginCheck": "Off",
    "WebSocketTrustedOrigin": "http://evil.example",
    "WebSocketMaxFragments": "1000000",
    "WebSocketMaxEmptyFragments": "1000000",
    "WebSocketDispatch": "Inline",
    "WebSocketSendBuffer": "128M",
    "WebSocketSlowConsumer": "Block",
    "WebSocketReceiveBuffer": "1G",
    "WebSocketPingInterval": "1ms",
    "WebSocketPongTimeout": "24h",
    "WebSocketCloseTimeout": "24h",
    "WebSocketDeflateMode": "Dedicated",
    "WebSocketDeflateMaxRatio": "1000000",
    "WebSocketMaxSubscriptions": "65536",
}

_RATES_AND_CAPS = {
    "WebSocketMaxConnectionsPerAddress": (["0", "1", "100000"], ["-1", "x", "1.5", "99999999999999999999"]),
    "WebSocketMaxConnectionsPerLocation": (["0", "1", "100000"], ["-1", "x", "1.5", "10K"]),
    "WebSocketMaxMessageRate": (["0", "1", "100000"], ["-1", "x", "0.5", "10/s", "99999999999999999999"]),
    "WebSocketMaxByteRate": (["0", "1", "64K", "1024M", "1G"], ["-1", "x", "1.5M", "2G", "64K/s"]),
    "WebSocketMaxControlRate": (["0", "1", "100000"], ["-1", "x", "0.5"]),
    "WebSocketRateBurst": (["1", "100ms", "10s", "1h"], ["0", "99ms", "2h", "-1", "x", "1.5s"]),
    "WebSocketRatePolicy": (["Slow", "Close", "close"], ["Drop", "On"]),
}
_PER_SECTION.update(_RATES_AND_CAPS)
_GUARDED_VALUES.update({name: values[0][1] for name, values in _RATES_AND_CAPS.items()})


def _values(table, which):
    return [(name, value) for name, values in table.items() for value in values[which]]


def _refused(configtest, text):
    code, output = configtest(text)
    assert code != 0, f"accepted:\n{text}{output}"
    return output


def _assert_names(output, name, value):
    quoted = f'"{re.escape(value)}"'
    assert re.search(
        rf"{name}: {quoted} is not allowed; \w.{{3,}}|{name} must be \w.{{3,}}, not {quoted}", output
    ), output


@pytest.mark.parametrize(("name", "value"), _values(_SERVER_WIDE, 1))
def test_a_wrong_value_for_the_server_is_named(configtest, name, value):
    _assert_names(_refused(configtest, f'{name} "{value}"\n'), name, value)


@pytest.mark.parametrize(("name", "value"), _values(_PER_SECTION, 1))
def test_a_wrong_value_in_a_section_is_named(configtest, name, value):
    _assert_names(_refused(configtest, in_location(f'{name} "{value}"')), name, value)


@pytest.mark.parametrize("name", [*_SERVER_WIDE, *_PER_SECTION])
def test_right_values_are_accepted(configtest, name):
    for value in {**_SERVER_WIDE, **_PER_SECTION}[name][0]:
        code, output = configtest(f"{name} {value}\n")
        assert code == 0 and "Syntax OK" in output, f"{name} {value}: {output}"


@pytest.mark.parametrize("name", _SERVER_WIDE)
def test_what_holds_for_the_server_is_refused_in_sections(configtest, name):
    value = _SERVER_WIDE[name][0][0]
    for text in (in_location(f"{name} {value}"), f"<VirtualHost *:80>\n{name} {value}\n</VirtualHost>\n"):
        assert name in _refused(configtest, text)


@pytest.mark.parametrize("name", _PER_SECTION)
def test_what_holds_for_a_section_is_accepted_everywhere(configtest, name):
    line = f"{name} {_PER_SECTION[name][0][0]}\n"
    for opening in (
        '<Location "/x">',
        '<Directory "/x">',
        "<VirtualHost *:80>",
        '<Files "x">',
        '<LocationMatch "x.*">',
    ):
        code, output = configtest(f"{opening}\n{line}</{opening[1:].split()[0].rstrip('>')}>\n")
        assert code == 0, output


# ---- the texts that have always been there ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            f"WebSocketHandler {_ECHO}\n",
            "Invalid parameters for WebSocketHandler|WebSocketHandler not allowed here",
        ),
        (
            plugin("no_such_file"),
            rf"Could not load WebSocketHandler {BUILD}/test/plugins/no_such_file.so: .+",
        ),
        (
            plugin("debug", "no_such_function"),
            rf'Could not find initialization function "no_such_function" for WebSocketHandler {BUILD}/test/plugins/debug.so',
        ),
        (
            plugin("bad_null"),
            r"Invalid response from WebSocketHandler initialization function bad_null_init \(returned NULL\)",
        ),
        (
            plugin("bad_version"),
            r"Invalid response from WebSocketHandler initialization function bad_version_init "
            r"\(unsupported plugin version 7\)",
        ),
        (
            plugin("bad_size"),
            r"Invalid response from WebSocketHandler initialization function bad_size_init "
            r"\(invalid plugin size; check plugin version and compiler\)",
        ),
        (
            plugin("bad_no_message"),
            r"Invalid response from WebSocketHandler initialization function bad_no_message_init "
            r"\(on_message handler is NULL\)",
        ),
        (
            in_location("WebSocketAllowReservedStatusCodes Maybe"),
            "WebSocketAllowReservedStatusCodes must be On or Off",
        ),
        (in_location("WebSocketOriginCheck Maybe"), "WebSocketOriginCheck must be Off, Same, or Trusted"),
        (in_location("WebSocketTrustedOrigin"), "WebSocketTrustedOrigin requires at least one argument"),
        (in_location("WebSocketHandler a"), "WebSocketHandler takes two arguments"),
    ],
    ids=[
        "handler_at_server_level",
        "missing_file",
        "missing_function",
        "returned_null",
        "version",
        "size",
        "on_message",
        "flag",
        "origin_check",
        "no_origin",
        "one_argument",
    ],
)
def test_old_errors_keep_their_texts(configtest, text, error):
    output = _refused(configtest, text)
    assert re.search(error, output), output


@pytest.mark.parametrize("name", ["WebSocketMaxMessageSize", "MaxMessageSize"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1x", "K", "-9223372036854775808"])
def test_an_invalid_maximum_message_size_is_refused_in_the_old_words(configtest, name, value):
    assert "Invalid maximum message size" in _refused(configtest, in_location(f'{name} "{value}"'))


@pytest.mark.parametrize("value", ["9223372036854775808", "99999999999999999999", "9999999999G"])
def test_a_maximum_message_size_beyond_all_numbers_is_refused(configtest, value):
    output = _refused(configtest, in_location(f"WebSocketMaxMessageSize {value}"))
    assert (
        "Invalid maximum message size" in output or "Max message size is too large for your system" in output
    )


@pytest.mark.parametrize("value", ["1", "33554432", "32M", "1G", "4K"])
def test_a_maximum_message_size_may_have_a_unit(configtest, value):
    code, output = configtest(in_location(f"WebSocketMaxMessageSize {value}"))
    assert code == 0, output
    assert "deprecated" not in output


def test_the_old_name_of_the_maximum_message_size_warns(configtest):
    code, output = configtest(in_location("MaxMessageSize 4"))
    assert code == 0
    assert re.search(
        r"The MaxMessageSize directive \(\S+httpd\.conf:\d+\) is deprecated; "
        r"use WebSocketMaxMessageSize instead",
        output,
    ), output


def test_a_plugin_is_found_below_the_server_root(configtest):
    code, output = configtest(in_location("WebSocketHandler no/such/plugin.so x_init"))
    assert code != 0
    assert re.search(
        r"Could not load WebSocketHandler no/such/plugin\.so: /\S+/no/such/plugin\.so: ", output
    ), output


# ---- merging, seen from outside --------------------------------------------------------------------


def largest(server, path, **options):
    """The largest message that an echo location takes, of 2 to 12 bytes."""
    for size in range(12, 1, -1):
        with accepted(server, path, **options) as client:
            client.send(frames.text("x" * size))
            frame = client.next_frame()
        if frame.opcode == frames.TEXT:
            return size
        assert frame.code == 1009
    return 0


def accepted(server, path, **options):
    """An open WebSocket, of another child if the first one is about to leave."""

    def attempt():
        client = server.client()
        try:
            client.send(handshake.request(path, **options))
            status = client.read_response().status
        except (OSError, AssertionError):  # of a child that has just been told to go
            return client.close()
        if status == 101:
            return client
        assert status in (400, 503)
        return client.close()

    return wait_until(attempt, 10, "a child that takes the client")


# What .htaccess may not have, even if AllowOverrideList names it.
_ADMINISTRATORS_ONLY = {"WebSocketHandler": _ECHO, "WebSocketOption": "name value", **_GUARDED_VALUES}

_MERGED = f"""
WebSocketMaxMessageSize 10
<VirtualHost *:@PORT@>
    ServerName plain.example
    <Location "/a">
        SetHandler websocket-handler
        WebSocketHandler {_ECHO}
    </Location>
    <Location "/a/b">
        WebSocketMaxMessageSize 5
    </Location>
    <Location "/a/b/c">
        WebSocketAllowReservedStatusCodes On
        WebSocketTrustedOrigin http://inner.example
    </Location>
    <Location "/a/b/c/d">
        WebSocketMaxMessageSize 7
        WebSocketAllowReservedStatusCodes Off
    </Location>
</VirtualHost>
<VirtualHost *:@PORT@>
    ServerName other.example
    WebSocketMaxMessageSize 8
    WebSocketOriginCheck Trusted
    WebSocketTrustedOrigin http://outer.example
    <Location "/a">
        SetHandler websocket-handler
        WebSocketHandler {_ECHO}
        WebSocketTrustedOrigin http://inner.example
    </Location>
</VirtualHost>
<Directory "@ROOT@/htdocs/files">
    SetHandler websocket-handler
    WebSocketHandler {_ECHO}
    AllowOverride AuthConfig
    WebSocketMaxMessageSize 9
</Directory>
<Directory "@ROOT@/htdocs/files/listed">
    AllowOverride None
    AllowOverrideList WebSocketKeyCheck {" ".join(_ADMINISTRATORS_ONLY)}
</Directory>
"""


@pytest.fixture(scope="module")
def merged(mpm):
    server = Httpd(mpm, _MERGED)
    for name, text in {
        "plain": "",
        "shape": "WebSocketAllowReservedStatusCodes On\nWebSocketKeyCheck Lenient\n"
        "WebSocketDeflate On\nWebSocketDeflateMinSize 1\n",
        "handler": f"WebSocketHandler {_ECHO}\n",
        "wrong": "WebSocketKeyCheck Wait\n",
        "server": "WebSocketThreads 1\n",
        "log": "WebSocketLog log\n",
        **{name: f"{name} {value}\n" for name, value in _GUARDED_VALUES.items()},
        "listed/shape": "WebSocketKeyCheck Lenient\n",
        **{f"listed/{name}": f"{name} {value}\n" for name, value in _ADMINISTRATORS_ONLY.items()},
    }.items():
        folder = server.root / "htdocs/files" / name
        folder.mkdir(parents=True)
        (folder / ".htaccess").write_text(text)
    with server:
        yield server


@pytest.mark.parametrize(
    ("path", "host", "size"),
    [
        ("/a", "plain.example", 10),
        ("/a/b", "plain.example", 5),
        ("/a/b/c", "plain.example", 5),
        ("/a/b/c/d", "plain.example", 7),
        ("/a", "other.example", 8),
    ],
    ids=["server", "location", "nested_location_that_names_other_things", "nested_location", "virtual_host"],
)
def test_an_inner_section_overrides_only_what_it_names(merged, path, host, size):
    assert largest(merged, path, host=host) == size


@pytest.mark.parametrize(("path", "code"), [("/a/b", 1002), ("/a/b/c", 2000), ("/a/b/c/d", 1002)])
def test_a_flag_is_inherited_and_can_be_taken_back(merged, path, code):
    with merged.websocket(path, host="plain.example") as client:
        client.send(frames.close(2000))
        client.expect_close(code)


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://inner.example", 101), ("http://outer.example", 101), ("http://other.example", 403)],
)
def test_trusted_origins_add_up(merged, origin, status):
    assert merged.answer("/a", host="other.example", headers=[("Origin", origin)]).status == status


@pytest.mark.parametrize(("folder", "code", "answer"), [("plain", 1002, None), ("shape", 2000, "permessage-deflate")])
def test_htaccess_may_shape_an_endpoint(merged, folder, code, answer):
    assert largest(merged, f"/files/{folder}/", host="plain.example") == 9
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    response = merged.answer(f"/files/{folder}/", host="plain.example", headers=offer)
    assert (response.header("Sec-WebSocket-Extensions") or "None").startswith(str(answer))
    with accepted(merged, f"/files/{folder}/", host="plain.example") as client:
        client.send(frames.close(2000))
        client.expect_close(code)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("handler", "WebSocketHandler"),
        ("wrong", "WebSocketKeyCheck"),
        ("server", "WebSocketThreads"),
        ("log", "WebSocketLog"),
        *((name, name) for name in _GUARDED_VALUES),
    ],
)
def test_htaccess_may_not_load_code_or_lift_limits_or_be_wrong(merged, folder, name):
    start = merged.log_size()
    assert merged.answer(f"/files/{folder}/", host="plain.example").status == 500
    merged.expect_log(rf"\.htaccess: .*{name}", start)


@pytest.mark.parametrize("name", _ADMINISTRATORS_ONLY)
def test_allow_override_list_gives_htaccess_nothing_more(merged, name):
    start = merged.log_size()
    assert merged.answer(f"/files/listed/{name}/", host="plain.example").status == 500
    merged.expect_log(rf"\.htaccess: {name} cannot occur within", start)
    assert largest(merged, "/files/listed/shape/", host="plain.example") == 9


def test_limits_hold_after_a_graceful_restart_with_another_configuration(start_httpd):
    server = start_httpd(location("/echo", "echo", "WebSocketMaxMessageSize 4"))
    assert largest(server, "/echo") == 4
    server.write_config(location("/echo", "echo", "WebSocketMaxMessageSize 6"))
    server.signal(signal.SIGUSR1)
    wait_until(lambda: largest(server, "/echo") == 6, 10, "the new configuration")
