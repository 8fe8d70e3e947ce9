"""The JSON Schema of the file, for editors: `python -m bff.config.schema > config/bff.schema.json`.

Made from the models, then put as the file writes things: durations with their unit, no null.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from bff.config.frontends import NAME
from bff.config.model import File, FrontEndSection

UNITS: Final = (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001))
SIZES: Final = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1))


def schema() -> dict[str, Any]:
    """The schema as a document (JSON Schema 2020-12)."""
    made = File.model_json_schema()
    shown: dict[str, Any] = _shown(made)
    one: dict[str, Any] = _shown(FrontEndSection.model_json_schema())
    tables = shown.pop("$defs")
    # Whole tables may stand at the top of the file instead.
    inner = {**one["properties"], "providers": _named("Provider")}
    frontend = {**one, "properties": inner, "required": ["origin", "routes"]}
    rest = [name for name in one["required"] if name != "provider"]
    del frontend["$defs"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {**tables, "FrontEnd": frontend},
        **shown,
        "properties": {
            **shown["properties"],
            "providers": _named("Provider"),
            "frontends": _named("FrontEnd"),
        },
        "required": ["keys"],
        "oneOf": [
            {"required": [*rest, "provider"]},
            {"required": [*rest, "providers"]},
            {"required": ["frontends"]},
        ],
        "title": "bff",
    }


def _named(table: str) -> dict[str, Any]:
    """Tables of that kind, each under a name."""
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"$ref": f"#/$defs/{table}"},
    }


def text() -> str:
    """The schema as it lies in config/."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _shown(node: Any) -> Any:
    if isinstance(node, list):
        return [_shown(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "properties" in node:
        properties = {name: _property(each) for name, each in node["properties"].items()}
        return {**{key: _shown(value) for key, value in node.items()}, "properties": properties}
    return {key: _shown(value) for key, value in node.items()}


def _property(about: Mapping[str, Any]) -> dict[str, Any]:
    """One key of a table; its name says enough, so there is no title."""
    found = {key: _shown(value) for key, value in about.items() if key != "title"}
    if "anyOf" in found:
        kinds = [kind for kind in found.pop("anyOf") if kind != {"type": "null"}]
        found = {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **found}
    for limit in _LIMITS if found.get("type") == "string" else ():
        found.pop(limit, None)  # they count seconds, and the file's value is a text
    default = found.pop("default", None)
    if default is not None and not isinstance(default, dict):
        found["default"] = _written(default, str(found.get("pattern", "")))
    return found


_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def _written(default: Any, pattern: str) -> Any:
    """The default as it would stand in the file."""
    if "ms" in pattern:
        return with_unit(default, UNITS)
    if "KiB" in pattern:
        return with_unit(default, SIZES)
    if isinstance(default, list) and default and isinstance(default[-1], int):
        host, port = default
        return f"{host}:{port}"
    return default


def with_unit(value: float, units: tuple[tuple[str, float], ...]) -> str:
    """The value in the largest unit that leaves it whole."""
    unit, size = next(each for each in units if value >= each[1] and value % each[1] == 0)
    return f"{value / size:.0f}{unit}"


if __name__ == "__main__":
    sys.stdout.write(text())
