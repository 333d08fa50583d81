"""What more than one test module needs: expected texts, and cnetsh installed from its wheel."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parent.parent
GOLDEN = CHECKOUT / "tests/golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write tests/golden/ anew")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each worker begins with its share of the long tests, so that none of them is alone at last.

    Those of a file stay together: what they share is made once. The shares are those of worksteal.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    files: dict[Path, list[pytest.Item]] = {}
    short = []
    for item in items:
        (files.setdefault(item.path, []) if item.get_closest_marker("long") else short).append(item)
    total, ordered = len(items), list[pytest.Item]()
    for worker in range(workers):
        share = (total - len(ordered)) // (workers - worker)
        mine = [item for file in list(files.values())[worker::workers] for item in file]
        rest = share - len(mine)
        ordered += mine + short[: max(rest, 0)]
        short = short[max(rest, 0) :]
    items[:] = ordered + short


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` compares the text with tests/golden/NAME; --golden writes it there."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if request.config.getoption("--golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"{file} is missing: run `make golden` and read it"
        assert text == file.read_text(encoding="utf-8"), f"differs from {file}: see `make golden`"

    return compare


def pytest_configure(config: pytest.Config) -> None:
    """All workers have one folder for the wheel, which ends with the process that started them."""
    if not hasattr(config, "workerinput"):
        os.environ["CNETSH_TEST_WHEEL"] = tempfile.mkdtemp(prefix="cnetsh-wheel-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop("CNETSH_TEST_WHEEL"))


@pytest.fixture(scope="session")
def installed() -> Path:
    """The `cnetsh` of a clean venv that any user can read, with only the built wheel in it."""
    folder = Path(os.environ["CNETSH_TEST_WHEEL"])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(folder)
            (folder / "installed").touch()
    return folder / "venv/bin/cnetsh"


def _install(folder: Path) -> None:
    wheel, venv = _build(folder), folder / "venv"
    _run(_public_python(), "-m", "venv", "--without-pip", str(venv))
    _copy_dependencies(venv)
    pip = (sys.executable, "-m", "pip", "--python", str(venv / "bin/python"))
    _run(*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel))
    _run("chmod", "-R", "a+rX", str(folder))


def _build(folder: Path) -> Path:
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=CHECKOUT)
    return next(folder.glob("cnetsh-*.whl"))


def _public_python() -> str:
    """An interpreter of this version that every user may run; root's own one is in root's home."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = os.path.realpath(sys.executable)
    for python in (own, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        folders = Path(python).parents
        if Path(python).exists() and all(
            folder.stat().st_mode & 0o005 == 0o005 for folder in folders
        ):
            return python
    pytest.fail(f"no {version} that an ordinary user may run; `make clean install` chooses one")


def _copy_dependencies(venv: Path) -> None:
    """The dependencies as declared, and no others, without asking a package index for them."""
    target = next(venv.glob("lib/python3*/site-packages"))
    for distribution in _required("cnetsh"):
        for file in distribution.files or []:
            source = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and source.suffix != ".pyc" and source.is_file():
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target / file)
    # An ordinary user could not keep compiled files there, and would compile at every start.
    _run(str(venv / "bin/python"), "-m", "compileall", "-q", str(target))


def _required(name: str) -> list[metadata.Distribution]:
    found: dict[str, metadata.Distribution] = {}
    waiting = [name]
    while waiting:
        for text in metadata.requires(waiting.pop()) or []:
            need = Requirement(text)
            wanted = need.marker is None or need.marker.evaluate({"extra": ""})
            if wanted and need.name.lower() not in found:
                found[need.name.lower()] = metadata.distribution(need.name)
                waiting.append(need.name)
    return list(found.values())


def _run(*argv: str, cwd: Path | None = None) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, umask=0o022)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}{done.stderr}"
