# SPDX-License-Identifier: Apache-2.0
"""SockJS: what it asks for over HTTP, its frames on WebSockets, and its own client in Node and Chromium."""

import json
import pathlib
import re

import pytest

import frames
import programs
from chromium import skippable
from compiling import build_plugin
from httpd import BUILD, Httpd, section, shipped
from waiting import wait_until


def _section(path, init, *lines):
    return section(path, "test/plugins/sockjs.so", f"sockjs_{init}_init", *lines)


@pytest.fixture(scope="module")
def sockjs(mpm):
    """An httpd with all kinds of plugins, and the client of SockJS for pages."""
    parts = [
        _section("/loop", "loop", "WebSocketOption sockjs on"),
        _section("/pool", "pool", "WebSocketOption sockjs on"),
        _section("/parts", "parts", "WebSocketOption sockjs on"),
        _section("/off", "loop", "WebSocketOption sockjs off"),
        _section("/greeting", "loop", "WebSocketOption sockjs on", "WebSocketOption greeting hello",
                 'WebSocketOption sockjs-url "https://example.com/s.js"'),
        _section("/beating", "loop", "WebSocketOption sockjs on", "WebSocketOption sockjs-heartbeat 1"),
        _section("/friends", "loop", "WebSocketOption sockjs on", "WebSocketOriginCheck Trusted",
                 "WebSocketTrustedOrigin http://friend.example"),
        _section("/small", "loop", "WebSocketOption sockjs on", "WebSocketMaxMessageSize 1000"),
        shipped("/chat", "chat", "WebSocketOption sockjs on"),
    ]  # fmt: skip
    with Httpd(mpm, "\n".join(parts)) as server:
        yield server
        server.assert_unharmed()


def _ask(server, path, method="GET", headers=(), **options):
    return server.ask(path, method, headers=headers, **options)


def _open(server, path="/loop", **options):
    client = server.websocket(f"{path}/000/abc/websocket", **options)
    client.expect_text("o")
    return client


def _tell(client, *messages):
    client.send(frames.text(json.dumps(messages).encode()))


KINDS = pytest.mark.parametrize("path", ["/loop", "/pool", "/parts"])

# ---- what goes wrong ---------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    "frame",
    [
        b'["a', b'"a', b'["a"', b'["a",]', b'["a" "b"]', b"[1]", b"[null]", b'[["a"]]', b"{}", b"x", b'["a"]x', b'["\\x"]', b'["\\u12"]',
        b'["\\ud800\\u12"]', b'["a\nb"]', b"[" + b",".join([b'"x"'] * 101) + b"]",
    ],
)  # fmt: skip
def test_a_broken_frame_ends_the_connection(sockjs, path, frame):
    with _open(sockjs, path) as client:
        client.send(frames.text(frame))
        client.expect_close(3000)


def test_binary_is_no_frame(sockjs):
    with _open(sockjs) as client:
        client.send(frames.binary(b'["a"]'))
        client.expect_close(3000)


def test_a_frame_above_the_limit_ends_the_connection(sockjs):
    with _open(sockjs, "/small") as client:
        client.send(frames.text(b'"' + b"x" * 1000 + b'"'))
        client.expect_close(1009)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/loop/a.b/c/websocket", 404), ("/loop/a/c.d/websocket", 404), ("/loop/000/abc/xhr", 404),
        ("/loop/info", 404), ("/loop/iframe.html", 404), ("/loop/000/abc/eventsource", 404),
    ],
)  # fmt: skip
def test_handshakes_for_sessions_that_are_none_are_refused(sockjs, path, status):
    assert sockjs.answer(path).status == status


@pytest.mark.parametrize("transport", ["xhr", "xhr_streaming", "xhr_send", "eventsource", "htmlfile", "jsonp", "jsonp_send"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_transports_are_not_offered(sockjs, transport, method):
    assert _ask(sockjs, f"/loop/000/abc/{transport}", method).status == 404


@pytest.mark.parametrize("name", ["iframe.htm", "iframe.HTML", "IFRAME.html", "iframe.xml", "iframe-/x.html", "iframe-A.html"])
def test_other_names_are_no_iframes(sockjs, name):
    assert _ask(sockjs, f"/loop/{name}").status == 404


@pytest.mark.parametrize(("path", "allow"), [
    ("/loop", {"GET"}), ("/loop/info", {"OPTIONS", "GET"}), ("/loop/iframe.html", {"GET"}), ("/loop/a/b/websocket", {"GET"}),
    ("/loop/websocket", {"GET"}),
])  # fmt: skip
def test_other_methods_are_not_allowed(sockjs, path, allow):
    for method in ("POST", "PUT"):
        response = _ask(sockjs, path, method)
        assert (response.status, response.body) == (405, b"") and response.header("Content-Type") is None
        assert {word.strip() for word in response.header("Allow").split(",")} == allow


@pytest.mark.parametrize("path", ["/loop/websocket", "/loop/000/abc/websocket", "/loop/000/abc/websocket/"])
def test_a_websocket_needs_its_handshake(sockjs, path):
    response = _ask(sockjs, path)
    assert (response.status, response.body) == (400, b"Not a valid websocket request\n")


@pytest.mark.parametrize(("option", "told"), [
    ("sockjs yes", "neither on nor off"), ("sockjs-heartbeat 0", "from 1 to 3600"), ('sockjs-url "x y"', "no address"),
    ("unknown x", "unknown"),
])  # fmt: skip
def test_wrong_options_are_refused(configtest, option, told):
    code, output = configtest(_section("/x", "loop", f"WebSocketOption {option}"))
    assert code != 0 and told in output


@pytest.mark.parametrize(("path", "statuses"), [
    ("/loop/%00/abc/websocket", {400, 404}), ("/loop/a/%2e%2e/websocket", {400}), ("/loop/a%2Fb/c/websocket", {404}),
    ("/loop/a/b%2Fwebsocket", {404}), ("/loop//b/websocket", {404}), ("/loop/a//websocket", {404}),
    ("/loop/a/b/websocket/x", {404}), ("/loop/a/b/WEBSOCKET", {404}), ("/loop/./websocket/..", {200}), ("/loop/a/b;c/websocket", {400}),
    ("/loop/%C3%A4/%FF/websocket", {400}), ("/loop/" + "s" * 250 + "/" + "t" * 250 + "/websocket", {400}),
    ("/loop/info?" + "q" * 7000, {200}), ("/loop/info?" + "q" * 9000, {414}), ("/loop/info?%00%ff&&==&t=" + "%" * 1000, {200}),
    ("/loop/info/x", {404}), ("/loop/iframe%00.html", {400, 404}), ("/loop/iframe-" + "1" * 200 + ".html", {200}),
], ids=range(18))  # fmt: skip
def test_odd_names_of_servers_and_sessions_do_no_harm(sockjs, path, statuses):
    """Without the handshake: 400 is what a WebSocket of this name answers."""
    assert _ask(sockjs, path).status in statuses
    status = sockjs.answer(path).status
    assert status == 101 if statuses == {400} else status in {400, 404, 414, 101}
    with _open(sockjs) as client:
        _tell(client, "x")
        client.expect_text('a["x"]')


def test_off_is_a_plugin_without_it(sockjs):
    assert _ask(sockjs, "/off").status == 426
    assert _ask(sockjs, "/off/info").status == 426
    with sockjs.websocket("/off/000/abc/websocket") as client:
        client.send(frames.text(b'["a"]') + frames.binary(b"x"))
        client.expect_text('["a"]')
        client.expect(frames.BINARY, b"x")
        client.close_handshake()


# ---- over HTTP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/loop", "/loop/"])
def test_greets(sockjs, path):
    response = _ask(sockjs, path)
    assert (response.status, response.body) == (200, b"Welcome to SockJS!\n")
    assert response.header("Content-Type") == "text/plain; charset=UTF-8" and response.header("Set-Cookie") is None


def test_says_what_it_offers(sockjs):
    entropies = set()
    for _ in range(3):
        response = _ask(sockjs, "/loop/info")
        assert response.status == 200 and response.header("Content-Type") == "application/json; charset=UTF-8"
        assert response.header("Cache-Control") == "no-store, no-cache, no-transform, must-revalidate, max-age=0"
        assert response.header("Expires") is None and response.header("Last-Modified") is None
        info = json.loads(response.body)
        entropy = info.pop("entropy")
        assert info == {"websocket": True, "origins": ["*:*"], "cookie_needed": False}
        assert isinstance(entropy, int) and 0 <= entropy < 2**32
        entropies.add(entropy)
    assert len(entropies) > 1


def _cors(response):
    return response.header("Access-Control-Allow-Origin"), response.header("Access-Control-Allow-Credentials")


def test_pages_of_others_learn_nothing_unless_they_may_connect(sockjs):
    own = f"http://127.0.0.1:{sockjs.port}"
    response = _ask(sockjs, "/loop/info", headers=[("Origin", own), ("Access-Control-Request-Headers", "a, b")], host=f"127.0.0.1:{sockjs.port}")
    assert _cors(response) == (own, "true") and response.header("Access-Control-Allow-Headers") == "a, b"
    assert response.header("Vary") == "Origin"
    assert _cors(_ask(sockjs, "/loop/info")) == ("*", None)
    for origin in ("http://evil.example", "null"):
        assert _cors(_ask(sockjs, "/loop/info", headers=[("Origin", origin)])) == (None, None)
    friend = [("Origin", "http://friend.example")]
    assert _cors(_ask(sockjs, "/friends/info", headers=friend)) == ("http://friend.example", "true")


def test_a_preflight_is_kept_for_a_year(sockjs):
    response = _ask(sockjs, "/friends/info", "OPTIONS", headers=[("Origin", "http://friend.example")])
    assert (response.status, response.body) == (204, b"")
    assert response.header("Cache-Control") == "public, max-age=31536000"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.header("Expires"))
    assert response.header("Access-Control-Max-Age") == "31536000"
    assert response.header("Access-Control-Allow-Methods") == "OPTIONS, GET"
    assert _cors(response) == ("http://friend.example", "true")


@pytest.mark.parametrize("name", ["iframe.html", "iframe-a.html", "iframe-.html", "iframe-0.1.2-dirty.html", "iframe-0.1.2.abc-dirty.html"])
def test_the_page_of_an_iframe_is_kept(sockjs, name):
    response = _ask(sockjs, f"/greeting/{name}")
    assert response.status == 200 and response.header("Content-Type") == "text/html; charset=UTF-8"
    assert response.header("Cache-Control") == "public, max-age=31536000" and response.header("Expires")
    assert response.header("Last-Modified") is None and response.header("Set-Cookie") is None
    assert b'<script src="https://example.com/s.js"></script>' in response.body and b"SockJS.bootstrap_iframe();" in response.body
    again = _ask(sockjs, f"/greeting/{name}", headers=[("If-None-Match", response.header("ETag"))])
    assert (again.status, again.body) == (304, b"") and again.header("Content-Type") is None


def test_other_paths_are_the_plugins(sockjs):
    assert _ask(sockjs, "/loop/mine").body == b"mine"
    assert _ask(sockjs, "/parts/mine").status == 404


# ---- frames --------------------------------------------------------------------------------------------


@KINDS
def test_messages_travel_in_frames(sockjs, path):
    with _open(sockjs, path) as client:
        _tell(client, "a", "b")
        client.expect_text('a["a"]')
        client.expect_text('a["b"]')
        client.send(frames.text(b'"single"') + frames.text(b"") + frames.text(b"[]") + frames.text(b' [ "x" , "y" ] '))
        for text in ("single", "x", "y"):
            client.expect_text(f'a["{text}"]')
        client.send(frames.text(b'["par', fin=False) + frames.continuation(b'ts"]'))
        client.expect_text('a["parts"]')
        client.close_handshake()


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (r'["\"\\\/\b\f\n\r\t"]', r'a["\"\\/\u0008\u000c\u000a\u000d\u0009"]'),
        (r'["\u0000\u001f\u007f"]', 'a["\\u0000\\u001f\x7f"]'),
        (r'["\u00e4\u20AC\ud83d\ude00"]', 'a["ä€😀"]'),
        (r'["\u200c\u200f\u2028\u202f\u2060\u206f\ufff0\uffff"]', r'a["\u200c\u200f\u2028\u202f\u2060\u206f\ufff0\uffff"]'),
        (r'["\u200b\u2010\u2027\u2030\u205f\u2070\uffef"]', 'a["\u200b\u2010\u2027\u2030\u205f\u2070\uffef"]'),
        (r'["\ud800 \udc00\ud800\ud800\udc00x"]', 'a["\\ufffd \\ufffd\\ufffd\U00010000x"]'),
    ],
)
def test_characters_are_written_as_clients_can_read_them(sockjs, sent, received):
    with _open(sockjs) as client:
        client.send(frames.text(sent.encode()))
        client.expect_text(received)


@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_the_plugin_closes_with_a_frame(sockjs, path):
    with _open(sockjs, path) as client:
        _tell(client, "close", "not heard")
        client.expect_text('c[3000,"Go away!"]')
        client.expect_close(3000)


@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_all_ways_to_send_have_frames(sockjs, path):
    with _open(sockjs, path) as client:
        _tell(client, "binary", "prepared", "stream")
        for text in ("binary -4", 'prepared \\"x\\"', 'prepared \\"x\\"', 'one \\"two\\"'):
            client.expect_text(f'a["{text}"]')


def test_a_pause_in_the_middle_of_a_frame_holds_back_the_rest(sockjs):
    with _open(sockjs) as client:
        _tell(client, "pause", "x", "count")
        for text in ("resumed", "x", "3"):
            client.expect_text(f'a["{text}"]')


def test_topics_reach_those_with_frames_and_those_without(sockjs):
    with _open(sockjs) as framed, sockjs.websocket("/loop/websocket") as raw, sockjs.websocket("/loop") as plain:
        _tell(framed, "subscribe")
        framed.expect_text('a["subscribed"]')
        for client in (raw, plain):
            client.send(frames.text(b"subscribe"))
            client.expect_text("subscribed")
        raw.send(frames.text(b"publish"))
        raw.expect_text("published")
        framed.expect_text('a["to \\"all\\""]')
        plain.expect_text('to "all"')
        _tell(framed, "publish")
        framed.expect_text('a["published"]')
        for client in (raw, plain):
            client.expect_text('to "all"')


def test_without_frames_everything_is_as_it_was(sockjs):
    with sockjs.websocket("/loop/websocket") as client:
        client.send(frames.text(b"x") + frames.binary(b"\x00") + frames.text(b"close"))
        client.expect_text("x")
        client.expect(frames.BINARY, b"\x00")
        client.expect_close(3000)


def test_two_connections_with_the_same_names_are_two(sockjs):
    with _open(sockjs) as first, _open(sockjs) as second:
        _tell(first, "x")
        first.expect_text('a["x"]')
        _tell(second, "count")
        second.expect_text('a["1"]')


def test_the_greeting_of_the_plugin_follows_the_first_frame(sockjs):
    with _open(sockjs, "/greeting") as client:
        client.expect_text('a["hello"]')


def test_the_plugin_may_refuse(sockjs):
    assert sockjs.answer("/loop/000/abc/websocket?refuse").status == 403


def test_a_heart_beats(sockjs):
    with _open(sockjs, "/beating") as client:
        client.expect_text("h")
        client.expect_text("h")


def test_a_client_that_vanishes_is_forgotten(sockjs):
    start = sockjs.log_size()
    with _open(sockjs) as client:
        client.vanish()
    wait_until(lambda: "closed 1006" in sockjs.log(start), 10, "the end of the client for the plugin")
    wait_until(lambda: sockjs.status()["WebSocketConnections"] == "0", 10, "the end of all clients")
    with _open(sockjs) as client:
        client.close_handshake(1000)


def test_the_chat_speaks_it(sockjs):
    with sockjs.websocket("/chat/000/abc/websocket?name=alice") as client:
        client.expect_text("o")
        assert json.loads(json.loads(client.expect_text()[1:])[0])["type"] == "here"
        _tell(client, "hi")
        assert json.loads(json.loads(client.expect_text()[1:])[0])["text"] == "hi"


# ---- its own client --------------------------------------------------------------------------------------


@skippable("node")
@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_the_client_of_sockjs_connects_in_node(sockjs, path):
    found = json.loads(programs.run_node("sockjs_client.cjs", f"http://127.0.0.1:{sockjs.port}{path}"))
    assert found == {"transport": "websocket", "code": 3000, "reason": "Go away!", "wasClean": True}


_PAGE = """<!DOCTYPE html><title>waiting</title><script src="sockjs.min.js"></script><script>
const seen = [];
const socket = new SockJS("/loop");
socket.onopen = () => { seen.push("open " + socket.transport); socket.send("h\\u00e4"); };
socket.onmessage = ({ data }) => { seen.push(data); socket.send("close"); };
socket.onclose = ({ code, reason }) => { seen.push(`${code} ${reason}`); document.title = seen.join("; "); };
</script>"""


@pytest.mark.heavy
@skippable("node")
@skippable("chromium")
def test_the_client_of_sockjs_connects_in_chromium(sockjs, browser):
    script = programs.node_modules() / "sockjs-client/dist/sockjs.min.js"
    (sockjs.root / "htdocs/sockjs.min.js").write_bytes(script.read_bytes())
    (sockjs.root / "htdocs/page.html").write_text(_PAGE)
    browser.get(f"http://127.0.0.1:{sockjs.port}/page.html")
    wait_until(lambda: browser.title != "waiting", 20, "the end of the conversation")
    assert browser.title == "open websocket; hä; 3000 Go away!"
    # As docs/sockjs.md has it.
    say = 'console.log = (text) => { document.title += text; };'
    (sockjs.root / "htdocs/snippet.html").write_text(
        f'<!DOCTYPE html><title></title><script src="sockjs.min.js"></script><script>{say}{_snippet("js")}</script>'
    )
    browser.get(f"http://127.0.0.1:{sockjs.port}/snippet.html")
    wait_until(lambda: '"text":"hello"' in browser.title, 20, "the message that the snippet sends")


# ---- docs/sockjs.md --------------------------------------------------------------------------------------

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def _snippet(language):
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", (_TOP / "docs/sockjs.md").read_text(), re.MULTILINE | re.DOTALL)
    return block


def test_the_configuration_of_the_page_is_valid(configtest):
    code, output = configtest(_snippet("apache").replace("/usr/lib/apache2/modules/", f"{BUILD}/plugins/"))
    assert code == 0, output


@pytest.mark.full
def test_the_plugin_of_the_page_does_what_it_says(start_httpd, tmp_path_factory):
    plugin = build_plugin(_snippet("cpp"), "cpp", tmp_path_factory.mktemp("sockjs"), "room")
    section = _section("/room", "loop", "WebSocketOption sockjs on")
    server = start_httpd(re.sub("WebSocketHandler .*", f'WebSocketHandler "{plugin}" room_init', section))
    with _open(server, "/room") as framed, server.websocket("/room") as plain:
        _tell(framed, "first")
        framed.expect_text('a["first"]')
        plain.send(frames.text(b"second"))
        while plain.expect_text() != "second":  # the first may have come before it had subscribed
            pass
        framed.expect_text('a["second"]')
        _tell(framed, "third")
        plain.expect_text("third")
