"""Every verb of the real binary answers as docs/reference/openapi.json declares."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_process import ROOT, EngineProcess
from payments_engine import CONTRACT, PIPELINE, send, serving
from schema import Schemas

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/reference/openapi.json").read_text())
AT = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
EVENT = {"card": "a", "shop": "b", "at": AT, "amount": 1.5}
LATE = EVENT | {"at": "2001-01-01T00:00:00Z"}
FEATURES = {"features": ["card:n_1h"], "entities": {"card": ["a", "nobody"]}}
CHANGED = PIPELINE.replace("over: [1h, 1d]", "over: [1h, 1d, 2d]")
EXPLAIN = {"view": "card", "key": {"card": "a"}, "feature": "n_1h"}
FRAME = {name: [value] for name, value in EVENT.items()}


def change(pipeline: str) -> dict[str, Any]:
    return {"pipeline": pipeline, "contracts": {"payments.yaml": CONTRACT}}


# Bodies by verb: one that is answered 200, then others with their status.
REQUESTS: dict[str, list[tuple[int, str, Any]]] = {
    "getOnlineFeatures": [
        (200, "", FEATURES),
        (200, "?min_epoch=1&deadline_ms=10&mode=strict", FEATURES),
        (200, "", FEATURES | {"include_feature_view_version_metadata": True}),
        (404, "", FEATURES | {"features": ["nope:x"]}),
        (422, "", {"entities": {}}),
        (422, "?as_of=noon", FEATURES),
        (500, "?mode=feast", FEATURES | {"entities": {"shop": ["a"]}}),
        (504, "?min_epoch=1000000&deadline_ms=1", FEATURES),
    ],
    "push": [
        (200, "", {"push_source_name": "payments", "df": FRAME}),
        (422, "", {"push_source_name": "nobody", "df": {}}),
        (422, "", {"push_source_name": "payments", "df": FRAME | {"card": [1]}}),
        (422, "", {"df": {}}),
    ],
    "writeToOnlineStore": [
        (200, "", {"feature_view_name": "payments", "df": FRAME}),
        (404, "", {"feature_view_name": "nobody", "df": FRAME}),
        (422, "", {"feature_view_name": "card", "df": FRAME}),
    ],
    "takeEvents": [
        (200, "", EVENT),
        (200, "?atomic=true", [EVENT, EVENT]),
        (422, "", LATE),
        (422, "", {"card": 1}),
        (422, "", "["),
        (422, "", ""),
    ],
    "pushAndGet": [
        (200, "?service=scoring", EVENT),
        (422, "?service=scoring", LATE),
        (422, "?service=scoring", [EVENT, EVENT]),
        (422, "", EVENT),
        (404, "?service=nobody", EVENT),
    ],
    "askPush": [(404, "", None)],
    "explain": [
        (200, "", EXPLAIN),
        (200, "", EXPLAIN | {"source": "state", "limit": 0, "served": 3}),
        (404, "", EXPLAIN | {"feature": "n_2h"}),
        (412, "", EXPLAIN | {"as_of": "2001-01-01T00:00:00Z", "source": "state"}),
        (422, "", EXPLAIN | {"key": {}}),
        (422, "", "["),
        (503, "", EXPLAIN | {"epoch": 1000000}),
    ],
    "getFeaturesAt": [
        (200, "?epoch=1&source=table", FEATURES | {"as_of": AT}),
        (200, "", FEATURES),
        (404, "", FEATURES | {"features": ["nope:x"]}),
        (412, "?as_of=2001-01-01T00:00:00Z&source=state", FEATURES),
        (422, "?epoch=x", FEATURES),
        (422, "", {"entities": {}}),
        (503, "?epoch=1000000", FEATURES),
    ],
    "lastEvents": [
        (200, "", {"view": "card", "key": {"card": "a"}}),
        (200, "", {"stream": "payments", "key": {"shop": "b"}, "last": 2}),
        (404, "", {"stream": "nobody", "key": {"shop": "b"}}),
        (412, "", {"stream": "payments", "key": {"shop": "b"}, "source": "state"}),
        (422, "", {"view": "card", "key": {"card": "a"}, "last": 0}),
        (503, "", {"view": "card", "key": {"card": "a"}, "epoch": 1000000}),
    ],
    "optimizeTable": [(404, "", {})],
    "vacuumTable": [(404, "", {})],
    "listDeadLetters": [(200, "?stream=payments&limit=10&after=0", None), (422, "?limit=x", None)],
    "replayDeadLetters": [
        (200, "?stream=payments&dry_run=true", None),
        (404, "?stream=nobody", None),
        (422, "", None),
    ],
    "diffDefinition": [(200, "", change(CHANGED)), (422, "", change("x")), (422, "", "x")],
    "applyDefinition": [(200, "", change(PIPELINE)), (422, "", change("x"))],
    "rollbackDefinition": [(412, "", None)],
    "flip": [(404, "", {"view": "card", "key": {"card": "a"}})],
}
for name in ("getOnlineFeatures", "push", "writeToOnlineStore"):
    under = "feast" + name[0].upper() + name[1:]
    REQUESTS[under] = [(s if s != 422 or "?" in q else -1, q, b) for s, q, b in REQUESTS[name]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("http")) as process:
        send(process, "a", "b", 1)
        yield process


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def ask(engine: EngineProcess, method: str, path: str, body: Any) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", engine.ports["http"], timeout=60)
    text = None if body is None else body if isinstance(body, str) else json.dumps(body)
    connection.request(method.upper(), path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    told = answer.status, answer.getheader("Content-Type") or "", answer.read()
    connection.close()
    return told


@pytest.mark.parametrize(("method", "path", "operation"), operations())
def test_answers_as_declared(
    engine: EngineProcess, method: str, path: str, operation: dict[str, Any]
) -> None:
    schemas = Schemas(DOCUMENT)
    for wanted, query, body in REQUESTS.get(operation["operationId"], [(200, "", None)]):
        status, media, text = ask(
            engine, method, path.format(stream="payments", token="x", table="nobody") + query, body
        )
        assert wanted in (-1, status), (path, query, body, status, text)
        declared = operation["responses"].get(str(status), operation["responses"]["default"])
        if "content" not in declared:
            assert (media, text) == ("", b""), path
            continue
        content = declared["content"]
        if media == "application/problem+json" and media not in content:
            content = operation["responses"]["default"]["content"]
        assert media in content, (path, status, media, text)
        value = json.loads(text) if "json" in media else text.decode()
        assert not schemas.problems(content[media]["schema"], value), (path, status, text)


def test_what_no_verb_takes_is_a_problem(engine: EngineProcess) -> None:
    schema = {"$ref": "#/components/schemas/Problem"}
    for method, path, wanted in (("get", "/nowhere", 404), ("put", "/views", 405)):
        status, media, text = ask(engine, method, path, None)
        assert (status, media) == (wanted, "application/problem+json")
        document = json.loads(text)
        assert not Schemas(DOCUMENT).problems(schema, document)
        assert document["status"] == wanted and document["type"].startswith("urn:headrace:error:")


def test_the_engine_has_the_document_itself(engine: EngineProcess) -> None:
    assert json.loads(ask(engine, "get", "/openapi.json", None)[2]) == DOCUMENT


def test_the_checker_can_fail() -> None:
    schemas = Schemas(DOCUMENT)
    outcome = {"$ref": "#/components/schemas/EventsOutcome"}
    good = json.loads(
        '{"accepted":1,"refused_rows":0,"refused":[],"epoch":1,"durability":"fsync","repeated":false}'
    )
    assert not schemas.problems(outcome, good)
    changes: list[dict[str, Any]] = [
        {"epoch": "1"},
        {"durability": "some"},
        {"refused": [{}]},
        {"repeated": None},
    ]
    for wrong in changes:
        assert schemas.problems(outcome, good | wrong), wrong
    del good["epoch"]
    assert schemas.problems(outcome, good)


def test_every_example_is_of_a_verb() -> None:
    assert REQUESTS.keys() <= {operation["operationId"] for _, _, operation in operations()}


def test_files_are_where_the_reference_says() -> None:
    assert "openapi.json" in Path(ROOT / "docs/reference/http.md").read_text()
