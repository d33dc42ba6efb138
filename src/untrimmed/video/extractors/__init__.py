"""Frozen video backbones behind one interface."""
