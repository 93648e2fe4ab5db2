"""How fast the HTTP gateway predicts, beside a bare FastAPI + Redis + River handler in the same run."""
