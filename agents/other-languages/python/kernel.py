"""Where the kernel is, and with which token: what the SDK finds by itself."""
import contextlib
import os
import pathlib
from typing import Iterator

import grpc

MOST = 32 * 1024 * 1024


@contextlib.contextmanager
def connect() -> Iterator[tuple[grpc.Channel, str]]:
    home = pathlib.Path(os.environ.get("CONTIX_HOME") or pathlib.Path.home() / ".contix")
    address = os.environ.get("CONTIX_ADDRESS") or f"unix://{home / 'contixd.sock'}"
    token = os.environ.get("CONTIX_TOKEN") or (home / "admin.token").read_text().strip()
    options = [("grpc.max_receive_message_length", MOST), ("grpc.max_send_message_length", MOST)]
    if address.startswith("grpcs://"):
        target, credentials = address.removeprefix("grpcs://"), tls()
        channel = grpc.secure_channel(target, credentials, options)
    else:
        channel = grpc.insecure_channel(address.removeprefix("grpc://"), options)
    with channel:
        yield channel, token


def tls() -> grpc.ChannelCredentials:
    """From the PEM files in CONTIX_CA, and for mutual TLS CONTIX_CERT and CONTIX_KEY."""
    read = lambda name: pathlib.Path(os.environ[name]).read_bytes() if name in os.environ else None
    return grpc.ssl_channel_credentials(read("CONTIX_CA"), read("CONTIX_KEY"), read("CONTIX_CERT"))
