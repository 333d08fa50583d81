"""100,000 hostile lab parameters and lab files: nothing but a clean refusal or a sound plan."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from test_hostile import SETTINGS, lab_files, takes_any_file, takes_any_settings

pytestmark = pytest.mark.soak
MANY = settings(
    deadline=None,
    max_examples=50_000,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@MANY
@given(SETTINGS)
def test_50_000_settings(example: tuple[str, list[str]]) -> None:
    takes_any_settings(example)


@MANY
@given(lab_files())
def test_50_000_lab_files(text: str) -> None:
    takes_any_file(text)
