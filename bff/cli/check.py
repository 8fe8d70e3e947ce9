"""`bff check`: every fault of a file at once, what is risky in a good one, what others say."""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from bff.cli.loaded import CONFIG
from bff.cli.online import ask_around
from bff.config.faults import Fault, one_line
from bff.config.load import Config, ConfigFaults, load
from bff.config.manual import toml
from bff.config.risks import accepted_risks, risks
from bff.operate.finding import Finding, State


@click.command("check")
@CONFIG
@click.option(
    "--online", is_flag=True, help="Also ask the store, the provider and https upstreams."
)
@click.option("--json", "wants_json", is_flag=True, help="For machines: one object.")
def check(path: Path, online: bool, wants_json: bool) -> None:
    """Name every fault of a file at once, and what is risky in a good one.

    Exit 1 for a fault, or where something asked with --online is wrong; what is risky only warns.
    """
    faults: tuple[Fault, ...] = ()
    config: Config | None = None
    findings: list[Finding] = []
    try:
        config = load(path)
    except ConfigFaults as found:
        faults = found.faults
    if config is not None and online:
        findings = asyncio.run(ask_around(config))
    say = _as_json if wants_json else _as_text
    click.echo(say(faults, config, findings))
    failed = any(finding.state is State.FAIL for finding in findings)
    sys.exit(1 if faults or failed else 0)


def _as_json(faults: tuple[Fault, ...], config: Config | None, findings: list[Finding]) -> str:
    return json.dumps(
        {
            "faults": [asdict(each) for each in faults],
            "preset": [] if config is None else list(_by_preset(config)),
            "risks": [] if config is None else [asdict(each) for each in risks(config)],
            "accepted": [] if config is None else [asdict(each) for each in accepted_risks(config)],
            "online": [asdict(each) for each in findings],
        },
        indent=2,
    )


def _as_text(faults: tuple[Fault, ...], config: Config | None, findings: list[Finding]) -> str:
    if config is None:
        return "\n".join(each.text() for each in faults)
    lines = ["no faults", *map(one_line, _by_preset(config))]
    lines += [f"warning: {each.text()}" for each in risks(config)]
    lines += [f"accepted: {each.text()}" for each in accepted_risks(config)]
    return "\n".join([*lines, *_table(findings)])


def _by_preset(config: Config) -> Iterator[str]:
    """What a preset has set, under the keys of the file."""
    for frontend in config.frontends:
        for part in frontend.parts:
            for key, value in part.preset.items():
                yield f"preset: {part.place(f'provider.{key}')} = {toml(value)}"


_SHOWN: Final = {State.OK: "ok", State.WARN: "warn", State.FAIL: "FAIL"}


def _table(findings: list[Finding]) -> list[str]:
    """State, question and answer, one under the other."""
    width = max((len(each.about) for each in findings), default=0)
    rows = ((f"{_SHOWN[each.state]:<4}", f"{each.about:<{width}}", each.said) for each in findings)
    return [one_line("  ".join(row)) for row in rows]
