# SPDX-License-Identifier: Apache-2.0
"""The pages of examples/ in Chromium: what they say when a connection ends, and what one can see."""

import pathlib
import re
import shutil

import pytest

import chromium
import processes
from chromium import send_text, skippable, text_of
from httpd import BUILD, Httpd, location, shipped
from waiting import wait_until

pytestmark = [skippable("chromium"), pytest.mark.heavy]

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_EXAMPLES = _TOP / "examples"
_PAGES = sorted(file.name for file in _EXAMPLES.glob("*.html"))


def _section(path):
    """As ./run.sh has it, to this server itself."""
    [section] = re.findall(rf'^<Location "{path}">\n.*?^</Location>\n', (_TOP / "conf/demo.conf.in").read_text(), re.M | re.S)
    return section.replace("@port@", "@PORT@").replace("@build@", str(BUILD))


_PARTS = (
    location("/echo", "echo")
    + location("/dumb-increment", "dumb_increment")
    + shipped("/chat", "chat")
    + shipped("/ticker", "ticker")
    + shipped("/jsonrpc", "jsonrpc")
    + shipped("/sockjs", "jsonrpc", "WebSocketOption sockjs on")
    + _section("/topics")
    + _section("/publish")
    + _section("/tunnel")
)


@pytest.fixture(scope="module")
def pages(mpm):
    with Httpd(mpm, _PARTS, children=1, modules=("proxy", "proxy_http")) as server:
        for page in _PAGES:
            shutil.copy(_EXAMPLES / page, server.root / "htdocs")
        yield server


@pytest.fixture(scope="module")
def browser(pages):  # one for all: it takes longer to start than the tests take
    with chromium.chromium() as driver:
        yield driver


def _open(pages, browser, page):
    browser.get(f"http://127.0.0.1:{pages.port}/{page}")


def _picture(browser, name):
    pictures = BUILD / "screenshots"
    pictures.mkdir(exist_ok=True)
    assert browser.save_screenshot(str(pictures / name))


# The least contrast (WCAG 2, 1.4.11) between the border of something to use and what is around it.
_CONTRAST = """
const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(one => one / 255)
        .map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => (Math.max(light(one), light(other)) + 0.05) / (Math.min(light(one), light(other)) + 0.05);
const behind = element => {
    for (let one = element.parentElement; one; one = one.parentElement) {
        const color = getComputedStyle(one).backgroundColor;
        if (color !== "rgba(0, 0, 0, 0)") return color;
    }
    return "rgb(255, 255, 255)";
};
const seen = [...document.querySelectorAll("input, textarea, button.quiet")].map(element => {
    const style = getComputedStyle(element);
    const edge = element.matches("button") ? style.boxShadow.match(/rgba?\\([^)]*\\)/)[0] : style.borderTopColor;
    return [contrast(edge, behind(element)), element.id];
});
return seen.sort((a, b) => a[0] - b[0])[0] ?? [21, "nothing"];
"""


@pytest.mark.parametrize("page", _PAGES)
def test_what_one_can_use_stands_out_and_the_way_back_is_there(pages, browser, page):
    _open(pages, browser, page)
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        contrast, element = browser.execute_script(_CONTRAST)
        assert contrast >= 3, (scheme, element)
    if page != "demo.html":
        assert browser.find_element("css selector", "a[href='demo.html']").is_displayed()


def test_the_demo_calls_methods_and_keeps_its_session(pages, browser):
    _open(pages, browser, "demo.html")

    def log():
        return text_of(browser, "rpc-log")

    def call(method, params, pattern):
        browser.execute_script("document.getElementById('rpc-method').value = arguments[0]", method)
        send_text(browser, "rpc", params)
        wait_until(lambda: re.search(pattern, log()), 10, f"{pattern} on the page")

    wait_until(lambda: browser.find_element("id", "rpc-send").is_enabled(), 20, "the service being connected")
    call("sum", "[1, 2, 3.5]", r"←\s*6\.5\s*\d+\.\d ms")
    call("remember", '["who", "alice"]', r"←\s*null")
    call("publish", '{"topic": "demo", "data": "hi"}', r'⇠\s*event {"topic":"demo","data":"hi"}')
    call("nothing", "", r"error -32601: Method not found")
    call("sum", "[1,", r"params are no JSON")
    browser.execute_script("rpc.socket.close()")
    wait_until(lambda: "in the same session" in log(), 20, "the page being back")
    call("recall", '["who"]', r'←\s*"alice"')
    browser.execute_script("document.getElementById('rpc-form').scrollIntoView({block: 'center'})")
    _picture(browser, "demo-jsonrpc.png")


def test_the_demo_shows_what_sockjs_says(pages, browser):
    _open(pages, browser, "demo.html")

    def log():
        return text_of(browser, "sockjs-log")

    wait_until(lambda: "origins" in log() and re.search(r"^←\s*o$", log(), re.M), 20, "the first frame, and what is offered")
    send_text(browser, "sockjs", "ä€😀 \"x\"")
    answer = r'a["{\"id\":0,\"result\":[\"ä€😀 \\\"x\\\"\"],\"jsonrpc\":\"2.0\"}"]'
    wait_until(lambda: answer in log(), 10, "the answer in its frame")
    browser.execute_script("document.getElementById('sockjs-form').scrollIntoView({block: 'center'})")
    _picture(browser, "demo-sockjs.png")


def test_the_demo_talks_through_a_tunnel_that_holds_no_worker(pages, browser):
    _open(pages, browser, "demo.html")
    wait_until(lambda: text_of(browser, "tunnel-answer") == "connected", 20, "the tunnel being open")
    for message in ("Hello, backend!", "ä€😀"):
        send_text(browser, "tunnel", message)
        answer = rf"← {message} \(\d+\.\d ms\)"
        wait_until(lambda: re.fullmatch(answer, text_of(browser, "tunnel-answer")), 10, "the answer on the page")
    assert int(pages.status()["WebSocketConnectionsTunnel"]) >= 1  # pages that one has left may still have theirs
    pages.await_free_workers()
    _picture(browser, "demo-tunnel.png")


def test_all_fields_of_the_chat_say_what_they_are_for(pages, browser):
    _open(pages, browser, "chat.html")
    for field, label in (("name", "Your name"), ("room", "Room")):
        element = browser.execute_script("return document.getElementById(arguments[0]).labels[0]", field)
        assert element.is_displayed() and element.text == label
    _picture(browser, "chat-door.png")


def test_the_chat_counts_the_bytes_of_a_name(pages, browser):
    def complaint():
        return browser.execute_script("return document.getElementById('name').validationMessage")

    _open(pages, browser, "chat.html?name=" + 33 * "ж")
    assert complaint() == "Too long: 66 bytes in UTF-8, of 64 at most"
    assert text_of(browser, "status") == "not connected"
    browser.find_element("id", "name").send_keys("\ue003")  # Backspace
    assert complaint() == ""
    browser.find_element("css selector", "#enter button").click()
    wait_until(lambda: text_of(browser, "status") == "connected as " + 32 * "ж", 20, "the page being connected")


@pytest.mark.parametrize(
    ("page", "connected"),
    [("chat.html?name=a", "connected as a"), ("ticker.html", "connected to"), ("increment.html", "connected to")],
)
def test_a_lost_connection_is_told_in_words_and_comes_back(pages, browser, page, connected):
    _open(pages, browser, page)
    wait_until(lambda: text_of(browser, "status").startswith(connected), 20, "the page being connected")
    browser.execute_script(
        "window.said = []; new MutationObserver(() => said.push(document.getElementById('status').textContent))"
        ".observe(document.getElementById('status'), {childList: true});"
    )
    processes.kill(pages.child())
    lost = r"The connection was lost \(1006\)\. (Trying again in \d+ s|Reload the page to try again)\."
    said = wait_until(
        lambda: [text for text in browser.execute_script("return said") if re.fullmatch(lost, text)], 20, "words"
    )
    if "Trying" in said[0]:
        wait_until(lambda: text_of(browser, "status").startswith(connected), 60, "the page being connected again")
    wait_until(lambda: len(pages.children()) == 1, 20, "the new child")


@pytest.mark.parametrize("page", ["chat.html", "ticker.html", "demo.html"])
def test_pauses_grow_up_to_half_a_minute_and_are_never_the_same(pages, browser, page):
    _open(pages, browser, page)
    for attempt, most in ((0, 1000), (3, 8000), (5, 30000), (5000, 30000)):
        pauses = browser.execute_script(f"return Array.from({{length: 50}}, () => pauseBefore({attempt}))")
        assert most / 5 <= min(pauses) and max(pauses) <= most
        assert len(set(pauses)) > 40


def test_the_chat_does_not_remember_messages_for_ever(pages, browser):
    _open(pages, browser, "chat.html")
    known = browser.execute_script(
        "byId('messages').hidden = true;"  # no layout each time
        "for (let id = 0; id < 2500; ++id) handlers.message({id, at: id, from: 'a', text: 'x'}); return known.size"
    )
    assert known == 2000
    assert len(browser.find_elements("css selector", "#messages li")) == 500


def test_what_one_tab_publishes_by_http_comes_to_both(pages, browser):
    def log():
        return text_of(browser, "publish-log")

    def got_it():  # by the WebSocket, and by the event stream
        return all(re.search(rf"{mark}\s*to both ä😀", log()) for mark in "←⇠")

    _open(pages, browser, "demo.html")
    wait_until(lambda: len(re.findall("subscribed to demo", log())) == 2, 10, "the subscriptions of socket and event stream")
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        _open(pages, browser, "demo.html")
        wait_until(lambda: len(re.findall("subscribed to demo", log())) == 2, 10, "the subscriptions of the second tab")
        send_text(browser, "publish", "to both ä😀")
        wait_until(lambda: re.search(r"published to \d+ subscribers", log()) and got_it(), 10, "the answer and the message")
    finally:
        browser.close()
        browser.switch_to.window(first)
    wait_until(got_it, 10, "the message in the first tab")
    browser.execute_script("document.getElementById('publish-form').scrollIntoView({block: 'center'})")
    _picture(browser, "publish.png")
