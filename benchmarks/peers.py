"""The systems under measurement: nginx, Apache with mod_auth_openidc, bff; each on core 0.

The API (nginx), Redis and the load are on core 1. Each peer has one process of workers.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECRET = "a secret for measuring only"
PROXY_CORE, LOAD_CORE = 0, 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pinned(core: int, *command: str) -> list[str]:
    if shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", str(core), *command]


def cpu_seconds(root: int) -> float:
    """CPU time of a process and all its children so far."""
    total = 0.0
    for pid in family(root):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def family(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


@dataclass(frozen=True)
class Peer:
    """One system: where it listens, whose CPU counts, what a signed-in request carries."""

    name: str
    port: int
    pid: int
    headers: tuple[str, ...] = ()


@contextlib.contextmanager
def process(command: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_for(port: int) -> None:
    for _ in range(1000):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on {port}")


NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log /dev/null;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 75s;
  client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u;
  scgi_temp_path {folder}/{name}-s;
  {rest}
}}
"""

API = """
server {{
  listen 127.0.0.1:{port} backlog=4096; root {folder}/html; default_type application/json;
  if ($http_authorization !~ "^Bearer ..") {{ return 401; }}
  location /own/ {{ alias {folder}/html/; add_header X-Request-Id $request_id; }}
}}
"""

PROXY = """
upstream api {{ server 127.0.0.1:{api}; keepalive 512; keepalive_requests 100000000; }}
server {{
  listen 127.0.0.1:{port} backlog=4096;
  location /api/ {{
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://api/;
  }}
}}
"""


@contextlib.contextmanager
def nginx(name: str, folder: Path, rest: str, core: int, port: int) -> Iterator[int]:
    path = folder / f"{name}.conf"
    path.write_text(NGINX.format(folder=folder, name=name, rest=rest))
    with process(pinned(core, "nginx", "-c", str(path))) as started:
        wait_for(port)
        yield started.pid


@contextlib.contextmanager
def api(folder: Path) -> Iterator[int]:
    """The API: answers of 1 KB and 64 KB to whoever brings a bearer; below /own no head twice."""
    html = folder / "html"
    html.mkdir()
    (html / "1k").write_text("x" * 1024)
    (html / "64k").write_text("x" * 65536)
    port = free_port()
    with nginx("api", folder, API.format(port=port, folder=folder), LOAD_CORE, port):
        yield port


@contextlib.contextmanager
def nginx_proxy(folder: Path, api_port: int) -> Iterator[Peer]:
    """The ceiling: no session, a bearer that the load itself brings."""
    port = free_port()
    rest = PROXY.format(api=api_port, port=port)
    with nginx("proxy", folder, rest, PROXY_CORE, port) as pid:
        yield Peer("nginx proxy_pass, no session", port, pid, ("Authorization: Bearer none",))


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[int]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--dir", str(folder), "--loglevel", "warning"]
    with process(pinned(LOAD_CORE, *command), stdout=subprocess.DEVNULL):
        wait_for(port)
        yield port


APACHE = """
ServerRoot {folder}
ServerName localhost
User www-data
Group www-data
PidFile {folder}/apache.pid
ErrorLog /dev/null
{modules}
Listen 127.0.0.1:{port}
ServerLimit 1
StartServers 1
ThreadLimit 320
ThreadsPerChild 320
MaxRequestWorkers 320
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 75
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret "{secret}"
OIDCRedirectURI http://localhost:{port}/api/callback
OIDCCryptoPassphrase 0123456789abcdef0123456789abcdef
OIDCScope "openid profile email offline_access"
OIDCPKCEMethod S256
OIDCSSLValidateServer Off
OIDCCacheType redis
OIDCRedisCacheServer 127.0.0.1:{redis}
OIDCPassClaimsAs none
<Location /api/>
  AuthType openid-connect
  Require valid-user
  RequestHeader set Authorization "Bearer %{{OIDC_access_token}}e"
  ProxyPass http://127.0.0.1:{api}/
</Location>
"""
MODULES = (
    "mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "headers", "env",
    "proxy", "proxy_http",
)  # fmt: skip


@contextlib.contextmanager
def apache(
    folder: Path, *, port: int, issuer: str, api_port: int, redis_port: int
) -> Iterator[int]:
    where = Path("/usr/lib/apache2/modules")
    modules = [
        f"LoadModule {name}_module {where}/mod_{name}.so"
        for name in MODULES
        if (where / f"mod_{name}.so").exists()
    ]
    path = folder / "apache.conf"
    path.write_text(
        APACHE.format(
            folder=folder,
            modules="\n".join(modules),
            port=port,
            issuer=issuer,
            secret=SECRET,
            redis=redis_port,
            api=api_port,
        )
    )
    with process(pinned(PROXY_CORE, "apache2", "-DFOREGROUND", "-f", str(path))) as started:
        wait_for(port)
        yield started.pid


BFF = """
origin = "http://localhost:{port}"
[provider]
issuer = "{issuer}"
client_id = "bff"
client_secret = {{ env = "BFF_BENCH_SECRET" }}
scopes = ["openid", "profile", "email", "offline_access"]
connections = 200
[session]
store = "redis://127.0.0.1:{redis}/0"
[keys]
current = {{ env = "BFF_BENCH_KEY" }}
[[routes]]
path = "/api"
upstream = "http://127.0.0.1:{api}"
strip = true
[operate]
listen = "127.0.0.1:{operate}"
drain_delay = "0s"
trusted_proxies = ["127.0.0.0/8"]
"""


@contextlib.contextmanager
def bff(
    folder: Path,
    *,
    port: int,
    issuer: str,
    api_port: int,
    redis_port: int,
    workers: int = 1,
    cores: str = str(PROXY_CORE),
) -> Iterator[int]:
    from bff.keys import new_key

    path = folder / "bff.toml"
    path.write_text(
        BFF.format(port=port, issuer=issuer, redis=redis_port, api=api_port, operate=free_port())
    )
    env = {**os.environ, "BFF_BENCH_SECRET": SECRET, "BFF_BENCH_KEY": new_key()}
    command = [sys.executable, "-m", "bff", "serve", "--config", str(path)]
    command += ["--port", str(port), "--workers", str(workers)]
    pin = ["taskset", "-c", cores] if shutil.which("taskset") else []
    log = (folder / "bff.log").open("wb")
    with log, process([*pin, *command], env=env, stdout=log) as started:
        wait_for(port)
        yield started.pid
