"""Makes roles, databases and grants as DBMAP says, and never drops one."""
