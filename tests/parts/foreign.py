"""Upstreams that others wrote, as processes: nginx, and Node's own HTTP server.

Both inherit a listening socket, so early connections wait in its backlog and nobody polls.
"""

import contextlib
import json
import os
import queue
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from tests.parts.hearing import PATIENCE, Heard, drained

# nginx tells what it heard, in order, as datagrams. It reads a body only for an inner server.
_NGINX: Final = """
daemon off;
{user}
pid {folder}/pid;
error_log {folder}/errors warn;
events {{ worker_connections 256; }}
http {{
  log_format heard escape=json
    '{{"method":"$request_method","target":"$request_uri","body":"$request_body","status":"$status"}}';
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 128k;
  large_client_header_buffers 8 128k;
  keepalive_requests 1000000;
  keepalive_timeout 1h;
  server {{
    listen 127.0.0.1:{port};
    access_log syslog:server=unix:{folder}/told,nohostname heard;
    location / {{ proxy_pass http://unix:{folder}/inner:; }}
  }}
  server {{
    listen unix:{folder}/inner;
    default_type text/plain;
    location / {{ return 200 "heard $request_method $request_uri"; }}
  }}
}}
"""


@dataclass
class Foreign:
    """A running one."""

    name: str
    port: int
    told: "queue.Queue[Heard]" = field(default_factory=queue.Queue)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def heard(self, until: str) -> list[Heard]:
        return drained(self.told, until)

    def tell(self, line: str) -> None:
        found = json.loads(line)
        if found.get("status", "200") != "200":
            found = {"method": "", "target": "", "body": ""}  # it was none, or cut short
        self.told.put(Heard(found["method"], found["target"], found["body"].encode("latin-1")))


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if found is None:
        raise RuntimeError(f"{name} is missing (Debian and Ubuntu: apt-get install {package})")
    return found


@contextlib.contextmanager
def _process(command: list[str], **more: object) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, text=True, **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()  # nginx has a process below
        process.wait(PATIENCE)


@contextlib.contextmanager
def nginx() -> Iterator[Foreign]:
    """Debian's nginx as a strict enough server that many stand behind."""
    program = _program("nginx", "nginx-light")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        told = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        listening.setblocking(False)  # nginx takes it as it is
        told.bind(f"{folder}/told")
        found = Foreign("nginx", listening.getsockname()[1])
        file = Path(folder) / "conf"
        user = "" if os.getuid() else "user root;"  # the folder is ours alone
        file.write_text(_NGINX.format(folder=folder, port=found.port, user=user))
        stack.enter_context(
            _process(
                [program, "-c", str(file), "-e", f"{folder}/errors", "-p", folder],
                env={"NGINX": f"{listening.fileno()};", "PATH": os.environ["PATH"]},
                pass_fds=[listening.fileno()],
            )
        )
        stack.enter_context(_told(told, found))
        yield found


@contextlib.contextmanager
def _told(datagrams: socket.socket, found: Foreign) -> Iterator[None]:
    def listen() -> None:
        while data := datagrams.recv(1 << 20):
            found.tell(data.decode("latin-1").partition(": ")[2])

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", datagrams.getsockname())
        thread.join(PATIENCE)


@contextlib.contextmanager
def node() -> Iterator[Foreign]:
    """Node's HTTP server with every leniency its parser has."""
    program = _program("node", "nodejs")
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        found = Foreign("node", listening.getsockname()[1])
        script = Path(__file__).with_name("hearing.mjs")
        process = stack.enter_context(
            _process(
                [program, "--no-warnings", str(script), str(listening.fileno())],
                stdout=subprocess.PIPE,
                pass_fds=[listening.fileno()],
            )
        )
        stack.enter_context(_lines(process.stdout, process, found))
        yield found


@contextlib.contextmanager
def _lines(
    stream: IO[str] | None, process: "subprocess.Popen[str]", found: Foreign
) -> Iterator[None]:
    assert stream is not None

    def listen() -> None:
        for line in stream:
            found.tell(line)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        process.terminate()
        thread.join(PATIENCE)
        stream.close()
