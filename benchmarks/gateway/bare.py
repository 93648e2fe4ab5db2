"""What a good programmer writes in an afternoon: FastAPI, features in a Redis hash, a River model in memory.

It checks no key, bounds nothing, publishes nothing, and its features are ready-made numbers.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import redis.asyncio
from fastapi import FastAPI
from pydantic import BaseModel

APP = FastAPI()
_REDIS = redis.asyncio.Redis.from_url(os.environ["BARE_REDIS"], decode_responses=True)
# Written by the benchmark itself a moment ago, in its own folder.
_MODEL: Any = pickle.loads(Path(os.environ["BARE_MODEL"]).read_bytes())


class Bought(BaseModel):
    """A request."""

    user: str
    shop: str
    amount: float
    items: float
    discount: float
    distance: float


class Answer(BaseModel):
    """Its answer."""

    prediction: float
    features: dict[str, float]


@APP.post("/predict")
async def predict(event: Bought) -> Answer:
    """Look the features up, and predict."""
    async with _REDIS.pipeline(transaction=False) as pipe:
        pipe.hgetall(f"bare:user:{event.user}")
        pipe.hgetall(f"bare:shop:{event.shop}")
        stored = await pipe.execute()
    features: dict[str, float] = event.model_dump(exclude={"user", "shop"})
    for found in stored:
        features |= {name: float(value) for name, value in found.items()}
    return Answer(prediction=_MODEL.predict_proba_one(features).get(True, 0.0), features=features)
