"""Detecting in what is still being recorded: `Localizer.stream`. `schedule` says when, `stream` how, and why so."""
