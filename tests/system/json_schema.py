"""A small checker for the part of JSON Schema (2020-12) that Berth's schemas use. An unknown keyword
is an error, so that none is passed over in silence."""

from typing import Any

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
REMARKS = {"$schema", "$id", "title", "description", "default", "writeOnly", "x-unit"}
KNOWN = REMARKS | {"$ref", "type", "enum", "minimum", "maximum", "required", "properties",
                   "additionalProperties", "items", "allOf", "anyOf"}


def is_type(value: Any, name: str) -> bool:
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def errors(value: Any, schema: dict | bool, root: dict, path: str = "$") -> list[str]:
    """What is wrong with `value`; references lead into `root`."""
    if isinstance(schema, bool):
        return [] if schema else [f"{path} must not be there"]
    assert set(schema) <= KNOWN, f"unknown keywords: {set(schema) - KNOWN}"
    found: list[str] = []
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        found += errors(value, target, root, path)
    for inner in schema.get("allOf", []):
        found += errors(value, inner, root, path)
    if "anyOf" in schema and all(errors(value, one, root, path) for one in schema["anyOf"]):
        found.append(f"{path} is none of what it may be")
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(value, name) for name in types):
        return found + [f"{path} is no {' or '.join(types)}: {value!r}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path} is none of {schema['enum']}: {value!r}")
    if is_type(value, "number"):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            found.append(f"{path} is out of range: {value!r}")
    if isinstance(value, list) and "items" in schema:
        for index, element in enumerate(value):
            found += errors(element, schema["items"], root, f"{path}[{index}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{path}.{name} is missing" for name in schema.get("required", [])
                  if name not in value]
        for name, member in value.items():
            inner = known.get(name, schema.get("additionalProperties", True))
            found += errors(member, inner, root, f"{path}.{name}")
    return found
