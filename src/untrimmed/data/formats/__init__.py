"""Annotation and detection files, a module for each format."""
