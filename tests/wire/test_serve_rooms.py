"""The rooms of the supervisor by themselves: back-off, health, control lines, sockets."""

import asyncio
import base64
import os
import pickle
import socket
import sys
from pathlib import Path

import pytest

from bff.operate.health import Health, Worker, answer
from bff.serve.control import Channel, config_of, report_line, serve_line, troubles_of
from bff.serve.keeper import FIRST_PAUSE, LONGEST_PAUSE, command, pause
from bff.serve.listening import CannotListen, close, listen
from bff.serve.worker import CRASHED, State, heard
from tests.parts.config import config


def test_who_dies_at_once_is_replaced_later_and_later() -> None:
    waits = [0.0]
    for _ in range(10):
        waits.append(pause(0.1, waits[-1]))
    assert waits[1] == FIRST_PAUSE
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_PAUSE


def test_who_has_lived_is_replaced_at_once() -> None:
    assert pause(10.0, LONGEST_PAUSE) == 0.0


def _worker(**parts: object) -> Worker:
    facts: dict[str, object] = {"worker": 0, "pid": 7, "troubles": (), "heard": 0.5}
    return Worker(**{**facts, **parts})  # type: ignore[arg-type]  # a table of keywords


@pytest.mark.parametrize(
    ("workers", "draining", "troubles"),
    [
        pytest.param([_worker()], False, [], id="one worker that is well"),
        pytest.param([_worker()], True, ["draining"], id="about to stop"),
        pytest.param([_worker(pid=None)], False, ["starting"], id="none is running"),
        pytest.param([_worker(heard=None)], False, ["starting"], id="it has not spoken yet"),
        pytest.param([_worker(heard=10.1)], False, ["silent"], id="it speaks no more"),
        pytest.param(
            [_worker(troubles=("store",)), _worker(troubles=("store", "provider"))],
            False,
            ["store", "provider"],
            id="each trouble once",
        ),
        pytest.param([_worker(), _worker(heard=99)], False, ["silent"], id="one of two"),
    ],
)
def test_ready_means_that_all_are_well(
    workers: list[Worker], draining: bool, troubles: list[str]
) -> None:
    assert Health(workers=tuple(workers), draining=draining).troubles() == troubles


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/live", 200),
        ("HEAD", "/ready", 503),
        ("GET", "/ready", 503),
        ("DELETE", "/ready", 405),
        ("GET", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
    ],
)
def test_the_operations_address_knows_three_paths(method: str, path: str, status: int) -> None:
    health = Health(workers=(_worker(troubles=("store",)),), draining=False)
    assert answer(method, path, health, lambda: b"").status == status


async def _exchange() -> tuple[object, object, object]:
    ours, theirs = socket.socketpair()
    parent, worker = await Channel.over(ours), await Channel.over(theirs)
    sent = config(issuer="http://127.0.0.1:1", api="http://127.0.0.1:2")
    await parent.write(serve_line(sent))
    line = await worker.read()
    assert line is not None
    await worker.write(report_line(["store"], {}))
    report = await parent.read()
    assert report is not None
    worker.close()
    end = await parent.read()
    await parent.write({})  # nobody listens, and nothing happens
    parent.close()
    return config_of(line) == sent, troubles_of(report), end


def test_the_configuration_goes_down_and_reports_come_up() -> None:
    assert asyncio.run(_exchange()) == (True, ["store"], None)


def test_only_a_configuration_is_served() -> None:
    with pytest.raises(TypeError):
        config_of({"serve": base64.b64encode(pickle.dumps("no")).decode()})
    assert troubles_of({}) == []


async def _broken() -> State:
    raise ZeroDivisionError


async def _heard(*, taken_back: bool) -> State:
    asking = asyncio.create_task(_broken())
    if taken_back:
        asking.cancel()
    await asyncio.wait([asking])
    return heard(asking, ["store"], [])


@pytest.mark.parametrize(
    ("taken_back", "troubles"),
    [
        pytest.param(True, ["store"], id="taken back: as it was known before"),
        pytest.param(False, [CRASHED], id="broken: nobody knows"),
    ],
)
def test_a_question_without_an_answer_does_not_end_the_reports(
    taken_back: bool, troubles: list[str]
) -> None:
    assert asyncio.run(_heard(taken_back=taken_back)) == (troubles, [])


def test_a_worker_is_no_file_of_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/usr/bin", "/usr/lib/python3"])
    assert command() == [sys.executable, "-P", "-m", "bff.serve.worker"]
    monkeypatch.setattr(sys, "path", [os.getcwd()])
    assert command() == [sys.executable, "-m", "bff.serve.worker"]


def test_a_worker_can_be_started_from_a_folder_that_has_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(sys, "path", ["/usr/lib/python3"])
    assert command() == [sys.executable, "-P", "-m", "bff.serve.worker"]


@pytest.mark.parametrize(
    ("host", "port", "why", "absent"),
    [
        ("no.such.host.invalid", 0, "no such host", True),
        ("192.0.2.1", 0, "is no address of this machine", True),
    ],
)
def test_an_address_that_cannot_be_had(host: str, port: int, why: str, absent: bool) -> None:
    with pytest.raises(CannotListen, match=f"{why}; change --host") as caught:
        listen(host, port, option="--host")
    assert caught.value.absent is absent


def test_two_listeners_on_one_port_are_one_too_many() -> None:
    first = listen("127.0.0.1", 0, option="--port")
    try:
        with pytest.raises(CannotListen, match="taken") as caught:
            listen("127.0.0.1", first[0].getsockname()[1], option="--port")
        assert not caught.value.absent
    finally:
        close(first)
