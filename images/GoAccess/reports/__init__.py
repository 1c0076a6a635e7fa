"""reports: access logs in, a page of statistics a site out. Standard library and GoAccess only."""
