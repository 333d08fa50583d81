"""How often something goes there and back: what a command takes more where the way is long."""

import time
from collections.abc import Callable

import pytest
from hosts import Private
from machines import Machines, far_apart

WAY = 1.0  # seconds there and back, so that the noise of a loaded machine is a fraction of one
UP = ("up", "bridge", "--set", "containers=100")


def taken(machines: Machines) -> dict[str, float]:
    """Seconds of `up`, and what was there before it."""
    leave = "ssh -O exit -o ControlPath=/run/cnetsh/ssh/%C vm"
    machines.here.sh("ssh vm true")
    found = {}
    for name, prepare in {
        "cold": lambda: None,
        "code there, new connection": lambda: machines.here.sh(leave),
        "code and connection there": lambda: None,
    }.items():
        prepare()
        since = time.monotonic()
        machines.cnetsh(*UP)
        found[name] = time.monotonic() - since
        machines.cnetsh("down", "bridge")
    return found


@pytest.mark.soak
def test_round_trips(new_private: Callable[[], Private]) -> None:
    found = []
    for way in (0.0, WAY):
        machines, cable = far_apart(new_private(), new_private(), way / 2)
        try:
            found.append(taken(machines))
        finally:
            cable.kill()
            cable.wait()
    near, far = found
    trips = {name: (far[name] - near[name]) / WAY for name in near}
    for name, count in trips.items():
        print(f"{name}: {near[name]:.2f} s, {count:.1f} round trips")
    assert trips["cold"] <= 30
    assert trips["code there, new connection"] <= 15
