"""The only door to matplotlib: pictures of benches, masks, times and networks.

Every function returns a figure; :func:`save` writes it. No window is opened and no global state is touched.
"""

from .benches import show_bench as show_bench
from .benches import show_masks as show_masks
from .benches import show_planes as show_planes
from .benches import show_retrieval as show_retrieval
from .benches import show_tiling as show_tiling
from .benches import show_violations as show_violations
from .common import save as save
from .design import show_design as show_design
from .networks import show_accuracies as show_accuracies
from .networks import show_contact_sheet as show_contact_sheet
from .networks import show_exposure as show_exposure
from .times import show_budget as show_budget
from .times import show_fits as show_fits
from .times import show_scaling as show_scaling
from .times import show_settle as show_settle
from .times import show_sweep as show_sweep
from .times import show_waterfall as show_waterfall
