"""How fast riverrun is, each figure against a measure of its own: a bare loop, a peer, or riverrun itself.

``python -m benchmarks`` measures; ``docs/performance.md`` tells how, and what came out.
"""
