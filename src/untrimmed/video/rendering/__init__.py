"""From detections to a copy of the video that shows them; copies that browsers can play."""
