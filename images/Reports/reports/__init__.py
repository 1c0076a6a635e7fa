"""reports: access logs in, pages of statistics a site out. Standard library and GoAccess or AWStats only."""
