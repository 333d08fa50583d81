"""Labs that the version before has brought up: this one takes them down, changes and recovers.

recorded/ has journals that version 68cbfbf wrote on the host of `PREPARED`; see older.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from endings import assert_as_before, assert_others_named
from hosts import HERE, Private, report
from others import UPLINK, lab_file, not_as, not_as_twin

PREPARED = f"""{UPLINK}
ip route add default via 10.66.0.9
iptables -t nat -A POSTROUTING -o eth7 -j MASQUERADE
"""
# Forwarding and NAT as the article has them; a lab file with nat and dns.
LABS = ("routing", "two")
MEANWHILE = """
ip address add 10.67.0.1/24 dev eth7; ip link set eth7 alias theirs
iptables -t nat -I POSTROUTING -o eth7x -j MASQUERADE
"""
Hosts = Callable[[], Private]


def prepared(host: Private) -> Private:
    host.sh(PREPARED)
    return host


def recorded(host: Private, lab: str, lines: int = 1000) -> None:
    """The lab is up as the version before has brought it up, or as far as its lines go."""
    name = HERE / f"recorded/{lab}.jsonl"
    done = host.python(str(HERE / "older.py"), str(name), str(lines))
    assert done.returncode == 0, report(done)


def other_lab(folder: Path) -> str:
    text = "bridges:\n  br7: {address: 10.77.0.1/24, nat: true}\ncontainers:\n  x: {bridge: br7}"
    return lab_file(folder, "n1", text)


@pytest.mark.parametrize("lab", LABS)
class TestOfTheVersionBefore:
    def test_is_up_and_goes_down(self, private: Private, lab: str) -> None:
        before = prepared(private).snapshot()
        recorded(private, lab)
        assert "up" in private.cnetsh("status").stdout
        assert ", 0 changed" in private.cnetsh("check", lab, check=False).stderr
        assert_as_before(private.cnetsh("down", lab, check=False), lab)
        assert not_as(private, before) == []

    def test_what_others_changed_stays(self, new_private: Hosts, lab: str) -> None:
        host, twin = prepared(new_private()), prepared(new_private())
        recorded(host, lab)
        for each in (host, twin):
            each.sh(MEANWHILE)
        done = host.cnetsh("down", lab, check=False)
        assert_others_named(done, lab, "10.67.0.1/24", "alias", "-o eth7x")
        assert not_as_twin(host, twin) == []

    @pytest.mark.parametrize("lines", [3, 12, 35, 41, 42])
    def test_interrupted_it_is_recovered(self, private: Private, lab: str, lines: int) -> None:
        before = prepared(private).snapshot()
        recorded(private, lab, lines)
        done = private.cnetsh("recover", check=False)
        assert_as_before(done, lab)
        assert not_as(private, before) == []

    def test_beside_a_lab_of_this_one(self, private: Private, tmp_path: Path, lab: str) -> None:
        """Both need forwarding, whoever goes first."""
        before = prepared(private).snapshot()
        for first, second in ((lab, "n1"), ("n1", lab)):
            recorded(private, lab)
            private.cnetsh("up", other_lab(tmp_path), "--allow-overlap")
            private.cnetsh("down", first)
            assert_as_before(private.cnetsh("down", second, check=False), second)
            assert not_as(private, before) == []


def test_of_the_version_before_is_changed(private: Private) -> None:
    before = prepared(private).snapshot()
    recorded(private, "routing")
    private.cnetsh("up", "routing", "--set", "containers=3", "--allow-overlap", "--yes")
    assert ", 0 changed" in private.cnetsh("check", "routing", check=False).stderr
    assert_as_before(private.cnetsh("down", "routing", check=False), "routing")
    assert not_as(private, before) == []
