"""Images: reading, decoding, augmenting, batching."""
