"""The image and what stands beside it: commands that exist, and metrics that the service has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mltfr.serve.metrics import Metrics
from support.command_line import run
from support.dockerfile import ROOT, instructions, last

HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def test_the_image_starts_a_command_that_there_is_as_no_root() -> None:
    command = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
    assert command[:2] == ["mltfr", "serve"]
    told = run("serve", "--help").stdout
    assert all(re.search(rf"{word}\b", told) for word in command if word.startswith("--"))
    assert int(last("USER")) > 0
    assert last("STOPSIGNAL") == "SIGTERM"


def test_without_a_key_the_image_refuses_to_answer_the_world(tmp_path: Path) -> None:
    command = json.loads(last("ENTRYPOINT"))[1:] + json.loads(last("CMD"))
    refused = run(*command, check=False)
    assert refused.returncode == 2
    assert "MLTFR_API_KEY" in refused.stderr


def test_the_image_is_built_from_files_that_there_are_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and not rest.startswith("--")]
    sources = {source for each in copied for source in each}
    assert sources == kept
    assert all((ROOT / source).exists() for source in sources)


def test_the_health_check_asks_a_path_of_the_service() -> None:
    check = last("HEALTHCHECK").partition("CMD ")[2]
    program = json.loads(check)[2]
    compile(program, "check", "exec")
    assert "/health/live" in program
    assert f":{last('EXPOSE')}/" in program
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 1


def test_files_that_the_services_mount_are_there() -> None:
    mounts = [mount for service in compose().values() for mount in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(files) == 4
    assert all((ROOT / file).is_file() for file in files)
    scrape = yaml.safe_load((ROOT / "deploy/prometheus.yaml").read_text())["scrape_configs"][0]
    host, port = scrape["static_configs"][0]["targets"][0].split(":")
    assert host in compose()
    assert port == last("EXPOSE")
    source = yaml.safe_load((ROOT / "deploy/grafana/datasources.yaml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    addresses = [address for service in compose().values() for address in service.get("ports", [])]
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_the_dashboard_shows_metrics_that_the_service_has() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    source = yaml.safe_load((ROOT / "deploy/grafana/datasources.yaml").read_text())["datasources"][0]
    known = set()
    for metric in Metrics().registry.collect():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
        known |= {metric.name + end for end in ends}
    shown = set()
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == source["uid"]
        for target in panel["targets"]:
            shown |= set(re.findall(r"\b(?:mltfr|process)_[a-z_]+", target["expr"]))
    assert shown <= known | {"mltfr"}
    own = {name for name in known if name.startswith("mltfr_") and not name.endswith(("_bucket", "_sum", "_count"))}
    assert own <= shown  # nothing that is measured is left out
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_the_dockerfile_is_linted() -> None:
    done = subprocess.run([HADOLINT, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
