"""What is here needs a real kernel."""

from pathlib import Path

import pytest
from fixtures import machine_untouched, new_private, ordinary, private

__all__ = ["machine_untouched", "new_private", "ordinary", "private"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.kernel)
