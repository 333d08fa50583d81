"""Two thousand sequences of labs and others on one host, judged by a twin that had no lab."""

from collections.abc import Callable

import meanwhile
import pytest
from hosts import Private

pytestmark = pytest.mark.soak
Figure = Callable[[str, int, int], None]
NUMBER = 2000


def test_meanwhile(private: Private, figure: Figure) -> None:
    answers = meanwhile.answers_of(private, range(1000, 1000 + NUMBER))
    print(meanwhile.summary(answers))
    for kind in meanwhile.CLASSES:
        good = sum(each["class"] == kind for each in answers)
        if kind not in meanwhile.BAD:
            figure(f"others meanwhile: {kind}", good, 0)
    good = sum(each["class"] not in meanwhile.BAD for each in answers)
    figure("others meanwhile, then down: as the twin, or traced to the sequence", good, NUMBER)
