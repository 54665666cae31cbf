# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates, made when a test needs them."""

import functools
import pathlib
import ssl
import subprocess
import tempfile


@functools.cache
def _folder():
    return tempfile.TemporaryDirectory(prefix="websocket-e2e-tls-")


def _make(name, subject, *more):
    """Paths of a new certificate, which signs itself unless `more` says who does, and of its key."""
    folder = pathlib.Path(_folder().name)
    folder.chmod(0o755)
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "30", "-subj", subject, "-keyout", key_file, "-out", certificate_file, *more],
        check=True,
        capture_output=True,
    )
    return certificate_file, key_file


def openssl(*arguments, folder=None):
    """Runs the program; returns all that it printed."""
    done = subprocess.run(
        ["openssl", *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text
    return text


@functools.cache
def certificate():
    """Paths of the certificate, for localhost and 127.0.0.1, and of its key."""
    return _make("server", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")


@functools.cache
def authority():
    """Paths of the certificate that signs those of clients, and of its key."""
    return _make("authority", "/O=Wonderland/CN=Authority")


@functools.cache
def alice():
    """Paths of a client's certificate and of its key."""
    certificate_file, key_file = authority()
    signer = ("-CA", certificate_file, "-CAkey", key_file, "-addext", "basicConstraints=critical,CA:FALSE")
    return _make("alice", "/O=Wonderland/CN=Alice", *signer)


def virtual_host(port, *lines):
    """A <VirtualHost> that speaks TLS on a port of 127.0.0.1."""
    certificate_file, key_file = certificate()
    inside = ["SSLEngine On", f"SSLCertificateFile {certificate_file}", f"SSLCertificateKeyFile {key_file}"]
    body = "".join(f"    {line}\n" for line in [*inside, *lines])
    return f"Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\n{body}</VirtualHost>\n"


def client_context(*protocols, version=None, certified=None):
    """For a client that does not look at certificates and offers these protocols (ALPN).

    version    the only ssl.TLSVersion to speak
    certified  paths of a certificate of its own and of the key
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if certified is not None:
        context.load_cert_chain(*certified)
    return context
