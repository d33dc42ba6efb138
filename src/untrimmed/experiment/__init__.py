"""A whole experiment: its configuration, training it into a run folder, and evaluating what came out."""
