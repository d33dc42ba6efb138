"""Data sets that ship with the package: `timed_up_and_go`, recordings of a phone's motion (see its README)."""
