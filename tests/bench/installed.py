"""The peers that this machine has, and their installation where that is allowed."""

import os
import subprocess
import sys
from pathlib import Path

from peers import PLUGINS

PACKAGES = ("mininet", "bridge-utils", "containernetworking-plugins")
SYSTEM = "/usr/bin/python3"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cnetsh-bench"


def _runs(*argv: str | Path) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=600).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _from_the_distribution() -> None:
    """Install the packages where root and apt are at hand; what fails is told by what lacks."""
    if os.geteuid() == 0:
        _runs("apt-get", "install", "-y", "--no-install-recommends", *PACKAGES)


def _pyroute2(install: bool) -> str:
    """Give an interpreter that has pyroute2, in a venv of its own, or nothing."""
    python = CACHE / "pyroute2" / "bin" / "python"
    if install and not python.exists():
        _runs(sys.executable, "-m", "venv", python.parents[1])
        _runs(python, "-m", "pip", "install", "--quiet", "pyroute2")
    return str(python) if _runs(python, "-c", "import pyroute2") else ""


def interpreters(install: bool) -> dict[str, str]:
    """Give the interpreter by which each peer runs; those that are not installed are left out."""
    if install and not (_runs(SYSTEM, "-c", "import mininet") and _runs("brctl", "-V")):
        _from_the_distribution()
    found = {"pyroute2": _pyroute2(install)}
    if any((folder / "bridge").exists() for folder in PLUGINS):
        found["cni"] = sys.executable
    if _runs(SYSTEM, "-c", "import mininet.nodelib") and _runs("brctl", "-V"):
        found["mininet"] = SYSTEM
    return {peer: python for peer, python in found.items() if python}
