"""What the service is deployed with, checked as far as it can be without a container engine."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ledger.config import Settings
from ledger.rpc.workers import STOP_SECONDS
from ledger.store.embedded import SERVER_SETTINGS
from tests.deploy.places import DEPLOY, ROOT, program, run
from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.processes import ServiceProcess

DOCKER = DEPLOY / "docker"
COMPOSE = DEPLOY / "compose"
KUBERNETES = DEPLOY / "kubernetes"
SYSTEMD = DEPLOY / "systemd"
#: the oldest that is still looked after, and the newest that is known here
KUBERNETES_VERSIONS = ("1.34", "1.37")

SETTINGS = {f"LEDGER_{name.upper()}" for name in Settings.model_fields}

Json = dict[str, Any]


def documents(text: str) -> list[Json]:
    return [document for document in yaml.safe_load_all(text) if document]


# -- the image -----------------------------------------------------------------------------------


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    hadolint = ROOT / ".venv" / "bin" / "hadolint"
    run(hadolint if hadolint.exists() else program("hadolint"), DOCKER / "Dockerfile")


def pinned(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE))


def test_the_image_holds_what_is_tested_pinned_with_hashes() -> None:
    text = (DOCKER / "requirements.txt").read_text()
    requirements = pinned(DOCKER / "requirements.txt")
    tested = pinned(ROOT / "constraints.txt")
    assert requirements == {name: tested[name] for name in requirements}, "run `make requirements`"
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split("[<>=; ]", each)[0] for each in wanted} <= set(requirements)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text


def test_only_what_the_image_is_made_of_is_sent_to_the_builder() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = set()
    for line in (DOCKER / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert sent == copied
    assert all((ROOT / path).exists() for path in copied)


def context_of_the_image(directory: Path) -> Path:
    """A directory with what is sent to the builder, and nothing else."""
    directory.mkdir()
    for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], directory / line[1:]
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    return directory


#: as a container runs it: a user without a name, on a file system that can not be written
AS_IN_A_CONTAINER = (
    *("unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh"),
    *("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--inh-caps=-all"),
)

PACKAGES = (
    "import importlib.metadata as m\n"
    "for d in m.distributions(): print(d.metadata['Name'].lower().replace('_', '-'))"
)


# It is no fault, but takes half a minute.
@pytest.mark.faults_long
def test_the_steps_of_the_image_give_a_service_that_needs_nothing_else(database_url: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="image-") as name,
        PostgresProxy(database_url) as proxy,
    ):
        directory = Path(name)
        directory.chmod(0o755)
        installed = directory / "opt"
        run(
            *("sh", "deploy/docker/install.sh", installed),
            cwd=context_of_the_image(directory / "src"),
            seconds=120,
        )
        python, ledger = installed / "bin" / "python", installed / "bin" / "ledger"
        there = set(run(python, "-c", PACKAGES, cwd=directory).split())
        assert there - {"loyalty-ledger"} == there & set(pinned(DOCKER / "requirements.txt"))
        assert not (installed / "bin" / "pip").exists()

        wrapped: tuple[str, ...] = ()
        if os.geteuid() == 0 and not subprocess.run([*AS_IN_A_CONTAINER, "true"]).returncode:
            wrapped = AS_IN_A_CONTAINER
        settings = {
            "HOME": "/nonexistent",
            "LEDGER_DATABASE_URL": proxy.url(),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [*wrapped, str(ledger), "serve"]
        service = ServiceProcess(settings, directory / "log", command=command)
        check = [python, installed / "healthcheck.py"]
        environment = {**os.environ, **service.environment}
        assert subprocess.run(check, env=environment, capture_output=True).returncode == 1
        with service.start():
            subprocess.run(check, env=environment, check=True)
            if wrapped:
                status = Path(f"/proc/{service.pid}/status").read_text()
                assert re.search(r"^Uid:\t10001", status, re.MULTILINE)
            assert service.terminate() == 0


# -- compose -------------------------------------------------------------------------------------


def compose() -> Json:
    loaded: Json = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return loaded


def check_compose(document: Json) -> None:
    """Raise what is wrong with it. `${…}` stands for itself: every such value may be any text."""
    compose_spec = pytest.importorskip("compose_spec", reason="the extra `dev` is not installed")
    checked = compose_spec.PyCompose.from_json(json.dumps(document))
    checked.validate()
    checked.to_spec()
    services = document["services"]
    for name, service in services.items():
        for other in service.get("depends_on", ()):
            if other not in services:
                raise ValueError(f"{name} depends on {other}, which does not exist")
        for mount in service.get("volumes", ()):
            source = mount["source"] if isinstance(mount, dict) else mount.split(":")[0]
            if source[0] not in "./" and source not in document["volumes"]:
                raise ValueError(f"{name} mounts {source}, which does not exist")


def test_the_compose_file_is_one() -> None:
    check_compose(compose())


@pytest.mark.parametrize(
    "fault",
    [
        lambda services: services["grafana"].update(imagee="grafana"),
        lambda services: services["grafana"].update(networks=["nowhere"]),
        lambda services: services["grafana"].update(volumes=["nowhere:/x"]),
        lambda services: services["grafana"].update(ports=["three"]),
        lambda services: services["envoy"]["depends_on"].update({"ledger-1": {"condition": "up"}}),
        lambda services: services["envoy"]["depends_on"].update(
            {"ledger-9": {"condition": "service_healthy"}}
        ),
    ],
    ids=["key", "network", "volume", "port", "condition", "dependency"],
)
def test_a_fault_in_the_compose_file_would_be_found(fault: Callable[[Json], None]) -> None:
    broken = copy.deepcopy(compose())
    fault(broken["services"])
    with pytest.raises(ValueError, match=r"\w"):
        check_compose(broken)


def test_what_compose_mounts_from_the_repository_is_there() -> None:
    made = {"./tls", "./keys"}  # by certificates.sh, and by `ledger keys create`
    for service in compose()["services"].values():
        for mount in service.get("volumes", ()):
            if isinstance(mount, str) and mount.startswith("."):
                source = mount.split(":")[0]
                assert (COMPOSE / source).exists() or any(source.startswith(m) for m in made)


def test_every_container_of_ours_is_hardened_and_nothing_but_the_proxy_is_open_to_others() -> None:
    services = compose()["services"]
    for name, service in services.items():
        for port in service.get("ports", ()):
            assert name == "envoy" or port.startswith("127.0.0.1:"), name
        if name != "postgres":  # its image starts as root, and then is nobody
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
    assert "database" not in services["envoy"]["networks"]


def test_the_database_of_compose_logs_as_little_of_members_as_the_embedded_one() -> None:
    given = compose()["services"]["postgres"]["command"]
    for name in ("log_min_error_statement", "log_error_verbosity"):
        assert f"{name}={SERVER_SETTINGS[name]}" in given


def test_compose_says_which_variables_it_wants() -> None:
    wanted = set(re.findall(r"\$\{(\w+)", (COMPOSE / "compose.yaml").read_text()))
    given = set(re.findall(r"^(\w+)=", (COMPOSE / "example.env").read_text(), re.MULTILINE))
    assert wanted == given
    assert re.search(r"^/?deploy/compose/\.env$", (ROOT / ".gitignore").read_text(), re.MULTILINE)


def test_settings_in_deployments_are_settings_of_the_service() -> None:
    named = set(SETTINGS_IN.findall((SYSTEMD / "ledger.env.example").read_text()))
    named |= set(SETTINGS_IN.findall((SYSTEMD / "ledger.service").read_text()))
    named |= set(SETTINGS_IN.findall((DOCKER / "Dockerfile").read_text()))
    for name in ("ledger-1", "ledger-2", "migrate"):
        named |= set(compose()["services"][name]["environment"])
    for document in manifests():
        named |= set(document.get("data", ())) | {
            key for key in document.get("stringData", ()) if key.startswith("LEDGER_")
        }
    assert len(named) > 5
    assert named <= SETTINGS


SETTINGS_IN = re.compile(r"\b(LEDGER_[A-Z_]+)=")


# -- Kubernetes ----------------------------------------------------------------------------------


def manifests() -> list[Json]:
    return [
        document
        for path in sorted(KUBERNETES.rglob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in documents(path.read_text())
    ]


def of_kind(kind: str) -> Json:
    (found,) = [document for document in manifests() if document["kind"] == kind]
    return found


#: of the Prometheus Operator: no schema of theirs is at hand
FOREIGN = {"ServiceMonitor", "PrometheusRule"}


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_manifests_are_what_kubernetes_takes(version: str) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="the extra `dev` is not installed"
    ).validate
    kinds = set()
    for document in manifests():
        kinds.add(document["kind"])
        if document["kind"] not in FOREIGN:
            validate(document, version, strict=True)
    assert kinds >= {
        *("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Job"),
        *("NetworkPolicy", "ServiceMonitor", "ServiceAccount", "ConfigMap", "Secret"),
    }


def test_a_fault_in_a_manifest_would_be_found() -> None:
    kubernetes_validate = pytest.importorskip(
        "kubernetes_validate", reason="the extra `dev` is not installed"
    )
    deployment = of_kind("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES_VERSIONS[0], strict=True)


def test_kustomize_puts_every_manifest_together() -> None:
    built = documents(run(program("kubectl"), "kustomize", KUBERNETES))
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in KUBERNETES.glob("*.yaml")} == {*listed, "kustomization.yaml"}
    for document in built:
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == "ledger"
    (deployment,) = [each for each in built if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    job = of_kind("Job")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == job["image"], "the migration must be of the version that follows"


def test_what_manifests_name_exists() -> None:
    pod = of_kind("Deployment")["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = of_kind(kind)["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        assert selector.get("matchLabels", selector).items() <= labels, kind
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in of_kind("Service")["spec"]["ports"]} <= ports
    monitor = of_kind("ServiceMonitor")["spec"]
    assert monitor["endpoints"][0]["port"] in {
        port["name"] for port in of_kind("Service")["spec"]["ports"]
    }
    named = {(d["kind"], d["metadata"].get("name")) for d in manifests()}
    for template in (pod, of_kind("Job")["spec"]["template"]):
        assert ("ServiceAccount", template["spec"]["serviceAccountName"]) in named
        for source in template["spec"]["containers"][0]["envFrom"]:
            for kind, reference in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if reference in source:
                    assert (kind, source[reference]["name"]) in named
    for volume in pod["spec"]["volumes"]:
        if "secret" in volume:
            assert ("Secret", volume["secret"]["secretName"]) in named
    credentials = monitor["endpoints"][0]["authorization"]["credentials"]
    (secret,) = (d for d in manifests() if d["metadata"].get("name") == credentials["name"])
    assert secret["kind"] == "Secret"
    assert credentials["key"] in secret["stringData"]
    target = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) in named


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_pods_may_do_nothing_that_they_need_not(kind: str) -> None:
    pod = of_kind(kind)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_rules_of_the_operator_are_those_of_prometheus() -> None:
    from deploy.kubernetes.rules import OUT, text

    assert OUT.read_text() == text(), "run `make prometheusrule`"


# -- systemd -------------------------------------------------------------------------------------


def test_systemd_takes_the_unit_and_finds_little_that_it_may_do(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    unit = tmp_path / "ledger.service"
    text = (SYSTEMD / "ledger.service").read_text()
    unit.write_text(text.replace("/opt/ledger/bin/ledger", "/bin/true"))
    said = run(analyze, "verify", "--man=no", unit)
    assert "Unknown" not in said, said
    assert "ignoring" not in said, said
    said = run(analyze, "security", "--offline=true", "--threshold=20", unit)
    assert "Overall exposure level" in said


def test_systemd_starts_the_service_again_however_long_its_database_is_away() -> None:
    unit = (SYSTEMD / "ledger.service").read_text().splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0"} <= set(unit)


def test_whoever_stops_the_service_waits_longer_than_it_waits_for_a_worker_that_hangs() -> None:
    unit = (SYSTEMD / "ledger.service").read_text()
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    (_, before) = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    patience = {
        "systemd": int(unit.partition("TimeoutStopSec=")[2].split()[0]),
        "compose": int(compose()["services"]["ledger-1"]["stop_grace_period"].removesuffix("s")),
        "kubernetes": pod["terminationGracePeriodSeconds"] - int(before),
    }
    assert {who for who, seconds in patience.items() if seconds <= STOP_SECONDS} == set()
