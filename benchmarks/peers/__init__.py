"""The flights example's five stages as separate programs on other stream processors: to be compared with.

Each peer has a file of pinned requirements; it is installed for the benchmark alone, in an environment under
the build folder. What the stages do is in `job`, the same for all peers; a peer's own module is what its users would
write: topics, state and guarantees.
"""
