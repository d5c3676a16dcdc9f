"""Training runs: configuration, a kill and its resumption bit for bit, two processes, divergence, lessons."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from optics4f.models import lesson as lessons
from optics4f.models.checkpoint import load_student
from optics4f.models.cli import register
from optics4f.models.data import ImageData, Split, digits
from optics4f.models.lesson import MODEL_FILE, Task, lesson, load_teacher, network_hash, task_of
from optics4f.models.loader import Loader, shifted
from optics4f.models.processes import share_batch_norms
from optics4f.models.progress import METRICS_FILE, Progress
from optics4f.models.run import train
from optics4f.models.runconfig import RunConfig, from_dict, parse_grid, read_config
from optics4f.models.sclc import StudentDesign
from optics4f.models.state import (
    EPOCH_FILE,
    STEP_FILE,
    State,
    random_state,
    read_state,
    seed_everything,
    set_random_state,
    write_state,
)

pytest.importorskip("safetensors")
pytest.importorskip("sklearn")

ROOT = Path(__file__).parents[1]
TINY = StudentDesign(shape=(8, 8), channels=(1, 2, 3), kernel_sizes=(3, 3), stops=(7, 5), pixels=5)
CONFIG = RunConfig(size=8, student=TINY, epochs=3, batch_size=256, report_every=2, checkpoint_every=3)
# The commands of a bare checkout, as in conftest.py.
COMMAND = (
    f"import optics4f; optics4f.__path__.append({str(ROOT)!r}); import torch; torch.set_num_threads(1)\n"
    "import typer; from optics4f.models.cli import register; app = typer.Typer(); register(app); app()"
)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_state(folder / MODEL_FILE).tensors


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(v, other[k]) for k, v in one.items())


def lines(folder: Path) -> list[dict[str, Any]]:
    """The metrics without the seconds, which no two runs share."""
    text = (folder / METRICS_FILE).read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in text]


def toml(path: Path, **changes: Any) -> Path:
    design = {"shape": [8, 8], "channels": [1, 2, 3], "kernel_sizes": [3, 3], "stops": [7, 5], "pixels": 5}
    values = {"size": 8, "epochs": 3, "batch_size": 64, "report_every": 1, "checkpoint_every": 2, **changes}
    tables = [*(f"{k} = {json.dumps(v)}" for k, v in values.items()), "[student]"]
    path.write_text("\n".join([*tables, *(f"{k} = {json.dumps(v)}" for k, v in design.items())]))
    return path


class Picky(nn.Module):
    """A linear classifier with dropout, so that training draws random numbers, and shared moments."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(36, classes))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(self.norm(pictures))
        return logits


def noise(count: int = 22) -> ImageData:
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.rand(count, 1, 6, 6, generator=generator), torch.arange(count) % 4)
    poisoned: Any = None  # whoever touches the test split fails
    return ImageData("noise", "noise", 4, split, split, poisoned)


def noisy_task(teacher: nn.Module | None = None) -> Task:
    torch.manual_seed(3)
    return Task(noise(), Picky(), teacher)


NOISY = RunConfig(epochs=4, batch_size=5, learning_rate=0.05, report_every=1, checkpoint_every=2, shift=1)


# ---------------------------------------------------------------------------------- configuration


def test_configuration_comes_back_from_json_and_toml(tmp_path: Path) -> None:
    assert from_dict(json.loads(json.dumps(CONFIG.to_dict()))) == CONFIG
    found = read_config(toml(tmp_path / "a.toml", alpha=1, teacher="runs/t"))
    assert (found.alpha, found.teacher, found.student) == (1.0, "runs/t", TINY)
    assert found.with_setting("student.readout", "strict").student == replace(TINY, readout="strict")
    assert found.with_setting("temperature", 2).differences(found) == ["temperature"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"aplha": 0.3}, "expected keys among data, data_dir, .*, got aplha"),
        ({"student": {"lens": 1}}, r"expected keys among readout, shape, .*, got student\.lens"),
        ({"student": 3}, "student: expected a table, got 3"),
        ({"student": {"stops": [7, 0.5]}}, "expected lists of whole numbers"),
        ({"student": {"readout": "loud"}}, "expected readout strict or detected or paper_code, got 'loud'"),
        ({"epochs": 0}, "epochs: expected 1 or more, got 0"),
        ({"epochs": 2.5}, "epochs: expected int, got 2.5"),
        ({"flip": 1}, "flip: expected bool, got 1"),
        ({"patience": -1}, "patience: expected 0 or more, got -1"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0, got nan"),
        ({"weight_decay": -1}, "weight_decay: expected 0 or more"),
        ({"alpha": 1.5}, "alpha: expected a number from 0 to 1, got 1.5"),
        ({"temperature": 0}, "temperature: expected a number above 0"),
        (
            {"network": "resnet"},
            "network: expected student or alexnet or alexnet32 or square_alexnet32 or linear, got 'resnet'",
        ),
        ({"dtype": "bfloat16"}, "dtype: expected float32 or float64"),
    ],
)
def test_a_bad_configuration_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        from_dict(values)


def test_a_grid_is_read_as_toml_or_text() -> None:
    texts = ["alpha=0.3,1", "student.readout=strict,detected", "student.stops=[7, 5],[5, 5]"]
    assert parse_grid(texts) == {
        "alpha": [0.3, 1],
        "student.readout": ["strict", "detected"],
        "student.stops": [[7, 5], [5, 5]],
    }
    for texts in (["alpha"], ["=1"], ["alpha="], ["alpha=1", "alpha=2"]):
        with pytest.raises(ValueError, match="--grid: expected each setting once"):
            parse_grid(texts)


def test_a_student_that_does_not_fit_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected channels\[0\], shape and classes \(1, 16, 16, 10\)"):
        task_of(replace(CONFIG, size=16))
    with pytest.raises(ValueError, match="expected 32 or more for alexnet32, got 8"):
        task_of(replace(CONFIG, network="alexnet32"))


# ---------------------------------------------------------------------------------- state


def test_state_comes_back_and_bad_files_are_refused(tmp_path: Path) -> None:
    state = State({"a.b": torch.arange(3), "a.c": torch.empty(0), "ab": torch.ones(())}, {"rate": 0.1})
    write_state(tmp_path / "s.safetensors", state)
    found = read_state(tmp_path / "s.safetensors")
    assert same(found.tensors, state.tensors) and found.rest == state.rest
    assert found.part("a").keys() == {"b", "c"}
    with pytest.raises(FileNotFoundError, match="expected the state of a run, found none"):
        read_state(tmp_path / "t.safetensors")
    (tmp_path / "t.safetensors").write_bytes((tmp_path / "s.safetensors").read_bytes()[:-9])
    with pytest.raises(ValueError, match="expected the state of a run, got:"):
        read_state(tmp_path / "t.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "t.safetensors")
    with pytest.raises(ValueError, match="expected optics4f-run-state of version 1"):
        read_state(tmp_path / "t.safetensors")


def test_random_numbers_of_all_three_go_on_where_they_stood(tmp_path: Path) -> None:
    def draw() -> list[float]:
        return [float(torch.rand(())), float(torch.randn(())), random.gauss(0, 1), np.random.normal()]

    seed_everything(5)
    draw()  # gauss and normal make pairs: the second of each is part of the state
    write_state(tmp_path / "s.safetensors", random_state(torch.device("cpu")))
    expected = draw() + draw()
    found = read_state(tmp_path / "s.safetensors")
    seed_everything(6)
    set_random_state(found, torch.device("cpu"))
    assert draw() + draw() == expected
    # As a second process finds its own among those of all.
    table = torch.stack([torch.get_rng_state(), found.tensors["torch"]])
    set_random_state(State({"torch": table[1]}, found.rest), torch.device("cpu"))
    assert draw() + draw() == expected


def test_loader_goes_on_with_the_same_pictures() -> None:
    data = noise().train
    one, other = Loader(data, NOISY), Loader(data, NOISY)
    list(one)
    epoch = iter(one)
    next(epoch), next(epoch)
    other.set_state(one.state())
    rest = [*epoch, *one]
    again = [*other, *other]
    assert len(rest) == len(again) == 3 + 5
    assert all(torch.equal(a.images, b.images) for a, b in zip(rest, again, strict=True))


def test_shifts_move_whole_pixels_and_bring_zeros() -> None:
    images = torch.rand(2, 3, 4, 5)
    found = shifted(images, torch.tensor([[1, 2], [1, 0]]), 1)  # stay; one up and one right
    assert torch.equal(found[0], images[0])
    expected = torch.zeros(3, 4, 5)
    expected[:, :-1, 1:] = images[1, :, 1:, :-1]
    assert torch.equal(found[1], expected)


def test_flips_mirror_left_and_right() -> None:
    config = replace(NOISY, shift=0, flip=True, batch_size=22)
    loader = Loader(noise().train, config)
    (batch,) = loader
    before = noise().train.images[loader.order]
    mirrored = (batch.images == before.flip(-1)).flatten(1).all(1)
    kept = (batch.images == before).flatten(1).all(1)
    assert bool((mirrored ^ kept).all()) and 0 < int(mirrored.sum()) < 22


# ---------------------------------------------------------------------------------- runs


def test_a_run_learns_and_leaves_a_student(tmp_path: Path) -> None:
    found = train(replace(CONFIG, epochs=6, batch_size=64, learning_rate=0.02), tmp_path)
    assert found.best_accuracy > 0.7  # ten classes: chance is 0.1; measured 0.9
    student = load_student(tmp_path)
    validation = digits(8).validation
    with torch.no_grad():
        right = (student(validation.images).argmax(1) == validation.labels).double().mean()
    assert float(right) == pytest.approx(found.best_accuracy, abs=1e-12)  # the weights of the best epoch
    accuracies = [line["validation_accuracy"] for line in lines(tmp_path)]
    epochs = [accuracy for accuracy in accuracies if accuracy is not None]
    assert max(epochs) == found.best_accuracy == epochs[found.best_epoch - 1] and len(epochs) == 6
    assert json.loads((tmp_path / "result.json").read_text())["best_epoch"] == found.best_epoch


class Stop(Exception):
    """As good as a kill, within one process."""


@pytest.mark.parametrize(("step", "judged"), [(1, False), (4, False), (6, False), (10, True), (19, False)])
def test_resumed_after_any_step_equals_uninterrupted(tmp_path: Path, step: int, judged: bool) -> None:
    """Dropout, shifts, order, moments, rate: 5 steps an epoch, a checkpoint every 2 and after epochs.

    Step 10 ends an epoch: once ``judged``, its line is written and the checkpoint of the epoch is not.
    """

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == step and judged == (line["validation_accuracy"] is not None):
            raise Stop

    train(NOISY, tmp_path / "whole", task=noisy_task())
    with pytest.raises(Stop):
        train(NOISY, tmp_path / "cut", report=stop, task=noisy_task())
    train(NOISY, tmp_path / "cut", resume=True, task=noisy_task())
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert lines(tmp_path / "whole") == lines(tmp_path / "cut")
    whole, cut = (read_state(tmp_path / name / EPOCH_FILE) for name in ("whole", "cut"))
    assert same(whole.tensors, cut.tensors)  # moments, order and random numbers as well
    assert not (tmp_path / "cut" / STEP_FILE).exists()


def test_killed_at_a_random_step_and_resumed_gives_the_same_bits(tmp_path: Path) -> None:
    """SIGKILL, as a cluster sends it: nothing can be tidied up."""
    config = toml(tmp_path / "run.toml", epochs=4)
    command = [sys.executable, "-c", COMMAND, "train", str(config), "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    options: Any = {"cwd": tmp_path, "env": environment, "stdout": subprocess.DEVNULL}
    step = random.SystemRandom().randint(1, 4 * 17 - 1)  # 1078 pictures: 17 steps an epoch
    cut = tmp_path / "cut"
    with subprocess.Popen([*command, str(cut)], **options) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (cut / METRICS_FILE).is_file() and len((cut / METRICS_FILE).read_bytes().splitlines()) >= step:
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, f"ended before step {step}"
    assert not (cut / MODEL_FILE).exists()
    subprocess.run([*command, str(cut), "--resume"], check=True, **options)
    train(read_config(config), tmp_path / "whole")
    assert same(weights(tmp_path / "whole"), weights(cut)), f"killed after step {step}"
    assert lines(tmp_path / "whole") == lines(cut), f"killed after step {step}"


def test_half_a_line_of_metrics_is_forgotten(tmp_path: Path) -> None:
    config = replace(NOISY, epochs=1)
    train(config, tmp_path, task=noisy_task())
    before = lines(tmp_path)
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"step": 5, "lo')
    train(config, tmp_path, resume=True, task=noisy_task())
    assert lines(tmp_path) == before


def test_a_folder_with_a_run_and_one_without_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a checkpoint to resume from, found none"):
        train(NOISY, tmp_path, resume=True, task=noisy_task())
    train(replace(NOISY, epochs=1), tmp_path, task=noisy_task())
    with pytest.raises(FileExistsError, match="expected a folder without a run, or --resume"):
        train(NOISY, tmp_path, task=noisy_task())
    with pytest.raises(ValueError, match="expected the same settings, got other epochs"):
        train(NOISY, tmp_path, resume=True, task=noisy_task())


def test_patience_stops_after_epochs_that_do_not_improve(tmp_path: Path) -> None:
    """A rate of nothing leaves the accuracy where the first epoch put it."""
    task = replace(noisy_task(), network=nn.Sequential(nn.Flatten(), nn.Linear(36, 4)))
    config = replace(NOISY, epochs=9, learning_rate=1e-12, weight_decay=0.0, patience=2, shift=0)
    assert train(config, tmp_path, task=task).epoch == 3
    again = train(config, tmp_path, resume=True, task=task)
    assert (again.epoch, again.best_epoch) == (3, 3)  # stays stopped; of equal epochs the later one


class Explosive(nn.Module):
    """A classifier whose loss or gradient is not finite from a call on."""

    def __init__(self, call: int, of_gradient: bool) -> None:
        super().__init__()
        self.inner, self.call, self.of_gradient, self.calls = Picky(), call, of_gradient, 0

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(pictures)
        self.calls += self.training
        if self.training and self.calls == self.call:
            if self.of_gradient:
                logits.register_hook(lambda gradient: gradient * float("inf"))
            else:
                logits = logits * float("nan")
        return logits


@pytest.mark.parametrize(
    ("of_gradient", "what"), [(False, "loss, got nan"), (True, "gradient, got (inf|nan)")]
)
def test_nan_stops_with_the_step_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, of_gradient: bool, what: str
) -> None:
    task = replace(noisy_task(), network=Explosive(8, of_gradient))
    with pytest.raises(FloatingPointError, match=rf"finite {what} in step 8 \(epoch 2\).* is in "):
        train(replace(NOISY, checkpoint_every=1), tmp_path, task=task)
    state = read_state(tmp_path / STEP_FILE)
    assert state.rest["progress"]["step"] == 7
    assert all(bool(value.isfinite().all()) for value in state.tensors.values())
    assert not (tmp_path / MODEL_FILE).exists()
    train(NOISY, tmp_path, resume=True, task=replace(task, network=Explosive(10**6, False)))


def test_a_loss_ten_times_the_first_stops_and_goes_back_to_the_epoch(tmp_path: Path) -> None:
    class Louder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = Picky(), 0

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            logits: torch.Tensor = self.inner(pictures)
            return logits * (1000 if self.calls > 5 else 1)

    with pytest.raises(FloatingPointError, match=r"below 10 times .* in epoch 2, which ended with step 10;"):
        train(NOISY, tmp_path, task=replace(noisy_task(), network=Louder()))
    assert not (tmp_path / STEP_FILE).exists()
    assert read_state(tmp_path / EPOCH_FILE).rest["progress"]["epoch"] == 1
    Progress(first_loss=1.0).refuse_divergence(10.0, tmp_path)  # ten times is not more than ten times


# ---------------------------------------------------------------------------------- teachers


def teacher() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 4))


def test_logits_are_computed_once_and_anew_for_a_changed_weight_or_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    ask = lessons.logits_of
    monkeypatch.setattr(lessons, "logits_of", lambda *args: (calls.append(1), ask(*args))[1])
    network, split = teacher(), noise().train
    first = lesson(split, network, tmp_path).teacher
    second = lesson(split, network, tmp_path).teacher
    assert first is not None and second is not None
    assert torch.equal(first, second) and torch.equal(first, ask(network, split.images)) and len(calls) == 1
    with torch.no_grad():
        network[1].weight[0, 0] += 1e-6
    changed = lesson(split, network, tmp_path).teacher
    assert changed is not None and len(calls) == 2 and not torch.equal(changed, first)
    lesson(split._replace(images=split.images.flip(0)), network, tmp_path)
    assert len(calls) == 3 and len(list(tmp_path.iterdir())) == 3
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    again = lesson(split, network, tmp_path).teacher  # a damaged file is written anew
    assert again is not None and torch.equal(again, changed) and len(calls) == 4


def test_the_hash_sees_structure_as_well() -> None:
    plain = nn.Sequential(nn.Linear(2, 2))
    other = nn.Sequential(plain[0], nn.ReLU())
    assert network_hash(plain) != network_hash(other)


class Counting(nn.Module):
    """A teacher that counts the pictures it sees, and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = teacher()
        self.seen: list[torch.Tensor] = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen.append(pictures.clone())
        logits: torch.Tensor = self.inner(pictures)
        return logits


def test_a_kept_lesson_costs_one_pass_and_augmentation_one_per_epoch(tmp_path: Path) -> None:
    """Moved pictures are shown to the teacher as they are shown to the student."""
    plain, moved = Counting(), Counting()
    train(replace(NOISY, shift=0), tmp_path / "plain", task=noisy_task(plain))
    assert sum(map(len, plain.seen)) == 22
    train(NOISY, tmp_path / "moved", task=noisy_task(moved))
    assert sum(map(len, moved.seen)) == 4 * 22
    (batch, *_) = Loader(noise().train, NOISY)
    assert torch.equal(moved.seen[0], batch.images)
    assert list((tmp_path / "plain").glob("teacher-logits-*")) != []
    assert list((tmp_path / "moved").glob("teacher-logits-*")) == []


def test_alpha_one_learns_nothing_from_the_teacher_and_alpha_zero_nothing_from_labels(tmp_path: Path) -> None:
    plain = replace(NOISY, shift=0)
    train(plain, tmp_path / "labels", task=noisy_task())
    train(replace(plain, alpha=1.0), tmp_path / "one", task=noisy_task(teacher()))
    assert same(weights(tmp_path / "labels"), weights(tmp_path / "one"))
    task = noisy_task(teacher())
    mislabelled = task.data.train._replace(labels=task.data.train.labels.flip(0))
    # Chosen by the last epoch in both: no patience, and the weights of that epoch are compared.
    for name, split in (("true", task.data.train), ("false", mislabelled)):
        data = replace(task.data, train=split)
        train(replace(plain, alpha=0.0), tmp_path / name, task=replace(noisy_task(teacher()), data=data))
    assert same(weights(tmp_path / "true"), weights(tmp_path / "false"))


def test_a_finished_run_teaches(tmp_path: Path) -> None:
    train(replace(CONFIG, epochs=1), tmp_path / "teacher")
    config = replace(CONFIG, teacher=str(tmp_path / "teacher"), epochs=1)
    assert same(dict(load_teacher(config).state_dict()), weights(tmp_path / "teacher"))
    train(config, tmp_path / "student")
    assert not same(weights(tmp_path / "student"), weights(tmp_path / "teacher"))
    with pytest.raises(ValueError, match="expected a teacher of digits at 16 pixels, got one of digits at 8"):
        load_teacher(replace(config, size=16))
    with pytest.raises(FileNotFoundError, match="expected the state of a run, found none"):
        load_teacher(replace(config, teacher=str(tmp_path / "nobody")))


# ---------------------------------------------------------------------------------- the command


def test_the_command_trains_refuses_and_resumes(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    config, out = toml(tmp_path / "run.toml", epochs=1, batch_size=512), tmp_path / "out"
    words = ["train", str(config), "--out", str(out)]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0 and "epoch 1 of 1 is the best" in first.stdout
    assert isinstance(CliRunner().invoke(app, words).exception, FileExistsError)
    assert CliRunner().invoke(app, [*words, "--resume"]).exit_code == 0
    config.write_text("epochs = [")
    assert isinstance(CliRunner().invoke(app, words).exception, ValueError)


# ---------------------------------------------------------------------------------- two processes


@pytest.mark.skipif(find_spec("accelerate") is None, reason="Accelerate is not installed")
def test_two_processes_lose_what_one_loses(tmp_path: Path) -> None:
    """Uneven shares, batch normalisation over both, a teacher, shifts; in float64.

    Sums run in another order: some 1e-16 a step. Adam divides by the size of a gradient, so that small ones
    count as much as large ones, but 18 steps leave the losses equal to 1e-15 (measured): 1e-12 has room.
    """
    train(replace(CONFIG, epochs=1), tmp_path / "teacher")
    changes = {"dtype": "float64", "teacher": str(tmp_path / "teacher"), "batch_size": 127, "shift": 1}
    config = toml(tmp_path / "run.toml", **changes, epochs=2)
    train(read_config(config), tmp_path / "one")
    (tmp_path / "command.py").write_text(COMMAND)
    words = [str(tmp_path / "command.py"), "train", str(config), "--out", str(tmp_path / "two")]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *torchrun, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert len(one) == len(two) == 2 * 9 + 2
    losses = [[line.pop("loss") for line in run] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)
    assert one == two  # accuracies are counts, rates and steps are the schedule's
    for name, value in weights(tmp_path / "one").items():
        assert torch.allclose(value, weights(tmp_path / "two")[name], rtol=1e-10, atol=1e-12), name
    with pytest.raises(ValueError, match="expected 2 processes, got 1"):
        train(read_config(config), tmp_path / "two", resume=True)


def test_shared_batch_norm_equals_torch_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sum over one process it must be what it replaces: output, gradient and running moments."""
    from optics4f.models import processes

    monkeypatch.setattr(processes, "_sum_over_processes", lambda value: value)
    own = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3, affine=False))).double()
    with torch.no_grad():
        own[0].weight.uniform_(0.5, 2)
        own[0].bias.normal_()
    shared = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3, affine=False))).double()
    shared.load_state_dict(own.state_dict())
    share_batch_norms(shared)
    assert isinstance(shared[1][0], processes.SharedBatchNorm2d)
    signals = [torch.randn(4, 3, 5, 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    with torch.no_grad():
        signals[1].copy_(signals[0])
    for network, entry in zip((own, shared), signals, strict=True):
        network(entry).pow(3).sum().backward()
    # Rounding of float64 through sums of 40 numbers of order 1, cubed.
    assert torch.allclose(signals[0].grad, signals[1].grad, atol=1e-11)  # type: ignore[arg-type]
    for name, value in own.state_dict().items():
        assert torch.allclose(value, shared.state_dict()[name], atol=1e-13), name
    assert torch.allclose(own.eval()(signals[0]), shared.eval()(signals[0]), atol=1e-13)


def test_batches_too_small_for_the_processes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optics4f.models import run
    from optics4f.models.processes import Processes

    many = Processes()
    many.count = 3
    monkeypatch.setattr(run, "Processes", lambda device: many)
    with pytest.raises(ValueError, match="expected a picture for each of 3 processes in every batch, got 2"):
        train(NOISY, tmp_path, task=noisy_task())
