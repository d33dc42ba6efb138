"""Archives of any size on many machines, by Ray Data (extra `ray`)."""
