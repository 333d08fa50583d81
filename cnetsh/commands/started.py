"""What `sandbox` and `vm` share: those that run are kept, stopped and listed."""

import json
from collections.abc import Callable
from typing import Any

from cnetsh.commands.output import say, tell
from cnetsh.errors import FAILED, CnetshError
from cnetsh.names import nearest
from cnetsh.targets import target
from cnetsh.targets.registry import One, Registry


def keep(registry: Registry[One], name: str, words: Callable[[One], str]) -> None:
    """Have the one that was started stay, and say what it is. Raises CnetshError if it is gone."""
    one = registry.running_as(name)
    if one is None:
        raise CnetshError(f"{registry.kind} {name} ended at once", code=FAILED)
    registry.keep(name)
    # It may have been there already, other than was asked for.
    stays = f"it stays until: cnetsh {registry.kind} stop {name}"
    say(f"{registry.kind} {name} runs {words(one)}; {stays}")


def stop(registry: Registry[One], name: str) -> None:
    """End one, or say that it does not run. Raises CnetshError for a name that is misspelt."""
    # Only a name that a target may have: it is looked for as a file.
    if one := registry.running_as(target.named(f"{registry.kind}:{name}").name):
        registry.stop(one)
        say(f"{registry.kind} {name} ended")
        return
    said, names = f"{registry.kind} {name} does not run", registry.names()
    if near := nearest(name, names):
        raise CnetshError(said, f"did you mean {near}, which does?")
    say(f"{said}\n  those that do: {', '.join(names)}" if names else said)


def tell_all(registry: Registry[One], words: Callable[[One], str]) -> None:
    """List those that run."""
    found = registry.running()
    for one in found:
        tell(f"{one.name:<12} process {words(one)}")
    if not found:
        say(f"no {registry.kind} runs")


def show_json(registry: Registry[One], facts: Callable[[One], dict[str, Any]]) -> None:
    """List those that run, with all that is known of each."""
    rows = [facts(one) | {"kept": registry.kept(one.name)} for one in registry.running()]
    print(json.dumps(rows, indent=1))
