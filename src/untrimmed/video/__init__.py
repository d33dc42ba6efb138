"""From video files to features: decoding with true timestamps, frozen backbones, and feature folders."""
