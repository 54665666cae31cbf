# SPDX-License-Identifier: Apache-2.0
"""Fixtures: which MPM, the server of the ordinary tests, and servers made to measure."""

import contextlib
import itertools
import os

import pytest

import certificates
import chromium
import httpd
from bridges import Bridges
from httpd import Httpd, template

# What makes WebSockets travel over HTTP/2 with prior knowledge.
H2_LINES = "Protocols h2c http/1.1\nH2WebSockets On\n"


def pytest_addoption(parser):
    parser.addoption("--mpm", default="event", help="MPMs to run on, separated by commas")
    parser.addoption("--quick", action="store_true", help="only one proxy of many, and no further programs")
    parser.addoption("--light", action="store_true", help="with --quick: not what needs seconds of a core, either, and smaller crowds")


def pytest_configure(config):
    if config.getoption("--light"):
        os.environ["WEBSOCKET_LIGHT"] = "1"  # for what modules decide when they are imported
    config.addinivalue_line("markers", "full: takes its time, so --quick leaves it out")
    config.addinivalue_line("markers", "heavy: needs seconds of a core, so --light leaves it out; something lighter shows the like")
    config.addinivalue_line("markers", "each_mpm: depends on the MPM, so it runs on all of --mpm; others run on the first")
    config.addinivalue_line("markers", "one_mpm: of those with each_mpm, what runs on the first only all the same")
    config.addinivalue_line("markers", "slow: takes seconds, so it begins before the others when there are several processes")


@pytest.hookimpl(trylast=True)  # when those that -m leaves out are gone
def pytest_collection_modifyitems(config, items):
    left_out = [name for option, name in (("--quick", "full"), ("--light", "heavy")) if config.getoption(option)]
    wanted = [item for item in items if not any(item.get_closest_marker(name) for name in left_out)]
    wanted = [item for item in wanted if not item.get_closest_marker("one_mpm") or _is_on_first_mpm(config, item)]
    kept = set(wanted)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = _slow_ones_first(wanted, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _slow_ones_first(items, processes):
    """pytest-xdist begins with a quarter of its share for each process, in one piece: the slow ones are dealt out to
    the beginnings of these pieces, so that none of them begins when the others are through."""
    if processes == 1:
        return items
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = iter([item for item in items if not item.get_closest_marker("slow")])
    size = max(len(items) // processes // 4, 2)
    dealt = []
    for number in range(processes):
        piece = slow[number::processes]
        dealt += [*piece, *itertools.islice(others, max(size - len(piece), 0))]
    return [*dealt, *others]


def _mpms(config, module):
    """Those to run on that the module's subject works with."""
    mpms = config.getoption("--mpm").split(",")
    return [mpm for mpm in mpms if mpm in getattr(module, "MPMS", mpms)]


def _is_on_first_mpm(config, item):
    return item.callspec.params["mpm"] == _mpms(config, item.module)[0]


def pytest_generate_tests(metafunc):
    if "mpm" in metafunc.fixturenames:
        mpms = _mpms(metafunc.config, metafunc.module)
        if not metafunc.definition.get_closest_marker("each_mpm"):
            mpms = mpms[:1]
        metafunc.parametrize("mpm", mpms, scope="session", indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """Shows the end of the error logs with a failed test."""
    report = (yield).get_result()
    if report.failed:
        report.sections += [(f"error log of {server.name}", server.log()[-3000:]) for server in httpd.running]


@pytest.fixture(scope="session")
def mpm(request):
    """Name of the MPM that the test runs on."""
    return request.param


def pytest_report_header():
    return [f"httpd: {httpd.program()}", f"build: {httpd.BUILD}"]


@pytest.fixture(scope="session")
def shared_server(mpm):
    """The httpd of the ordinary tests, one for each MPM, with all locations of test/httpd."""
    parts = [template("handshake.conf"), template("plugins.conf")]
    for dispatch in ("Pool", "Inline"):
        parts.append(template("echo.conf", PREFIX=dispatch.lower(), DISPATCH=dispatch))
    with Httpd(mpm, "\n".join(parts)) as server:
        yield server


@pytest.fixture
def server(shared_server):
    """The ordinary server; the test fails if it harmed a child."""
    yield shared_server
    shared_server.assert_unharmed()


@pytest.fixture
def start_httpd(mpm):
    """start_httpd(parts, **options) starts a server for this test alone, with one child."""
    with contextlib.ExitStack() as running:

        def start(parts, **options):
            return running.enter_context(Httpd(mpm, parts, **{"children": 1, **options}))

        yield start


@pytest.fixture(scope="session")
def shared_h2_server(mpm):
    """An httpd with HTTP/2, plain and, at tls_port, with TLS."""
    tls_port = httpd.free_port()
    parts = [
        H2_LINES,
        "WebSocketMaxPumped 20\n",
        template("handshake.conf"),
        template("plugins.conf"),
        httpd.location("/ping", "echo", "WebSocketPingInterval 200ms", "WebSocketPongTimeout 2s"),
        httpd.location("/close", "debug", "WebSocketCloseTimeout 300ms"),
        httpd.location("/drop", "hostile", "WebSocketSlowConsumer Drop", "WebSocketSendBuffer 64K"),
        certificates.virtual_host(tls_port, "Protocols h2 http/1.1", "SSLOptions +StdEnvVars"),
    ]
    with Httpd(mpm, "\n".join(parts), modules=("http2", "ssl", "socache_shmcb")) as server:
        server.tls_port = tls_port
        yield server


@pytest.fixture
def h2_server(shared_h2_server):
    """The ordinary server with HTTP/2; the test fails if it harmed a child."""
    yield shared_h2_server
    shared_h2_server.assert_unharmed()


@pytest.fixture
def start_h2(start_httpd):
    """start_h2(parts, **options): as start_httpd, with HTTP/2."""

    def start(parts, **options):
        return start_httpd(H2_LINES + parts, modules=("http2",), **options)

    return start


@pytest.fixture(scope="session")
def shared_bridges(mpm):
    """The httpd of most tests of websocket_tcp.so, and what it leads to."""
    with contextlib.ExitStack() as stack:
        yield Bridges(mpm, stack)


@pytest.fixture
def bridges(shared_bridges):
    """The same; the test fails if it harmed a child."""
    yield shared_bridges
    shared_bridges.server.assert_unharmed()


@pytest.fixture(scope="session")
def configtest(request):
    """configtest(parts) runs `httpd -t` and returns its exit code and output."""
    server = Httpd(request.config.getoption("--mpm").split(",")[0])
    yield server.configtest
    server.remove()


@pytest.fixture
def browser():
    """A Chromium. Name it behind the server: a worker that waits for the first request on a connection that
    the browser has opened in advance keeps its child from ending until httpd kills it."""
    with chromium.chromium() as driver:
        yield driver
