"""What `untrimmed demo` works on: clips that it draws, and `timed_up_and_go`, recordings of people (see its README)."""
