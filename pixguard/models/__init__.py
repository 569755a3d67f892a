"""What every network shares: device, weights, inputs, checkpoints, prefetching, training loop."""
