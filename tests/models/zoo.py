"""Models of every kind that River has, and a stream of examples for them."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator
from typing import Any

from riverrun.models.ordering import in_fixed_order

river: Any = importlib.import_module("river.api")
"""River, without its types: half of its constructors have none."""

Features = dict[str, Any]


def _logistic(**arguments: Any) -> Any:
    return river.linear_model.LogisticRegression(**arguments)


def _hoeffding() -> Any:
    return river.tree.HoeffdingTreeClassifier(grace_period=30)


def _union() -> Any:
    scaled = river.compose.Select("a", "b", "d") | river.preprocessing.StandardScaler()
    coded = river.compose.Select("c") | river.preprocessing.OneHotEncoder()
    model = (scaled + coded) | _logistic(optimizer=river.optim.FTRLProximal())
    in_fixed_order(model)
    return model


ZOO: dict[str, Callable[[], Any]] = {
    "logistic": lambda: river.preprocessing.StandardScaler() | _logistic(),
    "windowed": lambda: river.preprocessing.StandardScaler(window_size=20) | _logistic(optimizer=river.optim.Adam()),
    "l1": lambda: _logistic(l1=0.01),
    "robust": lambda: river.preprocessing.RobustScaler() | _logistic(optimizer=river.optim.RMSProp()),
    "ftrl": lambda: _logistic(optimizer=river.optim.FTRLProximal()),
    "passive": river.linear_model.PAClassifier,
    "softmax": river.linear_model.SoftmaxRegression,
    "tree": _hoeffding,
    "tree-histogram": lambda: river.tree.HoeffdingTreeClassifier(
        grace_period=30, splitter=river.tree.splitter.HistogramSplitter()
    ),
    "tree-adaptive": lambda: river.tree.HoeffdingAdaptiveTreeClassifier(grace_period=30, seed=1),
    "tree-gradient": river.tree.SGTClassifier,
    "forest": lambda: river.forest.ARFClassifier(n_models=3, seed=1, grace_period=30),
    "mondrian": lambda: river.forest.AMFClassifier(n_estimators=3, seed=1),
    "bayes": river.naive_bayes.GaussianNB,
    "neighbours": lambda: river.neighbors.KNNClassifier(engine=river.neighbors.SWINN(seed=1)),
    "neighbours-lazy": lambda: river.neighbors.KNNClassifier(engine=river.neighbors.LazySearch(50)),
    "bagging": lambda: river.ensemble.BaggingClassifier(_hoeffding(), n_models=3, seed=1),
    "bagging-adwin": lambda: river.ensemble.ADWINBaggingClassifier(_logistic(), n_models=3, seed=1),
    "bagging-leveraging": lambda: river.ensemble.LeveragingBaggingClassifier(_logistic(), n_models=3, seed=1),
    "boosting": lambda: river.ensemble.AdaBoostClassifier(_hoeffding(), n_models=3, seed=1),
    "patches": lambda: river.ensemble.SRPClassifier(n_models=2, seed=1),
    "half-spaces": lambda: (
        river.preprocessing.MinMaxScaler() | river.anomaly.HalfSpaceTrees(n_trees=3, height=4, window_size=30, seed=1)
    ),
    "union": _union,
    "hashing": lambda: river.preprocessing.FeatureHasher(n_features=64, seed=1) | _logistic(),
    "factorisation": lambda: river.facto.FMClassifier(seed=1),
    "sampling": lambda: river.imblearn.RandomUnderSampler(_logistic(), desired_dist={False: 0.5, True: 0.5}, seed=1),
    "target-means": lambda: river.feature_extraction.TargetAgg(by="c", how=river.stats.Mean()) | _logistic(),
    "fourier": lambda: river.feature_extraction.RBFSampler(seed=1) | _logistic(),
    "selection": lambda: river.feature_selection.SelectKBest(river.stats.PearsonCorr(), k=2) | _logistic(),
    "retraining": lambda: river.drift.DriftRetrainingClassifier(river.naive_bayes.GaussianNB()),
    "voting": lambda: river.ensemble.VotingClassifier([_logistic(), river.naive_bayes.GaussianNB()]),
    "imputing": lambda: river.preprocessing.StatImputer() | _logistic(),
    "prior": river.dummy.PriorClassifier,
}


def stream(count: int, seed: int = 0) -> Iterator[tuple[Features, bool]]:
    """Yield examples that can be learned, with some noise."""
    rng = random.Random(seed)
    for _ in range(count):
        x = {"a": rng.random(), "b": rng.gauss(0, 1), "d": float(rng.randint(0, 5)), "c": rng.randint(0, 3)}
        yield x, (x["a"] + 0.3 * x["b"] > 0.5) != (rng.random() < 0.1)


def teach(model: Any, count: int, seed: int = 0) -> None:
    """Let a model learn from the stream."""
    for x, y in stream(count, seed):
        if isinstance(model, river.base.AnomalyDetector):
            model.learn_one(x)
        else:
            model.learn_one(x, y)
