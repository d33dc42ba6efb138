"""How good detections are; numpy only."""
