"""Statements: what is printed gives what is paid, fits on paper, and cannot break a page."""

import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from settling import (
    OURS,
    STUDY,
    check_by_hand,
    contract,
    costs,
    evaluate,
    hidden,
    rows,
    step,
    steps,
    tables,
)

from riskadj.errors import UnknownNameError
from riskadj.payment.settle import settle
from riskadj.payment.statement import (
    WIDTH,
    file_names,
    statement_text,
    statement_texts,
    statements_html,
)

HALF = {"provider": 0.5, "payer": 0.5}
WIDE = {"floor": -1, "cap": 1}
EVERYTHING = steps(
    step("risk_share", gain=HALF, loss=HALF),
    step("gate", name="care", criteria=[OURS | {
        "kind": "not_negative_outlier", "label": "ODI", "outcome": "odi", "beyond": "inner",
        "not_known": "fails"}]),
    step("withhold", share=0.02, returned=[{"share": 0.5}, {"share": 0.5, "when": "care"}]),
    step("composite", no_score="none", positive=0.1, negative=0.15, measures=[
        {"name": "odi", "weight": 1, "outcome": "odi", "scale": {"kind": "percentile"}}]),
    step("outcome_payment", outcome="odi", paid_for="settled", no_result="nothing",
         amount=333.33, reliability=True, corridor=0.2,
         within=WIDE),
    step("stop_gain", share=0.01),
    step("stop_loss", share=0.01),
    step("uplift", amount=550, needs="care"),
)  # fmt: skip


def settled(**changes):
    made = {"steps": EVERYTHING, "budget": {"kind": "neutral", "how": "scale"} | OURS} | changes
    return settle(contract(**made), tables(), study=STUDY, run_digest="ab" * 32)


def of_strange_names():
    names = ("<script>alert(1)</script>", "A & B/../C", "=cmd()", "å ä")
    both = pd.concat([rows("odi", names=names), costs(names=names)])
    return names, settle(contract(title="Care <b>for</b> all"), both, study=STUDY)


def plain(value):
    """Return an amount as a calculator takes it."""
    return value.replace(",", "").replace("\N{MINUS SIGN}", "-")


def printed(text):
    """Return label, formula and value of each printed line, joined again where it was wrapped."""
    rows_, pending = [], None
    for line in text.splitlines():
        if re.match(r"(\+ |    )\S.*  \S+$", line) and not line.startswith("      "):
            label, value = line.rsplit(maxsplit=1)
            pending = [label, "", plain(value)]
            rows_.append(pending)
        elif line.startswith("      ") and pending:
            pending[1] += f" {line.strip()}"
        else:
            pending = None
    return [one for one in rows_ if one[1]]


@pytest.mark.parametrize("provider", ["A", "B", "C", "D"])
def test_every_printed_formula_gives_the_printed_amount(provider):
    found = settled()
    checked = 0
    for label, formula, value in printed(statement_text(found, provider)):
        came = evaluate(formula.strip())
        if isinstance(came, bool):
            assert value == ("met" if came else "not met")
        elif "above expectation" in label or "per episode" in label or "oints" in label:
            assert round(came, 6) == Fraction(value)
        else:
            assert Fraction(round(came * 100), 100) == Fraction(value), label
        checked += 1
    assert checked >= 10


@pytest.mark.parametrize("provider", ["A", "B", "C", "D"])
def test_the_printed_sum_is_that_of_the_marked_amounts_and_the_total(provider):
    text = statement_text(settled(), provider)
    lines = text.splitlines()
    marked = [Fraction(plain(one.rsplit(maxsplit=1)[1])) for one in lines if one[:2] == "+ "]
    (total,) = re.findall(r"^TOTAL +(\S+)$", text, re.M)
    summed = re.search(r"^  = (.*?)\n\n", text, re.M | re.S)[1]
    assert sum(marked) == Fraction(plain(total)) == evaluate(" ".join(summed.split()))


def test_a_statement_fits_on_80_columns():
    long = {"title": "A title " * 30, "about": "What it is. " * 40}
    for line in statement_text(settled(**long), "A").splitlines():
        assert len(line) <= WIDTH


@pytest.mark.parametrize("show", [lambda one: statement_text(one, "A"), statements_html])
def test_every_rule_that_is_not_confirmed_is_named(show):
    text = " ".join(show(settled()).split())
    assert "constants not confirmed in the source" in text
    for name in ("target.baseline", "step 1, reconcile", "step 4, withhold", "budget neutral"):
        assert name in text


def test_a_confirmed_rule_is_not_marked():
    sure = {"source": "a law", "confirmed": True}
    made = contract(
        target={"baseline": {"kind": "expected"} | sure},
        steps=[{"kind": "reconcile"} | sure],
        budget={"kind": "open"} | sure,
    )
    text = statement_text(settle(made, tables(), study=STUDY), "A")
    assert "not confirmed" not in text
    assert "Source: a law" in text


def test_a_statement_does_not_claim_that_paying_improves_outcomes():
    assert "does not show that paying this way improves outcomes" in " ".join(
        statement_text(settled(), "A").split()
    )


def test_of_a_gate_each_criterion_is_confirmed_or_not():
    gate = step("gate", name="care", criteria=[
        {"kind": "not_negative_outlier", "label": at, "outcome": "odi", "beyond": "outer",
         "not_known": "fails", "source": f"source {at}", "confirmed": at == "sure"}
        for at in ("sure", "unsure")
    ])  # fmt: skip
    found = settle(contract(steps=steps(gate)), tables(), study=STUDY)
    tests = found.lines[found.lines["kind"] == "test"]
    assert tests["confirmed"].tolist() == [True, False] * 4
    text = statement_text(found, "A")
    assert "Source: source sure\n" in text
    assert "Source: source unsure [constants not confirmed in the source]\n" in text


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        held = dict(attrs)
        self.ids += [held["id"]] if "id" in held else []
        self.links += [held[one] for one in ("href", "src") if one in held]


def test_the_page_is_whole_and_escapes_every_text():
    names, found = of_strange_names()
    page = statements_html(found)
    read = _Tags()
    read.feed(page)
    assert "script" not in read.tags
    assert "b" not in read.tags
    assert page.count("&lt;script&gt;") == 4  # index, heading, fact, label of the table
    assert read.tags.count("section") == len(names)
    assert {*read.links} == {f"#{one}" for one in read.ids}


def test_file_names_are_safe_and_all_different():
    names, _ = of_strange_names()
    made = file_names([*names, "a b", "A_B", "", "..", "x" * 300])
    for one in made.values():
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", one)
    assert len({one.lower() for one in made.values()}) == len(made)


def test_two_names_that_would_take_a_numbered_one_stay_apart():
    made = file_names(["a-2", "a/", "a "])
    assert len(set(made.values())) == 3


def test_a_statement_of_somebody_else_is_refused():
    with pytest.raises(UnknownNameError, match="wanted a provider of the settlement; got 'E'"):
        statement_text(settled(), "E")


def test_who_is_not_settled_is_told_why():
    table = tables().assign(n=lambda one: one["n"].where(one["provider_id"] != "B"))
    text = statement_text(settle(contract(), table, study=STUDY), "B")
    words = " ".join(text.split())
    assert "Status not settled, episodes not known: its number of episodes is hidden" in words
    assert "Due not worked out; counts EUR 0.00 in sums" in words
    assert "0 is no verdict, and what it is due has to be agreed otherwise" in words
    assert re.search(r"^TOTAL +0\.00$", text, re.M)


HEAD = {
    "Programme": "A small contract (small, version 1)",
    "Study": "Spines (spines, version 2)",
    "Period settled": "2021, 2022",
    "Episodes settled": "those with a result in cost",
    "Outcome": "Oswestry Disability Index, 0 to 100, lower is better; gain (odi); expected by "
    "linear",
    "Cost": "Cost: everything to day 90 (cost), counted from discharge; expected by linear",
    "Cap of costs": "an episode's cost above the 0.99 quantile counts as that quantile, as the "
    "study says",
    "Money": "EUR, prices of 2023",
    "Provider": "A",
    "Status": "settled: on its results",
    "Episodes": "100",
    "with odi": "100",
    "with cost": "100",
}
KNOWN = STUDY | {
    "name": "spines", "version": "2", "title": "Spines", "split": {"test": ["2021", "2022"]},
    "data": {"claims": {"counted_from": "discharge", "minor_units": 2}},
    "outcomes": [STUDY["outcomes"][0], STUDY["outcomes"][1] | {"winsorise": {"upper": 0.99}}],
}  # fmt: skip


@pytest.mark.parametrize("label", HEAD)
def test_a_statement_says_at_its_head_what_it_rests_on(label):
    found = settle(contract(), tables(), study=KNOWN)
    text = " ".join(statement_text(found, "A").split())
    page = re.sub(r"\s+", " ", statements_html(found)).replace("&#39;", "'")
    assert f"{label} {HEAD[label]}" in text
    assert f"<dt>{label}</dt><dd>{HEAD[label]}</dd>" in page


def test_the_index_has_everybody_and_the_most_first():
    found = settle(contract(), tables(), study=STUDY)
    page = statements_html(found)
    index = page[page.index('id="providers"') : page.index("<caption>Checks")]
    row = r'<a href="#(s\d)">(\w)</a></td><td>(.*?)</td>.*?paid.*?>(.*?)</td></tr>'
    rows_ = re.findall(row, index)
    assert [one[1] for one in rows_] == ["A", "D", "C", "B"]
    assert rows_[0] == ("s1", "A", "settled", "99,975.00")
    assert rows_[-1][3] == "\N{MINUS SIGN}40,000.00"
    for anchor, name, *_ in rows_:
        assert re.search(rf'id="{anchor}">\s*<h2>{name}</h2>', page)


def test_the_page_opens_with_what_is_due_and_who_gets_what():
    page = statements_html(settle(contract(), tables(), study=STUDY))
    opening = "EUR 119,995.00 in all: 2 are paid, 2 pay back."
    order = [opening, 'id="providers"', "What it rests on", "not confirmed", "<caption>Checks"]
    places = [page.index(one) for one in order]
    assert places == sorted(places)


def cells(page, start, end="</tr>"):
    """Return the texts of the cells of a part of the page."""
    at = page.index(start)
    part = page[at : page.index(end, at)]
    return [re.sub("<[^>]+>", "", one) for one in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", part)]


def test_a_row_of_the_index_is_of_one_and_the_last_of_all():
    """1,100 each: A 999.75 below its target, B and C 500 above it, D without a cost or target."""
    both = pd.concat([hidden(rows("odi"), "C"), hidden(costs(), "D")], ignore_index=True)
    page = statements_html(settle(contract(count="volume", too_few="at_target", providers=[
        {"id": one, "volume": 1100} for one in "ABCD"]), both, study=STUDY))  # fmt: skip
    assert cells(page, '<tr class="total"><td>All') == [
        "All", "", "4,400", "220", "240", "", "\N{MINUS SIGN}275.00",
    ]  # fmt: skip
    assert cells(page, '<td><a href="#s3">') == [
        "C", "settled, outcome hidden", "1,100", "not shown", "60", "21,450,000.00",
        "\N{MINUS SIGN}550,000.00",
    ]  # fmt: skip
    assert cells(page, "<td>the totals of all sum to the pool") == [
        "the totals of all sum to the pool", "\N{MINUS SIGN}275.00", "\N{MINUS SIGN}275.00", "yes",
    ]  # fmt: skip


def test_the_page_says_who_is_owed_nothing():
    even = pd.concat([rows("odi"), costs(observed=(20_000.0, 21_000.0, 19_500.0, 20_000.0))])
    page = statements_html(settle(contract(), even, study=STUDY))
    assert "EUR 10,020.00 in all: 1 are paid, 3 neither." in page


def test_the_results_behind_ranks_are_a_table_of_those_shown():
    table = hidden(tables(), "B")
    scored = step("composite", no_score="full_cut", positive=0.1, negative=0.1, measures=[
        {"name": "odi", "weight": 1, "outcome": "odi", "scale": {"kind": "percentile"}},
    ])  # fmt: skip
    found = settle(contract(steps=steps(scored), too_few="at_target"), table, study=STUDY)
    page = statements_html(found)
    start = page.index("<caption>odi: results behind the points of step 2")
    part = page[start : page.index("</table>", start)]
    rows_ = re.findall(r'">(\w)</a></td><td class="number">(.*?)</td>.*?">(.*?)</td>', part)
    assert [one[0] for one in rows_] == ["D", "A", "C"]
    shown = table[(table["outcome"] == "odi") & (table["provider_id"] == "A")]["adjusted"]
    assert float(rows_[1][1]) == shown.iloc[0]
    assert f"own result {rows_[1][1]}, rank 2 from the worst, of 3 with one" in " ".join(
        statement_text(found, "A").split()
    )


@pytest.mark.parametrize("show", [lambda one: statement_text(one, "A"), statements_html])
def test_a_step_of_several_sources_has_one_heading(show):
    criteria = [
        {"kind": "not_negative_outlier", "label": f"ODI {at}", "outcome": "odi", "beyond": "outer",
         "not_known": "fails", "source": f"source {at}", "confirmed": True}
        for at in range(4)
    ]  # fmt: skip
    made = contract(steps=steps(step("gate", name="care", criteria=criteria)))
    told = show(settle(made, tables(), study=STUDY))
    sections = told.split("<section")  # of the page, one provider's
    mine = sections[min(1, len(sections) - 1)]
    assert mine.count("Step 2: Gate of quality (care)") == 1
    assert [mine.count(f"source {at}") for at in range(4)] == [1] * 4


def test_a_contract_on_a_table_alone_counts_cases():
    measure = {"name": "x", "ratio_column": "err", "n_column": "n", "median": 1, "weight": 0.1}
    made = contract(
        outcomes=[], cost=None, target=None, learner="", count="table",
        steps=[step("penalty", measures=[measure], base_column="base",
                    reduction={"floor": 0, "cap": 0.03})],
    )  # fmt: skip
    given = pd.DataFrame({"provider_id": list("ABC"), "err": 1.1, "n": 50, "base": 1000})
    found = settle(made, tables(), None, given)
    text = " ".join(statement_text(found, "A").split())
    assert "Cases 50" in text
    assert "Episodes settled cases of the provider table" in text
    missing = " ".join(statement_text(found, "D").split())
    assert "Status not settled, base payments not known: the provider table does not say" in missing
    assert "Due not worked out; counts EUR 0.00 in sums" in missing
    assert '<th class="number">cases</th>' in statements_html(found)


def test_what_has_to_be_paid_back_is_said_so():
    assert "Due               EUR \N{MINUS SIGN}40,000.00, to be paid back" in statement_text(
        settle(contract(), tables(), study=STUDY), "B"
    )


def test_all_statements_together_are_each_of_them():
    found = settled()
    assert dict(statement_texts(found)) == {one: statement_text(found, one) for one in "ABCD"}


# --- every word as it was -------------------------------------------------------------------------

WRITTEN = Path(__file__).parents[1] / "examples" / "statements.txt"
OTHER_STEPS = steps(
    step("gate", name="care", criteria=[
        OURS | {"kind": "not_negative_outlier", "label": "ODI", "outcome": "odi",
                "beyond": "outer", "not_known": "passes"},
        OURS | {"kind": "table", "label": "Reviewed", "column": "reviewed", "at_least": 0.9,
                "not_known": "fails"}]),
    step("risk_share", gain=HALF, loss={"provider": 0.25, "payer": 0.75}),
    step("penalty", base_column="base", reduction={"floor": 0.001, "cap": 0.03}, measures=[
        {"name": "returns", "ratio_column": "err", "n_column": "cases", "weight": 0.1},
        {"name": "falls", "ratio_column": "falls", "n_column": "cases", "median": 1.0,
         "weight": 0.05}]),
    step("composite", no_score="median", positive=0.1, negative=0.15, measures=[
        {"name": "odi", "weight": 0.5, "outcome": "odi", "scale": {"kind": "percentile"}},
        {"name": "review", "weight": 0.5, "column": "reviewed",
         "scale": {"kind": "linear", "zero": 0.5, "full": 1.0}}]),
    step("outcome_payment", outcome="odi", paid_for="answered", no_result="floor", amount=40,
         reliability=False, within={"floor": -0.001, "cap": 0.01}),
    step("uplift", amount=12.5, needs="care", not_passed="losses"),
)  # fmt: skip
GIVEN = pd.DataFrame(
    {"provider_id": list("ABCD"), "reviewed": [0.95, 0.6, 0.9, None], "cases": [25, 26, 24, 80],
     "err": [1.02, 0.98, 1.4, 1.1], "falls": [1.2, 0.9, 1.0, 1.0],
     "base": [10_000.0, 20_000.0, 30_000.0, 40_000.0]}
)  # fmt: skip


def other_settlements():
    """Yield settlements that between them say most of what there is to say, and for whom."""
    yield settled(), "AD"
    open_ = contract(steps=OTHER_STEPS, too_few="at_target", budget={"kind": "open"} | OURS)
    yield settle(open_, hidden(tables(), "B"), None, GIVEN, study=STUDY), "ABCD"
    shifted = {"kind": "neutral", "how": "shift"} | OURS
    yield settle(contract(budget=shifted), tables(), study=KNOWN), "A"
    few = pd.concat([rows("odi"), costs(observed=(20_000.0, 21_000.0, 19_500.0, 20_250.5))])
    limits = steps(step("risk_share", gain=HALF, loss=HALF), step("stop_gain", share=0.1),
                   step("stop_loss", share=0.1))  # fmt: skip
    yield settle(contract(steps=limits), few, study=STUDY), "AC"
    yield priced(), "AB"
    yield of_volumes(), "AB"
    yield split_by_follow_up(), "ABC"
    yield on_procedures(), "AC"
    yield on_a_table(), "ABCD"


def priced():
    """Return a settlement with every part of a target; the cost of B is hidden."""
    target = {
        "baseline": {"kind": "price", "amount": 10_000.5} | OURS, "case_mix": "ratio",
        "trend": {"prospective": 1.25, "realised": 1.5,
                  "within": {"floor": 0.97, "cap": 1.03}} | OURS,
        "normalisation": {"prospective": 1, "within": {"floor": 0.95, "cap": 1.05}} | OURS,
        "discount": {"share": 0.02, "source": "a law", "confirmed": True},
    }  # fmt: skip
    odi, cost = STUDY["outcomes"]
    known = {"outcomes": [odi, cost | {"winsorise": {"upper": 0.995, "by": "drg"}}]}
    some = [
        step(
            "penalty",
            reduction={"floor": 0, "cap": 0.03},
            measures=[
                {"name": "returns", "ratio_column": "err", "n_column": "cases", "weight": 0.1}
            ],
        )
    ]
    both = pd.concat([rows("odi"), hidden(costs(), "B")], ignore_index=True)
    made = contract(
        target=target, steps=steps(*some), too_few="at_target", count="volume",
        providers=[{"id": one, "volume": 120} for one in "ABCD"],
        rounding={"method": "half_up", "digits": 4},
    )  # fmt: skip
    return settle(made, both, None, GIVEN, study=known)


def of_volumes():
    """Return a settlement of more episodes than were measured, at prices of earlier years."""
    named = [{"id": one, "volume": 400, "baseline_price": 19_999.99, "safety_net": one == "B"}
             for one in "BA"]  # fmt: skip
    target = {"baseline": {"kind": "historical"} | OURS, "trend": {"prospective": 1.1} | OURS}
    net = steps(step("stop_loss", share=0.05, safety_net=0.01),
                step("withhold", share=0.1, returned=[{"share": 1}]))  # fmt: skip
    dear = pd.concat([rows("odi"), costs(observed=(30_000.0, 30_000.0, 1, 1))])
    made = contract(count="volume", providers=named, target=target, steps=net)
    return settle(made, dear, study=STUDY)


def split_by_follow_up():
    """Return a settlement that tells few from unanswered: B answered and is few, C did not."""
    split = {"unanswered": "floor", "few": "nothing"}
    some = steps(
        step("gate", name="care", criteria=[
            OURS | {"kind": "not_negative_outlier", "label": "ODI", "outcome": "odi",
                    "beyond": "outer", "not_known": {"unanswered": "fails", "few": "passes"}}]),
        step("composite", no_score={"unanswered": "full_cut", "few": "median"}, positive=0.5,
             negative=0.5, measures=[{"name": "odi", "weight": 1, "outcome": "odi",
                                      "scale": {"kind": "percentile"}}]),
        step("outcome_payment", outcome="odi", paid_for="answered", no_result=split, amount=100,
             reliability=True, within={"floor": -0.03, "cap": 0.05}),
        step("stop_gain", share=0.05, needs="care"),
    )  # fmt: skip
    odi = rows("odi").assign(predicted=lambda one: one["expected"] + 0.5)
    few = odi["provider_id"].isin(["B", "C"])
    odi.loc[few, ["adjusted", "z", "reliability"]] = None
    odi.loc[few, "n"] = 20.0
    rates = pd.DataFrame({"outcome": "odi", "source": "episodes", "provider_id": list("ABCD"),
                          "response": [0.9, 0.6, 0.4, 0.9]})  # fmt: skip
    made = contract(steps=some, too_few="at_target", follow_up_asked=0.5)
    return settle(made, pd.concat([odi, costs()]), rates, study=STUDY)


def on_procedures():
    """Return a settlement without a cost, on procedures; those of C are not known."""
    criteria = [OURS | {"kind": "rate", "label": "participation", "rate": "participation",
                        "at_least": 0.5, "not_known": "fails"}]  # fmt: skip
    made = contract(
        steps=[step("gate", name="part", criteria=criteria),
               step("uplift", amount=550.005, needs="part")],
        target=None, cost=None, too_few="at_target", count="procedures",
    )  # fmt: skip
    rates = pd.DataFrame({"outcome": "odi", "source": "participation file",
                          "provider_id": list("ABC"), "participation": [0.5, 0.4, None],
                          "procedures": [1201, 90, None]})  # fmt: skip
    return settle(made, rows("odi"), rates, study=STUDY)


def on_a_table():
    """Return a settlement of penalties alone; C has no base payments, D no row."""
    measures = [
        {"name": "x", "ratio_column": "err", "n_column": "n", "median": 1, "weight": 0.1},
        {"name": "y", "ratio_column": "other", "n_column": "m", "median": 1, "weight": 0.2},
    ]
    made = contract(
        outcomes=[], cost=None, target=None, learner="", count="table",
        currency={"code": "JPY"}, steps=[step("penalty", measures=measures, base_column="base",
                                              reduction={"floor": 0, "cap": 0.03})],
    )  # fmt: skip
    given = pd.DataFrame({"provider_id": list("ABC"), "err": [1.1, 0.99999996, 1.1],
                          "other": [None, 1.0, 1.0], "n": [50, 2500, 50],
                          "m": [None, 24, 50], "base": [1_000_000, 2, None]})  # fmt: skip
    return settle(made, tables(), None, given)


def test_statements_read_as_they_did():
    every = []
    for found, names in other_settlements():
        if found.contract.rounding.method == "half_even":  # as the evaluator by hand does
            assert check_by_hand(found)
        every += [statement_text(found, one) for one in names]
        every += [f"Told of all: {one}\n" for one in found.told]
    told = "\n\n".join(every)
    told = re.sub(r"^Settlement [0-9a-f]{16}$", "Settlement (its digest)", told, flags=re.M)
    assert told == WRITTEN.read_text(encoding="utf-8")
