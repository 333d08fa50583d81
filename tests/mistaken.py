"""Mistakes of the kinds that public reports tell of, made up: commands, a ping, why it fails."""

ROOM = """ip netns add {0}
ip link add v{0} type veth peer name c{0}
ip link set c{0} netns {0}
ip netns exec {0} ip link set lo up
"""
UP = "ip netns exec {0} ip link set c{0} up\nip link set v{0} up\n"
BRIDGE = "ip link add {0} type bridge\nip link set {0} up\n"
PING = "ip netns exec {} ping -c1 -W1 {}"
# commands, check, what is said of it
MISTAKES = {
    "two bridges of the host in one subnet": (
        BRIDGE.format("b1") + BRIDGE.format("b2") + ROOM.format("a") + UP.format("a")
        + "ip link set va master b2\nip address add 10.7.0.1/24 dev b1\n"
        "ip address add 10.7.0.2/24 dev b2\nip netns exec a ip address add 10.7.0.9/24 dev ca",
        "ping -c1 -W1 10.7.0.9",
        "the host has 2 equal routes to 10.7.0.0/24 and takes the first, by b1, but "
        "10.7.0.9 is behind b2",
    ),
    "a subnet within another's": (
        BRIDGE.format("b1") + BRIDGE.format("b2") + ROOM.format("a") + UP.format("a")
        + ROOM.format("b") + UP.format("b")
        + "ip link set va master b1\nip link set vb master b2\n"
        "ip link add w type veth peer name dx\nip link set dx netns a\nip link set w master b2\n"
        "ip link set w up\nip netns exec a ip link set dx up\n"
        "ip netns exec a ip address add 10.8.0.2/16 dev dx\n"
        "ip netns exec a ip address add 10.8.1.2/24 dev ca\n"
        "ip netns exec b ip address add 10.8.1.9/16 dev cb",
        PING.format("a", "10.8.1.9"),
        "a sends 10.8.1.9 by ca, after its route to 10.8.1.0/24, though it is behind dx",
    ),
    "a source that the rule does not have": (
        ROOM.format("a") + UP.format("a") + "ip address add 10.9.0.1/24 dev va\n"
        "ip netns exec a ip address add 10.9.0.2/24 dev ca\n"
        "ip netns exec a ip route add default via 10.9.0.1\n"
        "echo 1 | tee /proc/sys/net/ipv4/ip_forward\n"
        "iptables -t nat -A POSTROUTING -s 10.90.0.0/24 -o eth0 -j MASQUERADE",
        PING.format("a", "1.1.1.1"),
        "it left as 10.9.0.2, an address that nobody outside can answer; the rule -s "
        "10.90.0.0/24 -o eth0 -j MASQUERADE does not fit it",
    ),
    "an own bridge that nobody switches on": (
        "ip link add b1 type bridge\n" + ROOM.format("a") + UP.format("a") + ROOM.format("b")
        + UP.format("b") + "ip link set va master b1\nip link set vb master b1\n"
        "ip netns exec a ip address add 10.7.0.9/24 dev ca\n"
        "ip netns exec b ip address add 10.7.0.8/24 dev cb",
        PING.format("a", "10.7.0.8"),
        "the bridge b1 in the host is down, so 10.7.0.8 gets no frames of a",
    ),
    "lo, by which one reaches oneself": (
        ROOM.format("a").replace("ip netns exec a ip link set lo up\n", "") + UP.format("a")
        + "ip netns exec a ip address add 10.7.0.9/24 dev ca",
        PING.format("a", "10.7.0.9"),
        "10.7.0.9 is a's own address, which goes through lo, and lo is down",
    ),
    "the inner end of a cable": (
        ROOM.format("a") + "ip link set va up\nip address add 10.7.0.1/24 dev va\n"
        "ip netns exec a ip address add 10.7.0.9/24 dev ca",
        "ping -c1 -W1 10.7.0.9",
        "va in the host has no carrier: its other end ca in a is down",
    ),
    "a macvlan in mode bridge and its host": (
        "ip netns add a\nip link add x0 link eth0 type macvlan mode bridge\n"
        "ip link set x0 netns a\nip netns exec a ip address add 10.0.2.99/24 dev x0\n"
        "ip netns exec a ip link set x0 up",
        "ping -c1 -W1 10.0.2.99",
        "a macvlan and its own host never reach each other through eth0",
    ),
    "two macvlans without a mode": (
        "".join(f"ip netns add {one}\nip link add x{one} link eth0 type macvlan\n"
                f"ip link set x{one} netns {one}\n"
                f"ip netns exec {one} ip address add 10.0.2.{at}/24 dev x{one}\n"
                f"ip netns exec {one} ip link set x{one} up\n"
                for one, at in (("a", 98), ("b", 99))),
        PING.format("a", "10.0.2.99"),
        "xa in a and xb in b are both made on eth0, and only macvlans in mode bridge reach "
        "each other",
    ),
    "a single address without a route": (
        ROOM.format("a") + UP.format("a") + "ip address add 10.7.0.1/32 dev va\n"
        "ip route add 10.7.0.9/32 dev va\nip netns exec a ip address add 10.7.0.9/32 dev ca",
        PING.format("a", "10.7.0.1"),
        "a has no route to 10.7.0.1",
    ),
    "a single address to which the host has no route": (
        ROOM.format("a") + UP.format("a") + "ip address add 10.7.0.1/32 dev va\n"
        "ip netns exec a ip address add 10.7.0.9/32 dev ca\n"
        "ip netns exec a ip route add 10.7.0.1/32 dev ca",
        PING.format("a", "10.7.0.1"),
        "on the way back the host sends 10.7.0.9 by eth0, after its route to default, "
        "though it is behind va",
    ),
    "the address on the port, none on the bridge": (
        BRIDGE.format("b1") + ROOM.format("a") + UP.format("a")
        + "ip address add 10.7.0.1/24 dev va\nip link set va master b1\n"
        "ip netns exec a ip address add 10.7.0.9/24 dev ca",
        "ping -c1 -W1 10.7.0.9",
        "the host sends 10.7.0.9 by va, a port of b1; what comes back to a port belongs to "
        "the bridge",
    ),
}  # fmt: skip
