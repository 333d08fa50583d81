"""`why` names what breaks a lab beside the rules of others, in both back ends of iptables.

The rules are simulated: those that Docker, firewalld and an administrator's nftables.conf leave, in
each of which the lab's bridge was let through.
"""

import pytest
from hosts import Private
from test_why_on_hosts import ROUNDS, ROWS, broken, seen, why

DOCKER = """
ip link add docker0 type bridge; ip address add 10.200.0.1/16 dev docker0; ip link set docker0 up
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A POSTROUTING -s 10.200.0.0/16 ! -o docker0 -j MASQUERADE
iptables -t nat -A DOCKER -i docker0 -j RETURN
iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 8443 -j DNAT --to-destination 10.200.0.2:443
for c in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-USER; do
    iptables -N $c
done
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1
iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -o docker0 -j DOCKER
iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
iptables -A FORWARD -i docker0 -o docker0 -j ACCEPT
iptables -A DOCKER ! -i docker0 -o docker0 -d 10.200.0.2/32 -p tcp --dport 443 -j ACCEPT
iptables -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN
iptables -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
iptables -A DOCKER-ISOLATION-STAGE-2 -j RETURN
iptables -A DOCKER-USER -i br0 -j ACCEPT
iptables -A DOCKER-USER -o br0 -j ACCEPT
iptables -A DOCKER-USER -j RETURN
iptables -P FORWARD DROP
"""
FIREWALLD = """
nft -f - <<'END'
table inet firewalld {
    chain mangle_PREROUTING {
        type filter hook prerouting priority mangle + 10; policy accept;
    }
    chain filter_PREROUTING {
        type filter hook prerouting priority filter + 10; policy accept;
        meta nfproto ipv6 fib saddr . mark . iif oif missing drop
    }
    chain filter_INPUT {
        type filter hook input priority filter + 10; policy accept;
        ct state { established, related } accept
        iifname "lo" accept
        ct state invalid drop
        jump filter_INPUT_ZONES
        reject with icmpx admin-prohibited
    }
    chain filter_INPUT_ZONES {
        iifname "br0" accept
        iifname "eth0" goto filter_IN_public
        goto filter_IN_public
    }
    chain filter_IN_public {
        tcp dport 22 accept
        meta l4proto { icmp, ipv6-icmp } accept
    }
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        iifname "lo" accept
        ct state invalid drop
        jump filter_FORWARD_ZONES
        reject with icmpx admin-prohibited
    }
    chain filter_FORWARD_ZONES {
        iifname "br0" accept
    }
    chain filter_OUTPUT {
        type filter hook output priority filter + 10; policy accept;
        oifname "lo" accept
    }
    chain nat_POSTROUTING {
        type nat hook postrouting priority srcnat + 10; policy accept;
    }
}
END
"""
NFTABLES = """
nft -f - <<'END'
table inet filter {
    set closed { type inet_service; elements = { 23, 25 }; }
    chain input {
        type filter hook input priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname { "lo", "br0" } accept
        meta l4proto { icmp, ipv6-icmp } accept
        tcp dport 22 accept
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        tcp dport @closed drop
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname "br0" accept
    }
    chain output { type filter hook output priority filter; policy accept; }
}
END
"""
BESIDE = {"docker": DOCKER, "firewalld": FIREWALLD, "nftables": NFTABLES}
# What their authors would do to shut the lab out again.
SHUT = {
    "docker": "iptables -F DOCKER-USER",
    "firewalld": "nft flush chain inet firewalld filter_FORWARD_ZONES",
    "nftables": "nft flush chain inet filter forward",
}
BACK_ENDS = {
    "nft": "",
    "legacy": "for t in iptables ip6tables; do for m in '' -save -restore; do "
    "ln -sf /usr/sbin/$t-legacy$m /etc/alternatives/$t$m; done; done",
}
BREAKS = (
    "sender-link-down", "host-end-down", "no-default-route", "forwarding-off", "forward-rule",
    "reply-dropped", "dnat-hijack", "no-masquerade", "host-no-default",
)  # fmt: skip

pytestmark = pytest.mark.soak
beside = pytest.mark.parametrize("others", BESIDE)
behind = pytest.mark.parametrize("back_end", BACK_ENDS)


def prepared(private: Private, others: str, back_end: str) -> None:
    private.sh(BACK_ENDS[back_end])
    assert ("legacy" in private.sh("iptables --version")) == (back_end == "legacy")
    private.sh(BESIDE[others])


@behind
@beside
def test_a_healthy_way_is_said_to_be_one(private: Private, others: str, back_end: str) -> None:
    prepared(private, others, back_end)
    with broken(private, {"lab": "routing", "before": "", "command": ""}):
        for asked in ("net0 1.1.1.1", "net0 net1", "host net0", "net1 10.0.2.15"):
            found = why(private, asked, 0)
            assert found["arrives"] and not found["reason"], found


@behind
@beside
@pytest.mark.parametrize("name", [*BREAKS, "shut out"])
def test_what_breaks_it_is_named_and_mended(
    private: Private, name: str, others: str, back_end: str
) -> None:
    prepared(private, others, back_end)
    shut = {"command": SHUT[others], "asked": "net0 1.1.1.1", "layer": "firewall"}
    row = {"lab": "routing", "before": ""} | ROWS.get(name, shut)
    with broken(private, row | {"lab": "routing"}):
        before = seen(private, settled=1.5)
        found = why(private, row["asked"], 1)
        assert seen(private) == before
        assert found["layer"] == row["layer"], found
        for _ in range(ROUNDS):
            private.run(["sh", "-c", "\n".join(found["fix"])])
            if (found := why(private, row["asked"]))["arrives"]:
                return
        pytest.fail(f"still not: {found}")
