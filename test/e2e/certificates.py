# SPDX-License-Identifier: Apache-2.0
"""A key and a certificate that signs itself, for servers of tests."""

import functools
import pathlib
import ssl
import subprocess
import tempfile


@functools.cache
def _folder():
    return tempfile.TemporaryDirectory(prefix="websocket-e2e-tls-")


@functools.cache
def certificate():
    """Paths of the certificate, for localhost and 127.0.0.1, and of its key."""
    folder = pathlib.Path(_folder().name)
    folder.chmod(0o755)
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", key_file, "-out", certificate_file],
        check=True,
        capture_output=True,
    )
    return certificate_file, key_file


def virtual_host(port, *lines):
    """A <VirtualHost> that speaks TLS on a port of 127.0.0.1."""
    certificate_file, key_file = certificate()
    inside = ["SSLEngine On", f"SSLCertificateFile {certificate_file}", f"SSLCertificateKeyFile {key_file}"]
    body = "".join(f"    {line}\n" for line in [*inside, *lines])
    return f"Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\n{body}</VirtualHost>\n"


def client_context(*protocols):
    """For a client that does not look at certificates and offers these protocols (ALPN)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    return context
