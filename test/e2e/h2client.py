# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 connections whose streams are ordinary requests or WebSockets (RFC 8441)."""

import contextlib
import socket
import struct
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

import frames
from raw import FrameClient
from waiting import patience

_SECONDS = 10
_NO_ERROR = 0

# RFC 9113 section 6.8: open streams go on after a GOAWAY. The library would end the connection.
_machine = h2.connection.H2ConnectionStateMachine
_machine._transitions = dict(_machine._transitions)
_machine._transitions[
    (h2.connection.ConnectionState.CLIENT_OPEN, h2.connection.ConnectionInputs.RECV_GOAWAY)
] = (None, h2.connection.ConnectionState.CLIENT_OPEN)
_ENABLE_CONNECT_PROTOCOL = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL


class Stream:
    """What has come on one stream so far."""

    def __init__(self, number):
        self.id = number
        self.headers = None  # of the response, as a dictionary
        self.data = bytearray()
        self.unacknowledged = 0
        self.ended = False
        self.reset = None  # the error code of RST_STREAM

    @property
    def status(self):
        return int(self.headers[":status"])


class H2Client:
    """One HTTP/2 connection to a server at 127.0.0.1. Every wait is bounded and says what it missed.

    tls          an ssl.SSLContext, or None for prior knowledge
    window       initial window of each stream for what the server sends
    acknowledge  give the server its window back as data comes
    """

    def __init__(self, port, *, tls=None, window=None, acknowledge=True, host="127.0.0.1"):
        self._sock = socket.create_connection((host, port), timeout=patience(_SECONDS))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._sock = tls.wrap_socket(self._sock, server_hostname="localhost")
            assert self._sock.selected_alpn_protocol() == "h2", "the server did not choose h2"
        self._scheme = "https" if tls is not None else "http"
        self._authority = f"{host}:{port}"
        self._acknowledge = acknowledge
        self._streams = {}
        self.goaway = None  # the event, once it has come
        self.ended = False
        # A test must be able to send what a well-behaved client would not.
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(
                client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
            )
        self.h2.initiate_connection()
        self.flush()
        self.wait_until(lambda: self._settings_seen, "the server's SETTINGS")

    _settings_seen = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes -----------------------------------------------------------------------------------

    def flush(self):
        """Sends what h2 has to send."""
        self.send_bytes(self.h2.data_to_send())

    def send_bytes(self, data):
        self._sock.settimeout(patience(_SECONDS))
        self._sock.sendall(data)

    def read_once(self, deadline, what):
        """Reads and handles something."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f"waited in vain for {what}")
        self._sock.settimeout(left)
        try:
            data = self._sock.recv(1 << 18)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}") from None
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
            return
        for event in self.h2.receive_data(data):
            self._handle(event)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # what came last has been read
            self.flush()

    def wait_until(self, condition, what, seconds=_SECONDS):
        deadline = time.monotonic() + patience(seconds)
        while not condition():
            assert not self.ended, f"the connection ended before {what}"
            self.read_once(deadline, what)

    def _handle(self, event):
        stream = self._streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._settings_seen = True
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event
        elif stream is None:
            pass  # of the connection, or of a stream that the test has forgotten
        elif isinstance(event, h2.events.ResponseReceived):
            stream.headers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            stream.unacknowledged += event.flow_controlled_length
            if self._acknowledge:
                self._give_back(stream)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = event.error_code

    def _give_back(self, stream):
        if stream.unacknowledged:
            self.h2.acknowledge_received_data(stream.unacknowledged, stream.id)
            stream.unacknowledged = 0

    def start_acknowledging(self):
        """Gives the server its windows back for what has come and for what will."""
        self._acknowledge = True
        for stream in self._streams.values():
            self._give_back(stream)
        self.flush()

    def open_window(self, stream, bytes):
        """Lets the server send so much more, on a stream or, for None, on the connection."""
        self.h2.increment_flow_control_window(bytes, stream and stream.id)
        self.flush()

    def wait_for_data(self, stream):
        """Something more than there is comes on the stream."""
        have = len(stream.data)
        self.wait_until(lambda: len(stream.data) > have, f"more data on stream {stream.id}")

    def close(self):
        self._sock.close()

    def reset(self):
        """Ends the TCP connection with an RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    # ---- streams ---------------------------------------------------------------------------------

    @property
    def offers_websockets(self):
        """Whether the server has said that it knows extended CONNECT."""
        return self.h2.remote_settings.get(_ENABLE_CONNECT_PROTOCOL) == 1

    def begin(self, headers, *, end=False):
        """Opens a stream with these headers, exactly."""
        stream = Stream(self.h2.get_next_available_stream_id())
        self._streams[stream.id] = stream
        self.h2.send_headers(stream.id, headers, end_stream=end)
        self.flush()
        return stream

    def get(self, path, seconds=_SECONDS):
        """One ordinary GET, until its end."""
        stream = self.begin(
            [(":method", "GET"), (":scheme", self._scheme), (":authority", self._authority), (":path", path)],
            end=True,
        )
        self.wait_until(lambda: stream.ended or stream.reset is not None, f"the answer to GET {path}", seconds)
        assert stream.reset is None, f"GET {path} was reset: {stream.reset}"
        return stream

    def connect_headers(self, path, *, protocol="websocket", version=13, headers=()):
        """Those of an extended CONNECT; an argument of None leaves its header out."""
        fields = [
            (":method", "CONNECT"),
            (":protocol", protocol),
            (":scheme", self._scheme),
            (":authority", self._authority),
            (":path", path),
            ("sec-websocket-version", version),
            *headers,
        ]
        return [(name, str(value)) for name, value in fields if value is not None]

    def connect(self, path, *, end=False, **options):
        """Asks for a WebSocket and returns its stream without waiting. Options: see connect_headers."""
        return self.begin(self.connect_headers(path, **options), end=end)

    def await_response(self, stream, seconds=_SECONDS):
        self.wait_until(
            lambda: stream.headers is not None or stream.reset is not None,
            f"a response on stream {stream.id}",
            seconds,
        )
        assert stream.headers, f"stream {stream.id} was reset with {stream.reset} before its response"
        return stream.status

    def websocket(self, path, **options):
        """An open WebSocket. Options: see connect_headers."""
        stream = self.connect(path, **options)
        assert self.await_response(stream) == 200, stream.headers
        assert not stream.ended, "the response has no body"
        return self.attach(stream)

    def attach(self, stream):
        """A WebSocket on a stream that has one."""
        return H2WebSocket(self, stream)

    @property
    def last_stream(self):
        return self._streams[max(self._streams)]


class H2WebSocket(FrameClient):
    """A WebSocket on a stream."""

    def __init__(self, connection, stream):
        super().__init__()
        self.connection = connection
        self.stream = stream

    def send(self, data, *, portion=None, padding=None):
        """Sends in DATA frames of at most `portion` bytes, each with `padding` bytes of padding."""
        machine, number = self.connection.h2, self.stream.id
        overhead = 0 if padding is None else padding + 1
        view = memoryview(data)
        while view:
            self.connection.wait_until(
                lambda: machine.local_flow_control_window(number) > overhead, f"room on stream {number}"
            )
            most = min(machine.max_outbound_frame_size, machine.local_flow_control_window(number)) - overhead
            size = min(len(view), most if portion is None else portion)
            machine.send_data(number, bytes(view[:size]), pad_length=padding)
            self.connection.flush()
            view = view[size:]

    def _receive(self, deadline, what):
        stream = self.stream
        while not stream.data:
            if stream.ended or self.connection.ended:
                return b""  # also when a reset with NO_ERROR has followed: it is about this side
            if stream.reset is not None:
                raise ConnectionResetError(f"stream {stream.id} was reset with {stream.reset}")
            self.connection.read_once(deadline, what)
        data = bytes(stream.data)
        stream.data.clear()
        return data

    def half_close(self):
        """END_STREAM: no more from here; still reads."""
        self.connection.h2.end_stream(self.stream.id)
        self.connection.flush()

    def reset(self, code=8):
        """RST_STREAM; 8 is CANCEL."""
        self.connection.h2.reset_stream(self.stream.id, code)
        self.connection.flush()

    def send_until_full(self, data, most, stall=0.5):
        """Sends again and again until the server gives no window for `stall` seconds; bytes taken."""
        machine, number, sent = self.connection.h2, self.stream.id, 0
        while sent < most:
            try:
                self.connection.wait_until(
                    lambda: machine.local_flow_control_window(number) >= len(data), "room", stall / patience(1)
                )
            except AssertionError:
                break
            self.send(data)
            sent += len(data)
        return sent

    def expect_stall(self):
        """The server sends as much as its windows allow."""
        self.connection.wait_until(
            lambda: self.stream.unacknowledged >= 65535, "the windows being used up"
        )

    def close(self):
        """Leaves the stream as it is: it belongs to the connection."""

    def expect_clean_end(self):
        """END_STREAM comes, and behind it no RST_STREAM but one that says that nothing more is needed.

        RFC 9113 section 8.1: a server may reset a stream with NO_ERROR when its own side is complete.
        """
        self.expect_end()
        assert self.stream.ended, "the stream did not end"
        with contextlib.suppress(h2.exceptions.StreamClosedError):  # it has been reset
            self.half_close()
        assert self.connection.get("/index.html").status == 200
        assert self.stream.reset in (None, _NO_ERROR), f"the server reset the stream: {self.stream.reset}"

    def answer_close(self, code=1000):
        """Sends a Close, unless that comes too late: the server waits for WebSocketCloseTimeout, or for what is
        left of a drain.
        """
        with contextlib.suppress(h2.exceptions.StreamClosedError):
            self.send(frames.close(code))

    def close_cleanly(self, code=1000):
        """The closing handshake of WebSocket, then the end of the stream from both sides."""
        self.send(frames.close(code))
        self.expect_close(code, then_end=False)
        self.expect_clean_end()
