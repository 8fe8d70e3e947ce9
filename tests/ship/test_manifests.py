"""Compose file and Kubernetes manifests: of the published shape, safe, and of one mind with bff."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bff.config.load import Config, load
from bff.serve.supervisor import GRACE
from bff.simulator import Simulator
from tests.canary import RECORDER
from tests.parts.redis_process import RedisProcess, redis_process
from tests.ship.conftest import ROOT
from tests.ship.dockerfile import instructions
from tests.ship.secret_files import make_secrets
from tests.wire.serve_process import PATIENCE, Served, running

FOLDER = ROOT / "config/kubernetes"
SECRETS = "/run/secrets/bff"  # where both mount them
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "config/compose.yaml").read_text())
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
DEPLOYMENT, SERVICE, DISRUPTION = (
    yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"]
)
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_secrets(tmp_path_factory.mktemp("secrets") / "secrets")
    for each in folder.iterdir():
        for word in re.findall(r"[\w-]{40,}", each.read_text()):
            RECORDER.secret("shipped", word)
    return folder


@pytest.fixture(scope="module")
def config(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """What the container's file says, once its names are somebody's."""
    file = tmp_path_factory.mktemp("config") / "bff.toml"
    file.write_text((FOLDER / "bff.toml").read_text().replace(SECRETS, str(secrets)))
    return load(file)


def command(name: str, *arguments: str) -> None:
    program = Path(sys.executable).parent / name
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the published schemas


def test_the_compose_file_is_of_the_published_shape() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    command("check-jsonschema", *schema, str(ROOT / "config/compose.yaml"))


@pytest.mark.parametrize("release", ["1.31", "1.34", "1.37"])
def test_the_manifests_are_of_the_published_shape(release: str) -> None:
    files = [str(FOLDER / name) for name in KUSTOMIZATION["resources"]]
    command("kubernetes-validate", "--strict", "-k", release, *files)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on this machine")
def test_kustomize_builds_it_once_the_secrets_are_made(tmp_path: Path, secrets: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "k", ignore=shutil.ignore_patterns("secrets"))
    build = ["kubectl", "kustomize", str(folder)]
    before = subprocess.run(build, capture_output=True, text=True, check=False)
    assert before.returncode != 0  # no placeholder can go live by accident
    shutil.copytree(secrets, folder / "secrets")
    built = subprocess.run(build, capture_output=True, text=True, check=True).stdout
    kinds = sorted(each["kind"] for each in yaml.safe_load_all(built))
    assert kinds == ["ConfigMap", "Deployment", "PodDisruptionBudget", "Secret", "Service"]
    (tmp_path / "built.yaml").write_text(built)
    command("kubernetes-validate", "--strict", str(tmp_path / "built.yaml"))


# --- of one mind with the rest


def test_everything_named_is_there() -> None:
    (files,) = (each["files"] for each in KUSTOMIZATION["configMapGenerator"])
    assert all((FOLDER / each).is_file() for each in files)
    (image,) = KUSTOMIZATION["images"]
    assert image["newTag"] == version("bff")
    assert COMPOSE["services"]["bff"]["image"] == f"bff:{version('bff')}"
    assert (ROOT / "config" / COMPOSE["configs"]["bff"]["file"]).samefile(FOLDER / "bff.toml")
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert DISRUPTION["spec"]["selector"]["matchLabels"] == labels
    assert SERVICE["spec"]["selector"] == labels


def test_every_secret_of_the_file_is_made_and_mounted(secrets: Path) -> None:
    wanted = set(re.findall(rf'file = "{SECRETS}/([\w-]+)"', (FOLDER / "bff.toml").read_text()))
    assert len(wanted) == 3
    assert wanted <= {each.name for each in secrets.iterdir()}
    (generated,) = (each["files"] for each in KUSTOMIZATION["secretGenerator"])
    assert {Path(each).name for each in generated} == wanted
    mounts = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    assert mounts["secrets"] == SECRETS
    used = COMPOSE["services"]["bff"]["secrets"]
    assert {each["source"]: each["target"] for each in used} == {
        name: f"{SECRETS}/{name}" for name in wanted
    }
    assert COMPOSE["secrets"].keys() == {*wanted, "redis.acl"}


def test_who_stops_it_waits_until_it_has_stopped(config: Config) -> None:
    needed = config.operate.drain_delay + config.operate.stop_deadline + GRACE
    assert POD["terminationGracePeriodSeconds"] >= needed
    assert COMPOSE["services"]["bff"]["stop_grace_period"] == "45s"
    assert needed <= 45
    # Whoever looks at /ready has seen it before the sockets close.
    ready = CONTAINER["readinessProbe"]
    noticed = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
    assert noticed <= config.operate.drain_delay


def test_probes_ask_the_operations_address_and_the_service_leads_to_the_public_one(
    config: Config,
) -> None:
    ports = {each["name"]: each["containerPort"] for each in CONTAINER["ports"]}
    assert config.operate.listen == ("0.0.0.0", ports["operations"])
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")}
    assert all(probe == {"path": "/live", "port": "operations"} for probe in probes.values())
    assert CONTAINER["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "operations"}
    assert [each["targetPort"] for each in SERVICE["spec"]["ports"]] == ["public"]
    assert [each.rpartition(":")[2] for each in COMPOSE["services"]["bff"]["ports"]] == ["8000"]
    exposed = dict(instructions((ROOT / "Dockerfile").read_text()))["EXPOSE"].split()
    assert [str(ports[name]) for name in ("public", "operations")] == exposed


def test_a_container_may_nothing() -> None:
    of_pod, own = POD["securityContext"], CONTAINER["securityContext"]
    user = dict(instructions((ROOT / "Dockerfile").read_text()))["USER"]
    assert of_pod["runAsNonRoot"]
    assert f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}" == user
    assert not POD["automountServiceAccountToken"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for service in COMPOSE["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in COMPOSE["services"]["redis"]


# --- the real parts with it


@pytest.fixture
def store(secrets: Path) -> Iterator[RedisProcess]:
    """Redis as the compose file starts it."""
    program, *options = COMPOSE["services"]["redis"]["command"]
    assert program == "redis-server"
    with redis_process(*(each.replace("/run/secrets", str(secrets)) for each in options)) as server:
        yield server


def test_bff_is_ready_with_that_file_those_secrets_and_that_redis(
    tmp_path: Path, secrets: Path, store: RedisProcess, simulator: Simulator
) -> None:
    probe = COMPOSE["services"]["redis"]["healthcheck"]["test"]
    port = str(store.port)
    subprocess.run([probe[1], "-p", port, *probe[2:]], check=True, capture_output=True)
    here = shutil.copytree(secrets, tmp_path / "secrets")
    (here / "store").chmod(0o600)
    (here / "store").write_text(
        (secrets / "store").read_text().replace("redis:6379", f"127.0.0.1:{port}")
    )
    text = (FOLDER / "bff.toml").read_text().replace(SECRETS, str(here))
    text = text.replace("https://login.example.com", simulator.issuer)
    text = text.replace("0.0.0.0:9090", "127.0.0.1:0").replace('"10s"', '"0s"')
    (tmp_path / "bff.toml").write_text(text)
    arguments = ("serve", "--config", str(tmp_path / "bff.toml"), "--port", "0")
    with (
        running(*arguments) as process,
        httpx.Client(trust_env=False, timeout=PATIENCE) as http,
    ):
        public = process.event("started")["address"]
        operations = process.event("started", endpoint="operations")["address"]
        assert Served(process, public, operations, http).ready()["troubles"] == []
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
