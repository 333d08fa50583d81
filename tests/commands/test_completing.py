"""What completion offers, which it knows without loading the rooms that know it."""

from cnetsh.commands import completing
from cnetsh.labs import builtin
from cnetsh.targets import sandbox, target
from cnetsh.targets.vm import machine


def test_the_labs_are_the_built_in_ones() -> None:
    assert completing.LABS == builtin.LABS


def test_each_kind_of_target_is_one() -> None:
    assert [target.named(kind).kind for kind in completing.KINDS] == [*completing.KINDS]


def test_what_runs_is_looked_for_where_it_is_registered() -> None:
    assert (completing.SANDBOXES, completing.VMS) == (sandbox.SANDBOXES, machine.VMS)
