"""The interval of a failure rate."""

from math import sqrt

Z95 = 1.959964  # standard normal quantile of a two-sided 95 % interval


def wilson(failures: int, judged: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of failures / judged; (0, 1) where nothing was judged."""
    if not judged:
        return 0.0, 1.0
    rate, z2 = failures / judged, Z95**2
    centre = (rate + z2 / (2 * judged)) / (1 + z2 / judged)
    spread = Z95 * sqrt(rate * (1 - rate) / judged + z2 / (4 * judged**2)) / (1 + z2 / judged)
    return max(0.0, centre - spread), min(1.0, centre + spread)
