"""What a bridge keeps of each link that is its port (bridge(8)); part of what a link is."""

from typing import Any

from cnetsh.kinds.change import Facts, Ref, Words

# What is seen, and written to put it back; how `ip -j -d link` calls those that it types otherwise.
_SAID = {"mcast_router": "multicast_router"}
OPTIONS = (
    "priority", "cost", "hairpin", "guard", "root_block", "fastleave", "learning", "flood",
    "proxy_arp", "proxy_arp_wifi", "mcast_flood", "mcast_to_unicast", "bcast_flood",
    "neigh_suppress", "vlan_tunnel", "isolated", "locked", "group_fwd_mask", "mcast_router",
)  # fmt: skip
# What a bridge does that it does not begin with; it is only seen.
OF_BRIDGES = ("stp_state", "vlan_filtering", "nf_call_iptables", "nf_call_ip6tables")
TYPED: dict[Words, bool] = {
    ("bridge_slave", "hairpin", "on"): True,
    ("bridge_slave", "hairpin", "off"): False,
}
# What a link has of them that is no port.
ALONE: Facts = {"hairpin": False}
EXPLAINED = "A port is a link that a bridge takes frames in by, and sends them out by."
_STATES = {
    "forwarding": "frames pass",
    "learning": "learns where addresses are, and passes nothing on yet (STP)",
    "listening": "waits for what other switches say, and passes nothing on yet (STP)",
    "blocking": "kept back against a loop, so it passes nothing on (STP)",
    "disabled": "down or without a carrier, so it passes nothing on",
}


def seen(data: Facts) -> dict[str, Any]:
    """Give the facts of a port from what `ip -j -d` says of it."""
    facts = {key: data[said] for key in OPTIONS if (said := _SAID.get(key, key)) in data}
    # Only what is out of the ordinary; it is never put back.
    if (state := data.get("state", "forwarding")) != "forwarding":
        facts["state"] = state
    return facts


def explain(ref: Ref, facts: Facts) -> str:
    """Say what a bridge does at a port; port: its state, as `look_closely` has found it."""
    said = [_STATES.get(facts["port"], "")]
    said += ["none to another isolated port"] if facts.get("isolated") else []
    said += ["and back to where they came from"] if facts.get("hairpin") else []
    return ", ".join(said)
