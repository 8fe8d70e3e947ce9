"""`bff explain` of a name: the reason of a refusal, or a key of the configuration. One screen."""

import difflib
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from bff.cli.reasons import ACCOUNTS
from bff.config.manual import manual, toml
from bff.config.preset import PRESETS, keys
from bff.problem import PROBLEMS, Reason

_WIDTH: Final = 88


def named(name: str) -> Mapping[str, str] | None:
    """What there is to say of it, by label; None for a name that is neither."""
    if name in ACCOUNTS:
        return _reason(Reason(name))
    key = re.sub(r"\.\d+", "", name)  # faults write routes.0.path
    return _key(key) if key in manual() else None


def nearest(name: str) -> list[str]:
    """Names like it, the most alike first; a key's last part counts as one."""
    known = [*map(str, Reason), *manual()]
    by_part = [each for each in known if each.rpartition(".")[2] == name.rpartition(".")[2]]
    alike = difflib.get_close_matches(name, known, n=3)
    return list(dict.fromkeys([*by_part, *alike]))[:5]


def _reason(reason: Reason) -> Mapping[str, str]:
    problem, account = PROBLEMS[reason], ACCOUNTS[reason]
    return {
        "reason": reason.value,
        "status": str(problem.status),
        "title": problem.title,
        "a person reads": problem.sentence,
        "means": account.means,
        "the page": account.mend,
        "source": account.source,
    }


def _key(key: str) -> Mapping[str, str]:
    entry = manual()[key]
    found = {
        "key": key,
        "type": entry.kind,
        "default": entry.default,
        "bounds": entry.bounds,
        "means": entry.meaning,
        "its table": entry.table,
        "sets": _presets() if key == "provider.preset" else "",
    }
    return {label: text for label, text in found.items() if text}


def _presets() -> str:
    """What each preset sets; why, is in its file and in docs/reference/presets.md."""
    alike: dict[str, list[str]] = {}
    for name in PRESETS:
        lines = [f"{key} = {toml(value)}" for key, value in keys(name).items()]
        alike.setdefault(", ".join(lines) or "nothing", []).append(name)
    return "; ".join(f"{', '.join(names)}: {lines}" for lines, names in alike.items())


def named_as_text(found: Mapping[str, str]) -> str:
    """It for a person."""
    return "\n".join(_lines(found))


def named_as_json(found: Mapping[str, str]) -> str:
    """It for a machine."""
    return json.dumps(
        {label.replace(" ", "_"): text for label, text in found.items()},
        ensure_ascii=False,
        indent=2,
    )


def _lines(found: Mapping[str, str]) -> Iterator[str]:
    (_, title), *rest = found.items()
    yield title
    for label, text in rest:
        yield textwrap.fill(
            text,
            _WIDTH,
            initial_indent=f"  {label:<16}",
            subsequent_indent=" " * 18,
            break_on_hyphens=False,
            break_long_words=False,
        )
