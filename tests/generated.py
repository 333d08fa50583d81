"""Lab files made by a seed: every key of the format now and then, most of them labs to bring up."""

import random
from typing import Any

import yaml


def lab_file(seed: int) -> str:
    """Give the text of a lab file; a few are refused, as what people write is."""
    dice = random.Random(seed)
    bridges = {f"br{number}": _bridge(dice, number) for number in range(dice.randint(1, 3))}
    names = [f"c{number}" for number in range(dice.randint(1, 5))]
    containers = {name: _container(dice, number, bridges) for number, name in enumerate(names)}
    if len(names) > 1 and dice.random() < 0.3:
        _plug_straight(containers, *dice.sample(names, 2), number=dice.randint(0, 99))
    lab: dict[str, Any] = {"name": f"g{seed}", "bridges": bridges, "containers": containers}
    if dice.random() < 0.2:
        lab["firewall"] = dice.random() < 0.7
    if dice.random() < 0.3:
        works = dice.random() < 0.7
        lab["checks"] = [{"from": "host", "to": names[0], "expect": "ok" if works else "fail"}]
    return yaml.safe_dump(lab, sort_keys=False)


def _bridge(dice: random.Random, number: int) -> dict[str, Any]:
    bridge: dict[str, Any] = {}
    addresses = [f"10.{40 + number}.0.1/{dice.choice((16, 24))}"]
    if dice.random() < 0.3:
        addresses.append(f"fd00:{40 + number}::1/64")
    bridge["address"] = addresses if len(addresses) > 1 else addresses[0]
    if (kind := dice.random()) < 0.3:
        bridge["nat"] = True
    elif kind < 0.5:
        bridge["isolated"] = True
    if dice.random() < 0.2:
        bridge["mtu"] = dice.choice((1400, 1300, 9000))
    return bridge


def _container(dice: random.Random, number: int, bridges: dict[str, Any]) -> dict[str, Any]:
    names = list(bridges)
    container: dict[str, Any] = {}
    if len(names) > 1 and dice.random() < 0.3:
        container["interfaces"] = [_plug(dice, bridge) for bridge in dice.sample(names, 2)]
        container["forward"] = dice.random() < 0.5
    else:
        container |= _plug(dice, dice.choice(names))
        if dice.random() < 0.3:
            container["count"] = dice.randint(1, 4)
    if dice.random() < 0.2:
        container["gateway"] = "none"
    if dice.random() < 0.2:
        container["dns"] = dice.choice(("1.1.1.1", ["10.40.0.1", "fd00::1"]))
    if dice.random() < 0.2:
        container["sysctls"] = {"net.ipv4.ip_default_ttl": str(dice.randint(32, 99))}
    if "count" not in container and dice.random() < 0.3:
        container["publish"] = [f"{8000 + number}:80"]
    return container


def _plug(dice: random.Random, bridge: str) -> dict[str, Any]:
    plug: dict[str, Any] = {"bridge": bridge}
    key, value = dice.choice((("rate", "10mbit"), ("delay", "5ms"), ("loss", "1%"), ("", "")))
    return plug | ({key: value} if key and dice.random() < 0.4 else {})


def _plug_straight(containers: dict[str, Any], one: str, other: str, number: int) -> None:
    """Give two containers a cable that the host has no end of."""
    for name, far, host in ((one, other, 1), (other, one, 2)):
        container = containers[name]
        if "count" in container:
            return
        plugs = container.setdefault("interfaces", [])
        for key in ("bridge", "rate", "delay", "loss"):
            if key in container:
                plugs or plugs.append({})
                plugs[0][key] = container.pop(key)
        plugs.append({"container": far, "address": f"10.99.{number}.{host}/24"})
