"""Times what a day with a large lab takes, in the private network it is started in; prints JSON.

Usage: daily.py N BRIDGES [all]. `up`, then with `all` a check at once, drift, difference, picture,
then `down` until the links are gone. Start-up is included; a check that fails is an error.
"""

import json
import sys
from pathlib import Path

from inside import links, said, seconds
from planning import letters
from ways import LAB, cnetsh, write_lab

COMMANDS = {
    "check": ("check", LAB),
    "status --drift": ("status", "--drift"),
    "diff": ("diff", LAB),
    "graph --live": ("graph", "--live"),
}


def main() -> None:
    n, bridges = map(int, sys.argv[1:3])
    write_lab(Path(LAB), [(letters(number), n // bridges) for number in range(bridges)])
    found = {"up": seconds(lambda: cnetsh("up", LAB))}
    for name, words in COMMANDS.items() if sys.argv[3:] else ():
        found[name] = seconds(lambda words=words: cnetsh(*words))
        if name == "check" and n > 100 and (left := said("ip", "-4", "neigh")):
            raise SystemExit(f"neighbours left: {left[:200]}")
    found["down"] = seconds(lambda: cnetsh("down", LAB))
    if links():
        raise SystemExit(f"{links()} links are left")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
