"""Every example runs as it stands, in an empty folder, without a warning, and says what it promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = {
    "01_one_4f_system": r"pitch 29\.69 um.*largest difference from conv2d, relative: \d\.\de-0[67]",
    "02_collapse_and_audit": r"988 masks collapse to 48.*whole network affine.*NOT AFFINE.*2 optical-to",
    "03_runtime": r"total 0\.600 ms.*10\.276 ms.*slowest: transduction.*\(measured\)",
    "04_masks_to_files": r"5 files.*gds: 62 pixels.*difference, relative: \d\.\de-0[78]",
    "05_fidelity": r"972 x 972 samples at 7\.398 um.*fresnel +\d\.\de-1[2345].*angular_spectrum +1\.3e-03",
    "06_misalignment": r"7 x 7.*field .* by 6\.\d%, intensity by 0\.6%.*shift of 3\.00 um and -5\.00 um",
    "09_runtime": r"0\.60 ms.*3\.48 ms.*p99: 13\.\d+ ms.*next: a triggered camera.*then: pl_x957_12bit",
    "10_before_buying": r"needs a signed readout.*SNR 20\).*imx250 is faster, 3\.\d\d ms.*by \de-0[5-9]",
    "11_counterpart": r"norm: folded.*mean: a stop of 1 x 1.*120 masks collapse to 36.*whole network affine.*"
    r"skips detect: 4 optical.*node 'sin'.*ReLUs, relative: \d\.\de-1[4567]",
    "12_to_hardware": r"63 pixels at 8\.000 um.*modulator 0\.31.*exact: True; within the closed forms: True",
    "13_design_masks": r"conv2d: \de-1[456].*hold (0\.\d{3}) of the light, designed \1;.*formula 0\.019",
    "07_coherence": r"sigma 0\.2.*contrast 0\.000.*sigma 0\.5.*0\.157.*1\.90.*0\.259, closed form 0\.260",
    "08_channel_sums": r"3136 kernels.*beam splitter: -13\.8 dB.*leave 96\.15%.*relative: \d\.\de-1[45]",
}


def test_every_example_is_listed() -> None:
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.py")) == sorted(PROMISES)


@pytest.mark.parametrize("name", PROMISES)
def test_example(name: str, tmp_path: Path) -> None:
    script = ROOT / "examples" / f"{name}.py"
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(PROMISES[name], done.stdout, re.DOTALL), done.stdout
    assert not list(tmp_path.iterdir())
