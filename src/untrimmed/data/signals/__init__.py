"""Signals of sensors: tables and arrays of samples, resampled onto one grid.

`opening.open_signals` opens those of a data set, `opening.open_recording` a single file. `table.py` reads CSV, TSV and
parquet, `sources.py` finds the files of a stream, `streams.py` brings several onto one grid by `resampling.py`, and
`normalisation.py` finds what standardises the channels.
"""
