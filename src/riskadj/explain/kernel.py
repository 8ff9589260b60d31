"""Exact SHAP values of trees, for many episodes at once.

Along the path to a leaf every feature makes one condition (Lundberg et al. 2020, Nature Machine
Intelligence 2:56-67): it holds for an episode (o = 1) or not (o = 0), and the share r of the
episodes learned from goes that way whatever the feature says. The leaf of value v then gives
feature j

    v (o_j - r_j) * integral over t from 0 to 1 of the product over other i of o_i t + r_i (1 - t),

as Shapley's weights are the beta integrals of the coefficients of that polynomial. It has a degree
of d - 1 with d features, so that a Gauss-Legendre rule of d / 2 points is exact. An interaction is
half of the same with both its features outside the product. What a leaf gives depends on nothing
but which of its d conditions hold: 2^d patterns, worked out once and looked up for every episode.
Each episode is added up in the same order whoever its neighbours are.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

BLOCK = 1024
MOST_IN_TABLE = 12
"""Features of a path up to which patterns are looked up; longer paths are worked out each time."""
MOST_FEATURES = 31
"""Of one path, as a pattern is a 32-bit number."""
ZERO = float(np.float32(1e-35))
"""LightGBM takes smaller numbers for 0."""


class Tree(NamedTuple):
    """One tree of a `Forest`; the same names."""

    feature: Any
    left: Any
    right: Any
    threshold: Any
    visits: Any
    missing: Any
    default_left: Any
    value: Any
    leaf_visits: Any


class Rule(NamedTuple):
    """Gauss-Legendre points from 0 to 1 and their weights: row q has q of them."""

    points: Any
    weights: Any


class Plan(NamedTuple):
    """What the path to each leaf asks, and the order of a walk.

    Attributes
    ----------
    fits : bool
        Whether no path has more features than a pattern has room for.
    width : ndarray of shape (n_leaves,)
        How many features lead to a leaf.
    place, ratio : ndarray of shape (n_leaves, MOST_FEATURES)
        Which, and the share of the episodes learned from that goes on.
    slot, new : ndarray of shape (n_nodes,)
        Which of its path's features a node asks, and whether for the first time.
    steps : ndarray of shape (n_nodes + n_leaves, 3)
        Node (or -1 - leaf), depth, and 1 for a right child, from the root on.
    """

    fits: Any
    width: Any
    place: Any
    ratio: Any
    slot: Any
    new: Any
    steps: Any


def rule() -> Rule:
    """Return the rules of up to as many points as the longest path needs."""
    most = (MOST_FEATURES + 1) // 2
    points, weights = np.zeros((most + 1, most)), np.zeros((most + 1, most))
    for q in range(1, most + 1):
        at, weight = np.polynomial.legendre.leggauss(q)
        points[q, :q], weights[q, :q] = (at + 1) / 2, weight / 2
    return Rule(points, weights)


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile a function, and keep the result where there is a place for it."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no folder that can be written to
        return numba.njit(nogil=True, error_model="numpy")(function)


# --- the plan of a tree ---------------------------------------------------------------------------


@_compiled
def plan_tree(tree: Any) -> Any:
    """Return the plan of a tree."""
    leaves = len(tree.value)
    plan = Plan(
        np.ones(1, dtype=np.bool_), np.zeros(leaves, dtype=np.int64),
        np.zeros((leaves, MOST_FEATURES), dtype=np.int64), np.ones((leaves, MOST_FEATURES)),
        np.zeros(leaves - 1, dtype=np.int64), np.zeros(leaves - 1, dtype=np.bool_),
        np.zeros((2 * leaves - 1, 3), dtype=np.int64),
    )  # fmt: skip
    # Of the path from the root to where the walk is, by depth.
    path = np.zeros((leaves + 1, MOST_FEATURES), dtype=np.int64)
    share = np.ones((leaves + 1, MOST_FEATURES))
    width = np.zeros(leaves + 1, dtype=np.int64)
    nodes = np.zeros(leaves + 1, dtype=np.int64)
    stack = np.zeros((2 * leaves, 3), dtype=np.int64)
    top = 1
    for step in range(2 * leaves - 1):
        top -= 1
        plan.steps[step] = stack[top]
        node, depth = stack[top, 0], stack[top, 1]
        if depth > 0 and not _lengthen(tree, plan, node, depth, nodes, path, share, width):
            plan.fits[0] = False
            return plan
        if node < 0:
            leaf = -1 - node
            plan.width[leaf] = width[depth]
            plan.place[leaf], plan.ratio[leaf] = path[depth], share[depth]
            continue
        nodes[depth] = node
        _ask(tree, plan, node, path[depth], width[depth])
        for child, is_right in ((tree.right[node], 1), (tree.left[node], 0)):
            stack[top, 0], stack[top, 1], stack[top, 2] = child, depth + 1, is_right
            top += 1
    return plan


@_compiled
def _ask(tree: Any, plan: Any, node: Any, path: Any, width: Any) -> None:
    """Say which feature of its path a node asks."""
    slot = width
    for k in range(width):
        if path[k] == tree.feature[node]:
            slot = k
    plan.slot[node], plan.new[node] = slot, slot == width


@_compiled
def _lengthen(
    tree: Any, plan: Any, node: Any, depth: Any, nodes: Any, path: Any, share: Any, width: Any
) -> Any:
    """Take the path one step further down; False where it has no room for one more feature."""
    above = nodes[depth - 1]
    slot = plan.slot[above]
    if slot >= MOST_FEATURES:
        return False
    path[depth], share[depth], width[depth] = path[depth - 1], share[depth - 1], width[depth - 1]
    here = tree.visits[node] if node >= 0 else tree.leaf_visits[-1 - node]
    if plan.new[above]:
        path[depth, slot], share[depth, slot] = tree.feature[above], 1.0
        width[depth] += 1
    share[depth, slot] *= here / tree.visits[above]
    return True


# --- who goes where -------------------------------------------------------------------------------


@_compiled
def _decide(tree: Any, node: Any, x: Any, goes: Any) -> None:
    """Write which values go left, as 1 and 0."""
    threshold, missing, away = tree.threshold[node], tree.missing[node], tree.default_left[node]
    if missing == 1:
        for i in range(len(x)):
            nothing = np.isnan(x[i]) or (-ZERO <= x[i] <= ZERO)
            goes[i] = away if nothing else x[i] <= threshold
        return
    absent = away if missing == 2 else threshold >= 0.0
    for i in range(len(x)):
        goes[i] = (x[i] <= threshold) | (absent & np.isnan(x[i]))


@_compiled
def _follow(before: Any, goes: Any, is_right: Any, slot: Any, new: Any, pattern: Any) -> None:
    """Write which conditions hold one step further down, a bit for each."""
    flip, by = np.uint32(is_right), np.uint32(slot)
    if new:
        for i in range(len(goes)):
            pattern[i] = before[i] | ((np.uint32(goes[i]) ^ flip) << by)
        return
    for i in range(len(goes)):
        pattern[i] = before[i] & ~((np.uint32(goes[i]) ^ flip ^ np.uint32(1)) << by)


@_compiled
def _walk(tree: Any, plan: Any, X: Any, goes: Any, patterns: Any, found: Any) -> None:
    """Write which conditions of each leaf hold for a block of episodes, into `found`."""
    m = X.shape[1]
    nodes = np.zeros(len(patterns), dtype=np.int64)
    for step in range(len(plan.steps)):
        node, depth, is_right = plan.steps[step]
        pattern = patterns[depth, :m] if node >= 0 else found[-1 - node, :m]
        if depth > 0:
            above = nodes[depth - 1]
            _follow(
                patterns[depth - 1, :m], goes[depth - 1, :m], is_right, plan.slot[above],
                plan.new[above], pattern,
            )  # fmt: skip
        if node >= 0:
            nodes[depth] = node
            _decide(tree, node, X[tree.feature[node]], goes[depth, :m])


# --- what a leaf gives ----------------------------------------------------------------------------


@_compiled
def _mean_of(tree: Any, plan: Any) -> Any:
    total = 0.0
    for leaf in range(len(tree.value)):
        part = tree.value[leaf]
        for k in range(plan.width[leaf]):
            part *= plan.ratio[leaf, k]
        total += part
    return total


@_compiled
def _fill_table(value: Any, ratio: Any, rule: Any, table: Any) -> None:
    """Write what a leaf gives each of its features, by pattern: shape (d, 2^d)."""
    d, size = table.shape
    points = (d + 1) // 2
    product = np.empty(size)
    for q in range(points):
        t = rule.points[points, q]
        product[0] = rule.weights[points, q] * value
        for k in range(d):
            fails = ratio[k] * (1.0 - t)
            for p in range(1 << k):
                product[p + (1 << k)] = product[p] * (t + fails)
                product[p] *= fails
        for k in range(d):
            bit, row = 1 << k, table[k]
            fails, holds = -1.0 / (1.0 - t), (1.0 - ratio[k]) / (t + ratio[k] * (1.0 - t))
            for first in range(0, size, 2 * bit):
                for p in range(first, first + bit):
                    row[p] += product[p] * fails
                    row[p + bit] += product[p + bit] * holds


@_compiled
def _fill_tables(tree: Any, plan: Any, rule: Any) -> Any:
    """Return the tables of all leaves, one after the other, and where each begins."""
    begins = np.zeros(len(tree.value) + 1, dtype=np.int64)
    for leaf in range(len(tree.value)):
        d = plan.width[leaf]
        begins[leaf + 1] = begins[leaf] + (d << d if d <= MOST_IN_TABLE else 0)
    table = np.zeros(begins[-1])
    for leaf in range(len(tree.value)):
        d = plan.width[leaf]
        if d <= MOST_IN_TABLE:
            own = table[begins[leaf] : begins[leaf + 1]].reshape(d, 1 << d)
            _fill_table(tree.value[leaf], plan.ratio[leaf], rule, own)
    return table, begins


@_compiled
def _look_up(table: Any, place: Any, pattern: Any, out: Any) -> None:
    for k in range(len(table)):
        row, column = out[place[k]], table[k]
        for i in range(len(pattern)):
            row[i] += column[pattern[i]]


@_compiled
def _factors(ratio: Any, pattern: Any, t: Any, outside: Any) -> Any:
    """Return the product over all features, with each one's factor outside over that inside."""
    product = 1.0
    for k in range(len(ratio)):
        holds = (pattern >> np.uint32(k)) & np.uint32(1)
        inside = ratio[k] * (1.0 - t) + t * holds
        outside[k] = (holds - ratio[k]) / inside
        product *= inside
    return product


@_compiled
def _work_out(value: Any, ratio: Any, rule: Any, place: Any, pattern: Any, out: Any) -> None:
    """Add what a leaf gives, for each episode of a block by itself."""
    d = len(ratio)
    points, outside = (d + 1) // 2, np.empty(d)
    for i in range(len(pattern)):
        for q in range(points):
            product = rule.weights[points, q] * value
            product *= _factors(ratio, pattern[i], rule.points[points, q], outside)
            for k in range(d):
                out[place[k], i] += product * outside[k]


@_compiled
def _pair_up(value: Any, ratio: Any, rule: Any, place: Any, pattern: Any, out: Any) -> None:
    """Add how the features of a leaf act together, to both halves of each episode's table."""
    d = len(ratio)
    points, outside = max(d // 2, 1), np.empty(d)
    for i in range(len(pattern)):
        for q in range(points):
            product = 0.5 * rule.weights[points, q] * value
            product *= _factors(ratio, pattern[i], rule.points[points, q], outside)
            for j in range(d):
                for k in range(j):
                    part = product * outside[j] * outside[k]
                    out[i, place[j], place[k]] += part
                    out[i, place[k], place[j]] += part


# --- a tree ---------------------------------------------------------------------------------------


@_compiled
def add_tree(tree: Any, rule: Any, X: Any, out: Any) -> Any:
    """Add what a tree gives to `out`, and return its mean; NaN where a path is too long.

    Parameters
    ----------
    tree : Tree
    rule : Rule
    X, out : ndarray of shape (n_features, n_episodes)
    """
    leaves, n = len(tree.value), X.shape[1]
    if leaves == 1:
        return tree.value[0]
    plan = plan_tree(tree)
    if not plan.fits[0]:
        return np.nan
    table, begins = _fill_tables(tree, plan, rule)
    deepest = plan.steps[:, 1].max() + 1
    goes = np.zeros((deepest, BLOCK), dtype=np.uint8)
    patterns = np.zeros((deepest, BLOCK), dtype=np.uint32)
    found = np.zeros((leaves, BLOCK), dtype=np.uint32)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        _walk(tree, plan, X[:, start:stop], goes, patterns, found)
        for leaf in range(leaves):
            d, pattern = plan.width[leaf], found[leaf, : stop - start]
            place, ratio = plan.place[leaf, :d], plan.ratio[leaf, :d]
            if d <= MOST_IN_TABLE:
                own = table[begins[leaf] : begins[leaf + 1]].reshape(d, 1 << d)
                _look_up(own, place, pattern, out[:, start:stop])
            else:
                _work_out(tree.value[leaf], ratio, rule, place, pattern, out[:, start:stop])
    return _mean_of(tree, plan)


@_compiled
def add_pairs(tree: Any, rule: Any, X: Any, out: Any) -> Any:
    """Add how features act together in a tree to `out`; False where a path is too long.

    Parameters
    ----------
    tree : Tree
    rule : Rule
    X : ndarray of shape (n_features, n_episodes)
        Not more than `BLOCK` episodes.
    out : ndarray of shape (n_episodes, n_features, n_features)
    """
    leaves, n = len(tree.value), X.shape[1]
    if leaves == 1:
        return True
    plan = plan_tree(tree)
    if not plan.fits[0]:
        return False
    deepest = plan.steps[:, 1].max() + 1
    found = np.zeros((leaves, n), dtype=np.uint32)
    _walk(
        tree, plan, X, np.zeros((deepest, n), dtype=np.uint8),
        np.zeros((deepest, n), dtype=np.uint32), found,
    )  # fmt: skip
    for leaf in range(leaves):
        d = plan.width[leaf]
        _pair_up(
            tree.value[leaf], plan.ratio[leaf, :d], rule, plan.place[leaf, :d], found[leaf], out
        )
    return True
