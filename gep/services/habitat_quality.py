"""Habitat quality 生境质量: how fit a place is for wild life, less what threats nearby have degraded.

Source: InVEST 3.20's Habitat Quality model, pixel by pixel; decisions/0039. It is a condition and
not a flow, so it has no price: the profile shows it beside the account as an area weighted by quality. Degradation and
rarity are fields (`gep.fields.habitat`).
"""

import math

from gep.formula import yields


@yields("habitat_quality", source="invest_3_20")
def half_saturated(habitat: float, habitat_degradation: float, half_saturation: float) -> float:
    """Q = H·(1 − D^2.5/(D^2.5 + k^2.5)): suitability halved where degradation D reaches k.

    >>> half_saturated(0.8, 0.5, 0.5)
    0.4
    >>> half_saturated(0.8, 0.0, 0.5)
    0.8
    """
    degraded = habitat_degradation * habitat_degradation * math.sqrt(habitat_degradation)
    half = half_saturation * half_saturation * math.sqrt(half_saturation)
    return habitat * (1.0 - degraded / (degraded + half))
