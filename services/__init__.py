"""The stages, each a service: a pure core, its state, and its wiring to the runtime."""
