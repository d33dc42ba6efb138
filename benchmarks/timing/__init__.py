"""The tables of `make bench`, a module for each section; `benchmarks/speed.py` runs them."""
