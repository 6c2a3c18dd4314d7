"""Shared set-up: no network, one thread, Hypothesis profiles."""
