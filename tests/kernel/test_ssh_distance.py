"""What a command takes more over ssh: than on the host itself, and where the way is long."""

import time
from collections.abc import Callable

import pytest
from hosts import Private
from machines import Machines, far_apart

WAY = 1.0  # seconds there and back, so that the noise of a loaded machine is a fraction of one
UP = ("up", "bridge", "--set", "containers=100")
MORE, ROUNDS = 0.6, 3  # seconds; of each way the fastest of so many is taken
LEAVE = "ssh -O exit -o ControlPath=/run/cnetsh/ssh/%C vm"
HOST, NEW = "on the host itself", "code there, new connection"


def taken(machines: Machines, rounds: int) -> dict[str, float]:
    """Seconds of `up` by what was there before it, each way in turn."""
    here, found = machines.here, dict[str, list[float]]()
    here.sh("ssh vm true")
    ways: list[tuple[str, Callable[[], object], str]] = [
        ("cold", lambda: None, "ssh:vm"),
        *[(NEW, lambda: here.sh(LEAVE), "ssh:vm"),
          ("code and connection there", lambda: None, "ssh:vm"),
          (HOST, lambda: None, "host")] * rounds,
    ]  # fmt: skip
    for name, prepare, on in ways:
        prepare()
        host = machines.there if on == "host" else here
        env = {**host.env, "CNETSH_ON": on}
        since = time.monotonic()
        host.cnetsh(*UP, env=env)
        found.setdefault(name, []).append(time.monotonic() - since)
        host.cnetsh("down", "bridge", env=env)
    return {name: min(seconds) for name, seconds in found.items()}


@pytest.mark.soak
def test_what_the_way_costs(new_private: Callable[[], Private]) -> None:
    found = []
    for way, rounds in ((0.0, ROUNDS), (WAY, 1)):
        machines, cable = far_apart(new_private(), new_private(), way / 2)
        try:
            found.append(taken(machines, rounds))
        finally:
            cable.kill()
            cable.wait()
    near, far = found
    trips = {name: (far[name] - near[name]) / WAY for name in near}
    for name, count in trips.items():
        more = near[name] - near[HOST]
        print(f"{name}: {near[name]:.2f} s, {more:+.2f} s, {count:.1f} round trips")
    assert trips["cold"] <= 30
    assert trips[NEW] <= 15
    assert near[NEW] - near[HOST] <= MORE
