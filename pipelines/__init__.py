"""Programs that turn many videos into one data set, and the demo."""
