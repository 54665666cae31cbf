# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client on a bare socket: it sends whatever a test wants and says clearly what it missed."""

import ctypes
import fcntl
import select
import socket
import struct
import termios
import time

import frames
import handshake
from waiting import patience, wait_until

_SECONDS = 10
_SO_ATTACH_FILTER = 26


def send_some(sock, data):
    """How many bytes a socket takes at once, which may be none although it was writable just now."""
    timeout = sock.gettimeout()
    sock.setblocking(False)  # with a time limit it would wait for room, whatever flags send() gets
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0
    finally:
        sock.settimeout(timeout)


class FrameClient:
    """What a test does with a WebSocket once it is open, however its bytes travel.

    A subclass has send(data), _receive(deadline, what) -> bytes, empty at the end, and close().
    Every wait is bounded; the error names what was awaited and what came instead.
    """

    def __init__(self):
        self._frames = frames.FrameReader()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- frames ----------------------------------------------------------------------------------

    def next_frame(self, seconds=_SECONDS, what="a frame"):
        """The next frame, or None at the end of the stream."""
        deadline = time.monotonic() + patience(seconds)
        while (result := self._frames.next()) is None:
            data = self._receive(deadline, what)
            if not data:
                assert not self._frames.pending(), "the stream ended inside a frame"
                return None
            self._frames.feed(data)
        return result

    def expect(self, opcode, payload=None, seconds=_SECONDS):
        """The next frame has this opcode (and payload); returns the payload."""
        wanted = f"opcode {opcode}" + ("" if payload is None else f" with {_brief(payload)}")
        got = self.next_frame(seconds, wanted)
        assert got is not None, f"the stream ended instead of {wanted}"
        assert got.opcode == opcode, f"wanted {wanted}, got {_show(got)}"
        assert payload is None or got.payload == payload, f"wanted {wanted}, got {_show(got)}"
        return got.payload

    def expect_text(self, payload=None, seconds=_SECONDS):
        """The next message is this text; returns it."""
        return self.expect(frames.TEXT, None if payload is None else payload.encode(), seconds).decode()

    def expect_pong(self, payload, seconds=_SECONDS):
        self.expect(frames.PONG, payload, seconds)

    def settle(self):
        """What the server did when the connection was opened, and with all that was sent, has been done: the Pong
        comes after it."""
        self.send(frames.ping(b"settled?"))
        self.expect_pong(b"settled?")

    def expect_close(self, code, seconds=_SECONDS, *, then_end=True):
        """The next frame is a Close with this code, and after our own Close the stream ends."""
        got = self.next_frame(seconds, f"Close {code}")
        assert got is not None, f"the stream ended without Close {code}"
        assert got.opcode == frames.CLOSE and got.code == code, f"wanted Close {code}, got {_show(got)}"
        if then_end:
            try:
                self.send(frames.close(1000))
            except OSError:
                pass  # the server is gone already, which is its right after a Close
            self.expect_end(seconds)
        return got

    def expect_end(self, seconds=_SECONDS):
        """The server closes; it sends nothing more before that."""
        try:
            got = self.next_frame(seconds, "the end of the stream")
        except ConnectionResetError:
            return
        assert got is None, f"wanted the end of the stream, got {_show(got)}"

    def close_handshake(self, code=1000):
        """Ends the connection the proper way."""
        self.send(frames.close(code))
        self.expect_close(code, then_end=False)
        self.expect_end()
        self.close()

    def expect_silence(self, seconds):
        """Nothing comes for so long, not even the end of the stream."""
        try:
            got = self.next_frame(seconds / patience(1), "silence")
        except AssertionError as error:
            assert "silence" in str(error), error
            return
        raise AssertionError(f"wanted silence, got {'the end' if got is None else _show(got)}")


class RawClient(FrameClient):
    """One TCP connection to a server at 127.0.0.1, from another address of this machine if need be."""

    def __init__(self, port, *, receive_buffer=None, host="127.0.0.1", source=None):
        super().__init__()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(patience(_SECONDS))
        if source is not None:
            self.sock.bind((source, 0))
        self.sock.connect((host, port))
        self._http = bytearray()
        self.response = None

    # ---- bytes -----------------------------------------------------------------------------------

    def send(self, data):
        self.sock.settimeout(patience(_SECONDS))
        self.sock.sendall(data)

    def _receive(self, deadline, what):
        left = deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f"waited in vain for {what}")
        self.sock.settimeout(left)
        try:
            return self.sock.recv(1 << 18)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}") from None

    def send_while_reading(self, data, stall=None):
        """Sends, and keeps what arrives meanwhile for the frame reader, so that neither side can block the other.

        Returns how many bytes were taken: all, or fewer if the server took none for `stall` seconds.
        """
        view, sent = memoryview(data), 0
        self.sock.setblocking(False)
        try:
            while sent < len(view):
                limit = patience(_SECONDS) if stall is None else stall
                readable, writable, _ = select.select([self.sock], [self.sock], [], limit)
                if readable:
                    received = self.sock.recv(1 << 18)
                    assert received, f"the server closed after {sent} of {len(view)} bytes"
                    self._frames.feed(received)
                if writable:
                    sent += send_some(self.sock, view[sent:])
                elif not readable:
                    assert stall is not None, f"the server took only {sent} of {len(view)} bytes"
                    break
        finally:
            self.sock.setblocking(True)
        return sent

    def send_until_stuck(self, data, most, calm=0.02):
        """Sends again and again and reads nothing, until the server takes no more for `calm` seconds, ends it, or has
        got `most`."""
        sent = 0
        self.sock.setblocking(False)
        try:
            poll = select.poll()  # select.select() ends at descriptor 1023
            poll.register(self.sock, select.POLLOUT)
            while sent < most and poll.poll(1000 * calm):
                sent += self.sock.send(data)  # whole frames or not: it is no good client
        except OSError:
            pass
        finally:
            self.sock.setblocking(True)

    def wait_until_stalled(self):
        """Reads nothing, and waits until nothing more arrives: the server's way to here is full."""
        samples = [-1]
        calm = 100  # looks, one each hundredth of a second

        def stalled():
            samples.append(struct.unpack("i", fcntl.ioctl(self.sock, termios.FIONREAD, bytes(4)))[0])
            return samples[-1] > 0 and len(samples) > calm and len(set(samples[-calm:])) == 1

        wait_until(stalled, _SECONDS, "the server filling the receive buffer")

    def half_close(self):
        """No more bytes from here; still reads."""
        self.sock.shutdown(socket.SHUT_WR)

    def vanish(self):
        """From here on nothing that the server sends arrives, and nothing is acknowledged."""
        drop_all = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: return 0
        program = ctypes.create_string_buffer(drop_all)
        fprog = struct.pack("HL", 1, ctypes.addressof(program))
        self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)

    def reset(self):
        """Ends the connection with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    # ---- HTTP ------------------------------------------------------------------------------------

    def read_response(self, *, head_only=False, seconds=_SECONDS):
        """The next HTTP response. What follows a 101 is kept for the frame reader."""
        deadline = time.monotonic() + patience(seconds)
        while b"\r\n\r\n" not in self._http:
            data = self._receive(deadline, "an HTTP response")
            assert data, f"the server closed instead of answering; it sent {bytes(self._http)!r}"
            self._http += data
        head, _, rest = bytes(self._http).partition(b"\r\n\r\n")
        status, headers = handshake.parse_head(head)
        self._http = bytearray(rest)
        response = handshake.Response(status, headers, b"")
        if status == 101:
            self._frames.feed(self._http)
            self._http.clear()
        elif status >= 200 and not head_only:
            response = response._replace(body=self._read_body(response, deadline))
        return response

    def _read_body(self, response, deadline):
        length = response.header("Content-Length")
        if length is None:
            assert "chunked" not in response.all("Transfer-Encoding"), "chunked answers are not read here"
            while data := self._receive(deadline, "the end of the response"):
                self._http += data
            body = bytes(self._http)
            self._http.clear()
            return body
        while len(self._http) < int(length):
            data = self._receive(deadline, "the body of the response")
            assert data, "the body of the response is cut off"
            self._http += data
        body = bytes(self._http[: int(length)])
        del self._http[: int(length)]
        return body

    def upgrade(self, path, *, first_frames=b"", **options):
        """Does the opening handshake, and asserts that it worked. Options are those of handshake.request."""
        self.send(handshake.request(path, **options) + first_frames)
        self.response = self.read_response()
        handshake.check_upgraded(self.response, options.get("key", handshake.KEY))
        return self


def _brief(payload):
    return repr(payload) if len(payload) <= 80 else f"{payload[:60]!r}... ({len(payload)} bytes)"


def _show(frame):
    if frame.opcode == frames.CLOSE:
        return f"Close {frame.code} {frame.payload[2:]!r}"
    return f"opcode {frame.opcode} with {_brief(frame.payload)}"
