"""The laws of states over 3,000 further generated lab files; no kernel is asked."""

from collections.abc import Callable

import pytest
import test_laws

from cnetsh.plan.steps import Plans

pytestmark = pytest.mark.soak
SEEDS = range(test_laws.GENERATED, test_laws.GENERATED + 3_000)
LAWS = {
    name.removeprefix("test_").replace("_", " "): law
    for name, law in vars(test_laws).items()
    if name.startswith("test_")
}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[Plans]:
    """The plans of labs and examples, and of the further lab files that are labs."""
    return test_laws.plans_of(SEEDS, tmp_path_factory.mktemp("laws"))


@pytest.mark.parametrize("law", LAWS)
def test_law(known: list[Plans], figure: Callable[[str, int, int], None], law: str) -> None:
    LAWS[law](known)
    figure(f"law over lab files: {law}"[:66], len(known), 2_000)


def test_there_are_laws() -> None:
    assert len(LAWS) >= 6
