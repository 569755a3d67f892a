"""Where images come from: name -> images, labels, splits."""
