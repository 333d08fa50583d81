"""Network settings of the kernel, /proc/sys/net/…, of which there is always one value."""

from cnetsh.kinds.change import Answers, Change, Changes, Command, Ref, Seen, Set, placed

TOOLS = ("tee",)
SAMPLES = (
    "echo 1 | tee /proc/sys/net/ipv4/ip_forward",
    "echo 1 | tee /proc/sys/net/ipv4/conf/p0/proxy_arp",
)
ROOT = "/proc/sys/net/"


def read(command: Command) -> Changes | None:
    """Give what a command writes to a setting, None if it is none of the network's."""
    match command.words:
        case ("tee", path) if is_setting(path) and command.given:
            ref = Ref("setting", command.netns, path)
            return (Set(ref, "value", " ".join(command.given.split()), _link_of(ref)),)
    return None


def is_setting(path: str) -> bool:
    """Say whether a path is a network setting of the kernel, /proc/sys/net/…, with no way out."""
    return path.startswith(ROOT) and ".." not in path and "//" not in path


def _link_of(ref: Ref) -> Ref | None:
    """Give the link whose setting it is: /proc/sys/net/ipv4/conf/LINK/… goes with the link."""
    # all and default are no links: what is written there stays when every link has gone.
    match ref.name.removeprefix(ROOT).split("/"):
        case (_, "conf" | "neigh", link, _) if link not in ("all", "default"):
            return Ref("link", ref.netns, link)
    return None


def write(change: Change, typed: Command | None = None) -> tuple[str, ...]:
    """Give the command that does a change."""
    assert isinstance(change, Set)
    return (placed(change.ref.netns, f"echo {change.value} | tee {change.ref.name}"),)


def inverse(change: Change) -> Change | None:
    """Give what undoes a change of which nobody noted the value before: a switch is turned."""
    assert isinstance(change, Set)
    return change._replace(value="1" if change.value == "0" else "0")


def along(path: str) -> tuple[str, ...]:
    """Give the endings of the settings of its family that this one sets too (ip-sysctl.rst).

    ip_forward sets every interface's forwarding and turns accept_redirects.
    """
    everywhere = path.endswith(("/ip_forward", "/conf/all/forwarding"))
    return ("/ip_forward", "/forwarding", "/accept_redirects") if everywhere else ()


def see(answers: Answers, netns: str) -> Seen:
    """Give the values that could be read, words apart by one space."""
    for path, value in answers.settings.items():
        yield Ref("setting", netns, path), {"value": " ".join(value.split())}
