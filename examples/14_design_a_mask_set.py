# %% [markdown]
# A student taught to live with hardware: phase only, eight levels, errors of the process. Then its masks go
# to files, and the files are read back. From the command line: `optics4f design examples/design.toml`.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.models.checkpoint import load_student
from optics4f.models.constrain import with_masks
from optics4f.models.design_job import Job
from optics4f.models.design_report import summarise, tables
from optics4f.models.designconfig import DesignConfig, Noise
from optics4f.models.run import train
from optics4f.models.runconfig import RunConfig
from optics4f.models.sclc import StudentDesign
from optics4f.models.train import accuracy

# %% One 4f system, 1 -> 8 channels, and one layer behind its sensor; handwritten digits at 16 x 16.
design = StudentDesign(shape=(16, 16), channels=(1, 8), kernel_sizes=(7,), stops=(9,), pixels=9)
run = RunConfig(size=16, student=design, epochs=8, learning_rate=0.01)
process = Noise(etch=0.05, overlay="5 um", phase="0.1 rad", draws=5)

with TemporaryDirectory() as folder:
    place = Path(folder)
    found = train(run, place / "student")
    print(f"trained: {found.best_accuracy:.1%} of the validation split")

    # %% Each stage starts from the one before, and the student as it came teaches all of them.
    config = DesignConfig(
        student=str(place / "student"), epochs=(0, 6, 3, 3), levels=8, noise=process, learning_rate=0.01
    )
    made = Job(config, place / "design").run(["examples/14_design_a_mask_set.py"])
    for row in tables(summarise(made, "this example"))[0].rows:
        print(" | ".join(f"{cell:>15}" for cell in row))

    # %% To files and back: the masks are those that were trained, level for level.
    masks = MaskSet.load(place / "design" / "masks.h5")
    bank = masks.banks["relief"]
    export_masks(masks, place / "fab", ("gds", "bitmap"))
    student = load_student(place / "design" / "students" / "fabrication")
    for name in ("gds", "bitmap"):
        drawn = read_back(place / "fab", name).banks["relief"]
        turned = np.angle(drawn.transmittance / bank.transmittance)
        score = accuracy(with_masks(student, drawn), made.data.validation)
        same = score == made.stages[-1].after.accuracy
        # A level is 45 degrees; a bitmap has 256 greys, and 8 divides 256.
        print(f"{name}: masks within {np.abs(turned).max():.0e} rad, accuracy as trained: {same}")
    print(f"{bank.levels} levels of {bank.material}, n = {bank.refractive_index:.4f}")
