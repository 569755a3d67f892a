"""Image-quality metrics, one pure function a file."""
