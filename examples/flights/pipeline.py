"""Will a flight arrive more than 15 minutes late? Predicted an hour before its scheduled departure."""

from __future__ import annotations

from pathlib import Path

from river import compose, linear_model, metrics, optim, preprocessing, tree

from riverrun import Drift, Label, Model, Pipeline, Stream, count, last, maximum, mean, minimum
from riverrun.models.binned_crosses import BinnedCrosses
from riverrun.models.constant_imputer import ConstantImputer
from riverrun.pipeline import Expression, FieldRef
from riverrun.pipeline.alerts import ChampionRule, CounterRule, DeadLetterRule, DriftRule, LagRule, QualityRule

HERE = Path(__file__).parent
MINUTE_MS = 60_000

scheduled = Stream(
    "flights.scheduled",
    schema=HERE / "scheduled.avsc",
    format="avro",
    key="flight_id",
    time="announced_at",
    id="event_id",
)
departed = Stream(
    "flights.departed", schema=HERE / "departed.avsc", format="avro", key="flight_id", time="departed_at", id="event_id"
)
arrived = Stream(
    "flights.arrived", schema=HERE / "arrived.avsc", format="avro", key="flight_id", time="arrived_at", id="event_id"
)
weather = Stream(
    "weather.observed", schema=HERE / "weather.avsc", format="json", key="origin", time="observed_at", id="event_id"
)

# Flights announced one to four hours ago were due to leave in the last three hours; which of them have not?
announced_1h = count(scheduled).by("origin").over("1h", panes=4)
due_3h = count(scheduled).by("origin").over("4h", panes=8) - announced_1h
carrier_due_3h = count(scheduled).by("carrier", "origin").over("4h", panes=8) - count(scheduled).by(
    "carrier", "origin"
).over("1h", panes=4)
# What a flight gains (negative) or loses between departure and arrival.
enroute = arrived.arr_delay - arrived.dep_delay
# When the aircraft can be back in New York: it flies there and back, as long as scheduled, or as it just took.
back_by_schedule = departed.departed_at + departed.sched_elapsed * (2 * MINUTE_MS)
back_by_air_time = arrived.arrived_at + arrived.air_time * MINUTE_MS


def latest(field: FieldRef) -> Expression:
    """Return the last observation at the origin."""
    return last(field).by("origin").over("3h", panes=3)


FEATURES = {
    "carrier": scheduled.carrier,
    "origin": scheduled.origin,
    "dest": scheduled.dest,
    "hour": scheduled.hour,
    "weekday": scheduled.weekday,
    "origin_late_1h": mean(departed.dep_delay > 15).by("origin").over("1h", panes=4),
    "origin_late_3h": mean(departed.dep_delay > 15).by("origin").over("3h", panes=6),
    "carrier_origin_delay_3h": mean(departed.dep_delay).by("carrier", "origin").over("3h", panes=6),
    "origin_overdue_3h": due_3h - count(departed).by("origin").over("3h", panes=6),
    "carrier_origin_overdue_share_3h": (carrier_due_3h - count(departed).by("carrier", "origin").over("3h", panes=6))
    / carrier_due_3h,
    "origin_announced_1h": announced_1h,
    "origin_enroute_6h": mean(enroute).by("origin").over("6h", panes=6),
    "dest_enroute_6h": mean(enroute).by("dest").over("6h", panes=6),
    "dest_arr_delay_3h": mean(arrived.arr_delay).by("dest").over("3h", panes=6),
    "flight_arr_delay_28d": mean(minimum(maximum(arrived.arr_delay, -60.0), 120.0))
    .by("carrier", "flight")
    .over("28d", panes=14),
    "slack_in_schedule": scheduled.sched_elapsed - mean(arrived.air_time).by("origin", "dest").over("14d", panes=14),
    "tail_arr_delay_1d": last(arrived.arr_delay).by("tailnum").over("1d", panes=12),
    "tail_slack_arrived": (scheduled.sched_dep - last(back_by_air_time).by("tailnum").over("1d", panes=12)) / MINUTE_MS,
    "tail_slack_departed": (scheduled.sched_dep - last(back_by_schedule).by("tailnum").over("1d", panes=12))
    / MINUTE_MS,
    "dewp": latest(weather.dewp),
    "wind_dir": latest(weather.wind_dir),
    "wind_speed": latest(weather.wind_speed),
    "precip": latest(weather.precip),
    "pressure": latest(weather.pressure),
    "visib": latest(weather.visib),
}

SHARE = (0.01, 0.03, 0.05, 0.075, 0.1, 0.13, 0.17, 0.22, 0.3, 0.42, 0.6)
ARRIVAL_DELAY = (-25, -18, -13, -9, -5, -1, 4, 10, 18, 35, 60)
SLACK = (0, 30, 60, 80, 95, 110, 125, 140, 160, 250, 500, 700, 900)
EDGES = {
    "origin_late_1h": SHARE,
    "origin_late_3h": SHARE,
    "carrier_origin_delay_3h": (-5, -3.5, -2, -0.5, 1, 3, 5, 8, 12, 18, 30, 50),
    "origin_overdue_3h": (-6, -3, -1, 0, 1, 2, 3, 4, 5, 7, 10, 15),
    "carrier_origin_overdue_share_3h": (-0.15, -0.05, 0, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6),
    "origin_announced_1h": (8, 12, 14, 16, 18, 20, 22, 24, 26, 29),
    "origin_enroute_6h": (-16, -13, -11, -9.5, -8, -6.5, -5, -3.5, -1.5, 1, 5, 10),
    "dest_enroute_6h": (-22, -17, -14, -11, -8.5, -6.5, -4, -2, 1, 5, 12),
    "dest_arr_delay_3h": ARRIVAL_DELAY,
    "flight_arr_delay_28d": (-14, -9, -6, -3, 0, 2.5, 5.5, 9, 13, 19, 29),
    "slack_in_schedule": (22, 26, 29, 32, 34, 36, 39, 42, 45, 49, 55),
    "tail_arr_delay_1d": ARRIVAL_DELAY,
    "tail_slack_arrived": SLACK,
    "tail_slack_departed": SLACK,
    "dewp": (10, 20, 26, 32, 38, 44, 50, 56, 61, 66, 71),
    "wind_dir": (20, 60, 100, 140, 170, 190, 215, 240, 270, 290, 310, 335),
    "wind_speed": (3, 5, 7, 9, 11, 13, 15, 17, 20, 24),
    "precip": (0.005, 0.02, 0.05, 0.1),
    "pressure": (1002, 1006, 1009, 1012, 1014, 1016, 1018, 1021, 1024, 1028),
    "visib": (1, 2, 4, 6, 8, 9.5),
}
# What stands for a missing value in models that need one: about the mean; for an aircraft not seen, much time.
TYPICAL = {
    "origin_late_1h": 0.15,
    "origin_late_3h": 0.15,
    "carrier_origin_delay_3h": 8.0,
    "origin_overdue_3h": 2.0,
    "carrier_origin_overdue_share_3h": 0.0,
    "origin_announced_1h": 20.0,
    "origin_enroute_6h": -6.0,
    "dest_enroute_6h": -6.0,
    "dest_arr_delay_3h": 3.0,
    "flight_arr_delay_28d": 4.0,
    "slack_in_schedule": 36.0,
    "tail_arr_delay_1d": 5.0,
    "tail_slack_arrived": 600.0,
    "tail_slack_departed": 500.0,
    "dewp": 42.0,
    "wind_dir": 200.0,
    "wind_speed": 10.0,
    "precip": 0.0,
    "pressure": 1017.0,
    "visib": 9.5,
}
CATEGORIES = ("carrier", "origin", "dest", "hour", "weekday")
TERMS: tuple[str | tuple[str, ...], ...] = (
    *(name for name in EDGES if name != "origin_late_3h"),
    ("carrier", "origin", "hour"),
    ("carrier", "origin", "dest"),
    ("dest", "hour", "origin"),
    ("dest", "hour"),
    ("hour", "weekday"),
    ("origin", "wind_dir", "wind_speed"),
    ("origin_late_3h", "hour"),
    ("origin_late_3h", "carrier"),
    ("origin_late_1h", "tail_slack_departed"),
    ("tail_slack_arrived", "tail_arr_delay_1d"),
    ("tail_slack_departed", "tail_arr_delay_1d"),
    ("carrier", "tail_slack_departed"),
    ("dest_enroute_6h", "dewp"),
)
TREE_FEATURES = (
    "origin_late_3h",
    "carrier_origin_delay_3h",
    "dest_enroute_6h",
    "flight_arr_delay_28d",
    "tail_arr_delay_1d",
    "tail_slack_departed",
    "origin_overdue_3h",
    "visib",
)


def binned_crosses() -> compose.Pipeline:
    """FTRL on bins and crosses. intercept_lr=0: every term has a token for every flight, which is intercept enough."""
    return BinnedCrosses(EDGES, TERMS) | linear_model.LogisticRegression(
        optimizer=optim.FTRLProximal(alpha=0.04, beta=1.0, l1=0.0, l2=1.0), intercept_lr=0.0
    )


def scaled_logistic() -> compose.Pipeline:
    """Return the plain model: scaled numbers, one weight each."""
    return (
        ConstantImputer(TYPICAL)
        | preprocessing.StandardScaler()
        | linear_model.LogisticRegression(optimizer=optim.AdaGrad(0.02))
    )


def hoeffding_tree() -> compose.Pipeline:
    """Return a tree that grows while it learns; its depth bounds its size."""
    return ConstantImputer({name: TYPICAL[name] for name in TREE_FEATURES}) | tree.HoeffdingTreeClassifier(
        grace_period=500, delta=1e-4, leaf_prediction="mc", max_depth=8
    )


pipeline = Pipeline(
    name="flight-delay",
    predict_on=scheduled,
    features=FEATURES,
    label=Label(arrived.arr_delay > 15, join="flight_id", wait="36h", otherwise=None),
    champion=Model("binned-crosses", binned_crosses),
    challengers=[Model("scaled-logistic", scaled_logistic), Model("hoeffding-tree", hoeffding_tree)],
    rules=[
        scheduled.flight_id != "",
        departed.flight_id != "",
        arrived.flight_id != "",
        scheduled.distance.between(1.0, 6000.0),
        departed.dep_delay.between(-120.0, 3000.0),
        arrived.arr_delay.between(-120.0, 3000.0),
        weather.temp.between(-80.0, 140.0),
    ],
    metrics=[metrics.LogLoss, metrics.ROCAUC],
    # About 900 flights a day: a window of two days, which nights and rush hours do not disturb, beside three weeks; of
    # all flights, and of each carrier's by themselves.
    drift=Drift(reference=20_000, window=2_000, warm_up=5_000, segments=["carrier"]),
    alerts=[
        # Storms make delays that schedules and habits do not explain: the blizzard of February 8 and 9 costs ranking,
        # the thunderstorms of spring and summer and the snow of December cost likelihood.
        QualityRule(name="ranking", metric="ROCAUC", below=0.7, cooldown="3d", severity="critical"),
        QualityRule(name="likelihood", metric="LogLoss", above=0.53, cooldown="3d"),
        DriftRule(name="drift", cooldown="1d", digest="1d"),
        DeadLetterRule(name="dead-letters", share=0.05, over="1d"),
        LagRule(name="learning-lag", stage="learn", records=100_000),
        CounterRule(name="forged-models", stage="score", counter="models_refused", severity="critical"),
        ChampionRule(name="champion"),
    ],
)
