"""Frames of HTTP/2 by hand (RFC 9113, RFC 7541): what no library of gRPC would send."""

from __future__ import annotations

import contextlib
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
ACK = END_STREAM = 1
END_HEADERS = 4


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def on_stream(made: bytes, stream: int) -> bytes:
    return made[:5] + struct.pack(">I", stream) + made[9:]


def field(name: bytes, value: bytes) -> bytes:
    """A literal that is not indexed; both under 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def call_fields(verb: str, extra: bytes = b"") -> bytes:
    """The head of a call."""
    path = f"/arrow.flight.protocol.FlightService/{verb}".encode()
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path)]
    fields += [(b":authority", b"localhost"), (b"content-type", b"application/grpc")]
    fields += [(b"te", b"trailers")]
    return b"".join(field(*each) for each in fields) + extra


def call(verb: str, stream: int, extra: bytes = b"") -> bytes:
    return frame(HEADERS, END_HEADERS, stream, call_fields(verb, extra))


class FrameConnection:
    """Greets; the numbers of streams are the caller's: 1, 3, 5 ..."""

    def __init__(self, port: int, first: bytes = PREFACE + frame(SETTINGS)) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.unread = b""
        self.send(first)

    def send(self, frames: bytes) -> None:
        self.socket.sendall(frames)

    def next(self) -> tuple[int, int, int, bytes] | None:
        """Kind, flags, stream and payload; None when the engine has closed."""
        while True:
            if len(self.unread) >= 9:
                size = int.from_bytes(self.unread[:3], "big")
                if len(self.unread) >= 9 + size:
                    kind, flags, stream = struct.unpack(">BBI", self.unread[3:9])
                    payload, self.unread = self.unread[9 : 9 + size], self.unread[9 + size :]
                    return kind, flags, stream, payload
            part = b""
            with contextlib.suppress(ConnectionError):
                part = self.socket.recv(1 << 16)
            if not part:
                return None
            self.unread += part

    def until_closed(self) -> list[tuple[int, int, int, bytes]]:
        frames = []
        while (each := self.next()) is not None:
            frames.append(each)
        return frames

    def close(self) -> None:
        self.socket.close()
