"""Flood regulation 洪水调蓄: storm water that vegetation, marshes, lakes and reservoirs hold back.

Sources: GB/T 46869-2025 A.6 (clause not checked); Bai et al. 2017 (lakes, reservoirs, marsh); USDA TR-55 (runoff by
curve number); methods.md §7; decisions/0022 and 0023. Every storm of a year is a step of its own: runoff is not linear
in rain, so neither the year's rain nor its storms' sum can stand for them.
"""

import math

from gep.formula import yields


@yields("soil_storage", source="usda_tr55_1986", clause="eq. 2-4", empirical=True)
def curve_number_storage(curve_number: float) -> float:
    """Rain that soil and cover can take up once runoff has begun, mm: S = 25400/CN − 254.

    >>> round(curve_number_storage(65.0), 3)
    136.769
    """
    return 25400.0 / curve_number - 254.0


@yields("hydrologic_soil_group", source="usda_tr55_1986", clause="appendix A", empirical=True)
def texture(sand: float, silt: float, clay: float) -> float:
    """Hydrologic soil group by texture class of the USDA triangle, A 1, B 2, C 3, D 4.

    A: sand, loamy sand, sandy loam; B: silt loam, loam, and silt, which TR-55 does not name; C: sandy clay loam;
    D: clay loam, silty clay loam, sandy clay, silty clay, clay. Depth and water table, on which the group also rests,
    are unknown here.

    >>> texture(40.0, 40.0, 20.0)  # loam
    2.0
    """
    if 20.0 <= clay < 35.0 and silt < 28.0 and sand > 45.0:
        return 3.0
    if clay >= 27.0:
        return 4.0
    sandy_loam = (7.0 <= clay < 20.0 and sand > 52.0) or (clay < 7.0 and silt < 50.0)
    return 1.0 if silt + 2.0 * clay < 30.0 or sandy_loam else 2.0


@yields("storm_runoff", source="usda_tr55_1986", clause="eq. 2-3", over="storm")
def scs_curve_number(storm_precipitation: float, soil_storage: float) -> float:
    """Runoff of one storm, mm: Q = (P − 0.2 S)²/(P + 0.8 S), nothing while P is within 0.2 S.

    >>> round(scs_curve_number(70.0, 169.333), 2)  # 91 % of the storm stays at CN 60
    6.35
    """
    excess = storm_precipitation - 0.2 * soil_storage
    if excess <= 0.0 * soil_storage:
        return 0.0 * storm_precipitation
    return excess * excess / (storm_precipitation + 0.8 * soil_storage)


@yields("storm_runoff", source="usda_tr55_1986", clause="eq. 2-3")
def equal_storms(storm_precipitation: float, storm_days: float, soil_storage: float) -> float:
    """Runoff of a year's storms as if all were equally heavy, mm/year, where only their sum and number are known.

    It is less than the storms' own runoff, which grows faster than rain: storage comes out somewhat too high.

    >>> round(equal_storms(140.0, 2.0, 169.333), 2)
    12.71
    """
    if storm_days <= 0.0 * storm_days:
        return 0.0 * storm_precipitation
    depth = storm_precipitation / storm_days
    excess = depth - 0.2 * soil_storage
    if excess <= 0.0 * soil_storage:
        return 0.0 * storm_precipitation
    return storm_days * excess * excess / (depth + 0.8 * soil_storage)


@yields("vegetation_flood_storage", source="methods_review", clause="§7.1 F1")
def storm_rain_less_runoff(storm_precipitation: float, storm_runoff: float) -> float:
    """Storm rain that vegetation and its soil hold back, mm/year.

    >>> storm_rain_less_runoff(210.0, 40.0)
    170.0
    """
    return storm_precipitation - storm_runoff


@yields("vegetation_flood_storage", source="miao_2017", clause="表1 (7)–(9)")
def precipitation_storage(precipitation: float, runoff_rain_share: float, storage_benefit: float) -> float:
    """The older precipitation-storage method, mm/year: runoff-producing rain × what cover keeps against bare ground.

    >>> round(precipitation_storage(1800.0, 0.6, 0.22), 9)  # bamboo
    237.6
    """
    return precipitation * runoff_rain_share * storage_benefit


@yields("shared_storm_water", source="decision_0022")
def lesser_of_the_two(vegetation_flood_storage: float, water_conservation: float) -> float:
    """Storm water that vegetation flood storage counts and water retention counts again, mm/year.

    The lesser of the two: the most that both can hold of the same water; nothing where none is retained.

    >>> lesser_of_the_two(170.0, 563.0)
    170.0
    >>> lesser_of_the_two(170.0, -20.0)
    0.0
    """
    nothing = water_conservation - water_conservation
    return max(nothing, min(vegetation_flood_storage, water_conservation))


@yields("marsh_flood_storage", source="bai_2017", clause="2.4.4")
def marsh_depth(marsh_storage_depth: float, flood_exchanges: float) -> float:
    """Water that marsh soil and surface take up, m/year as mm/year: depth times fillings a year.

    >>> marsh_depth(300.0, 1.0)
    300.0
    """
    return marsh_storage_depth * flood_exchanges


@yields("lake_flood_storage", source="bai_2017", clause="2.4.4", empirical=True)
def lake_regression(lake_area: float, lake_intercept: float, lake_exponent: float, flood_exchanges: float) -> float:
    """Flood water that a lake can hold, m³/year: e^a · A^b · T in 万m³, A km²; each lake by itself.

    >>> round(lake_regression(100.0, 6.636, 0.678, 1.0) / 1e4)  # 万m³
    17297
    """
    return 10000.0 * math.exp(lake_intercept) * math.pow(lake_area, lake_exponent) * flood_exchanges


@yields("reservoir_flood_storage", source="bai_2017", clause="2.4.4")
def design_capacity(flood_capacity: float, flood_exchanges: float) -> float:
    """Flood-control capacity by a reservoir's design, m³/year.

    >>> design_capacity(2.0e6, 1.0)
    2000000.0
    """
    return flood_capacity * flood_exchanges


@yields("reservoir_flood_storage", source="bai_2017", clause="2.4.4")
def share_of_capacity(reservoir_capacity: float, reservoir_flood_share: float, flood_exchanges: float) -> float:
    """Flood storage as a share of a reservoir's total capacity, m³/year; far too much for run-of-river plants.

    >>> round(share_of_capacity(3.0e6, 0.35, 1.0), 6)
    1050000.0
    """
    return reservoir_capacity * reservoir_flood_share * flood_exchanges
