# SPDX-License-Identifier: Apache-2.0
"""An httpd with TLS, a WebSocket client that sees its records, and openssl's own client."""

import select
import socket
import ssl
import subprocess
import threading

import certificates
import httpd
from raw import RawClient, send_some
from waiting import patience, wait_until

_SECONDS = 10


class TlsHttpd(httpd.Httpd):
    """An Httpd that serves its locations at `tls_port`, too; `tls` are directives for there."""

    def __init__(self, mpm, parts, *, tls=(), **options):
        self.tls_port = httpd.free_port()
        parts = 'SSLSessionCache "shmcb:@ROOT@/sessions(512000)"\n' + parts
        parts += certificates.virtual_host(self.tls_port, *tls)
        super().__init__(mpm, parts, **{"modules": ("ssl", "socache_shmcb"), **options})

    def tls_websocket(self, path, context=None, *, session=None, receive_buffer=None, **options):
        """An open WebSocket; options are those of RawClient.upgrade."""
        client = TlsClient(self.tls_port, context, session=session, receive_buffer=receive_buffer)
        return client.upgrade(path, **options)


class TlsSocket:
    """What RawClient needs of a socket, with TLS inside; `tcp` is the real one."""

    def __init__(self, tcp, context, session=None):
        self.tcp = tcp
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._received, self._to_send, session=session)
        self.notified = False  # the server has sent its close_notify
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
        self._flush()

    def _flush(self):
        if records := self._to_send.read():  # also to send nothing would wait for room
            self.tcp.sendall(records)

    def _feed(self):
        """Waits for bytes, or the end of the stream."""
        data = self.tcp.recv(1 << 18)
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()

    def encrypt(self, data):
        """The records of `data`, which have to be sent next."""
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view) :]
        return self._to_send.read()

    def notification(self):
        """The record of a close_notify, which has to be sent next."""
        try:
            self.tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        return self._to_send.read()

    def recv(self, size):
        while True:
            try:
                data = self.tls.read(size)
                self.notified = not data
                return data
            except ssl.SSLWantReadError:
                self._flush()  # what another handshake wants to say
                self._feed()
            except ssl.SSLEOFError:
                return b""

    def sendall(self, data):
        self.tcp.sendall(self.encrypt(data))

    def shutdown(self, _how):
        self.tcp.sendall(self.notification())
        self.tcp.shutdown(socket.SHUT_WR)

    def pump(self, data, limit):
        """Sends all of `data` and returns what comes meanwhile, piece by piece."""
        view = memoryview(data)
        backlog = b""
        while view or backlog:
            if not backlog:
                backlog = memoryview(self.encrypt(view[: 1 << 18]))
                view = view[1 << 18 :]
            readable, writable, _ = select.select([self.tcp], [self.tcp], [], limit)
            assert readable or writable, f"the server stalls, {len(view)} bytes before the end"
            if readable:
                yield self.recv(1 << 18)
            if writable:
                backlog = backlog[send_some(self.tcp, backlog) :]

    def __getattr__(self, name):
        return getattr(self.tcp, name)


class TlsClient(RawClient):
    """A RawClient inside of TLS; `sock` is a TlsSocket."""

    def __init__(self, port, context=None, *, session=None, **options):
        super().__init__(port, **options)
        self.sock = TlsSocket(self.sock, context or certificates.client_context(), session)

    @property
    def tcp(self):
        """The socket below, for records as they are."""
        return self.sock.tcp

    def send_while_reading(self, data, stall=None):
        assert stall is None
        for received in self.sock.pump(data, patience(_SECONDS)):
            self._frames.feed(received)
        return len(data)

    def expect_notified_end(self, seconds=_SECONDS):
        """The server closes, and has said so in TLS before."""
        self.expect_end(seconds)
        assert self.sock.notified, "the stream ended without a close_notify"


class OpensslClient:
    """`openssl s_client`, which does on command what a library does not let a client do."""

    def __init__(self, port, *options):
        self._process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-brief", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._output = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while data := self._process.stdout.read1(65536):
            self._output += data

    def __enter__(self):
        self.expect(b"CONNECTION ESTABLISHED")
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(patience(_SECONDS))
        finally:
            self._process.kill()
            self._reader.join()
            self._process.stdout.close()

    def send(self, data):
        """Data, or a command if it is one letter and a newline."""
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def expect(self, data):
        """Waits until the program has printed this, and forgets what it has printed so far."""
        wait_until(lambda: data in self._output, _SECONDS, f"{data!r} from openssl; there is {self._output!r}")
        self._output.clear()
