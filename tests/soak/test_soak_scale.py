"""A thousand containers in one file, on a private host."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hosts import Private
from test_scale import assert_up_checked_and_down

pytestmark = pytest.mark.soak


def test_a_thousand_up_checked_and_down(
    private: Private, tmp_path: Path, figure: Callable[[str, int, int], None]
) -> None:
    assert_up_checked_and_down(private, tmp_path, 1000)
    figure("containers of one file up, checked and down: kernel equal", 1000, 1000)
