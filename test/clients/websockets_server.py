# SPDX-License-Identifier: Apache-2.0
"""A server with Python's websockets, as people put behind a proxy. It prints its port, echoes messages, and answers
to "request" with what it knows of the handshake. To plain requests, the same is its page.

Usage: websockets_server.py [--name NAME] [--tls CERTIFICATE KEY CERTIFICATE-OF-CLIENTS]
"""

import argparse
import asyncio
import contextlib
import http
import json
import ssl

import websockets

parser = argparse.ArgumentParser()
parser.add_argument("--name", default="")
parser.add_argument("--tls", nargs=3)
options = parser.parse_args()


def tls_context():
    certificate, key, of_clients = options.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(of_clients)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def told(path, headers, certificate=None):
    subject = [pair for name in (certificate or {}).get("subject", ()) for pair in name]
    return json.dumps({"name": options.name, "path": path, "headers": list(headers.raw_items()), "subject": subject})


async def answer_page(path, headers):
    if "Upgrade" in headers:
        return None
    body = told(path, headers).encode() + b"\n"
    return http.HTTPStatus.OK, {"Content-Length": str(len(body))}, body


async def serve(client):
    with contextlib.suppress(websockets.ConnectionClosed):
        await answer_messages(client)


async def answer_messages(client):
    async for message in client:
        if message == "request":
            certificate = client.transport.get_extra_info("peercert")
            message = told(client.path, client.request_headers, certificate)
        await client.send(message)


async def main():
    server = await websockets.serve(
        serve,
        "127.0.0.1",
        0,
        ssl=tls_context() if options.tls else None,
        process_request=answer_page,
        subprotocols=["chat", "superchat"],
        max_size=None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.wait_closed()


asyncio.run(main())
