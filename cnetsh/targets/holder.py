"""The process that holds a sandbox, run as `python -I -S holder.py` by who builds what is in it.

It makes a user, network, mount and pid namespace and keeps them for as long as it lives. Its child
is process 1 of the pid namespace: when either ends, the kernel ends everything inside.
`unshare --fork` would not do: it ignores SIGTERM, and its `sleep` would not collect dead children.

Its input ends when the builder has ended, its output when all is made that it makes itself, and the
descriptor REGISTRY carries the lock that says that the sandbox lives: the kernel lets go of it
however the holder ends.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
import namespace  # type: ignore[import-not-found]

INPUT, OUTPUT, REGISTRY = 0, 1, 3
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def hold_namespaces() -> None:
    """Make the namespaces, tell their processes, and stay until SIGTERM or SIGKILL."""
    uid, gid = os.geteuid(), os.getegid()
    namespace.unshare(namespace.USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    namespace.unshare(namespace.NET | namespace.MOUNT | namespace.PID)
    holder = os.getpid()
    child = os.fork()
    if not child:
        _be_init(holder)
    for number in STOPPING:
        signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL))
    os.write(OUTPUT, json.dumps({"holder": holder, "init": child}).encode())
    os.close(OUTPUT)
    os.read(INPUT, 1)
    # What is in the registry is there for everybody; what is not is only half built.
    if not os.fstat(REGISTRY).st_size:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _be_init(holder: int) -> None:
    namespace.die_with_parent(signal.SIGKILL)
    # Inside the new pid namespace the holder is out of sight, which getppid() tells as 0.
    if os.getppid() not in (0, holder):
        os._exit(1)
    namespace.mount("none", "/", "none", namespace.MS_REC | namespace.MS_PRIVATE)
    locked = namespace.MS_NOSUID | namespace.MS_NODEV | namespace.MS_NOEXEC
    namespace.mount("proc", "/proc", "proc", locked)
    namespace.mount("tmpfs", "/run", "tmpfs", locked, "mode=755")
    # Some kernels refuse it, and all where something is mounted in /etc, as containers have it; a
    # lab that writes there is then told so.
    with contextlib.suppress(OSError):
        _own_etc()
        namespace.mount("tmpfs", "/run", "tmpfs", locked, "mode=755")
    # The folder of the machine's root could not be written here, or its labs would be among these.
    if Path("/etc/netns").exists():
        namespace.mount("tmpfs", "/etc/netns", "tmpfs", 0, "mode=755")
    with contextlib.suppress(OSError):
        namespace.mount("sysfs", "/sys", "sysfs", locked)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.close(OUTPUT)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.sigtimedwait({signal.SIGCHLD}, 3600)


def _own_etc() -> None:
    """Lay a folder over /etc, so that what is written there stays in the sandbox."""
    for layer in ("/run/etc", "/run/work"):
        Path(layer).mkdir()
    layers = "lowerdir=/etc,upperdir=/run/etc,workdir=/run/work,userxattr"
    namespace.mount("overlay", "/etc", "overlay", 0, layers)
    # A link into the machine's /run leads nowhere here, and a file is mounted only upon a file.
    resolver = Path("/etc/resolv.conf")
    if not resolver.exists():
        resolver.unlink(missing_ok=True)
        resolver.touch()


if __name__ == "__main__":
    # Whoever started this holds signals back, for a Ctrl-C comes here too until there is a session
    # of its own; it is for the others.
    while signal.sigtimedwait(STOPPING, 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD})
    try:
        hold_namespaces()
    except OSError as error:
        os.write(OUTPUT, f"{error.errno} {error.strerror}".encode())
        sys.exit(1)
