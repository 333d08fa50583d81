"""Plans with a mistake in them, by a seed: a line left out, one changed, or one added."""

import random
import re

READ = (
    "{in}ip link set {link} down",
    "{in}ip link set {link} down;{in}ip link set {link} up",
    "{in}ip link set {link} mtu 1400",
    "ip link set dev {port} nomaster",
    "{in}echo 1 | tee /proc/sys/net/ipv4/conf/all/rp_filter",
    "{in}echo 1 | tee /proc/sys/net/ipv4/conf/all/arp_ignore",
    "{in}echo 8 | tee /proc/sys/net/ipv4/conf/{link}/arp_ignore",
    "{in}echo 1 | tee /proc/sys/net/ipv4/icmp_echo_ignore_all",
    "{in}echo 1 | tee /proc/sys/net/ipv4/ip_forward",
    "{in}echo 0 | tee /proc/sys/net/ipv4/ip_forward",
    "{in}echo 1 | tee /proc/sys/net/ipv4/conf/{link}/proxy_arp",
    "{in}iptables -I FORWARD -p icmp -j DROP",
    "{in}iptables -I INPUT -i {link} -j DROP",
    "{in}iptables -A OUTPUT -d {address} -j DROP",
    "iptables -t nat -A POSTROUTING -j MASQUERADE",
    "{in}ip route add {address} dev {link}",
    "{in}ip route add 1.1.1.1 via {address}",
    "{in}ip address add {address}/32 dev {link}",
    "{in}ip address add {address}/24 dev {link}",
    "{in}ip neigh add {address} lladdr 02:00:00:00:00:99 nud permanent dev {link}",
)
UNREAD = (
    "{in}iptables -P FORWARD DROP",
    "{in}iptables -P INPUT DROP",
    "{in}ip route add blackhole {address}",
    "{in}ip rule add to {address} prohibit",
    "bridge link set dev {port} isolated on;bridge link set dev {port2} isolated on",
    "bridge link set dev {port} state disabled",
    "bridge link set dev {port} bcast_flood off",
    "{in}ip link set {link} arp off",
    "{in}iptables -t raw -A PREROUTING -p icmp -j CT --notrack",
    "{in}sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
    "{in}ip6tables -A INPUT -p icmpv6 -j DROP",
)


def mutant(lines: list[str], seed: int, read: bool = True) -> tuple[str, list[str]]:
    """Give what was done to a plan's lines, and the lines; read: cnetsh reads all of them."""
    dice = random.Random(seed)
    lines = list(lines)
    choice = dice.random()
    if choice < 0.35:
        at = dice.randrange(len(lines))
        return f"without {lines[at]}", lines[:at] + lines[at + 1 :]
    numbered = [at for at, line in enumerate(lines) if re.search(r"\d+\.\d+\.\d+\.\d+", line)]
    if choice < 0.6 and numbered:
        at = dice.choice(numbered)
        lines[at] = _changed(lines[at], dice)
        return f"with {lines[at]}", lines
    more = _added(lines, dice, READ if read else UNREAD)
    at = len(lines) if dice.random() < 0.7 else dice.randint(len(lines) // 2, len(lines))
    return f"plus {';'.join(more)}", lines[:at] + more + lines[at:]


def _changed(line: str, dice: random.Random) -> str:
    found = dice.choice(list(re.finditer(r"(\d+\.\d+\.\d+)\.(\d+)(/\d+)?", line)))
    start, last, length = found.groups()
    match dice.randrange(3 if length else 1):
        case 0:
            last = str((int(last) + dice.choice((1, 2, 9))) % 254 + 1)
        case 1:
            length = dice.choice(("/32", "/28", "/30", "/8", "/16", "/25"))
        case 2:
            first, second, third = start.split(".")
            start = f"{first}.{second}.{(int(third) + 1) % 256}"
    if "via" in line or "-s" in line or " route " in line:
        length = length or ""
    return f"{line[: found.start()]}{start}.{last}{length or ''}{line[found.end() :]}"


def _added(lines: list[str], dice: random.Random, kinds: tuple[str, ...]) -> list[str]:
    text = "\n".join(lines)
    links = re.findall(
        r"(ip netns exec \S+ )?ip (?:link set|-n \S+ link set) (?:dev )?(\S+) up", text
    )
    addresses = re.findall(r"(\d+\.\d+\.\d+\.\d+)/\d+ dev", text)
    ports = re.findall(r"link set (?:dev )?(\S+) master", text) or ["none"]
    place, link = dice.choice(links)
    form = dice.choice(kinds)
    if form.startswith(("bridge", "ip link set dev {port}")) and ports == ["none"]:
        form = kinds[0]
    return [
        _piped(one.format(**{"in": place, "link": link, "port": dice.choice(ports),
                             "port2": dice.choice(ports), "address": dice.choice(addresses)}))
        for one in form.split(";")
    ]  # fmt: skip


def _piped(line: str) -> str:
    """Give a setting's line as it is typed for a namespace: the shell outside echoes."""
    found = re.fullmatch(r"(ip netns exec \S+ )echo (\S+) \| (tee .*)", line)
    return f"echo {found[2]} | {found[1]}{found[3]}" if found else line
