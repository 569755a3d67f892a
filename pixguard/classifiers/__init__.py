"""The models under attack: builders, training, evaluation."""
