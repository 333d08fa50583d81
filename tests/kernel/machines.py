"""Machines to reach by ssh: private hosts with an sshd of their own, a cable from here to each.

Of Debian's packages, where they are not installed: unpacked beside the tests, for installing the
server would start it on this machine.
"""

import fcntl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hosts import ROOT, Private, ignored_if_gone, living_in, namespaces_of

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache/ssh"
PACKAGES = ("openssh-server", "libwrap0", "sudo")
PROGRAMS = ("/usr/sbin/sshd", "/usr/bin/sudo")
NEAR, FAR = "192.0.2.1", "192.0.2.2"
# The home is the machine's own otherwise, with its keys and hosts.
HOME = r"""
sed -i 's#^root:[^/]*:/root:#root:x:0:0::/run/home:#' /etc/passwd
mkdir -m 700 /run/home /run/home/.ssh
"""
HERE = f"""{HOME}
ssh-keygen -q -t ed25519 -N '' -f /run/home/.ssh/id_ed25519
echo 1 > /proc/sys/net/ipv6/conf/far/disable_ipv6
ip address add {NEAR}/24 dev far; ip link set far up
cat > /run/home/.ssh/config <<'END'
# As Vagrant and Lima print it.
Host vm
  HostName {FAR}
  Port 22
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile "/run/home/.ssh/id_ed25519"
  IdentitiesOnly yes
  LogLevel FATAL
  ControlMaster auto
  ControlPath "/run/home/.ssh/sock"
  ControlPersist yes
Host {FAR}
  StrictHostKeyChecking accept-new
END
"""
THERE = f"""{HOME}
mkdir -m 755 /run/sshd /run/keys; mkdir -p /etc/sudoers.d; echo > /etc/motd
echo 'sshd:x:997:65534::/run/sshd:/bin/false' >> /etc/passwd
echo 'ann:x:4242:4242::/run/ann:/bin/sh' >> /etc/passwd; echo 'ann:x:4242:' >> /etc/group
echo 'ann:*:1:0:99999:7:::' >> /etc/shadow; mkdir -m 755 /run/ann; chown 4242:4242 /run/ann
echo 'ann ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers; chmod 440 /etc/sudoers
for each in auth account session; do echo $each sufficient pam_permit.so; done > /etc/pam.d/sudo
ssh-keygen -q -t ed25519 -N '' -f /run/sshd/key
echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
ip address add {FAR}/24 dev eth0; ip link set eth0 up
"""
CONFIG = """
HostKey /run/sshd/key
PidFile /run/sshd/pid
AuthorizedKeysFile /run/keys/authorized
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 100
"""
SSHD = "/usr/sbin/sshd -f /run/sshd/config -E /run/sshd/log"


def layer() -> Path | None:
    """What is laid over /usr to have sshd and sudo: nothing where both are installed."""
    if not ROOT:
        pytest.skip("sshd has to become other users, which takes root")
    if all(Path(one).exists() for one in PROGRAMS):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / "usr").exists():
            _fetch()
    return CACHE / "usr"


def _fetch() -> None:
    for command in (["apt-get", "update", "-qq"], ["apt-get", "download", "-qq", *PACKAGES]):
        with ignored_if_gone():
            subprocess.run(command, cwd=CACHE, capture_output=True, timeout=120)
    if len(files := list(CACHE.glob("*.deb"))) < len(PACKAGES):
        pytest.skip(f"no sshd and sudo here, and apt-get cannot fetch {' '.join(PACKAGES)}")
    new = CACHE / "new"
    for file in files:
        subprocess.run(["dpkg", "-x", str(file), str(new)], check=True)
    # Debian before 13 has some libraries outside of /usr.
    if (new / "lib").is_dir():
        subprocess.run(["cp", "-a", f"{new}/lib", f"{new}/usr/"], check=True)
    (new / "usr").rename(CACHE / "usr")


@dataclass(frozen=True)
class Machines:
    """The host where cnetsh is called, and the one to which it connects, as `ssh:vm`."""

    here: Private
    there: Private

    def cnetsh(self, *words: str, on: str = "ssh:vm", **options: Any) -> Any:
        """cnetsh of this checkout as root of the one, for the other."""
        return self.here.cnetsh(*words, env={**self.here.env, "CNETSH_ON": on}, **options)

    def start(self, *words: str, on: str = "ssh:vm", **options: Any) -> "subprocess.Popen[str]":
        env = {**self.here.env, "CNETSH_ON": on}
        return self.here.start([sys.executable, "-m", "cnetsh", *words], env=env, **options)

    def processes(self, where: Private | None = None) -> dict[int, str]:
        """What runs there, or in another, but for sshd that waits: pid and command line."""
        found = {}
        where = where or self.there
        for pid in living_in(namespaces_of(where.pid)) - {where.pid}:
            with ignored_if_gone():
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                # Who has ended and is not yet waited for has no words.
                if words and "[listener]" not in words:
                    found[pid] = words
        return found


def connected(here: Private, there: Private) -> Machines:
    """Has sshd wait in the one for the other, at the other end of a cable."""
    here.sh(f"ip link add far type veth peer name eth0 netns {there.pid}")
    return with_sshd(here, there)


def far_apart(
    here: Private, there: Private, seconds: float
) -> "tuple[Machines, subprocess.Popen[bytes]]":
    """The same where each packet takes so long; with the process that carries them."""
    ends = (str(here.pid), "far", str(there.pid), "eth0", str(seconds))
    argv = [sys.executable, str(Path(__file__).with_name("delay.py")), *ends]
    cable = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert cable.stdout and cable.stdout.readline() == b"ready\n"
    return with_sshd(here, there), cable


def with_sshd(here: Private, there: Private) -> Machines:
    usr = layer()
    here.sh(HERE)
    if usr:
        there.sh(f"mount -t overlay -o lowerdir={usr}:/usr overlay /usr")
    there.sh(THERE)
    key = here.sh("cat /run/home/.ssh/id_ed25519.pub")
    there.sh(f"cat > /run/keys/authorized <<'END'\n{key}END")
    there.sh(f"cat > /run/sshd/config <<'END'\n{CONFIG}END\n{SSHD}")
    # The kernel tells of a carrier once a second at most.
    for one, link in ((here, "far"), (there, "eth0")):
        one.sh(f"until ip link show {link} | grep -q LOWER_UP; do sleep 0.05; done")
    return Machines(here, there)
