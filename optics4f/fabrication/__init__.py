"""From a trained design to files that a mask shop or a modulator takes, and back.

bank      one bank of masks with its geometry
maskset   the mask-set file (HDF5)
relief    phase, height, levels, etch masks: pure functions
raster    pixels and rectilinear polygons: pure functions
layout    GDSII and OASIS
bitmap    grey pictures
manifest  what an export folder holds, with hashes
export    writes such a folder
readback  reads it back
"""

from .bank import MaskBankData
from .export import export_masks
from .manifest import Manifest
from .maskset import MaskSet
from .readback import read_back

__all__ = ["Manifest", "MaskBankData", "MaskSet", "export_masks", "read_back"]
