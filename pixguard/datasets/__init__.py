"""Where images come from: name -> images, labels, splits; which sources, in the registry."""
