"""Where files of the nodes may be read and written."""
