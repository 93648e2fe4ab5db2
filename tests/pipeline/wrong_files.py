"""The ways to make the right pipeline file wrong in one place, and what the check has to say of each."""

from __future__ import annotations

from typing import Final, NamedTuple


class Wrong(NamedTuple):
    """An edit of the right file, the code of the problem that it makes, what is said, and on which line."""

    code: str
    was: str
    now: str
    says: str
    at: str = ""
    severity: str = "error"
    also: tuple[str, ...] = ()


NAMES = [
    Wrong("bad-name", 'name="returned"', 'name="re turned"', "'re turned'", "pipeline = Pipeline("),
    Wrong("bad-name", '"hour": hour_of', '"24 hours": hour_of', "'24 hours'"),
    Wrong("bad-name", 'Model("half", Half)', 'Model("half/half", Half)', "'half/half'"),
    Wrong("reserved-name", '"price": orders', '"reads": orders', "'reads'"),
    Wrong("duplicate-model", '"prior"', '"half"', "'half'", "lambda: dummy"),
    Wrong("duplicate-name", '"hour": hour', '"price": hour', "'price'"),
    Wrong(
        "bad-count",
        "    metrics=[",
        "    snapshot_every=0,\n    metrics=[",
        "snapshot_every is 0",
        "pipeline = Pipeline(",
    ),
    Wrong("bad-duration", "    metrics=[", '    dedupe="0s",\n    metrics=[', "dedupe is zero", "pipeline = Pipeline("),
    Wrong("bad-duration", 'wait="14d"', 'wait="800d"', "longer than a year", "label=Label("),
    Wrong("bad-duration", 'wait="14d"', 'wait="2 weeks"', "'2 weeks' is not a duration", "label=Label("),
]

STREAMS = [
    Wrong("bad-topic", '"shop.orders"', '"shop/orders"', "'shop/orders'", "orders = Stream("),
    Wrong("bad-stream", 'name="visits"', 'name="page visits"', "'page visits'"),
    Wrong("bad-stream", 'schema=VISIT, key="order"', "schema=VISIT", "needs key=", "visits = Stream("),
    Wrong("bad-stream", 'name="visits"', 'nome="visits"', "no setting 'nome'"),
    Wrong("reserved-topic", '"shop.visits"', '"returned.events"', "'returned.events'"),
    Wrong("duplicate-stream", '"shop.visits"', '"shop.orders"', "the topic 'shop.orders'", "visits = Stream("),
    Wrong("duplicate-stream", 'name="visits"', 'name="orders"', "the name 'orders'"),
    Wrong(
        "unknown-field", 'time="at", id="event", name', 'time="att", id="event", name', "no field 'att' to be its time"
    ),
    Wrong("unknown-field", 'id="event", name', 'id="even", name', "no field 'even' to be its id"),
    Wrong(
        "nullable-id",
        '"Visit",\n    event="string"',
        '"Visit",\n    event=["null", "string"]',
        "visits.event is the id",
        "visits = Stream(",
    ),
    Wrong(
        "bad-id-type",
        '"Visit",\n    event="string"',
        '"Visit",\n    event="double"',
        "visits.event is the id",
        "visits = Stream(",
    ),
    Wrong(
        "bad-time-type",
        'at="long",\n    customer="string",\n    pages',
        'at="string",\n    customer="string",\n    pages',
        "visits.at is the time",
        "visits = Stream(",
    ),
    Wrong(
        "nullable-time",
        'at="long",\n    customer="string",\n    pages',
        'at=["null", "long"],\n    customer="string",\n    pages',
        "visits.at is the time",
        "visits = Stream(",
    ),
    Wrong(
        "schema-unsupported",
        'pages="long",',
        'pages="long",\n    tags={"type": "array", "items": "string"},',
        "'tags'",
        "visits = Stream(",
    ),
    Wrong(
        "schema-invalid",
        'pages="long",',
        'pages="long",\n    kind={"type": "enum", "name": "Kind", "symbols": ["a", "a"]},',
        "stream 'visits'",
        "visits = Stream(",
    ),
]

KEYS = [
    Wrong(
        "nullable-key",
        '"Visit",\n    event="string",\n    order="string"',
        '"Visit",\n    event="string",\n    order=["null", "string"]',
        "visits.order is the key",
        "visits = Stream(",
    ),
    Wrong(
        "bad-key-type",
        '"Visit",\n    event="string",\n    order="string"',
        '"Visit",\n    event="string",\n    order="double"',
        "visits.order is the key",
        "visits = Stream(",
    ),
    Wrong("unknown-field", 'schema=VISIT, key="order"', 'schema=VISIT, key="ordre"', "no field 'ordre' to be its key"),
    Wrong(
        "unusable-key",
        'schema=RETURN,\n    key="order"',
        'schema=RETURN,\n    key="customer"',
        "keyed by 'customer'",
        "label=Label(",
    ),
    Wrong(
        "unusable-key",
        '"Return",\n    event="string",\n    order="string"',
        '"Return",\n    event="string",\n    order="long"',
        "'order' is text in 'orders', but integer in 'returns'",
        "label=Label(",
    ),
]

EXPRESSIONS = [
    Wrong("unknown-field", '"price": orders.price', '"price": orders.prize', "no field 'prize'"),
    Wrong("unknown-field", "orders.price > 0", "orders.prize > 0", "no field 'prize'"),
    Wrong("unknown-field", "mean(visits.pages)", "mean(visits.page)", "no field 'page'"),
    Wrong("unknown-field", "returns.refund > 0,", "returns.refunds > 0,", "no field 'refunds'"),
    Wrong("wrong-type", '"price": orders.price', '"price": orders.price + orders.customer', "orders.customer is text"),
    Wrong("wrong-type", "mean(visits.pages)", "mean(visits.customer)", "visits.customer is text"),
    Wrong("wrong-type", "fallback(False)", "fallback(0)", "is an integer"),
    Wrong("rule-not-boolean", "orders.price > 0", "orders.price * 2", "(orders.price * 2), is number"),
    Wrong("several-streams", "orders.price > 0", "orders.price > returns.refund", "'orders', 'returns'"),
    Wrong("several-streams", "returns.refund > 0,", "returns.refund > visits.pages,", "'returns', 'visits'"),
    Wrong("constant", '"hour": hour_of(orders.at)', '"hour": hour_of(0)', "the feature 'hour'", "pipeline = Pipeline("),
    Wrong(
        "not-an-expression",
        '"price": orders.price',
        '"price": orders.topic',
        "'shop.orders', not an expression",
        "pipeline = Pipeline(",
    ),
    Wrong("not-an-expression", "orders.price > 0", "True", "rule 1 is True", "pipeline = Pipeline("),
    Wrong("misplaced-aggregate", "orders.price > 0", 'count(orders).over("1h") > 0', "count(orders).over('1h')"),
    Wrong("misplaced-aggregate", "returns.refund > 0,", 'count(returns).over("1h") > 0,', "count(returns).over('1h')"),
    Wrong("feature-of-bytes", '"price": orders.price', '"price": orders.note', "the feature 'price' is bytes"),
    Wrong("foreign-field", '"price": orders.price', '"price": visits.pages', "visits.pages"),
    Wrong("label-type", "returns.refund > 0,", "returns.reason,", "returns.reason is text", also=("model-unusable",)),
    Wrong("label-otherwise", "otherwise=False", "otherwise=0.0", "otherwise= is 0.0", "label=Label("),
    Wrong("expression-as-bool", "orders.price > 0", "orders.price > 0 and orders.price < 9", "neither true nor false"),
    Wrong("expression-as-bool", "orders.price > 0", "0 < orders.price < 9", "neither true nor false"),
    Wrong("bad-literal", "orders.price > 0", 'orders.price > float("nan")', "nan is not finite"),
    Wrong("bad-literal", "orders.price > 0", "orders.gift == None", "None"),
]

AGGREGATES = [
    Wrong(
        "no-window",
        'count(visits).by("customer").over("1h")',
        'count(visits).by("customer")',
        "count(visits).by('customer')",
    ),
    Wrong("bad-window", '.over("1h")', '.over("0s")', "is empty"),
    Wrong("bad-window", '.over("1h")', '.over("500d")', "longer than a year"),
    Wrong("bad-window", '"2h", panes=4', '"2h", panes=0', "0 panes"),
    Wrong("bad-window", '"2h", panes=4', '"2h", panes=1.5', "1.5 panes"),
    Wrong("bad-window", '"2h", panes=4', '"2h", panes=1001', "1001 panes"),
    Wrong("bad-window", '"2h", panes=4', '"2h", panes=7', "does not divide into 7 panes"),
    Wrong("bad-window", 'half_life="1d")', 'half_life="1d").over("1h")', "by its half-life"),
    Wrong("bad-duration", '.over("1h")', '.over("an hour")', "'an hour' is not a duration"),
    Wrong("bad-window", 'half_life="1d")', 'half_life="0s")', "the half-life is zero"),
    Wrong("bad-quantile", "quantile(returns.refund, 0.5)", "quantile(returns.refund, 50)", "quantile 50.0"),
    Wrong("bad-aggregate", "count(visits)", "count(7)", "not 7"),
    Wrong("bad-aggregate", 'count(visits).by("customer")', "count(visits).by(visits.customer)", "visits.customer"),
    Wrong(
        "bad-aggregate", 'count(visits).by("customer")', "count(visits).by(customer=orders.customer)", "orders.customer"
    ),
    Wrong(
        "misplaced-aggregate",
        "mean(visits.pages)",
        'mean(visits.pages + count(visits).over("1h"))',
        "aggregates an aggregate",
    ),
    Wrong("several-streams", "mean(visits.pages)", "mean(visits.pages + returns.refund)", "'visits' and 'returns'"),
    Wrong(
        "unknown-field",
        'count(visits).by("customer")',
        'count(visits).by("costumer")',
        "'costumer' in the stream 'visits'",
    ),
    Wrong(
        "unknown-field",
        'count(visits).by("customer")',
        'count(visits).by(customer="client")',
        "'client' in the stream 'orders'",
    ),
    Wrong("by-type", 'count(visits).by("customer")', 'count(visits).by(pages="price")', "orders.price is number"),
    Wrong("by-type", 'count(visits).by("customer")', 'count(visits).by(pages="customer")', "they never equal"),
]

LEAKS = [
    Wrong(
        "leak-label-stream-field",
        '"price": orders.price',
        '"price": returns.refund',
        "the feature 'price' reads returns.refund",
    ),
    Wrong(
        "leak-own-label",
        'sum_(returns.refund).by("customer")',
        'sum_(returns.refund).by("order")',
        "aggregates the label's stream by 'order'",
    ),
    Wrong(
        "leak-own-label",
        'sum_(returns.refund).by("customer")',
        'sum_(returns.refund).by("customer", "order")',
        "'order'",
    ),
    Wrong("leak-own-label", 'sum_(returns.refund).by("customer")', 'sum_(returns.refund).by(order="event")', "'event'"),
    Wrong("identifier-feature", '"price": orders.price', '"price": orders.order', "orders.order", severity="warning"),
    Wrong("identifier-feature", '"price": orders.price', '"price": orders.event', "orders.event", severity="warning"),
    Wrong(
        "entity-too-fine", 'count(visits).by("customer")', 'count(visits).by("event")', "'event'", severity="warning"
    ),
    Wrong(
        "entity-too-fine",
        'count(visits).by("customer")',
        'count(visits).by("at", "customer")',
        "'at'",
        severity="warning",
    ),
]

JOINS = [
    Wrong(
        "unknown-field",
        'join="order"',
        'join="ordre"',
        "'ordre', which the stream 'orders' does not have",
        "label=Label(",
    ),
    Wrong(
        "unusable-key",
        'join="order"',
        'join="customer"',
        "'orders' is keyed by 'order'",
        "label=Label(",
        also=("leak-own-label",),
    ),
]

MODELS = [
    Wrong("model-fails", "PriorClassifier()", "PriorClassifier(1)", "building model 'prior' stops with TypeError"),
    Wrong(
        "model-fails",
        "        self.seen += 1",
        '        self.seen += x["prize"]',
        "fails at learning",
        'Model("half", Half)',
    ),
    Wrong(
        "model-fails",
        "        return {True: 0.5",
        '        x["none"]\n        return {True: 0.5',
        "fails at predicting",
        'Model("half", Half)',
    ),
    Wrong(
        "model-bad-output",
        "{True: 0.5, False: 0.5}",
        "{True: 1.5, False: -0.5}",
        "1.5 for a probability",
        'Model("half", Half)',
    ),
    Wrong(
        "model-not-finite",
        "{True: 0.5, False: 0.5}",
        '{True: float("nan"), False: 0.5}',
        "not finite",
        'Model("half", Half)',
    ),
    Wrong("model-unusable", "def predict_proba_one", "def predict_proba", "'half'", 'Model("half", Half)'),
    Wrong(
        "model-not-picklable",
        "self.seen = 0",
        "self.seen = 0\n        self.f = lambda: 0",
        "'half'",
        'Model("half", Half)',
    ),
    Wrong(
        "model-changed-by-asking",
        "        return {True: 0.5",
        "        self.seen += 7\n        return {True: 0.5",
        "predicting changes model 'half'",
        'Model("half", Half)',
        severity="warning",
    ),
    Wrong("metric-fails", "        Loss,", "        lambda: 7,", "metric 1 cannot be used", "pipeline = Pipeline("),
    Wrong("metric-fails", "        self.n += 1", "        self.n += y_pred['x']", "metric 1", "pipeline = Pipeline("),
]

GROUPS: Final = {
    "names": NAMES,
    "streams": STREAMS,
    "keys": KEYS,
    "expressions": EXPRESSIONS,
    "aggregates": AGGREGATES,
    "leaks": LEAKS,
    "joins": JOINS,
    "models": MODELS,
}
