"""Providers against their expectation: NHS England's published flags, and what may be shown."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import LINEAR, OUT_OF_FOLD, episode_frame, expectations_of, make_study

from riskadj.errors import InSampleError, TooFewProvidersError
from riskadj.expected import Expectations
from riskadj.profile import (
    NHS_ENGLAND,
    Profiles,
    flag_from_z,
    profile_providers,
    provider_columns,
)
from riskadj.profile.predicted import PREDICTED_COLUMNS
from riskadj.profile.providers import RATIO_WITHHELD
from riskadj.stats import Z95, Z998, limits_of_mean, z_of_mean

P95, P998 = "Positive outlier (95%)", "Positive outlier (99.8%)"
N95, N998 = "Negative outlier (95%)", "Negative outlier (99.8%)"
NOT_FLAGGED, TOO_FEW, NONE = NHS_ENGLAND.of[0], NHS_ENGLAND.too_few, NHS_ENGLAND.none
OHS, OKS = (22.6798, 7.67145), (17.3303, 8.33501)
EQ5D_HIP, VAS_HIP = (0.465448, 0.215572), (14.4222, 15.6801)

# NHS England, finalised PROMs 2018/19, primary replacements: records, adjusted gain, z, flag.
PUBLISHED = [
    ("RNA", OHS, 201, 23.7521, 1.9817, P95),
    ("NTPH2", OHS, 339, 23.9408, 3.0265, P95),
    ("RTF", OHS, 646, 23.6363, 3.1690, P998),
    ("NTPH1", OHS, 429, 25.3762, 7.2801, P998),
    ("NT320", OHS, 74, 20.9379, -1.9533, NOT_FLAGGED),
    ("NT432", OHS, 95, 21.1254, -1.9749, N95),
    ("RP5", OHS, 244, 21.2544, -2.9024, N95),
    ("RVR", OHS, 822, 21.8523, -3.0926, N998),
    ("RXL", OHS, 127, 19.5783, -4.5561, N998),
    ("ADP02", OKS, 312, 15.8731, -3.0881, N95),
    ("RBN", OKS, 211, 16.2184, -1.9378, NOT_FLAGGED),
    ("RA9", OKS, 49, 19.6888, 1.9807, P95),
    ("RTE", OKS, 490, 18.5499, 3.2390, P998),
    ("RWE", OKS, 490, 16.1140, -3.2302, N998),
    ("RAS", OKS, 242, 14.5033, -5.2763, N998),
    ("RGP", EQ5D_HIP, 205, 0.4955, 1.9949, P95),
    ("NT313", EQ5D_HIP, 37, 0.3964, -1.9485, NOT_FLAGGED),
    ("RHQ", EQ5D_HIP, 369, 0.4307, -3.0976, N998),
    ("NXM01", EQ5D_HIP, 513, 0.4953, 3.1416, P998),
    ("RXL", VAS_HIP, 110, 9.8094, -3.0854, N95),
    ("RD8", VAS_HIP, 105, 9.6774, -3.1007, N998),
]


@pytest.mark.parametrize(("code", "england", "n", "adjusted", "z", "flag"), PUBLISHED)
def test_a_published_provider_gets_its_published_flag(
    code: str, england: tuple[float, float], n: int, adjusted: float, z: float, flag: str
) -> None:
    got = z_of_mean(adjusted, n, *england)
    assert got == pytest.approx(z, abs=6e-3 if england is EQ5D_HIP else 6e-5)
    assert flag_from_z([got]).tolist() == [flag]


@pytest.mark.parametrize(
    ("z", "flag"),
    [
        (Z95, NOT_FLAGGED), (np.nextafter(Z95, 9), P95), (Z998, P95), (np.nextafter(Z998, 9), P998),
        (-Z95, NOT_FLAGGED), (np.nextafter(-Z95, -9), N95), (-Z998, N95), (0.0, NOT_FLAGGED),
    ],
)  # fmt: skip
def test_a_provider_on_a_limit_is_inside_it(z: float, flag: str) -> None:
    assert flag_from_z([z]).tolist() == [flag]


def test_the_labels_are_those_published() -> None:
    assert set(NHS_ENGLAND.all) == {P95, P998, N95, N998, NOT_FLAGGED, TOO_FEW, NONE}


def profiled(frame: pd.DataFrame, **changes: Any) -> Profiles:
    study = make_study(**{"learners": LINEAR, **changes})
    return profile_providers(expectations_of(frame, study), study)


def provider(profiles: Profiles, name: str) -> pd.Series:
    return profiles.table.set_index("provider_id").loc[name]


@pytest.mark.parametrize("changes", [{}, OUT_OF_FOLD], ids=["out of time", "out of fold"])
def test_the_mean_adjusted_gain_is_the_mean_gain_and_the_mean_residual_0(
    changes: dict[str, Any], frame: pd.DataFrame
) -> None:
    for method in ("shift", "line", "none"):
        got = profiled(frame, **changes, recalibration={"method": method})
        reference = got.reference.iloc[0]
        weights = got.table["n"]
        mean = np.average(got.table["adjusted"], weights=weights)
        assert mean == pytest.approx(reference["gain"])
        if method != "none":
            residual = np.average(got.table["difference"], weights=weights)
            assert residual == pytest.approx(0.0, abs=1e-9)


def test_adjusted_gains_do_not_depend_on_the_shift(frame: pd.DataFrame) -> None:
    shifted, bare = (profiled(frame, recalibration={"method": one}) for one in ("shift", "none"))
    for column in ("adjusted", "z", "lower95", "upper998"):
        assert shifted.table[column].to_numpy() == pytest.approx(bare.table[column].to_numpy())
    assert shifted.table["flag"].tolist() == bare.table["flag"].tolist()


def test_each_figure_of_a_provider_is_what_its_name_says(expectations: Expectations) -> None:
    study = make_study()
    profiles = profile_providers(expectations, study)
    rows = dict(expectations.by_learner())["linear"].query("provider_id == 'H02'")
    got = profiles.table.query("learner == 'linear'").set_index("provider_id").loc["H02"]
    residual = rows["observed"] - rows["expected"]
    assert got["n"] == len(rows)
    assert got["observed"] == pytest.approx(rows["observed"].mean())
    assert got["expected"] == pytest.approx(rows["expected"].mean())
    assert got["ratio"] == pytest.approx(rows["observed"].sum() / rows["expected"].sum())
    assert got["difference"] == pytest.approx(residual.mean())
    assert got["sd"] == pytest.approx(residual.std(ddof=1))


def test_the_reference_population_is_everybody_compared(expectations: Expectations) -> None:
    rows = dict(expectations.by_learner())["linear"]
    got = profile_providers(expectations, make_study()).reference.set_index("learner").loc["linear"]
    assert got["n"] == len(rows)
    assert got["gain"] == pytest.approx(rows["observed"].mean())
    assert got["baseline"] == pytest.approx(rows["baseline_score"].mean())
    assert got["sd"] == pytest.approx((rows["observed"] - rows["expected"]).std(ddof=1))
    assert got["drift"] == pytest.approx(
        (rows["observed_score"] - rows["expected_score_raw"]).mean()
    )


def test_limits_come_from_the_reference_population_and_not_the_provider(
    frame: pd.DataFrame,
) -> None:
    profiles = profiled(frame)
    row, reference = provider(profiles, "H02"), profiles.reference.iloc[0]
    for level, cut in (("95", Z95), ("998", Z998)):
        limits = limits_of_mean(row["n"], reference["gain"], reference["sd"], cut)
        assert (row[f"lower{level}"], row[f"upper{level}"]) == pytest.approx(limits)
    half = (row["upper95"] - row["lower95"]) / 2
    assert row["ci_lower95"] == pytest.approx(row["adjusted"] - half)
    assert row["ci_upper95"] == pytest.approx(row["adjusted"] + half)


def test_flags_say_on_which_side_of_the_limits_a_provider_is() -> None:
    table = profiled(episode_frame(4000, providers=12), profile__minimum_n=2).table
    for _, row in table.iterrows():
        outside = row["adjusted"] > row["upper95"] or row["adjusted"] < row["lower95"]
        assert (row["flag"] != NOT_FLAGGED) == outside
        assert row["flag"].startswith("Positive") == (outside and row["z"] > 0)
    assert table["flag"].nunique() > 2


def test_a_better_provider_has_a_larger_difference(frame: pd.DataFrame) -> None:
    better = frame["q2_score_ohs"].where(frame["provider_id"] != "H00", 48.0)
    got = provider(profiled(frame.assign(q2_score_ohs=better)), "H00")
    assert got["difference"] > provider(profiled(frame), "H00")["difference"]
    assert got["flag"] == P998


@pytest.mark.parametrize(("minimum", "adjusted"), [(0, True), (1, False)])
def test_fewer_records_than_the_minimum_are_reported_but_not_adjusted(
    minimum: int, adjusted: bool, frame: pd.DataFrame
) -> None:
    n = int(provider(profiled(frame), "H01")["n"])
    row = provider(profiled(frame, profile__minimum_n=n + minimum), "H01")
    assert row[["observed", "expected"]].notna().all()
    assert row[["adjusted", "z", "lower95", "upper998", "ci_lower95"]].notna().all() == adjusted
    assert (row["flag"] == TOO_FEW) != adjusted


def test_a_provider_without_procedures_is_listed_as_such(frame: pd.DataFrame) -> None:
    stranger = frame.tail(3).assign(
        episode_id=["a", "b", "c"], provider_id="Z99", period="2022", procedure_group="KNEE_PRIM"
    )
    row = provider(profiled(pd.concat([frame, stranger], ignore_index=True)), "Z99")
    assert (row["n"], row["episodes"], row["flag"]) == (0, 0, NONE)
    assert row[["observed", "expected", "ratio", "adjusted", "z"]].isna().all()


def test_a_provider_whose_patients_never_answered_has_too_few(frame: pd.DataFrame) -> None:
    silent = frame["q2_score_ohs"].mask(frame["provider_id"] == "H05")
    row = provider(profiled(frame.assign(q2_score_ohs=silent)), "H05")
    assert row["n"] == 0
    assert row["episodes"] == ((frame["provider_id"] == "H05") & (frame["period"] == "2022")).sum()
    assert row["flag"] == TOO_FEW


def test_a_ratio_to_an_expected_gain_near_0_is_withheld_and_says_why(frame: pd.DataFrame) -> None:
    before = frame["q1_score_ohs"]
    noise = np.random.default_rng(3).normal(0, 4, len(frame)).round()
    got = profiled(frame.assign(q2_score_ohs=(before + noise).clip(0, 48)))
    assert got.table["ratio"].isna().all()
    assert set(got.table["note"]) == {RATIO_WITHHELD}
    assert got.table["difference"].notna().all()


def test_a_ratio_to_a_clear_gain_is_shown_without_a_note(frame: pd.DataFrame) -> None:
    got = profiled(frame)
    assert got.table["ratio"].notna().all()
    assert set(got.table["note"]) == {""}


def test_a_ratio_is_withheld_exactly_where_chance_could_make_the_expected_gain_0() -> None:
    frame, rng = episode_frame(3000), np.random.default_rng(4)
    slight = (frame["q1_score_ohs"] + rng.normal(1.0, 6.0, 3000)).round().clip(0, 48)
    unequal = rng.choice([f"H{one:02d}" for one in range(12)], 3000, p=np.arange(1, 13) / 78)
    got = profiled(frame.assign(q2_score_ohs=slight, provider_id=unequal))
    error = got.reference["sd"].iloc[0] / np.sqrt(got.table["n"])
    near = got.table["expected"].abs() < Z95 * error
    assert 0 < near.sum() < 12
    assert got.table["ratio"].isna().tolist() == near.tolist()


def test_a_stated_reference_population_is_the_centre(frame: pd.DataFrame) -> None:
    outcome = {"name": "ohs", "instrument": "OHS", "kind": "gain"}
    given = [outcome | {"reference": {"gain": 20.0, "sd": 9.0}}]
    row, own = provider(profiled(frame, outcomes=given), "H02"), provider(profiled(frame), "H02")
    assert (row["lower95"] + row["upper95"]) / 2 == pytest.approx(20.0)
    assert row["upper95"] - 20.0 == pytest.approx(Z95 * 9 / np.sqrt(row["n"]))
    assert row["adjusted"] - 20.0 == pytest.approx(own["difference"])


def test_what_is_not_out_of_sample_cannot_be_profiled(expectations: Expectations) -> None:
    with pytest.raises(InSampleError, match=r"wanted Expectations.*got DataFrame"):
        profile_providers(expectations.table, make_study())  # type: ignore[arg-type]


def test_profiles_come_for_every_learner_and_provider_once(expectations: Expectations) -> None:
    table = profile_providers(expectations, make_study()).table
    assert not table.duplicated(["outcome", "learner", "provider_id"]).any()
    assert len(table) == 2 * 6


def test_a_row_says_under_which_learners_its_flag_holds(expectations: Expectations) -> None:
    table = profile_providers(expectations, make_study()).table
    compared = table[table["adjusted"].notna()]
    for _, rows in compared.groupby("provider_id"):
        for row in rows.itertuples():
            same = rows.loc[rows["flag"] == row.flag, "learner"]
            assert row.flag_holds_under.split() == list(same)
    assert (table.loc[table["adjusted"].isna(), "flag_holds_under"] == "").all()


# --- other rules than NHS England's ---------------------------------------------------------------

OTHERS = {
    "methods": ["nhs_england", "fixed_effects", "random_intercept"],
    "limits": ["nominal", "additive"],
}


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    """Return more providers, which differ."""
    return episode_frame(4000, providers=12)


def test_tables_have_the_columns_of_their_rules(world: pd.DataFrame) -> None:
    got = profiled(world, profile__levels=[0.9, 0.99], profile__labels="cms")
    assert list(got.table) == provider_columns(make_study(profile__levels=[0.9, 0.99]).profile)
    assert {"lower90", "upper90", "lower99", "upper99"} <= set(got.table)
    labels = {"Better than the reference", "Worse than the reference",
              "No different from the reference"}  # fmt: skip
    assert set(got.table["flag"]) <= labels
    outside = ~got.table["adjusted"].between(got.table["lower90"], got.table["upper90"])
    assert (outside == (got.table["flag"] != "No different from the reference")).all()


@pytest.mark.parametrize("limits", ["nominal", "multiplicative", "additive", "benjamini_hochberg"])
def test_the_reference_table_says_where_every_limit_comes_from(
    limits: str, world: pd.DataFrame
) -> None:
    got = profiled(world, profile__limits=limits)
    held, rows = got.reference.iloc[0], got.table.set_index("provider_id")
    error = held["sd"] / np.sqrt(rows["n"])
    middle = held["centre"] + held["shift"] * error
    spread = np.sqrt((held["factor"] * error) ** 2 + held["tau"] ** 2)
    for name, cut in (("95", held["inner"]), ("998", held["outer"])):
        assert rows[f"lower{name}"].to_numpy() == pytest.approx((middle - cut * spread).to_numpy())
        assert rows[f"upper{name}"].to_numpy() == pytest.approx((middle + cut * spread).to_numpy())
    assert rows["z"].to_numpy() == pytest.approx(((rows["adjusted"] - middle) / spread).to_numpy())


def test_nominal_limits_learn_nothing_and_others_do(world: pd.DataFrame) -> None:
    nominal, additive = (
        profiled(world, profile__limits=one).reference.iloc[0] for one in ("nominal", "additive")
    )
    assert (nominal["tau"], nominal["factor"], nominal["shift"]) == (0, 1, 0)
    assert (nominal["inner"], nominal["outer"]) == (Z95, Z998)
    assert additive["tau"] > 0
    assert nominal["centre"] == pytest.approx(nominal["gain"])


def test_every_flag_is_held_against_every_declared_analysis(world: pd.DataFrame) -> None:
    got = profiled(world, profile__sensitivity=OTHERS)
    counts = got.analyses.groupby(["learner", "method", "limits"]).size()
    assert len(counts) == 5
    assert set(counts) == {12}
    own = got.analyses.query("method == 'nhs_england' and limits == 'nominal'")
    table = got.table.set_index("provider_id")
    assert own.set_index("provider_id")["flag"].to_dict() == table["flag"].to_dict()
    wide = got.analyses.pivot(index="provider_id", columns=["method", "limits"], values="flag")
    share = wide.eq(table["flag"], axis=0).mean(axis=1)
    assert table["flag_share"].to_dict() == pytest.approx(share.to_dict())


def test_an_analysis_that_cannot_be_done_is_left_out_loudly(world: pd.DataFrame) -> None:
    asked = {"methods": ["nhs_england"], "limits": ["empirical_null"]}
    got = profiled(world, profile__sensitivity=asked)
    assert set(got.analyses["limits"]) == {"nominal"}
    (told,) = got.warnings
    assert told.startswith("linear, nhs_england, empirical_null: left out of")
    assert "wanted 30 providers or more" in told
    assert "12 providers" in told


def test_what_keeps_several_out_is_told_once(world: pd.DataFrame) -> None:
    asked = {"methods": ["nhs_england", "fixed_effects"], "limits": ["empirical_null"]}
    study = make_study(profile__sensitivity=asked)
    (told,) = profile_providers(expectations_of(world, study), study).warnings
    start = "linear and lightgbm, nhs_england and fixed_effects, empirical_null: left out"
    assert told.startswith(start)


def test_the_studys_own_limits_are_not_left_out(world: pd.DataFrame) -> None:
    with pytest.raises(TooFewProvidersError, match="Choose nominal limits"):
        profiled(world, profile__limits="empirical_null")


def test_where_all_is_well_nothing_is_warned_of(world: pd.DataFrame) -> None:
    assert profiled(world, profile__sensitivity=OTHERS).warnings == ()


def test_where_nobody_has_enough_episodes_nobody_is_compared(world: pd.DataFrame) -> None:
    got = profiled(world, profile__minimum_n=100_000, profile__sensitivity=OTHERS)
    assert set(got.table["flag"]) == {TOO_FEW}
    assert got.table[["adjusted", "flag_share", "reliability", "rank"]].isna().all(axis=None)
    assert (got.table[["flag_moved_by", "flag_holds_under"]] == "").all(axis=None)
    assert got.table[["observed", "expected", "predicted"]].notna().all(axis=None)
    assert got.analyses.empty
    assert got.reliability.empty
    assert got.warnings == (
        "linear, nobody is compared: no provider has 100000 episodes with both scores",
    )


def test_a_single_provider_with_enough_episodes_is_held_against_chance(
    world: pd.DataFrame,
) -> None:
    n = int(profiled(world).table["n"].max())
    got = profiled(world, profile__minimum_n=n, profile__sensitivity=OTHERS)
    row = got.table[got.table["adjusted"].notna()].iloc[0]
    assert row["flag"] in NHS_ENGLAND.of.values()
    assert np.isnan(row["reliability"])


def test_providers_can_be_compared_with_their_peers(world: pd.DataFrame) -> None:
    sex = np.where(world["provider_id"].isin(["H00", "H01", "H02", "H03"]), "male", "female")
    got = profiled(world.assign(sex=sex), profile__peer_group="sex")
    rows = got.table.set_index("provider_id")
    middle = (rows["lower95"] + rows["upper95"]) / 2
    assert middle.round(9).nunique() == 2
    assert middle["H00"] == pytest.approx(middle["H03"])
    assert np.isnan(got.reference["centre"].iloc[0])
    assert rows["centre"].to_numpy() == pytest.approx(middle.to_numpy())
    assert rows["peer_group"].to_dict() == dict(zip(world["provider_id"], sex, strict=True))
    assert got.warnings == ()


def test_without_peer_groups_all_have_one_centre_and_no_group(world: pd.DataFrame) -> None:
    got = profiled(world)
    assert set(got.table["peer_group"]) == {""}
    assert got.table["centre"].to_numpy() == pytest.approx(got.reference["centre"].iloc[0])


def test_a_provider_without_peers_is_compared_with_nobody(world: pd.DataFrame) -> None:
    sex = np.where(world["provider_id"] == "H05", "male", "female")
    peers = {"profile__peer_group": "sex", "profile__sensitivity": OTHERS}
    got = profiled(world.assign(sex=sex), **peers)
    row = provider(got, "H05")
    assert (row["flag"], row["peer_group"]) == ("No peers", "male")
    assert row[["adjusted", "z", "lower95", "upper998", "rank", "flag_share"]].isna().all()
    assert row[["observed", "expected", "difference"]].notna().all()
    assert "H05" not in set(got.analyses["provider_id"])
    (told,) = got.warnings
    assert told.startswith("linear, peer_group: 1 of 12 providers not compared")


def test_a_peer_with_too_few_episodes_is_none(world: pd.DataFrame) -> None:
    n = profiled(world).table.set_index("provider_id")["n"].sort_values()
    pair = [n.index[0], n.index[-1]]
    frame = world.assign(sex=np.where(world["provider_id"].isin(pair), "male", "female"))
    flags = [
        profiled(frame, profile__peer_group="sex", profile__minimum_n=int(n.iloc[0]) + more)
        .table.set_index("provider_id")["flag"]
        for more in (0, 1)
    ]  # fmt: skip
    assert not set(flags[0][pair]) & {"No peers", TOO_FEW}
    assert flags[1][pair].tolist() == [TOO_FEW, "No peers"]


def test_where_nobody_has_peers_nobody_is_compared(world: pd.DataFrame) -> None:
    got = profiled(world.assign(sex=world["provider_id"]), profile__peer_group="sex")
    assert set(got.table["flag"]) == {"No peers"}
    assert got.analyses.empty
    assert len(got.warnings) == 2
    assert "peers with as many" in got.warnings[1]


def test_every_analysis_can_be_worked_out_from_its_row(world: pd.DataFrame) -> None:
    rows = profiled(world, profile__sensitivity=OTHERS).analyses
    assert rows.notna().all(axis=None)
    for name in ("95", "998"):
        half = (rows[f"upper{name}"] - rows[f"lower{name}"]) / 2
        assert (rows[f"lower{name}"] + half).to_numpy() == pytest.approx(rows["middle"].to_numpy())
        out = (rows["adjusted"] - rows["middle"]).abs() > half
        assert (out <= (rows["flag"] != NOT_FLAGGED)).all()
    nominal = rows[rows["limits"] == "nominal"]
    z = (nominal["adjusted"] - nominal["middle"]) / nominal["error"]
    assert nominal["z"].to_numpy() == pytest.approx(z.to_numpy())


def test_a_provider_without_a_peer_group_is_refused(world: pd.DataFrame) -> None:
    unknown = world["sex"].mask(world["provider_id"] == "H02")
    with pytest.raises(TooFewProvidersError, match=r"'sex' for every provider; got 1 without"):
        profiled(world.assign(sex=unknown), profile__peer_group="sex")


def test_shrunken_gains_lie_between_the_adjusted_ones_and_the_mean(world: pd.DataFrame) -> None:
    got = profiled(world)
    gain, rows = got.reference["gain"].iloc[0], got.table
    away, kept = rows["adjusted"] - gain, rows["shrunken"] - gain
    assert (kept.abs() <= away.abs()).all()
    assert (np.sign(kept) == np.sign(away)).all()
    assert rows["rank"].idxmin() == rows["shrunken"].idxmax()


def test_a_flag_by_shrunken_effects_is_by_their_own_uncertainty(world: pd.DataFrame) -> None:
    raw, shrunken = (
        profiled(world, profile__method=one).table for one in ("nhs_england", "random_intercept")
    )
    assert (shrunken["ci_upper95"] - shrunken["ci_lower95"]).mean() < (
        raw["ci_upper95"] - raw["ci_lower95"]
    ).mean()
    assert shrunken["adjusted"].std() < raw["adjusted"].std()
    assert np.corrcoef(shrunken["adjusted"], raw["adjusted"])[0, 1] > 0.95


def test_predicted_over_expected_is_nearer_to_1_than_observed_over_expected(
    world: pd.DataFrame,
) -> None:
    rows = profiled(world, profile__replicates=100).table
    assert (rows["predicted_ratio"] - 1).std() < (rows["ratio"] - rows["ratio"].mean()).std()
    assert (rows["predicted_ratio_lower95"] < rows["predicted_ratio_upper95"]).all()


def test_predicted_over_expected_is_withheld_with_observed_over_expected(
    frame: pd.DataFrame,
) -> None:
    before, rng = frame["q1_score_ohs"], np.random.default_rng(3)
    flat = frame.assign(q2_score_ohs=(before + rng.normal(0, 4, len(frame)).round()).clip(0, 48))
    rows = profiled(flat, profile__replicates=100).table
    assert rows["ratio"].isna().all()
    assert rows[PREDICTED_COLUMNS[1:]].isna().all(axis=None)
    assert rows["predicted"].notna().all()
