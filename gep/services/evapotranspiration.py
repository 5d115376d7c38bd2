"""Evapotranspiration 蒸散发: from rain, energy, soil and vegetation, where no remote-sensing layer is given.

Sources: InVEST 3.20 annual water yield (Fu's Budyko curve as Zhang et al. 2004 write it); Zhang, Dawes & Walker 2001;
FAO Irrigation and Drainage Paper 56 (Allen et al. 1998); methods.md §4.
"""

import math

from gep.formula import yields

# Days of each month in the mean year, so that twelve steps make 365.25 days.
_DAYS = (31.0, 28.25, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0)
_SOLAR = 37.586031360582  # 24 · 60 / π · 0.0820 MJ/(m²·min), FAO-56 eq. 21
_EVAPORATED = 0.408  # mm of water that 1 MJ/m² evaporates, FAO-56 eq. 20


@yields("reference_evapotranspiration", source="fao56_1998", clause="eq. 52, 21–25", over="month", empirical=True)
def hargreaves(temperature: float, temperature_range: float, latitude: float, month: float) -> float:
    """Reference evapotranspiration of a month by Hargreaves, mm, from mean temperature (°C) and its daily range (K).

    0.0023 · (T + 17.8) · √range · Ra, with the extraterrestrial radiation Ra of the middle day, ⌊30.4·month − 15⌋, and
    mm by 0.408 per MJ/m². Nothing evaporates below −17.8 °C. The sun's hour angle is bounded within the polar circles.

    >>> round(hargreaves(20.7, 11.8, 45.72, 7) / 31, 1)  # Lyon in July, FAO-56 example 20: 5.0 mm a day
    5.0
    """
    day = math.floor(30.4 * month - 15.0)
    turn = 2.0 * math.pi * day / 365.0
    lit = math.radians(latitude)
    declination = 0.409 * math.sin(turn - 1.39)
    sunset = math.acos(max(-1.0, min(1.0, -math.tan(lit) * math.tan(declination))))
    high = sunset * math.sin(lit) * math.sin(declination) + math.cos(lit) * math.cos(declination) * math.sin(sunset)
    radiation = _SOLAR * (1.0 + 0.033 * math.cos(turn)) * high
    warmth = max(temperature + 17.8, 0.0)
    return 0.0023 * warmth * math.sqrt(temperature_range) * radiation * _EVAPORATED * _DAYS[int(month) - 1]


@yields("potential_evapotranspiration", source="fao56_1998", clause="eq. 58")
def crop_coefficient_times_reference(crop_coefficient: float, reference_evapotranspiration: float) -> float:
    """What the cover would evaporate if water never lacked, mm/year: Kc · ET0.

    >>> crop_coefficient_times_reference(0.6, 1005.0)
    603.0
    """
    return crop_coefficient * reference_evapotranspiration


@yields("evapotranspiration", source="invest_3_20", clause="annual water yield", empirical=True)
def budyko_fu(
    precipitation: float,
    potential_evapotranspiration: float,
    plant_available_water: float,
    root_depth: float,
    soil_depth: float,
    seasonality: float,
    vegetated: float,
) -> float:
    """Actual evapotranspiration by Fu's Budyko curve, mm/year.

    AWC = min(root depth, soil depth) · available water; w = min(Z · AWC / P + 1.25, 5); with φ = PET / P,
    ET / P = min(φ, 1 + φ − (1 + φ^w)^(1/w)). Where nothing grows ET = min(P, PET). Without rain ET is 0, the limit.

    >>> round(budyko_fu(800.0, 603.0, 0.55, 500.0, 900.0, 6.0, 1.0) / 800.0, 7)  # InVEST's own test
    0.6487423
    """
    if precipitation <= 0.0:
        return 0.0
    if vegetated < 0.5:
        return min(precipitation, potential_evapotranspiration)
    available = min(root_depth, soil_depth) * plant_available_water
    w = min(seasonality * available / precipitation + 1.25, 5.0)
    dryness = potential_evapotranspiration / precipitation
    return precipitation * min(dryness, 1.0 + dryness - math.pow(1.0 + math.pow(dryness, w), 1.0 / w))


@yields("evapotranspiration", source="zhang_2001")
def zhang_2001(precipitation: float, reference_evapotranspiration: float, plant_water_coefficient: float) -> float:
    """Actual evapotranspiration by Zhang, Dawes & Walker 2001, mm/year.

    ET = P (1 + w E0/P) / (1 + w E0/P + P/E0), here multiplied by P·E0 above and below, so that E0 = 0 gives 0. Without
    rain ET is 0, the limit. Where w is 0 this is P·E0/(P + E0).

    >>> zhang_2001(1000.0, 1000.0, 2.0)
    750.0
    """
    if precipitation <= 0.0:
        return precipitation * 0.0
    energy = reference_evapotranspiration * (precipitation + plant_water_coefficient * reference_evapotranspiration)
    return precipitation * energy / (energy + precipitation * precipitation)
