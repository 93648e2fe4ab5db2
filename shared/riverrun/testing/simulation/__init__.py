"""A seeded simulation of whole deployments: members, crashes, rebalances and faults, in one thread and on no clock.

``python -m riverrun.testing.simulation --seed 123`` runs one seed and shrinks it if it fails.
"""
