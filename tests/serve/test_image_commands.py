"""The image's own commands in a fresh virtual environment: built, started, asked, checked for health, and stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from urllib.request import Request, urlopen

import pytest

from support.dockerfile import ROOT, instructions, last
from support.service import KEY, RUNS

pytestmark = [pytest.mark.network, pytest.mark.slow]


def built(folder: Path) -> dict[str, str]:
    """Build the image's first stage in a folder, and return the environment of what it starts."""
    there = {"/opt/mltfr": str(folder / "opt"), "/build": str(folder / "build")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLTFR_"))}
    environment["PATH"] = f"{Path(sys.base_prefix) / 'bin'}:{environment['PATH']}"
    (work := folder / "build").mkdir()
    stages = 0
    for name, rest in instructions():
        rest = re.sub("|".join(there), lambda found: there[found[0]], rest)
        stages += name == "FROM"
        if name == "ARG" and stages == 1:
            environment[rest.partition("=")[0]] = rest.partition("=")[2].strip('"')
        elif name == "ENV":
            for key, value in re.findall(r"(\w+)=(\S+)", rest):
                environment[key] = value.replace("$PATH", environment["PATH"])
        elif name == "RUN" and stages == 1:
            done = subprocess.run(["sh", "-ec", rest], cwd=work, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{rest}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        elif name == "COPY" and stages == 1:
            *sources, target = rest.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                    shutil.copytree(ROOT / source, work / target, dirs_exist_ok=True, ignore=ignored)
                else:
                    shutil.copy(ROOT / source, work / target)
    return environment


def test_the_image_answers_is_healthy_and_stops(tmp_path: Path) -> None:
    environment = {**built(tmp_path), "MLTFR_API_KEY": KEY}
    shutil.copytree(RUNS / "mltfr", tmp_path / "run")
    command = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
    command = [{"/srv/run": str(tmp_path / "run"), "8000": "8765", "0.0.0.0": "127.0.0.1"}.get(w, w) for w in command]
    health = [word.replace(":8000/", ":8765/") for word in json.loads(last("HEALTHCHECK").partition("CMD ")[2])]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = monotonic() + 60  # as long as the health check gives it to start
            while subprocess.run(health, env=environment, capture_output=True).returncode:
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert monotonic() < deadline
                sleep(0.2)
            headers = {"Content-Type": "application/json", "X-API-Key": KEY}
            asked = Request("http://127.0.0.1:8765/v1/recommend", b'{"histories": [["i3"]], "k": 3}', headers)
            with urlopen(asked, timeout=30) as answer:
                assert len(json.load(answer)["results"][0]["items"]) == 3
            process.send_signal(signal.Signals[last("STOPSIGNAL")])
            assert process.wait(60) == 0
        finally:
            process.kill()
