"""Other programs that build the same network; each is imported only when it is measured."""

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ways import GATEWAY, NEWNET, Built, address, batch, checked, enter, named

PLUGINS = [Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni")]
NETWORK = {
    "cniVersion": "0.4.0",
    "name": "bench",
    "type": "bridge",
    "bridge": "br0",
    "isGateway": True,
    "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": "172.16.0.0/12", "rangeStart": address(10), "gateway": GATEWAY}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    },
}


def _cni(command: str, i: int) -> None:
    folder = next(one for one in PLUGINS if (one / "bridge").exists())
    words = {"COMMAND": command, "CONTAINERID": f"c{i}", "NETNS": named(i), "IFNAME": "eth0"}
    environment = {f"CNI_{key}": value for key, value in (words | {"PATH": str(folder)}).items()}
    ran = subprocess.run(
        [folder / "bridge"],
        input=json.dumps(NETWORK),
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **environment},
    )
    if ran.returncode:
        raise SystemExit(f"CNI {command} {i}: {ran.stdout}{ran.stderr}")


def cni(n: int) -> Iterator[Built]:
    """Build by the CNI plugins bridge and host-local, one call for each container."""
    batch(f"netns add net{i}" for i in range(n))
    for i in range(n):
        _cni("ADD", i)
    yield Built()
    for i in range(n):
        _cni("DEL", i)
    batch(["link delete br0", *(f"netns delete net{i}" for i in range(n))])


def _open_files() -> None:
    """Do what mininet's fixLimits does, without its sysctls, which reach the whole machine."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def mininet(n: int) -> Iterator[Built]:
    """Build by mininet: a LinuxBridge with n hosts, no controller."""
    import mininet.net
    from mininet.log import setLogLevel
    from mininet.nodelib import LinuxBridge
    from mininet.topo import Topo

    class Star(Topo):
        def build(self) -> None:
            switch = self.addSwitch("s1")
            for i in range(n):
                ip, route = f"{address(10 + i)}/12", f"via {GATEWAY}"
                self.addLink(self.addHost(f"h{i}", ip=ip, defaultRoute=route), switch)

    setLogLevel("critical")
    mininet.net.fixLimits = _open_files
    net = mininet.net.Mininet(Star(), switch=LinuxBridge, controller=None, waitConnected=False)
    net.start()
    yield Built(bridge="s1", namespace=lambda i: f"/proc/{net.get(f'h{i}').pid}/ns/net")
    net.stop()


def _new_namespace(i: int) -> int:
    """Make a named namespace as ip does, and give a descriptor of it."""
    Path(named(i)).touch()
    checked("unshare", NEWNET)
    checked("mount", b"/proc/self/ns/net", named(i).encode(), b"none", 4096, None)
    return os.open(named(i), os.O_RDONLY | os.O_CLOEXEC)


def pyroute2(n: int) -> Iterator[Built]:
    """Build by pyroute2 in the fastest way found: setns, and the peer made in its namespace."""
    from pyroute2 import IPRoute

    home = f"/proc/{os.getpid()}/fd/{os.open('/proc/self/ns/net', os.O_RDONLY)}"
    with IPRoute() as host:
        host.link("add", ifname="br0", kind="bridge")
        (bridge,) = host.link_lookup(ifname="br0")
        host.addr("add", index=bridge, address=GATEWAY, prefixlen=12)
        for i in range(n):
            fd = _new_namespace(i)
            enter(home)
            peer = {"ifname": f"ceth{i}", "net_ns_fd": fd}
            host.link("add", ifname=f"veth{i}", kind="veth", peer=peer, master=bridge, state="up")
            enter(named(i))
            _configure(IPRoute, i)
            enter(home)
            os.close(fd)
        host.link("set", index=bridge, state="up")
        yield Built()
        host.link("del", index=bridge)
    for i in range(n):
        checked("umount2", named(i).encode(), 2)
        Path(named(i)).unlink()


def _configure(connect: Any, i: int) -> None:
    with connect() as here:
        (link,) = here.link_lookup(ifname=f"ceth{i}")
        here.addr("add", index=link, address=address(10 + i), prefixlen=12)
        here.link("set", index=link, state="up")
        here.route("add", dst="default", gateway=GATEWAY)
