"""Libraries of posts: the table of nearest posts answers as a search one by one does; what a title is."""

from pathlib import Path

import numpy as np
import pytest

from optics4f.fabrication.posts import PostLibrary, load_library


def library(t: object) -> PostLibrary:
    t = np.asarray(t)
    return PostLibrary(np.full((len(t), 2), 1e-7), t, "350 nm", "532 nm")


@pytest.mark.parametrize("kinds", [1, 2, 3, 16, 40])
@pytest.mark.parametrize("reach", [1.0, 1.5])
def test_many_values_find_the_nearest_post(kinds: int, reach: float) -> None:
    """More values than the table has squares, some on the circle and some beyond what a mask holds."""
    random = np.random.default_rng(kinds)
    posts = library(np.sqrt(random.uniform(size=kinds)) * np.exp(2j * np.pi * random.uniform(size=kinds)))
    wanted = random.uniform(0, reach, (400, 400)) * np.exp(2j * np.pi * random.uniform(size=(400, 400)))
    wanted[:100] /= np.abs(wanted[:100])
    found = np.abs(posts.transmittance[posts.nearest(wanted)] - wanted)
    nearest = np.min([np.abs(t - wanted) for t in posts.transmittance], axis=0)
    # Equal but for rounding, where two posts are as good as one another.
    np.testing.assert_allclose(found, nearest, rtol=0, atol=1e-14)


def test_values_on_the_border_of_two_posts_go_to_one_of_them() -> None:
    """Half way between the posts, and on the edges and corners of the squares of the table."""
    posts = library([1, -1, 1j, -1j])
    line = np.linspace(-1, 1, 513)  # every second one is an edge of the 256 squares
    wanted = np.add.outer(line, 1j * line)
    found = np.abs(posts.transmittance[posts.nearest(wanted)] - wanted)
    nearest = np.min([np.abs(t - wanted) for t in posts.transmittance], axis=0)
    np.testing.assert_allclose(found, nearest, rtol=0, atol=1e-14)  # rounding


def test_posts_that_are_the_same_are_one_answer() -> None:
    posts = library(np.ones(3))
    assert set(np.unique(posts.nearest(np.ones((400, 400))))) <= {0, 1, 2}
    assert posts.residual(np.ones((400, 400))) == (0.0, 0.0)


def test_a_title_is_left_out_and_a_number_never(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for title in ("d,phase\n", "# d,phase\n", "", "\ufeffd [nm],phase [rad]\n"):
        path.write_text(f"{title}1e2,0.5\n150,1\n", encoding="utf-8")
        assert len(load_library(path, "350 nm", "532 nm").size) == 2
    path.write_text("nan,0.5\n150,1\n")
    with pytest.raises(ValueError, match="expected finite real numbers"):
        load_library(path, "350 nm", "532 nm")
