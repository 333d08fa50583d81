"""What completion offers, which it knows without loading the rooms that know it."""

from cnetsh.commands import completing
from cnetsh.labs import builtin
from cnetsh.targets import target


def test_the_labs_are_the_built_in_ones() -> None:
    assert completing.LABS == builtin.LABS


def test_each_kind_of_target_is_one() -> None:
    assert [target.named(kind).kind for kind in completing.KINDS] == [*completing.KINDS]
