"""The command ``optics4f data``: what a data set holds, and whether its files are sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor

    from .datasets import PictureData
    from .pictures import OnPicture

COLUMNS, THUMBNAIL = 8, 96


def _option(text: str) -> Any:
    return typer.Option(help=text)


def data(
    name: Annotated[
        str, typer.Argument(help="cifar10, cats-vs-dogs, high10, carvana, faces, voc2012 or camvid.")
    ],
    root: Annotated[Path | None, _option("Its folder; $OPTICS4F_DATA/<name> if not given.")] = None,
    seed: Annotated[int, _option("Of the splits that the data set does not have itself.")] = 0,
    sheet: Annotated[Path | None, _option("Where the contact sheet goes; <name>.png if not given.")] = None,
    check: Annotated[
        bool, _option("Decode every picture: names broken ones, counts pixels of each class.")
    ] = False,
    strict: Annotated[bool, _option("Refuse a copy with other numbers of pictures.")] = True,
    download: Annotated[bool, _option("Fetch it from the hub, where that has it.")] = False,
) -> None:
    """Say what a data set holds: pictures of each split and class, sizes, a hash, and a contact sheet.

    Nothing is downloaded without --download.
    """
    from optics4f.plotting import save, show_contact_sheet

    from .datasets import load
    from .inspection import picture_sizes, pixel_shares

    found = load(name, root, seed=seed, strict=strict, download=download)
    typer.echo(found.note)
    _classes(found)
    with _bar("reading sizes") as on_picture:
        sizes = picture_sizes(found, on_picture)
    typer.echo(f"sizes: {sizes}")
    typer.echo(f"file list, SHA-256: {found.digest}")
    for path in found.left_out:
        typer.echo(f"left out, broken in every copy: {path}")
    if check:
        with _bar("decoding") as on_picture:
            shares = pixel_shares(found, on_picture)
        typer.echo("every picture can be decoded" + (f"; share of pixels: {shares}" if shares else ""))
    sheet = Path(f"{name}.png") if sheet is None else sheet
    save(show_contact_sheet(*_chosen(found), columns=COLUMNS, title=found.note), sheet)
    typer.echo(f"contact sheet: {sheet}")


def _classes(found: PictureData) -> None:
    """Pictures of each split, and of each class where a picture has one."""
    from rich.console import Console
    from rich.table import Table

    table = Table("class", *found.splits, title=f"{found.name}: pictures")
    for index, name in enumerate(found.names if found.train.classes else ()):
        table.add_row(name, *(str(split.classes.count(index)) for split in found.splits.values()))
    table.add_row("all", *(str(len(split)) for split in found.splits.values()), style="bold")
    Console().print(table)
    if not found.train.classes:
        typer.echo(f"classes of pixels: {', '.join(found.names)}; ignored: {found.ignore}")


def _chosen(found: PictureData) -> tuple[Tensor, list[str], Tensor | None]:
    """Training pictures for the sheet: some of each class in turn, or simply some."""
    from dataclasses import replace

    import numpy as np
    import torch

    split = replace(found.train, form=replace(found.train.form, size=(THUMBNAIL, THUMBNAIL)))
    if not split.classes:
        some = split.taken(torch.linspace(0, len(split) - 1, min(2 * COLUMNS, len(split))).long())
        return some.images, [], some.labels
    of = np.array(split.classes)
    index = [i for c in range(len(found.names)) for i in np.flatnonzero(of == c)[:COLUMNS].tolist()]
    return split.taken(torch.tensor(index)).images, [found.names[split.classes[i]] for i in index], None


@contextmanager
def _bar(text: str) -> Iterator[OnPicture]:
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        bar = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
