"""Table I: how the time of a layer grows with the side of its picture, claimed and measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optics4f.plotting.experiments import exponents_beside_claims

from ..tables import Rows
from .complexity import (
    COLLAPSED,
    LAWS,
    ROWS,
    Exponent,
    Setting,
    Times,
    claimed_exponent,
    described,
    exponents,
    measured,
)
from .record import Draw, Options, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = {
    "convolution": {
        "CNN": "O(HWk²)",
        "SCLC": {"spatial": "O(HW log(HW))", "spectral": "O(HW log(HW))"},
        "OSCLC": "O(1)",
    },
    "pooling": {
        "CNN": "O(HWk²)",
        "SCLC": {"spatial": "O(k² log(k²))", "spectral": "O(1)"},
        "OSCLC": "O(1)",
    },
}


def run(options: Options) -> tuple[Report, Draw]:
    """Time the layers, fit exponents, and set them beside the claims."""
    what, times = measured(options)
    fits = exponents(what, times)
    report = Report(
        name="table1",
        title="Table I: complexity of the forward pass, claimed and measured",
        command=options.command("table1"),
        preset=options.preset,
        seeds=(),
        settings=described(what),
        tables=(_table(what, times, fits),),
        data={
            "paper": PAPER,
            "claimed_exponents": {claim: _claimed(claim, what) for claim in LAWS},
            "exponents": {name: fit._asdict() for name, fit in fits.items()},
            "seconds": {str(n): row for n, row in times.items()},
        },
        notes=_notes(what, times, fits),
        device=options.device,
    )
    rows = [(row.name, _claimed(row.claim, what), *fits[row.name]) for row in ROWS if row.measured]

    def draw(figure: Figure) -> None:
        title = f"time ~ N^p, fitted from N = {what.fit_from} to {max(times)}"
        exponents_beside_claims(figure.subplots(), rows, title)

    return report, draw


def _claimed(claim: str, what: Setting) -> float | None:
    sizes = [n for n in what.sizes if n >= what.fit_from]
    return claimed_exponent(claim, sizes, what.kernel) if claim else None


def _table(what: Setting, times: Times, fits: dict[str, Exponent]) -> Rows:
    rows, last = [], max(times)
    for row in ROWS:
        claimed = _claimed(row.claim, what)
        rows.append(
            (
                f"{row.structure}: {row.name}",
                row.claim or "-",
                "-" if claimed is None else f"{claimed:.2f}",
                str(fits[row.name]) if row.measured else f"{fits[row.name].value:.2f} (estimated)",
                f"{1e3 * times[last][row.name]:.3g} ms",
            )
        )
    columns = ("layer", "claimed", "its exponent", "measured exponent", f"time at N = {last}")
    return Rows(f"Exponent p of time ~ N^p for H = W = N from {what.fit_from} to {last}", columns, rows)


def _notes(what: Setting, times: Times, fits: dict[str, Exponent]) -> tuple[str, ...]:
    last = times[max(times)]
    ratio = last["SCLC, FFT, masks, inverse FFT"] / last["CNN, conv2d"]
    return (
        "An exponent's standard error counts the scatter of the points and that a curve is no power law. The "
        "exponent of a claim is fitted in the same way to the claimed formula itself, k being fixed.",
        "The kernels' own transforms are not in the times: T(ν) is kept from picture to picture. The text of "
        "the paper gives the masks alone as O(HW), its Table I as O(HW log(HW)).",
        "Spectral pooling of pictures, FFT, crop and inverse FFT, is claimed to be O(k² log(k²)), which does "
        "not hold the transform of the whole picture; measured: "
        f"N^({fits['SCLC, FFT, crop, inverse FFT']}).",
        "A crop is O(1) as a view, which moves no number; written out it is not.",
        f"At N = {max(times)}, with {what.inputs} -> {what.outputs} channels and k = {what.kernel}, the SCLC "
        f"layer by layer takes {ratio:.1f} times as long as conv2d, and the whole network with all layers "
        f"collapsed into one T(ν) takes {last[COLLAPSED] / last['CNN, conv2d']:.2f} times as long.",
        "OSCLC: not measured. The light needs 4f/c, f = 100 mm, whatever N is; link and back end are the "
        "paper's case (preset paper-2022) with 16 bits of each of N x N pixels on the link.",
    )
