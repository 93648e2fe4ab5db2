"""What it takes to go beyond this machine: measured costs, a simulation fed by them, and ``docs/scaling.md``."""
