"""ActionFormer itself: features in, predictions at every moment of the pyramid out."""
