"""Make the environments of the peers: `python benchmarks/peers/install.py [NAME ...]`.

They go to `~/.cache/mltfr/peers`, or `MLTFR_HOME/peers`. Every version is pinned in `constraints/NAME.txt`; torch
is the one of the project, whose wheel carries no CUDA packages. An environment that is complete is left alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers.environments import PEERS, Environment

TORCH = "torch==2.13.0"


def install(environment: Environment) -> str:
    """Make one environment.

    Returns:
        An empty text, or why it cannot be made.
    """
    if environment.is_installed():
        return ""
    shutil.rmtree(environment.folder, ignore_errors=True)
    pip = [str(environment.python), "-m", "pip", "install", "--quiet", "-c", str(environment.constraints)]
    steps = [
        [sys.executable, "-m", "venv", str(environment.folder)],
        [*pip, TORCH, *environment.requirements],
        [str(environment.python), "-m", "pip", "check"],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" not in line]
            return "\n".join(lines[-5:])
    environment.marker.write_text(json.dumps(environment.contents()))
    return ""


def main() -> int:
    """Install all, or those named; return 1 if one failed."""
    parser = argparse.ArgumentParser(description="Make the environments of the peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PEERS)}; all if not given")
    names = parser.parse_args().names or list(PEERS)
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        parser.error(f"no peer is called {unknown[0]}; there are {', '.join(PEERS)}")
    failed = False
    for name in names:
        reason = install(PEERS[name])
        failed |= bool(reason)
        print(f"{name}: {f'cannot be installed: {reason}' if reason else PEERS[name].folder}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
