"""Fig. 3: time of one convolution and of one pooling against the side of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optics4f.plotting.experiments import Curve, Point, times_against_size

from ..tables import Rows
from .complexity import LAWS, LIGHT, ROWS, Row, Setting, Times, described, exponents, measured
from .record import Draw, Options, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HD = 960
"""The side of a square with the 1280 x 720 pixels of an HD picture."""

PAPER_AT_HD = {"CNN (AlexNet)": 0.5, "SCLC": 0.1}
"""Times of one convolution [s] in the paper's text; of the SCLC's pooling it says that it is constant."""


def run(options: Options) -> tuple[Report, Draw]:
    """Time the layers, and draw them beside what the paper claims."""
    what, times = measured(options)
    report = Report(
        name="fig3",
        title="Fig. 3: time of one layer against the side of the picture",
        command=options.command("fig3"),
        preset=options.preset,
        seeds=(),
        settings=described(what),
        tables=(*(_times(kind, times) for kind in ("convolution", "pooling")), _ratios(times)),
        data={
            "paper": {"convolution at HD [s]": PAPER_AT_HD, "pooling": "SCLC constant"},
            "seconds": {str(n): row for n, row in times.items()},
            "exponents": {name: fit._asdict() for name, fit in exponents(what, times).items()},
        },
        notes=_notes(what),
        device=options.device,
    )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        points = [Point(f"paper, {name}", HD, value) for name, value in PAPER_AT_HD.items()]
        times_against_size(left, _curves("convolution", what, times), points, "convolution")
        times_against_size(right, _curves("pooling", what, times), title="pooling")

    return report, draw


def _rows(kind: str) -> list[Row]:
    return [row for row in ROWS if row.structure == kind]


def _curves(kind: str, what: Setting, times: Times) -> list[Curve]:
    return [
        Curve(
            row.name,
            list(times),
            [times[n][row.name] for n in times],
            law=[LAWS[row.claim](n, what.kernel) for n in times] if row.claim and row.measured else (),
            estimated=not row.measured,
        )
        for row in _rows(kind)
        if row.name != LIGHT  # nanoseconds, far below all others
    ]


def _times(kind: str, times: Times) -> Rows:
    names = [row.name for row in _rows(kind)]
    rows = [(str(n), *(f"{1e3 * found[name]:.3g}" for name in names)) for n, found in times.items()]
    return Rows(f"One {kind} layer: median time [ms]", ("N", *names), rows)


def _ratios(times: Times) -> Rows:
    near = min(times, key=lambda n: abs(n - HD))
    ours = times[near]
    rows = [
        ("CNN, convolution", "500 ms", f"{1e3 * ours['CNN, conv2d']:.3g} ms"),
        ("SCLC, convolution", "100 ms", f"{1e3 * ours['SCLC, FFT, masks, inverse FFT']:.3g} ms"),
        ("CNN / SCLC", "5", f"{ours['CNN, conv2d'] / ours['SCLC, FFT, masks, inverse FFT']:.2g}"),
    ]
    return Rows("An HD picture", ("", "paper", f"here, N = {near}"), rows)


def _notes(what: Setting) -> tuple[str, ...]:
    return (
        f"A layer has {what.inputs} -> {what.outputs} channels and kernels of {what.kernel}x{what.kernel}; "
        f"pooling halves {what.outputs} channels. The paper does not say which layer of AlexNet it timed, "
        "or on what; its numbers are a point of reference, not the same measurement.",
        f"The collapsed SCLC is a whole network: 3 -> {what.masks} masks, a stop of {what.stop}x{what.stop}, "
        "detection and back end.",
        "Dotted lines: the law that the paper's Table I claims, through the last point. The paper calls the "
        "growth exponential; every curve here is a power law (see table1).",
        "Dashed: estimated with the preset paper-2022, not measured. The light alone, 4f/c, is too short for "
        "the picture.",
    )
