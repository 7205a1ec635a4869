"""Images: transforms of the plane, other sizes, and what is built of these and of other ops."""

from tests.specs.image import composed, resampling, warp

SPECS = [*warp.SPECS, *resampling.SPECS, *composed.SPECS]
