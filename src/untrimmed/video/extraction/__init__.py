"""From many videos to a folder of their features."""
