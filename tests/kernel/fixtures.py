"""Fixtures of tests that need a real kernel, and the proof that the machine stays untouched."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import oracle
import pytest
from hosts import Ordinary, Private, end_host, host_env, ordinary_user, start_holder


def unavailable(reason: str) -> None:
    """Skips the test; where CI=true promises a fit machine it fails instead."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def machine_untouched() -> Iterator[None]:
    """The machine's own links, routes, rules, forwarding and namespace names stay as they were."""
    before = oracle.outline()
    yield
    differs = oracle.diff(before, oracle.outline())
    assert not differs, differs


@pytest.fixture
def new_private() -> Iterator[Callable[[], Private]]:
    """Makes any number of private hosts; all end with the test."""
    holders: list[subprocess.Popen[str]] = []

    def make() -> Private:
        holder = start_holder()
        holders.append(holder)
        if holder.stdout is None or holder.stdout.readline() != "ready\n":
            unavailable(f"no private namespaces here: {holder.communicate()[1].strip()}")
        return Private(holder.pid, host_env())

    try:
        yield make
    finally:
        for holder in holders:
            end_host(holder)


@pytest.fixture
def private(new_private: Callable[[], Private]) -> Private:
    """One private host: loopback up, nothing else, an empty /run."""
    return new_private()


@pytest.fixture
def ordinary(installed: Path) -> Iterator[Ordinary]:
    """An ordinary user, who ends with the test."""
    with ordinary_user(installed) as user:
        if user.run(["unshare", "--user", "--map-root-user", "--net", "true"]).returncode:
            unavailable("an ordinary user gets no user namespace here")
        yield user
