"""Soil retention 土壤保持: what would wash away without plants and practices, less what does (RUSLE).

Sources: HJ 1173-2021 (A.2–A.13); the national red-line guide as read in public code (C table, K correction);
Bai et al. 2017 (silt, nitrogen and phosphorus); methods.md §5. R is MJ·mm/(ha·h·year), K t·ha·h/(ha·MJ·mm), slopes
are degrees. Erosivity from daily rain and LS along the flow path need whole rasters: they are fields.
"""

import math

from gep.formula import yields

_TO_SI = 17.02  # erosivity of US customary units, in MJ·mm/(ha·h)
_WISCHMEIER = 1.735 * math.pow(10.0, -0.8188)  # 1.735 · 10^(1.5 lg x − 0.8188) is this times x^1.5
_LONGEST = 100.0  # m: longer slopes end in channels, roads and field edges
_PLOT = 22.13  # m: the slope length of the USLE unit plot
_MATTER = 0.58  # carbon in organic matter
_GENTLE = math.degrees(math.atan(0.5))  # a slope of 50 %, 26.565°
_SPARSEST = 0.01  # below 1 % cover the logarithm of cover has no meaning; C is 1 long before


@yields("rainfall_erosivity", source="zhang_fu_2003", empirical=True)
def annual_rain(precipitation: float) -> float:
    """Rainfall erosivity from a year's rain, 0.0534 P^1.6548, MJ·mm/(ha·h·year); the coarsest way.

    >>> round(annual_rain(1200.0))
    6652
    """
    return 0.0534 * math.pow(precipitation, 1.6548)


@yields("rainfall_erosivity", source="wischmeier_1978", over="month", empirical=True)
def monthly_rain(precipitation: float, annual_precipitation: float) -> float:
    """Rainfall erosivity of a month, MJ·mm/(ha·h), from its rain and the year's, mm.

    17.02 · 1.735 · 10^(1.5 lg(p²/P) − 0.8188): Wischmeier's monthly form, brought from US to metric units. Papers print
    it with the exponent or the square misplaced; this form gives sums that make sense. A year without rain has none.

    >>> round(monthly_rain(300.0, 1330.0) / 17.02, 1)
    146.6
    """
    if annual_precipitation <= 0.0:
        return 0.0
    concentration = precipitation * precipitation / annual_precipitation
    return _TO_SI * _WISCHMEIER * concentration * math.sqrt(concentration)


@yields("soil_erodibility", source="redline_2017", empirical=True)
def epic_china(sand: float, silt: float, clay: float, soil_organic_carbon: float) -> float:
    """Soil erodibility by EPIC with the Chinese correction, t·ha·h/(ha·MJ·mm); contents in percent.

    (−0.01383 + 0.51575 K_EPIC) · 0.1317. The content is organic carbon, which is organic matter × 0.58. Where the
    correction would fall below 0, on soils it was not fitted to, erodibility is 0.

    >>> round(epic_china(40.0, 35.0, 25.0, 2.0), 6)
    0.0138
    """
    fine = silt / (clay + silt) if clay + silt > 0.0 else 0.0
    bare = 1.0 - sand / 100.0
    texture = 0.2 + 0.3 * math.exp(-0.0256 * sand * (1.0 - silt / 100.0))
    organic = 1.0 - 0.25 * soil_organic_carbon / (soil_organic_carbon + math.exp(3.72 - 2.95 * soil_organic_carbon))
    coarse = 1.0 - 0.7 * bare / (bare + math.exp(-5.51 + 22.9 * bare))
    return max((-0.01383 + 0.51575 * texture * math.pow(fine, 0.3) * organic * coarse) * 0.1317, 0.0)


@yields("slope_steepness", source="hj1173_2021", clause="A.2–A.13", empirical=True)
def capped_steepness(slope: float) -> float:
    """RUSLE's S of a slope in degrees, constant above 28.81°, beyond which nobody has measured it.

    10.8 sin θ + 0.03 below 5.14°, 16.8 sin θ − 0.5 below 10.20°, 21.91 sin θ − 0.96 below 28.81°, then 9.5988. The step
    at 10.20° (2.475 to 2.920) is the standard's own.

    >>> capped_steepness(45.0), round(capped_steepness(0.0), 2)
    (9.5988, 0.03)
    """
    sine = math.sin(math.radians(slope))
    if slope < 5.14:
        return 10.8 * sine + 0.03
    if slope < 10.20:
        return 16.8 * sine - 0.5
    return 21.91 * sine - 0.96 if slope < 28.81 else 9.5988


@yields("slope_steepness", source="huanghua_2017", empirical=True)
def uncapped_steepness(slope: float) -> float:
    """S of a slope in degrees without a cap, a comparison: it overstates soil on steep ground. methods.md §5, S (a).

    10.8 sin θ + 0.03 below 5°, 16.8 sin θ − 0.50 below 10°, then 21.91 sin θ − 0.96. The paper prints −0.05 for −0.50.

    >>> round(uncapped_steepness(30.0), 3)
    9.995
    """
    sine = math.sin(math.radians(slope))
    if slope < 5.0:
        return 10.8 * sine + 0.03
    return 16.8 * sine - 0.5 if slope < 10.0 else 21.91 * sine - 0.96


@yields("slope_steepness", source="gansu_2018", empirical=True)
def later_break_steepness(slope: float) -> float:
    """The same with its last break at 14° and 20.91 sin θ − 0.90 above it; a comparison. methods.md §5, S (b).

    >>> round(later_break_steepness(30.0), 3)
    9.555
    """
    sine = math.sin(math.radians(slope))
    if slope < 5.0:
        return 10.8 * sine + 0.03
    return 16.8 * sine - 0.5 if slope < 14.0 else 20.91 * sine - 0.9


@yields("slope_length_factor", source="mccool_1989", empirical=True)
def mccool_exponent(slope_length: float, slope: float) -> float:
    """RUSLE's L = (λ/22.13)^m of a slope λ m long, at most 100 m, with McCool's exponent m = β/(1 + β).

    β = (sin θ/0.0896) / (3 sin^0.8 θ + 0.56).

    >>> mccool_exponent(22.13, 20.0)
    1.0
    """
    sine = math.sin(math.radians(slope))
    beta = (sine / 0.0896) / (3.0 * math.pow(sine, 0.8) + 0.56)
    return math.pow(min(slope_length, _LONGEST) / _PLOT, beta / (1.0 + beta))


@yields("slope_length_factor", source="huanghua_2017", empirical=True)
def stepped_exponent(slope_length: float, slope: float) -> float:
    """RUSLE's L = (λ/22.13)^m of a slope λ m long, at most 100 m: m 0.2 under 1 %, 0.3 to 3 %, 0.4 to 9 %, then 0.5.

    >>> round(stepped_exponent(88.52, 20.0), 9)  # four plots long
    2.0
    """
    percent = 100.0 * math.tan(math.radians(slope))
    m = 0.2 if percent < 1.0 else 0.3 if percent < 3.0 else 0.4 if percent < 9.0 else 0.5
    return math.pow(min(slope_length, _LONGEST) / _PLOT, m)


@yields("slope_length_factor", source="methods_review", clause="§5.1 m (c)", empirical=True)
def stepped_exponent_by_degrees(slope_length: float, slope: float) -> float:
    """RUSLE's L = (λ/22.13)^m of a slope λ m long, at most 100 m: m 0.2 to 1°, 0.3 to 3°, 0.4 to 5°, then 0.5.

    >>> round(stepped_exponent_by_degrees(88.52, 20.0), 9)  # four plots long
    2.0
    """
    m = 0.2 if slope <= 1.0 else 0.3 if slope <= 3.0 else 0.4 if slope <= 5.0 else 0.5
    return math.pow(min(slope_length, _LONGEST) / _PLOT, m)


@yields("slope_length_steepness", source="hj1173_2021", clause="A.2–A.13")
def length_times_steepness(slope_length_factor: float, slope_steepness: float) -> float:
    """LS of a cell from its own slope length and slope.

    >>> length_times_steepness(2.0, 4.5)
    9.0
    """
    return slope_length_factor * slope_steepness


@yields("vegetation_cover", source="redline_2017")
def two_endmembers(ndvi: float, ndvi_soil: float, ndvi_vegetation: float) -> float:
    """Share of the ground that plants cover, 0 to 1, by where NDVI lies between bare soil and full cover.

    >>> two_endmembers(0.5, 0.1, 0.9)
    0.5
    >>> two_endmembers(0.95, 0.1, 0.9), two_endmembers(0.05, 0.1, 0.9)
    (1.0, 0.0)
    """
    return max(0.0, min(1.0, (ndvi - ndvi_soil) / (ndvi_vegetation - ndvi_soil)))


@yields("cover_factor", source="redline_2017", empirical=True)
def cover_table(vegetation_cover: float, cover_factor_base: float, cover_factor_decline: float) -> float:
    """C from a table by ecosystem and cover class, less a decline with the logarithm of cover where a class has one.

    base − decline · lg(cover), at most 1. Dry cropland is 0.221 − 0.595 lg(cover); all other classes have no decline,
    and their base, which the table gives by cover class, is C.

    >>> cover_table(0.95, 0.001, 0.0)
    0.001
    >>> round(cover_table(0.3, 0.221, 0.595), 3)
    0.532
    """
    if cover_factor_decline == 0.0:
        return max(0.0, min(1.0, cover_factor_base))
    return max(0.0, min(1.0, cover_factor_base - cover_factor_decline * math.log10(max(vegetation_cover, _SPARSEST))))


@yields("cover_factor", source="cai_2000", empirical=True)
def cai_2000(vegetation_cover: float) -> float:
    """C from cover alone: 1 where bare, 0.6508 − 0.3436 lg f for f percent, 0 from 78.3 %.

    >>> round(cai_2000(0.5), 4)
    0.067
    >>> cai_2000(0.9)
    0.0
    """
    if vegetation_cover <= 0.0:
        return 1.0
    if vegetation_cover >= 0.783:
        return 0.0
    return min(1.0, 0.6508 - 0.3436 * math.log10(100.0 * vegetation_cover))


@yields("cover_factor", source="gansu_2018", empirical=True)
def bu_zhaohong(vegetation_cover: float) -> float:
    """C as Bu Zhaohong has it, 0.4149 − 0.0052 f for f percent of cover; 0 from 79.8 %, where the line ends.

    >>> round(bu_zhaohong(0.5), 4)
    0.1549
    >>> bu_zhaohong(0.9)
    0.0
    """
    return max(0.0, 0.4149 - 0.52 * vegetation_cover)


@yields("cover_factor", source="plots_2017", clause="表2–4")
def runoff_plots(
    plot_erosion: float, bare_plot_erosion: float, plot_erodibility: float, bare_plot_erodibility: float
) -> float:
    """C of a cover from runoff plots: its soil loss over that of a bare plot beside it, each by its own erodibility.

    >>> runoff_plots(60.0, 100.0, 0.3, 0.25)
    0.5
    """
    return plot_erosion / bare_plot_erosion * bare_plot_erodibility / plot_erodibility


@yields("potential_erosion", source="hj1173_2021", clause="A.2–A.13")
def bare_ground(rainfall_erosivity: float, soil_erodibility: float, slope_length_steepness: float) -> float:
    """Soil that bare, untended ground would lose, t/(ha·year): R·K·LS.

    >>> bare_ground(6000.0, 0.01, 9.0)
    540.0
    """
    return rainfall_erosivity * soil_erodibility * slope_length_steepness


@yields("actual_erosion", source="hj1173_2021", clause="A.2–A.13")
def covered_ground(potential_erosion: float, cover_factor: float, practice_factor: float) -> float:
    """Soil lost under the cover and practices that are there, t/(ha·year): R·K·LS·C·P.

    >>> covered_ground(540.0, 0.5, 0.5)
    135.0
    """
    return potential_erosion * cover_factor * practice_factor


@yields("soil_retention", source="hj1173_2021", clause="A.2–A.13")
def potential_less_actual(potential_erosion: float, actual_erosion: float) -> float:
    """Soil kept in place, t/(ha·year).

    >>> potential_less_actual(540.0, 135.0)
    405.0
    """
    return potential_erosion - actual_erosion


@yields("soil_retention", source="bo_2017")
def without_practice(potential_erosion: float, cover_factor: float) -> float:
    """Soil that plants alone keep, R·K·LS·(1 − C), t/(ha·year): the form without P of forest accounts.

    >>> without_practice(540.0, 0.25)
    405.0
    """
    return potential_erosion * (1.0 - cover_factor)


@yields("bare_erosion", source="decision_0026")
def modelled_bare(potential_erosion: float) -> float:
    """Erosion of land without trees X₂, t/(ha·year), where no plot was measured: RUSLE's potential erosion.

    >>> modelled_bare(540.0)
    540.0
    """
    return potential_erosion


@yields("stand_erosion", source="decision_0026")
def modelled_stand(actual_erosion: float) -> float:
    """Erosion of a stand X₁, t/(ha·year), where no plot was measured: RUSLE's actual erosion.

    >>> modelled_stand(135.0)
    135.0
    """
    return actual_erosion


@yields("soil_retention", source="gbt38582_2020")
def bare_less_stand(bare_erosion: float, stand_erosion: float, forest_correction: float) -> float:
    """Soil that a stand fixes by the forest specification, (X₂ − X₁)·F, t/(ha·year).

    >>> bare_less_stand(540.0, 135.0, 1.0)
    405.0
    """
    return (bare_erosion - stand_erosion) * forest_correction


@yields("soil_retention_gentle", source="decision_0048", empirical=True)
def up_to_half(soil_retention: float, slope: float) -> float:
    """What of the retained soil lies on slopes up to 50 % (26.565°), t/(ha·year): RUSLE was not fitted to steeper ones.

    >>> up_to_half(405.0, 26.0), up_to_half(405.0, 27.0)
    (405.0, 0.0)
    """
    return soil_retention if slope <= _GENTLE else 0.0 * soil_retention


@yields("soil_volume_kept", source="gbt38582_2020")
def volume(soil_retention: float, bulk_density: float) -> float:
    """Soil kept as a volume that would else have to be dug, m³/(ha·year).

    >>> volume(100.0, 1.25)
    80.0
    """
    return soil_retention / bulk_density


@yields("ground_saved", source="miao_2017", clause="表3")
def layers_lost(soil_retention: float, bulk_density: float, soil_layer: float) -> float:
    """Ground that would lose its whole topsoil, m²/(ha·year): the older view of soil lost as land lost.

    >>> layers_lost(100.0, 1.25, 0.5)
    160.0
    """
    return soil_retention / (bulk_density * soil_layer)


@yields("silt_avoided", source="bai_2017")
def siltation(soil_retention: float, sediment_share: float, bulk_density: float) -> float:
    """Silt kept out of rivers and reservoirs, m³/(ha·year): the share of soil that would settle, by its bulk density.

    >>> siltation(100.0, 0.24, 1.2)
    20.0
    """
    return soil_retention * sediment_share / bulk_density


@yields("nitrogen_retained", source="bai_2017")
def nitrogen_content(soil_retention: float, soil_nitrogen: float) -> float:
    """Nitrogen that stays with the soil, t/(ha·year).

    >>> nitrogen_content(1000.0, 0.0037)
    3.7
    """
    return soil_retention * soil_nitrogen


@yields("phosphorus_retained", source="bai_2017")
def phosphorus_content(soil_retention: float, soil_phosphorus: float) -> float:
    """Phosphorus that stays with the soil, t/(ha·year).

    >>> phosphorus_content(1000.0, 0.00108)
    1.08
    """
    return soil_retention * soil_phosphorus


@yields("potassium_retained", source="wu_2018")
def potassium_content(soil_retention: float, soil_potassium: float) -> float:
    """Potassium that stays with the soil, t/(ha·year); the older view of soil as fertility.

    >>> potassium_content(1000.0, 0.014)
    14.0
    """
    return soil_retention * soil_potassium


@yields("organic_matter_retained", source="miao_2017", clause="表3", empirical=True)
def matter_content(soil_retention: float, soil_organic_carbon: float) -> float:
    """Organic matter that stays with the soil, t/(ha·year), from organic carbon in percent (carbon is 0.58 of it).

    >>> round(matter_content(1000.0, 1.16), 9)
    20.0
    """
    return soil_retention * soil_organic_carbon / 100.0 / _MATTER


@yields("nitrogen_fertiliser_value", source="lyt1721_2008")
def nitrogen_of_fertiliser(nitrogen_fertiliser_price: float, nitrogen_fertiliser_content: float) -> float:
    """Price of the nitrogen in a fertiliser, CNY/t: the fertiliser's by its content. Not beside treatment costs.

    >>> nitrogen_of_fertiliser(2300.0, 0.46)
    5000.0
    """
    return nitrogen_fertiliser_price / nitrogen_fertiliser_content


@yields("phosphorus_fertiliser_value", source="lyt1721_2008")
def phosphorus_of_fertiliser(phosphorus_fertiliser_price: float, phosphorus_fertiliser_content: float) -> float:
    """Price of the phosphorus in a fertiliser, CNY/t.

    >>> phosphorus_of_fertiliser(2400.0, 0.15)
    16000.0
    """
    return phosphorus_fertiliser_price / phosphorus_fertiliser_content


@yields("potassium_fertiliser_value", source="lyt1721_2008")
def potassium_of_fertiliser(potassium_fertiliser_price: float, potassium_fertiliser_content: float) -> float:
    """Price of the potassium in a fertiliser, CNY/t.

    >>> potassium_of_fertiliser(2200.0, 0.5)
    4400.0
    """
    return potassium_fertiliser_price / potassium_fertiliser_content
