"""Values of settings that no kernel takes, or takes for others."""

import subprocess
import sys
from pathlib import Path

import pytest

from cnetsh.errors import CnetshError
from cnetsh.kinds import setting
from cnetsh.labs import choose

# Run where nobody else is: what a range allows is written, and read back.
WRITES = """
import sys
from pathlib import Path
from pathlib import Path
for line in sys.stdin:
    path, value = line.split()
    for file in Path("/proc/sys/net").rglob(path):
        file.write_text(value)
        assert file.read_text().strip() == value, (file, value)
"""


def test_the_kernel_takes_all_that_is_let_through() -> None:
    names = {"hop_limit": "ipv6/conf/lo/hop_limit"}
    tried = "".join(
        f"{names.get(name, name)} {value}\n"
        for name, ends in setting._RANGES.items()
        for value in ends
    )
    argv = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", WRITES]
    done = subprocess.run(argv, input=tried, capture_output=True, text=True)
    if "unshare failed" in done.stderr:
        pytest.skip("no namespaces here")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        ("ipv4/ip_default_ttl", "0", "a whole number from 1 to 255"),
        ("ipv4/ip_default_ttl", "255", ""),
        ("ipv4/conf/all/rp_filter", "3", "a whole number from 0 to 2"),
        ("ipv4/conf/p0/medium_id", "010", "a whole number"),
        ("ipv4/conf/p0/medium_id", "-1", ""),
        ("ipv4/neigh/p0/gc_stale_time", "soon", "a whole number"),
        ("ipv4/ip_forward", "true", "0 or 1"),
        ("ipv6/conf/all/stable_secret", "fd00::1", ""),
        ("ipv4/tcp_rmem", "1 2 3", ""),
        ("ipv4/ip_local_port_range", "3000 2000", ""),
    ],
)
def test_what_a_setting_wants(path: str, value: str, wanted: str) -> None:
    assert setting.unfit(setting.ROOT + path, value) == wanted


def test_a_template_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("title: t\nteaches: t\nparameters: {}\n")
    for part in ("check", "down"):
        (tmp_path / f"{part}.sh.j2").write_text("")
    (tmp_path / "up.sh.j2").write_text("# why\necho on | tee /proc/sys/net/ipv4/ip_forward\n")
    with pytest.raises(CnetshError) as caught:
        choose.part(str(tmp_path) + "/", (), "up")
    line = "up.sh.j2: line 2: echo on | tee /proc/sys/net/ipv4/ip_forward: expected 0 or 1"
    assert caught.value.message.endswith(line)
