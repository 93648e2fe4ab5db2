"""The kinds of fault: each a function that injects it, yields for as long as it lasts, and mends it."""
