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
    "14_design_a_mask_set": r"fabrication \| .*gds: masks within \de-0\d rad, accuracy as trained: True.*"
    r"bitmap: masks within \de-0\d rad, accuracy as trained: True.*8 levels of fused-silica, n = 1\.4607",
    "15_photomask": r"layer 1 72\.2 nm, layer 2 144\.3 nm, layer 3 288\.7 nm, layer 4 577\.4 nm.*"
    r"keep 0\.98\d, 0\.98\d, 0\.98\d, 0\.98\d of.*blaze: (0\.9872) in the first order; .* = \1",
    "16_slm": r"29 above, 29 below, 449 and 449.*t: (0\.0190), .* = \1.*amplitude 0\.997.*by 6\.\d%",
    "17_dmd": r"4 mirrors 0\.34, 5\.11 mirrors 0\.20.*off 0\.723\d, 1 - <w> = 0\.723.*, 0 mirrors wrong.*"
    r"100 samples aside: 1\.0\d",
    "18_metasurface": r"101 of 116 posts.*262144 posts of \d\d kinds.*of that 0\.9\d\d in.*t\*>\|\^2 = 0\.9",
    "19_printed_relief": r"1\.0714 mm high.*closed: True; (6362\.\d{3}) mm\^3, by its levels \1.*"
    r"stl: \+1\.00 turns, 0\.987.*tiff: \+1\.00 turns, (1\.0000) .* = \2",
    "20_tiling": r"9 on \(138, 138\).*1920: 32 kernels.*2048: 64 kernels.*bench: .* to [1-5]e-07.*"
    r"file: .* to 2e-02.*corners: 0\.93\d, cos\^2 = 0\.933",
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
