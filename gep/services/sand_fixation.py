"""Sand fixation 防风固沙: what wind would carry away without plants, less what it does (RWEQ).

Sources: HJ 1173-2021 (A.14–A.22), whose text was not seen; the form as methods.md §6 gives it; erodible fraction,
crust, roughness and weather as public code has them (`rweq_code`); Bai et al. 2017 (buried area). It counts where
land drifts; the four counties are humid and it does not apply there.
"""

import math

from gep.formula import yields

_MATTER = 0.58  # carbon in organic matter
_GRAVITY = 9.8  # m/s²
_T_PER_HA = 10.0  # 1 kg/m² is 10 t/ha


@yields("weather_factor", source="rweq_code", over="month", empirical=True)
def monthly_weather(wind_value: float, air_density: float, soil_wetness: float, snow_factor: float) -> float:
    """RWEQ's weather factor of a month, kg/m: wind · ρ/g · SW · SD.

    `wind_value` is the month's wind value above the threshold, m³/s³, `soil_wetness` and `snow_factor` the shares of
    it that moisture and snow leave.

    >>> round(monthly_weather(98.0, 1.2, 0.5, 1.0), 9)
    6.0
    """
    return wind_value * air_density / _GRAVITY * soil_wetness * snow_factor


@yields("wind_erodible_fraction", source="rweq_code", empirical=True)
def texture_and_matter(
    sand: float, silt: float, clay: float, soil_organic_carbon: float, soil_carbonate: float
) -> float:
    """RWEQ's EF from contents in percent; 0 where organic matter takes the regression below it.

    (29.09 + 0.31 Sa + 0.17 Si + 0.33 Sa/Cl − 2.59 OM − 0.95 CaCO₃)/100, organic matter being carbon / 0.58.

    >>> round(texture_and_matter(60.0, 30.0, 10.0, 0.58, 0.0), 4)
    0.5218
    """
    matter = soil_organic_carbon / _MATTER
    share = 29.09 + 0.31 * sand + 0.17 * silt + 0.33 * sand / clay - 2.59 * matter - 0.95 * soil_carbonate
    return max(share / 100.0, 0.0)


@yields("soil_crust_factor", source="rweq_code", empirical=True)
def clay_and_matter(clay: float, soil_organic_carbon: float) -> float:
    """RWEQ's SCF from contents in percent: 1/(1 + 0.0066 Cl² + 0.021 OM²).

    >>> clay_and_matter(0.0, 0.0)
    1.0
    """
    matter = soil_organic_carbon / _MATTER
    return 1.0 / (1.0 + 0.0066 * clay * clay + 0.021 * matter * matter)


@yields("soil_roughness", source="rweq_code", empirical=True)
def ridges_and_clods(ridge_roughness: float, random_roughness: float) -> float:
    """RWEQ's K′ from the roughness of ridges and of clods, cm: exp(1.86 Kr − 2.41 Kr^0.934 − 0.127 Crr).

    >>> ridges_and_clods(0.0, 0.0)
    1.0
    """
    ridges = 1.86 * ridge_roughness - 2.41 * math.pow(ridge_roughness, 0.934)
    return math.exp(ridges - 0.127 * random_roughness)


@yields("wind_cover_factor", source="hj1173_2021", clause="A.14–A.22", empirical=True)
def cover_exponential(vegetation_cover: float, wind_cover_coefficient: float) -> float:
    """RWEQ's C of plants: exp(a · SC), SC the cover in percent and a by ecosystem, negative.

    >>> cover_exponential(0.0, -0.05)
    1.0
    """
    return math.exp(wind_cover_coefficient * 100.0 * vegetation_cover)


@yields("potential_wind_erosion", source="hj1173_2021", clause="A.14–A.22", empirical=True)
def bare_field(
    weather_factor: float,
    wind_erodible_fraction: float,
    soil_crust_factor: float,
    soil_roughness: float,
    wind_fetch: float,
) -> float:
    """Soil that wind would take from bare ground, t/(ha·year): 2z/s² · Qmax · exp(−(z/s)²), kg/m², × 10.

    Qmax = 109.8·F kg/m and s = 150.71·F^−0.3711 m, F = WF·EF·SCF·K′; 0 where F is. Public code has s with 105.71.

    >>> bare_field(0.0, 0.5, 0.9, 0.8, 50.0)
    0.0
    """
    force = weather_factor * wind_erodible_fraction * soil_crust_factor * soil_roughness
    if force <= 0.0:
        return 0.0
    length = 150.71 * math.pow(force, -0.3711)
    reach = wind_fetch / length
    return 2.0 * reach / length * 109.8 * force * math.exp(-reach * reach) * _T_PER_HA


@yields("actual_wind_erosion", source="hj1173_2021", clause="A.14–A.22", empirical=True)
def covered_field(
    weather_factor: float,
    wind_erodible_fraction: float,
    soil_crust_factor: float,
    soil_roughness: float,
    wind_cover_factor: float,
    wind_fetch: float,
) -> float:
    """Soil that wind takes from the ground as it is covered, t/(ha·year): the same with C in F.

    >>> covered_field(10.0, 0.5, 0.9, 0.8, 0.0, 50.0)
    0.0
    """
    force = weather_factor * wind_erodible_fraction * soil_crust_factor * soil_roughness * wind_cover_factor
    if force <= 0.0:
        return 0.0
    length = 150.71 * math.pow(force, -0.3711)
    reach = wind_fetch / length
    return 2.0 * reach / length * 109.8 * force * math.exp(-reach * reach) * _T_PER_HA


@yields("sand_fixation", source="hj1173_2021", clause="A.14–A.22")
def bare_less_covered(potential_wind_erosion: float, actual_wind_erosion: float) -> float:
    """Soil that plants keep from the wind, t/(ha·year); RWEQ falls again in the strongest winds, so it may be negative.

    >>> bare_less_covered(40.0, 12.5)
    27.5
    """
    return potential_wind_erosion - actual_wind_erosion


@yields("sand_area", source="bai_2017")
def buried(sand_fixation: float, sand_density: float, sand_depth: float) -> float:
    """Ground that the sand would bury a layer deep, m²/(ha·year).

    >>> round(buried(12.8, 1.28, 0.1), 9)
    100.0
    """
    return sand_fixation / (sand_density * sand_depth)
