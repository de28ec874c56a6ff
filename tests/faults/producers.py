"""Producers: each a thread that sends its batches in order, remembers what was not answered, and
sends that again to the engine's next life. Three kinds: HTTP with (producer, sequence), HTTP with
idempotency keys, Flight with (producer, sequence) and several batches under way.

`Lives` tells them which engine is up. A producer that can't reach it waits for the next one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import random
import threading
import time
from typing import Any, Protocol

import batches
from record import Record

RETRY_AFTER_S = 0.02  # after a retryable refusal, or when the same life does not answer
ANSWER_WITHIN_S = 300.0
FLIGHT_WINDOW = 8  # batches under way at most
HTTP_LISTED_MAX = 1000  # refused rows that an HTTP answer names
FLIGHT_LISTED_MAX = 100
REPEAT_WITHIN = 32  # batches back; the engine keeps 64 first answers a producer


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What is sent."""

    http: int = 3  # producers of each kind
    keyed: int = 1
    flight: int = 2
    rows_mean: int = 120
    pause_s: float = 0.0  # between batches of one producer
    repeats: float = 0.05  # share of answered batches that are sent again
    abandons: float = 0.2  # share of unanswered keyed batches that are given up
    may_fill: bool = False  # the log is small: that it is full is no wrong answer

    def names(self) -> list[str]:
        kinds = {"http": self.http, "keyed": self.keyed, "flight": self.flight}
        return [f"{kind}-{i}" for kind, count in kinds.items() for i in range(count)]


@dataclasses.dataclass(frozen=True)
class Up:
    """An engine that is up."""

    life: int
    ports: dict[str, Any]
    errors_expected: bool


class Lives:
    """Which engine is up: life 1, 2, 3 ... with its ports."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._life = 0
        self._ports: dict[str, Any] | None = None
        self._paused = False
        self._busy: set[int] = set()
        self.over = False
        self.in_a_hurry = False  # Flight's producers send the largest batches, and do not pause
        self.errors_expected = False  # the machine fails: any error may be the answer

    def begin(self, ports: dict[str, Any]) -> None:
        with self._changed:
            self._life += 1
            self._ports = ports
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ports = None

    def pause(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def finish(self) -> None:
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def may_begin_a_batch(self) -> bool:
        with self._changed:
            return not self._paused and not self.over

    def begin_round(self, producer: int) -> None:
        """Waits while paused, unless the producer has a batch that was not answered."""
        with self._changed:
            self._changed.wait_for(lambda: not self._paused or self.over or producer in self._busy)
            self._busy.add(producer)

    def end_round(self, producer: int, all_answered: bool) -> None:
        with self._changed:
            if all_answered:
                self._busy.discard(producer)
            self._changed.notify_all()

    def drained(self) -> bool:
        """While paused: no producer has anything under way or unanswered."""
        with self._changed:
            return not self._busy

    def wait_for_engine(self) -> Up | None:
        """Nothing when the run is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._ports is not None or self.over)
            if self._ports is None:
                return None
            return Up(self._life, self._ports, self.errors_expected)


class Sender(Protocol):
    """One kind of connection. `send` answers a document per batch, in order; fewer when the
    connection broke."""

    window: int
    listed_max: int

    def connect(self, ports: dict[str, Any]) -> None: ...
    def send(self, sequences: list[int], rows: list[batches.Rows]) -> list[dict[str, Any]]: ...
    def close(self) -> None: ...


class Refused(Exception):
    """The engine answered, and it was no acknowledgement: {code, message}."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


RETRYABLE = {"429", "503", "ResourceExhausted", "Unavailable"}
FULL = {"507", "StorageFull"}


class HttpSender:
    window = 1
    listed_max = HTTP_LISTED_MAX

    def __init__(self, name: str, keyed: bool) -> None:
        self.name = name
        self.keyed = keyed
        self.connection: http.client.HTTPConnection | None = None

    def connect(self, ports: dict[str, Any]) -> None:
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", ports["http"], timeout=ANSWER_WITHIN_S
        )

    def send(self, sequences: list[int], rows: list[batches.Rows]) -> list[dict[str, Any]]:
        assert self.connection is not None
        if self.keyed:
            headers = {"Idempotency-Key": f"{self.name}-{sequences[0]}"}
        else:
            headers = {"Headrace-Producer": self.name, "Headrace-Sequence": str(sequences[0])}
        body = batches.as_ndjson(rows[0])
        self.connection.request("POST", "/streams/events/events", body, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status == 200 or (answer.status == 422 and '"accepted":0' in text):
            return [json.loads(text)]
        raise Refused(str(answer.status), text)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class FlightSender:
    window = FLIGHT_WINDOW
    listed_max = FLIGHT_LISTED_MAX

    def __init__(self, name: str) -> None:
        self.name = name
        self.client: Any = None
        self.writer: Any = None
        self.reader: Any = None

    def connect(self, ports: dict[str, Any]) -> None:
        from pyarrow import flight

        self.client = flight.connect(f"grpc://127.0.0.1:{ports['flight']}")
        schema = batches.as_arrow(batches.rows_of_batch(0, 0, 1, 1, 0)).schema
        descriptor = flight.FlightDescriptor.for_path("events")
        options = flight.FlightCallOptions(timeout=600)
        self.writer, self.reader = self.client.do_put(
            descriptor, schema.with_metadata({"headrace.producer": self.name}), options
        )
        self._read()  # the greeting

    def send(self, sequences: list[int], rows: list[batches.Rows]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        try:
            for sequence, batch in zip(sequences, rows, strict=True):
                metadata = json.dumps({"sequence": sequence}).encode()
                self.writer.write_with_metadata(batches.as_arrow(batch), metadata)
            while len(answers) < len(sequences):
                answers.append(self._read())
                if answers[-1]["sequence"] != sequences[len(answers) - 1]:
                    raise Refused("order", f"answers are out of order: {answers[-1]}")
        except Exception as broken:
            if not answers or (isinstance(broken, Refused) and broken.code == "order"):
                raise
        return answers

    def _read(self) -> dict[str, Any]:
        message = self.reader.read()
        if message is None:
            raise ConnectionError("the stream ended")
        answer: dict[str, Any] = json.loads(message.to_pybytes())
        if "error" in answer:
            raise Refused(answer["error"]["code"], answer["error"]["message"])
        return answer

    def close(self) -> None:
        with contextlib.suppress(Exception):
            if self.writer is not None:
                self.writer.close()
        with contextlib.suppress(Exception):
            if self.client is not None:
                self.client.close()
        self.client = self.writer = self.reader = None


class Producer(threading.Thread):
    def __init__(
        self, number: int, sender: Sender, record: Record, lives: Lives, traffic: Traffic
    ) -> None:
        super().__init__(name=f"producer-{number}", daemon=True)
        self.number = number
        self.sender = sender
        self.record = record
        self.lives = lives
        self.traffic = traffic
        self.random = random.Random(record.seed * 1000 + number)
        self.unanswered: list[int] = []
        self.may_abandon = isinstance(sender, HttpSender) and sender.keyed
        self.connected_to = 0

    def run(self) -> None:
        try:
            while not self.lives.over:
                self.lives.begin_round(self.number)
                self._round()
                self.lives.end_round(self.number, all_answered=not self.unanswered)
        except Exception as broken:
            self.record.violate(f"producer {self.number} broke: {broken!r}")
        finally:
            self.sender.close()
            self.lives.end_round(self.number, all_answered=True)

    def _round(self) -> None:
        """Up to a window of batches: first what was not answered, then new ones."""
        engine = self.lives.wait_for_engine()
        if engine is None:
            return
        sequences, rows = self._choose()
        if not sequences:
            return
        try:
            if self.connected_to != engine.life:
                self.sender.close()
                self.sender.connect(engine.ports)
                self.connected_to = engine.life
            answers = self.sender.send(sequences, rows)
        except Refused as refused:
            self._refused(refused, engine.errors_expected)
            answers = []
        except Exception:  # the connection broke: each library has errors of its own for that
            answers = []
        for sequence, answer, batch in zip(sequences, answers, rows, strict=False):
            self.record.acknowledge(self.number, sequence, answer, batch, self.sender.listed_max)
        self.unanswered = [s for s in sequences[len(answers) :] if not self._answered(s)]
        if len(answers) < len(sequences):
            self.connected_to = 0
            self._after_a_break(engine.life)
        elif self.traffic.pause_s > 0 and not self._hurries():
            time.sleep(self.traffic.pause_s * self.random.uniform(0.5, 1.5))

    def _choose(self) -> tuple[list[int], list[batches.Rows]]:
        again = list(self.unanswered)
        record = self.record.producers[self.number]
        if not again and record.sent and self.random.random() < self.traffic.repeats:
            back = self.random.randrange(min(REPEAT_WITHIN, len(record.sent)))
            again = [len(record.sent) - back]
            if record.sent[again[0] - 1].abandoned:
                again = []
        sequences, rows = list(again), [self.record.rows_again(self.number, s) for s in again]
        while len(sequences) < self.sender.window and self.lives.may_begin_a_batch():
            rows_mean = None if self._hurries() else self.traffic.rows_mean
            sequence, batch = self.record.new_batch(self.number, rows_mean)
            sequences.append(sequence)
            rows.append(batch)
        return sequences, rows

    def _hurries(self) -> bool:
        return self.lives.in_a_hurry and isinstance(self.sender, FlightSender)

    def _answered(self, sequence: int) -> bool:
        return self.record.producers[self.number].sent[sequence - 1].epoch != 0

    def _refused(self, refused: Refused, errors_expected: bool) -> None:
        """`errors_expected` of the life that answered: by now the next one may have begun."""
        self.record.refused(refused.code)
        retryable = RETRYABLE | (FULL if self.traffic.may_fill else set())
        if refused.code not in retryable and not errors_expected:
            self.record.violate(f"producer {self.number}: an unexpected answer: {refused}")

    def _after_a_break(self, life: int) -> None:
        """Gives up a keyed batch now and then, but only once its engine is dead."""
        time.sleep(RETRY_AFTER_S)
        if not (self.may_abandon and self.unanswered):
            return
        engine = self.lives.wait_for_engine()
        if engine is None or engine.life == life:
            return
        sent = self.record.producers[self.number].sent[self.unanswered[0] - 1]
        if sent.good > 0 and self.random.random() < self.traffic.abandons:
            sent.abandoned = True
            self.unanswered = []


def sender_of(name: str) -> Sender:
    if name.startswith("flight"):
        return FlightSender(name)
    return HttpSender(name, keyed=name.startswith("keyed"))


def start_producers(record: Record, lives: Lives, traffic: Traffic) -> list[Producer]:
    producers = [
        Producer(number, sender_of(name), record, lives, traffic)
        for number, name in enumerate(record.names)
    ]
    for producer in producers:
        producer.start()
    return producers
