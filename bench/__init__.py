"""Benchmarks that anyone can run: one command per figure, each on a loopback server of its own."""
