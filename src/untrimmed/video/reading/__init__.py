"""From a video file to its pictures, in time and size as a network takes them."""
