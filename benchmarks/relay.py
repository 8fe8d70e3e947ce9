"""The relay against nginx and Apache mod_auth_openidc: a real login each, interleaved, pinned.

    python benchmarks/relay.py [--rounds 3] [--seconds 3] [--sessions 200] [--markdown]

Needs Debian's nginx, apache2, libapache2-mod-auth-openidc, redis-server and wrk. Machines are
shared and noisy: read the ratios, which are medians of the ratios within a round.
"""

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from benchmarks import peers
from benchmarks.peers import Peer
from bff.simulator import Client, Person, Plan, Switches, running

BROWSER_HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36",
    "Accept: application/json, text/plain, */*",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Cache-Control: no-cache",
    "Pragma: no-cache",
    "Priority: u=1, i",
    "Referer: http://localhost/orders?page=2",
    'Sec-CH-UA: "Chromium";v="156", "Not/A)Brand";v="24"',
    "Sec-CH-UA-Mobile: ?0",
    'Sec-CH-UA-Platform: "Linux"',
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
)


@dataclass(frozen=True)
class Load:
    name: str
    path: str
    connections: int
    headers: tuple[str, ...] = ("Sec-Fetch-Site: same-origin",)


LOADS = (
    Load("1 connection, 1 KB", "/api/1k", 1),
    Load("32 connections, 1 KB", "/api/1k", 32),
    Load("256 connections, 1 KB", "/api/1k", 256),
    Load("32 connections, 64 KB", "/api/64k", 32),
    Load("32 connections, 14 headers", "/api/1k", 32, BROWSER_HEADERS),
)


@dataclass(frozen=True)
class Figures:
    rate: float  # requests/s
    cpu: float  # seconds per request
    p99: float  # seconds
    bad: int


WARM_UP = 1  # seconds
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def measure(peer: Peer, load: Load, seconds: int, script: Path | None = None) -> Figures:
    fields = [part for line in (*peer.headers, *load.headers) for part in ("-H", line)]
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency", *fields]
    if script is not None:
        command += ["-s", str(script)]
    before = peers.cpu_seconds(peer.pid)
    url = f"http://localhost:{peer.port}{load.path}"
    said = subprocess.run(
        peers.pinned(peers.LOAD_CORE, *command, url), capture_output=True, text=True, check=True
    ).stdout
    spent = peers.cpu_seconds(peer.pid) - before
    count = int(_found(r"(\d+) requests in", said))
    bad = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    p99 = float(late[1]) * _UNITS[late[2]] if late else 0.0
    return Figures(float(_found(r"Requests/sec:\s+([\d.]+)", said)), spent / count, p99, bad)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(text)
    return match[1]


def signed_in(port: int, start: str, csrf: bool) -> str:
    """Sign in with a real login and return the Cookie header, proved by one call of the API."""
    home = f"http://localhost:{port}"
    with httpx.Client(trust_env=False) as http, Person("ada") as person:
        first = http.get(home + start, headers={"accept": "text/html"})
        back = urlsplit(person.visit(first.headers["location"]))
        answer = http.get(f"{home}{back.path}?{back.query}", headers={"accept": "text/html"})
        if answer.status_code >= 400:
            raise RuntimeError(f"the login failed: {answer.status_code}")
        headers = {"sec-fetch-site": "same-origin"} if csrf else {}
        probe = http.get(f"{home}/api/1k", headers=headers)
        if probe.status_code != 200 or len(probe.content) != 1024:
            raise RuntimeError(f"the API was not reached: {probe.status_code}")
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in http.cookies.jar)


@contextlib.contextmanager
def field(folder: Path, sessions: int) -> Iterator[tuple[list[Peer], Path, Path]]:
    """All peers, signed in, and two wrk scripts: over one session of bff, and over many."""
    ports = {"apache": peers.free_port(), "bff": peers.free_port()}
    paths = {"apache": "/api/callback", "bff": "/bff/callback"}
    clients = tuple(
        Client(
            client_id=name,
            client_secret=peers.SECRET,
            redirect_uris=(f"http://localhost:{port}{paths[name]}",),
        )
        for name, port in ports.items()
    )
    plan = Plan(clients=clients, switches=Switches(access_token_seconds=86_400))
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(running(plan))
        api_port = stack.enter_context(peers.api(folder))
        redis_port = stack.enter_context(peers.redis(folder))
        common = {"issuer": simulator.issuer, "api_port": api_port, "redis_port": redis_port}
        found = [stack.enter_context(peers.nginx_proxy(folder, api_port))]
        pid = stack.enter_context(peers.apache(folder, port=ports["apache"], **common))  # type: ignore[arg-type]
        cookie = signed_in(ports["apache"], "/api/1k", csrf=False)
        name = "Apache mod_auth_openidc, Redis"
        found.append(Peer(name, ports["apache"], pid, (f"Cookie: {cookie}",)))
        pid = stack.enter_context(peers.bff(folder, port=ports["bff"], **common))  # type: ignore[arg-type]
        cookies = [
            signed_in(ports["bff"], "/bff/login", csrf=True) for _ in range(max(1, sessions))
        ]
        found.append(Peer("bff, Redis", ports["bff"], pid, (f"Cookie: {cookies[0]}",)))
        # The same work for wrk in both, which shares its core with the API and Redis.
        alone = _walk(folder / "one.lua", cookies[:1] * len(cookies))
        yield found, alone, _walk(folder / "many.lua", cookies)


def _walk(path: Path, cookies: list[str]) -> Path:
    listed = ",".join(f'"{cookie}"' for cookie in cookies)
    path.write_text(
        f"local cookies = {{{listed}}}\nlocal at = 0\n"
        "function request()\n  at = at % #cookies + 1\n"
        '  wrk.headers["Cookie"] = cookies[at]\n  return wrk.format()\nend\n'
    )
    return path


def _proxied(path: Path) -> Path:
    """A wrk script whose requests come through a proxy: each with an id of its own."""
    path.write_text(
        "local at = 0\nfunction request()\n  at = at + 1\n"
        '  wrk.headers["X-Forwarded-For"] = "203.0.113.7"\n'
        '  wrk.headers["X-Forwarded-Proto"] = "https"\n'
        '  wrk.headers["X-Request-Id"] = string.format("%032d", at)\n'
        "  return wrk.format()\nend\n"
    )
    return path


def workers(rounds: int, seconds: int) -> None:
    """One worker and two, free to use both cores, which the load, the API and Redis use as well."""
    ports = {1: peers.free_port(), 2: peers.free_port()}
    client = Client(
        client_id="bff",
        client_secret=peers.SECRET,
        redirect_uris=tuple(f"http://localhost:{port}/bff/callback" for port in ports.values()),
    )
    plan = Plan(clients=(client,), switches=Switches(access_token_seconds=86_400))
    load = Load("32 connections, 1 KB", "/api/1k", 32)
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(running(plan))
        found = {}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bff-bench-")))
        api_port = stack.enter_context(peers.api(folder))
        redis_port = stack.enter_context(peers.redis(folder))
        for count, port in ports.items():
            place = folder / str(count)
            place.mkdir()
            pid = stack.enter_context(
                peers.bff(
                    place,
                    port=port,
                    issuer=simulator.issuer,
                    api_port=api_port,
                    redis_port=redis_port,
                    workers=count,
                    cores="0,1",
                )
            )
            cookie = signed_in(port, "/bff/login", csrf=True)
            found[count] = Peer(f"{count} worker(s)", port, pid, (f"Cookie: {cookie}",))
        runs = [
            (measure(found[1], load, seconds).rate, measure(found[2], load, seconds).rate)
            for _ in range(rounds)
        ]
    one, two = (statistics.median(rates) for rates in zip(*runs, strict=True))
    ratio = statistics.median(two / one for one, two in runs)
    print(f"{load.name}: one worker {one:,.0f}/s, two {two:,.0f}/s, ratio {ratio:.2f}")


def table(
    results: dict[tuple[str, str], list[Figures]], names: list[str], loads: list[str]
) -> None:
    """The medians, and the medians of the ratios within a round to nginx and to Apache."""
    print("\n| load | system | req/s | to nginx | to Apache | CPU µs | CPU to nginx | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for load in loads:
        for name in names:
            runs = results[load, name]
            if not runs:
                continue
            nginx, apache = (results[load, other] for other in names[:2])
            cells = [
                f"{statistics.median(run.rate for run in runs):,.0f}",
                _ratio([run.rate for run in runs], [run.rate for run in nginx]),
                _ratio([run.rate for run in runs], [run.rate for run in apache]),
                f"{statistics.median(run.cpu for run in runs) * 1e6:.0f}",
                _ratio([run.cpu for run in runs], [run.cpu for run in nginx]),
                f"{statistics.median(run.p99 for run in runs) * 1e3:.1f}",
            ]
            print(f"| {load} | {name} | {' | '.join(cells)} |")
            if bad := sum(run.bad for run in runs):
                print(f"  !! {bad} answers were not 2xx")


def _ratio(ours: list[float], theirs: list[float]) -> str:
    if not theirs:
        return "-"
    return f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}"


def _spread(runs: list[Figures], others: list[Figures]) -> str:
    """The ratios within each round: their median, the least and the most."""
    pairs = list(zip(runs, others, strict=True))
    ratios = {
        "requests/s": sorted(run.rate / other.rate for run, other in pairs),
        "CPU per request": sorted(run.cpu / other.cpu for run, other in pairs),
    }
    return ", ".join(
        f"{name} {statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"
        for name, found in ratios.items()
    )


def against_one(
    results: dict[tuple[str, str], list[Figures]], peers: list[Peer], loads: tuple[Load, ...]
) -> None:
    """Many sessions against one, and what of it is noise."""
    one, *others = loads
    print(f"\nAgainst {one.name}. nginx has no sessions: to it they are as many cookies.")
    for peer in peers:
        for load in others:
            told = _spread(results[load.name, peer.name], results[one.name, peer.name])
            print(f"{peer.name}, {load.name}: {told}")


def run(rounds: int, seconds: int, sessions: int) -> None:
    """Every load on every system, in turn, so many rounds."""
    results: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    one = Load("one session, by script", "/api/1k", 32)
    many = Load(f"{sessions:,} sessions, by script", "/api/1k", 32)
    again = Load("one session again: what is noise", "/api/1k", 32)
    proxied = Load("32 connections, 14 headers, through a proxy", "/api/1k", 32, BROWSER_HEADERS)
    own_heads = Load("the same, and no answer's head twice", "/api/own/1k", 32, BROWSER_HEADERS)
    with (
        tempfile.TemporaryDirectory(prefix="bff-bench-") as name,
        field(Path(name), sessions) as (found, one_session, many_sessions),
    ):
        proxy = _proxied(Path(name) / "proxied.lua")
        compared = [found[0], found[-1]]
        scripted = ((one, one_session), (many, many_sessions), (again, one_session))
        plan: list[tuple[Load, list[Peer], Path | None]] = [
            *((load, found, None) for load in LOADS),
            *((load, found, proxy) for load in (proxied, own_heads)),
            *((load, [peer], script) for peer in compared for load, script in scripted),
        ]
        for _ in range(rounds):
            for load, peers_of_it, script in plan:
                for peer in peers_of_it:
                    if load in (one, many, again):
                        # A session is slid at its first request in a minute: no part of 3 s.
                        measure(peer, load, WARM_UP, script)
                    figures = measure(peer, load, seconds, script)
                    results[load.name, peer.name].append(figures)
        shown = [load.name for load in (*LOADS, proxied, own_heads, one, many)]
        table(results, [peer.name for peer in found], shown)
        against_one(results, compared, (one, many, again))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--workers", action="store_true", help="two workers against one instead")
    asked = parser.parse_args()
    if asked.workers:
        workers(asked.rounds, asked.seconds)
    else:
        run(asked.rounds, asked.seconds, asked.sessions)


if __name__ == "__main__":
    main()
