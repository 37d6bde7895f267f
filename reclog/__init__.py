"""reclog: record what isolated processes print, in a file on your own machine."""
