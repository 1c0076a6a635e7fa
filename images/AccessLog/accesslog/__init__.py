"""accesslog: the proxy's access lines in, one rotated file a site out. Standard library only."""
