"""What the tests of damaged files share: cuts and flipped bits, seeded, and what a refusal has to say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEW = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def refused(read: Callable[[], object], *names: Path) -> bool:
    """True if refused, by one sentence that begins with one of the paths; what is read must be finite."""
    try:
        found = read()
    except ValueError as error:
        text = str(error)
        assert any(text.startswith(str(name)) for name in names), text
        assert "expected" in text and ", got " in text and "\n" not in text, text
        return True
    assert np.isfinite(found).all()
    return False


@contextmanager
def memory(most: int) -> Iterator[None]:
    """Fail if the largest memory of the process grows by more than some bytes meanwhile."""
    import resource  # not on Windows

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < most, f"{grown / 1e6:.0f} MB more"


def damage(content: bytes, check: Callable[[bytes, str], None], examples: int = 80) -> None:
    """Call a check with the file "cut" at random places and with one to six bits "flipped"."""

    @settings(FEW, max_examples=examples)
    @given(st.integers(0, len(content) - 1))
    def cut(length: int) -> None:
        check(content[:length], "cut")

    @settings(FEW, max_examples=examples)
    @given(st.lists(st.integers(0, 8 * len(content) - 1), min_size=1, max_size=6, unique=True))
    def flipped(bits: list[int]) -> None:
        damaged = bytearray(content)
        for bit in bits:
            damaged[bit // 8] ^= 1 << bit % 8
        check(bytes(damaged), "flipped")

    cut()
    flipped()
