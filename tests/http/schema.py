"""The few words of JSON Schema that docs/reference/openapi.json uses."""

from __future__ import annotations

from typing import Any

KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


class Schemas:
    """Of one document; says what is wrong with a value, and where."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._named = document["components"]["schemas"]

    def problems(self, schema: dict[str, Any], value: Any, place: str = "$") -> list[str]:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/components/schemas/")
            return self.problems(self._named[name], value, place)
        unknown = schema.keys() - {
            "type",
            "enum",
            "anyOf",
            "required",
            "properties",
            "additionalProperties",
            "items",
            "description",
        }
        assert not unknown, f"words that this checker does not know: {unknown}"
        found: list[str] = []
        if "anyOf" in schema and all(self.problems(s, value, place) for s in schema["anyOf"]):
            found.append(f"{place}: none of anyOf")
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{place}: {value!r} is none of {schema['enum']}")
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(self._is(kind, value) for kind in kinds):
            return [*found, f"{place}: {value!r} is no {kinds}"]
        if isinstance(value, dict):
            found += self._members(schema, value, place)
        if isinstance(value, list) and "items" in schema:
            for i, item in enumerate(value):
                found += self.problems(schema["items"], item, f"{place}[{i}]")
        return found

    def _members(self, schema: dict[str, Any], value: dict[str, Any], place: str) -> list[str]:
        missing = [name for name in schema.get("required", []) if name not in value]
        found = [f"{place}: `{name}` is missing" for name in missing]
        for name, member in value.items():
            of = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if of is not None:
                found += self.problems(of, member, f"{place}.{name}")
        return found

    @staticmethod
    def _is(kind: str, value: Any) -> bool:
        if kind == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        if kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        return isinstance(value, KINDS[kind])
